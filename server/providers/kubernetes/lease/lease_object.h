// A Lease of coordination.k8s.io/v1 as the API server has it. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace shadow {

// What is written is what was read, with other values where this says so: fields, labels and
// annotations of others stay.
class LeaseObject {
 public:
  explicit LeaseObject(nlohmann::json object) : object_(std::move(object)) {}

  // One that is not there yet, and that nobody holds.
  static LeaseObject New(std::string_view space, std::string_view name);

  const nlohmann::json& json() const { return object_; }

  // Empty: nobody.
  std::string holder() const;
  // Changes with every write; empty of one that is not there yet.
  std::string version() const;
  // How long its holder holds it without a renewal, 0 to 1 h; unset or nonsense: 0.
  absl::Duration duration() const;

  // `wall` is for people alone: nobody compares it with a clock of another machine.
  LeaseObject TakenBy(const std::string& identity, absl::Duration duration, absl::Time wall) const;
  LeaseObject Renewed(absl::Time wall) const;
  LeaseObject Released(absl::Time wall) const;

 private:
  nlohmann::json object_;
};

}  // namespace shadow
