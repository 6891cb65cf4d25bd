#include "server/providers/kubernetes/lease/lease_object.h"

#include <algorithm>
#include <cstdint>

namespace shadow {
namespace {

constexpr int64_t kLeaseLongestSeconds = 3600;

// A MicroTime of Kubernetes.
std::string LeaseTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

// Null: there is none.
const nlohmann::json& LeaseField(const nlohmann::json& object, const char* part,
                                 const char* field) {
  static const nlohmann::json kNothing;
  const auto found = object.find(part);
  if (found == object.end() || !found->is_object()) return kNothing;
  const auto value = found->find(field);
  return value == found->end() ? kNothing : *value;
}

std::string LeaseText(const nlohmann::json& object, const char* part, const char* field) {
  const nlohmann::json& value = LeaseField(object, part, field);
  return value.is_string() ? value.get<std::string>() : "";
}

int64_t LeaseNumber(const nlohmann::json& object, const char* part, const char* field) {
  const nlohmann::json& value = LeaseField(object, part, field);
  return value.is_number_integer() ? value.get<int64_t>() : 0;
}

}  // namespace

LeaseObject LeaseObject::New(std::string_view space, std::string_view name) {
  return LeaseObject({{"apiVersion", "coordination.k8s.io/v1"},
                      {"kind", "Lease"},
                      {"metadata", {{"name", name}, {"namespace", space}}}});
}

std::string LeaseObject::holder() const { return LeaseText(object_, "spec", "holderIdentity"); }

std::string LeaseObject::version() const {
  return LeaseText(object_, "metadata", "resourceVersion");
}

absl::Duration LeaseObject::duration() const {
  return absl::Seconds(std::clamp<int64_t>(LeaseNumber(object_, "spec", "leaseDurationSeconds"), 0,
                                           kLeaseLongestSeconds));
}

LeaseObject LeaseObject::TakenBy(const std::string& identity, absl::Duration duration,
                                 absl::Time wall) const {
  LeaseObject taken = *this;
  nlohmann::json& spec = taken.object_["spec"];
  const int64_t before = std::max<int64_t>(0, LeaseNumber(object_, "spec", "leaseTransitions"));
  if (!spec.is_object()) spec = nlohmann::json::object();
  spec["holderIdentity"] = identity;
  spec["leaseDurationSeconds"] = absl::ToInt64Seconds(duration);
  spec["acquireTime"] = LeaseTime(wall);
  spec["renewTime"] = LeaseTime(wall);
  // A number of 32 bits in Kubernetes.
  spec["leaseTransitions"] = version().empty() ? 0 : std::min<int64_t>(before + 1, INT32_MAX);
  return taken;
}

LeaseObject LeaseObject::Renewed(absl::Time wall) const {
  LeaseObject renewed = *this;
  renewed.object_["spec"]["renewTime"] = LeaseTime(wall);
  return renewed;
}

LeaseObject LeaseObject::Released(absl::Time wall) const {
  LeaseObject released = Renewed(wall);
  released.object_["spec"]["holderIdentity"] = "";
  released.object_["spec"]["leaseDurationSeconds"] = 1;  // It must not be 0.
  return released;
}

}  // namespace shadow
