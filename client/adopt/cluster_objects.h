// What `kubectl get ... -o json` has printed. Pure, any thread.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace shadow {

using Json = nlohmann::json;

// The value at this path of keys; null if a key is missing or the path leads through no object.
const Json& FieldAt(const Json& object, std::initializer_list<const char*> keys);

// The string there; empty if there is no string.
std::string TextAt(const Json& object, std::initializer_list<const char*> keys);

// The elements of the list there; empty if there is no list.
std::vector<Json> ListAt(const Json& object, std::initializer_list<const char*> keys);

// Objects by their kind. A list stands for its items, one level deep.
class ClusterObjects {
 public:
  // kInvalidArgument: `text` is not a JSON object.
  static absl::StatusOr<ClusterObjects> Parse(std::string_view text);

  // kNotFound: no Deployment has this name. kInvalidArgument: Deployments of several namespaces do.
  absl::StatusOr<Json> Deployment(std::string_view name) const;

  // "sha256:..." of the image that the first container of `deployment` runs, from the status of
  // its pods. kFailedPrecondition: no pod tells a digest, or they tell different ones.
  absl::StatusOr<std::string> RunningDigest(const Json& deployment) const;

  // Names of Services that send traffic to pods with the labels of the template of `deployment`.
  std::vector<std::string> ServicesOf(const Json& deployment) const;

  bool has_services() const;

 private:
  std::vector<Json> objects_;
};

}  // namespace shadow
