// Units of the system, through the privileged helper shadowd-units.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "server/units/protocol/frame.h"
#include "server/units/units.h"
#include "shadow/v1/units.pb.h"

namespace shadow {

// Connects when it is first asked, and again after the helper has ended, as it does when it is
// idle. Errors are those of the seam. kFailedPrecondition with a field: also that the helper's
// policy does not grant it.
class PrivilegedUnits final : public Units {
 public:
  struct Options {
    std::string socket_path = "/run/shadowd-units/socket";
    std::string store_id;
    absl::Duration call_time = absl::Milliseconds(1800);  // Of a call, all its tries.
  };

  // `clock` must outlive this.
  PrivilegedUnits(Options options, Clock& clock);
  ~PrivilegedUnits() override;

  absl::Status Start(const UnitSpec& unit) override;
  absl::Status Suspend(const std::string& id) override;
  absl::Status Resume(const std::string& id, const v1::Dna& dna) override;
  absl::Status Signal(const std::string& id, int signal) override;
  absl::Status Stop(const std::string& id, bool force) override;
  absl::Status Forget(const std::string& id) override;
  absl::StatusOr<std::optional<UnitView>> Get(const std::string& id) override;
  absl::StatusOr<std::vector<UnitView>> List() override;
  void Listen(const std::function<void(std::string_view id)>& on_change) override;

 private:
  using Replies = std::vector<v1::UnitsReply>;

  v1::UnitsRequest Request() const;
  absl::StatusOr<std::unique_ptr<FrameChannel>> Connect() const;
  // An idle connection; null: there is none.
  std::unique_ptr<FrameChannel> Idle();
  // All replies to `message`, by `deadline`.
  absl::StatusOr<Replies> Exchange(FrameChannel& channel, const std::string& message,
                                   absl::Duration deadline);
  absl::StatusOr<Replies> Call(const v1::UnitsRequest& request);
  absl::Status Ask(const v1::UnitsRequest& request);

  void ListenLoop(const std::function<void(std::string_view id)>& on_change);
  // Until the connection ends.
  void ListenOnce(const std::function<void(std::string_view id)>& on_change);
  // Keeps the connection where the destructor finds it. False: that has begun.
  bool BeginListening(std::unique_ptr<FrameChannel> channel);

  const Options options_;
  Clock& clock_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;
  std::vector<std::unique_ptr<FrameChannel>> idle_;
  std::unique_ptr<FrameChannel> listening_;
  std::thread listener_;
};

}  // namespace shadow
