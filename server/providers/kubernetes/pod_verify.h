// What differs between an admitted pod and the DNA that it was made from: webhooks and people may
// have changed it, and a node may run another image. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "server/core/ports.h"

namespace shadow {

using Json = nlohmann::json;

struct PodExpectation {
  // It was made over a template, whose variables and annotations it has too.
  bool templated = false;
  // Its request may be this instead of the DNA's, while it is suspended.
  std::optional<int64_t> suspended_cpu_millis;
};

// One sentence each (Provider::Differences). Other containers, volumes and mounts of others, e.g. a
// mesh's, are no difference.
Provider::Differences PodDifferences(const InstanceSpec& instance, const Json& pod,
                                     const PodExpectation& expectation);

}  // namespace shadow
