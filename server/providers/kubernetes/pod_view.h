// What a pod of ours says, read from what the API server has of it. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "server/core/ports.h"

namespace shadow {

using Json = nlohmann::json;

struct PodView {
  std::string name;
  std::string uid;
  int64_t version = 0;  // resourceVersion: of two looks at one cluster, the later is higher.
  std::map<std::string, std::string> labels;
  std::string id;       // Of the instance.
  std::string pool;     // Short.
  std::string epoch;    // Of the store that has made it.
  std::string node;     // Empty: it is not placed yet.
  std::string address;  // "10.0.0.7:20000"; empty: it has none yet.
  Life life = Life::kStarting;
  bool deleting = false;
  bool suspended = false;   // By its label.
  bool ready = false;       // Its condition Ready, which Services go by.
  std::string exit_reason;  // kExited.
  // Of the container of the DNA.
  std::string container;
  std::optional<int64_t> wanted_cpu_millis;  // Its request, as asked for.
  std::optional<int64_t> cpu_millis;         // As its node has it; unset: the node does not say.
  // Why its node does not resize it yet, or never; empty: it does.
  std::string resize_pending;
};

// kInvalidArgument: it is no pod, or none of ours.
absl::StatusOr<PodView> ReadPod(const Json& pod);

Observation ObservationOf(const PodView& pod);

// The container `name` of `list` (containers, containerStatuses, ...); null: there is none.
const Json* NamedIn(const Json& list, const std::string& name);

// Below `object` by `path`, e.g. {"metadata", "name"}; null: there is none.
const Json* Below(const Json& object, std::initializer_list<const char*> path);
// The same, of a string; empty: there is none.
std::string TextBelow(const Json& object, std::initializer_list<const char*> path);

}  // namespace shadow
