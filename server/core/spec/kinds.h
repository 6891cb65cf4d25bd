// The kinds of provider, balancer and usage source that a pool may name, one row each: all that the
// core knows of a kind. CompilePool reads the rows; MakeAdapters (server/adapters.cc) makes the
// adapters themselves, which do I/O. Pure, any thread.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "server/core/spec.h"
#include "server/core/spec/field_checker.h"

namespace shadow {

struct ProviderKind {
  v1::Provider::KindCase kind;
  std::string_view name;  // "process"
  ProviderTraits traits;
  // Checks the message below `field` and fills in its defaults.
  void (*compile)(const std::string& field, v1::Provider& spec, FieldChecker& check);
  // What tells it from others of its kind, e.g. where it is; empty: there is one of it.
  std::string (*place)(const v1::Provider& spec);
};

struct BalancerKind {
  v1::Balancer::KindCase kind;
  bool told;  // Of the pool's instances, and asked about them.
  void (*compile)(const std::string& field, v1::Balancer& spec, FieldChecker& check);
  // An error: pools with `mine` and with `other`, of one kind, would take each other's members.
  // `other_pool`: the name of the latter.
  absl::Status (*conflict)(const v1::Balancer& mine, const v1::Balancer& other,
                           std::string_view other_pool);
};

struct UsageKind {
  v1::UsageSource::KindCase kind;
  bool polled;  // Otherwise its samples are pushed. A pool has one polled source at most.
  void (*compile)(const std::string& field, v1::UsageSource& spec, FieldChecker& check);
};

// The row of a spec whose kind is set (CHECK).
const ProviderKind& KindOf(const v1::Provider& spec);
const BalancerKind& KindOf(const v1::Balancer& spec);
const UsageKind& KindOf(const v1::UsageSource& spec);

// As KindOf(spec).conflict; OK for two of different kinds.
absl::Status CheckNoConflict(const v1::Balancer& mine, const v1::Balancer& other,
                             std::string_view other_pool);

}  // namespace shadow
