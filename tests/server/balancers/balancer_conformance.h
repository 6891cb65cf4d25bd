// What every Balancer promises (server/core/ports.h), for the fake and the real ones.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "server/core/ports.h"

namespace shadow {

// One balancer with room for exactly two members, and two addresses where something answers. What a
// balancer cannot do is left empty.
struct BalancerCase {
  Balancer& balancer;
  std::vector<std::string> addresses;  // Three; the third does not fit if `bounded`.
  bool bounded = true;
  std::function<void(const std::string& address, bool healthy)> set_healthy;
  std::function<void()> restart;         // The balancer's; it forgets its members.
  std::function<void(bool hangs)> hang;  // It answers nobody until it is told to go on.
};

// Unset: not a member. Fails the test where View does.
std::optional<BalancerMember> FindMember(Balancer& balancer, const std::string& address);

// In sections of the test case that calls it; the balancer is to be new in each.
void CheckBalancer(const BalancerCase& subject);

}  // namespace shadow
