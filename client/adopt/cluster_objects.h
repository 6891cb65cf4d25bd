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

// What stands below the keys; null: nothing, or no objects on the way.
const Json& FieldAt(const Json& object, std::initializer_list<const char*> keys);

// A text there; empty: none.
std::string TextAt(const Json& object, std::initializer_list<const char*> keys);

// Elements of a list; nothing where it is none.
std::vector<Json> ListAt(const Json& object, std::initializer_list<const char*> keys);

// Objects by their kind. A list stands for its items, one level deep.
class ClusterObjects {
 public:
  // kInvalidArgument: it is no JSON of objects.
  static absl::StatusOr<ClusterObjects> Parse(std::string_view text);

  // kNotFound: there is none. kInvalidArgument: there are several, of more than one namespace.
  absl::StatusOr<Json> Deployment(std::string_view name) const;

  // "sha256:..." of the image that the first container of `deployment` runs, as its pods say.
  // kFailedPrecondition: they do not, or not the same.
  absl::StatusOr<std::string> RunningDigest(const Json& deployment) const;

  // Names of Services that send traffic to pods with the labels of the template of `deployment`.
  std::vector<std::string> ServicesOf(const Json& deployment) const;

  bool has_services() const;

 private:
  std::vector<Json> objects_;
};

}  // namespace shadow
