// The pods of one provider, as a list and a watch tell of them, so that looks cost no request.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "server/providers/kubernetes/api_client.h"
#include "server/providers/kubernetes/pod_view.h"

namespace shadow {

// Thread-safe. A thread of its own lists, then watches from there on; a watch that breaks goes on
// where it was, and where the server has forgotten that (410) it lists again.
class PodCache {
 public:
  using Pods = std::map<std::string, std::shared_ptr<const PodView>>;  // By instance.

  static constexpr size_t kPodsMax = 20'000;
  // An outage of that length is an error of every look.
  static constexpr absl::Duration kOutageMax = absl::Seconds(5);
  // After so long without a word a look asks whether the server is there.
  static constexpr absl::Duration kSilenceMax = absl::Seconds(20);
  static constexpr absl::Duration kSyncWait = absl::Seconds(1);

  // Those with the label kProviderLabel=`tag`. `client` and `clock` must outlive this.
  PodCache(ApiClient& client, std::string tag, Clock& clock);
  PodCache(const PodCache&) = delete;
  PodCache& operator=(const PodCache&) = delete;
  ~PodCache();

  // Who is told of each change, by instance, on the thread of this; null: nobody. When it returns,
  // the one before is called no more.
  void Listen(std::function<void(std::string_view id)> hear);

  // All of them. An error: they are not known, or not any more; waits up to kSyncWait for the first
  // list.
  absl::StatusOr<Pods> All();

  // null: there is none. Otherwise as All.
  absl::StatusOr<std::shared_ptr<const PodView>> Find(const std::string& id);

  // Waits until `done` is true of the pod of `id` (null: there is none) or `mono` has passed.
  // Returns whether it is true.
  bool Await(const std::string& id, absl::Duration mono,
             const std::function<bool(const PodView*)>& done);

  // What the API server has answered to a change: known from now on.
  void Note(const Json& pod);

 private:
  void Run(const std::stop_token& stop);
  // Sets what there is and where the watch begins.
  absl::Status ListAll(const std::stop_token& stop);
  absl::Status Watch(const std::stop_token& stop);
  // Whether the watch goes on.
  bool OnEvent(std::string_view line, absl::Status& error);
  // As ReadPod; also kInvalidArgument: its name is not that of the instance of its labels, which
  // whoever may make pods can copy.
  absl::StatusOr<PodView> ReadOwn(const Json& pod) const;
  // kUnavailable: there are too many.
  absl::Status Put(const Json& pod, bool deleted);
  void Tell(const std::string& id);
  void Fail(const absl::Status& status);
  void Heard();  // The server has spoken.
  // OK: what is known counts.
  absl::Status CheckFresh();
  std::string Path(const std::string& query) const;

  ApiClient& client_;
  const std::string tag_;
  Clock& clock_;
  std::mutex hear_mutex_;  // Guards `hear_`.
  std::function<void(std::string_view)> hear_;
  std::mutex mutex_;  // Guards what follows.
  std::condition_variable changed_;
  Pods pods_;
  bool synced_ = false;     // There was a list.
  int64_t version_ = 0;     // Up to which the watch has told.
  absl::Duration heard_;    // When the server has spoken last; monotonic.
  absl::Status failure_;    // Of the list or the watch; OK: it goes well.
  absl::Duration failing_;  // Since when.
  std::jthread thread_;     // Last: it uses everything above.
};

}  // namespace shadow
