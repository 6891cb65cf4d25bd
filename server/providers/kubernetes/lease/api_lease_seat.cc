#include "server/providers/kubernetes/lease/api_lease_seat.h"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/time_proto.h"
#include "server/providers/kubernetes/api_client.h"
#include "server/providers/kubernetes/api_place.h"

namespace shadow {
namespace {

constexpr char kLeases[] = "/apis/coordination.k8s.io/v1/namespaces/";
constexpr absl::Duration kLeaseTimeoutMax = absl::Seconds(2);
// A deadline has room for several requests of a round.
constexpr int kLeaseTimeoutsPerDeadline = 4;

// It has its own client: no pause that the API server has asked others for holds up a renewal.
class ApiLeaseSeat final : public LeaseSeat {
 public:
  ApiLeaseSeat(ApiPlace place, std::string name, absl::Duration timeout, Clock& clock)
      : name_(std::move(name)), timeout_(timeout), client_(std::move(place), clock) {}

  std::string name() const override { return absl::StrCat(client_.place().space, "/", name_); }

  absl::StatusOr<LeaseObject> Read() override {
    return ObjectOf(
        client_.Call({.path = absl::StrCat(Parent(), "/", name_), .timeout = timeout_}));
  }

  LeaseObject Missing() const override { return LeaseObject::New(client_.place().space, name_); }

  absl::StatusOr<LeaseObject> Write(const LeaseObject& lease) override {
    const bool fresh = lease.version().empty();
    auto written = client_.Call({.method = fresh ? "POST" : "PUT",
                                 .path = fresh ? Parent() : absl::StrCat(Parent(), "/", name_),
                                 .body = lease.json(),
                                 .timeout = timeout_});
    const bool others = absl::IsAlreadyExists(written.status()) ||
                        absl::IsAborted(written.status()) ||
                        (absl::IsNotFound(written.status()) && !fresh);
    if (others) return absl::AbortedError(written.status().message());
    return ObjectOf(std::move(written));
  }

 private:
  std::string Parent() const { return absl::StrCat(kLeases, client_.place().space, "/leases"); }

  static absl::StatusOr<LeaseObject> ObjectOf(absl::StatusOr<Json> answer) {
    if (!answer.ok()) return answer.status();
    LeaseObject lease(*std::move(answer));
    if (lease.version().empty()) return absl::UnavailableError("the API server answers no Lease");
    return lease;
  }

  const std::string name_;
  const absl::Duration timeout_;
  ApiClient client_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<LeaseSeat>> OpenLeaseSeat(const v1::KubernetesLease& lease,
                                                         Clock& clock) {
  v1::KubernetesProvider spec;
  spec.set_namespace_(lease.namespace_());
  spec.set_api_server(lease.api_server());
  spec.set_token_file(lease.token_file());
  spec.set_ca_file(lease.ca_file());
  auto place = FindApiPlace(spec, EnvironmentVariable);
  if (!place.ok()) return place.status();
  const absl::Duration timeout =
      std::min(kLeaseTimeoutMax, FromProto(lease.renew_deadline()) / kLeaseTimeoutsPerDeadline);
  return std::make_unique<ApiLeaseSeat>(*std::move(place), lease.name(), timeout, clock);
}

std::string NewLeaseIdentity() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  uint64_t random = 0;
  // Never short, nor interrupted, for so few bytes.
  (void)!getrandom(&random, sizeof(random), 0);
  return absl::StrCat(host.data(), "_", absl::Hex(random, absl::kZeroPad16));
}

}  // namespace shadow
