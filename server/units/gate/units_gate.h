// What stands between the daemon and the host's service manager: answers requests of the daemon. It
// checks each one by itself, reads the policy for each, and keeps nothing but connections.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/units/policy/policy.h"
#include "server/units/units.h"
#include "shadow/v1/units.pb.h"

namespace shadow {

// Thread-safe.
class UnitsGate {
 public:
  struct Options {
    DaemonUser daemon;
    // Compiled, as it is now. An error refuses every request (kUnavailable).
    std::function<absl::StatusOr<v1::UnitsPolicy>()> policy;
    // Makes the units of one store below a slice. Both names are checked.
    std::function<std::unique_ptr<Units>(const std::string& store, const std::string& slice)> make;
    // Units that there are, of all stores, also ended ones that are kept.
    std::function<absl::StatusOr<int>()> count;
    // Whether the paths of a DNA are good; CheckTrustedPaths but in tests.
    std::function<absl::Status(const v1::Dna&)> check_paths;
  };

  explicit UnitsGate(Options options) : options_(std::move(options)) {}

  // The replies to a request: one, of a list as many as it takes. `bytes`: a UnitsRequest, of which
  // nothing is believed. `listen` is answered OK here, its changes come from Listen.
  std::vector<v1::UnitsReply> Answer(const std::string& bytes);

  // If `bytes` asks for the changes of units: those, to `on_change` on any thread until the
  // returned Units is destroyed. Null: it does not, or it is refused.
  std::unique_ptr<Units> Listen(const std::string& bytes,
                                const std::function<void(std::string_view id)>& on_change);

 private:
  struct Asked {
    v1::UnitsRequest request;
    v1::UnitsPolicy policy;
    std::shared_ptr<Units> units;  // Also of other requests, at the same time.
  };

  // A request of good form, and the policy.
  absl::StatusOr<Asked> Open(const std::string& bytes);
  // Those of the store, made anew where none are kept.
  std::shared_ptr<Units> UnitsFor(const Asked& asked);
  absl::Status Start(const Asked& asked);
  // Whether there may be one unit more. If so, it is under way until Began.
  absl::Status BeginOneMore(const Asked& asked);
  void Began();
  absl::Status Resume(const Asked& asked);
  absl::Status Run(const Asked& asked);

  const Options options_;
  std::mutex mutex_;
  int starting_ = 0;  // Starts under way, which may not be counted yet.
  // By store and slice: connections to the service manager, and no more than a cache.
  std::map<std::pair<std::string, std::string>, std::shared_ptr<Units>> kept_;
};

}  // namespace shadow
