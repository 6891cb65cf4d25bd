// Looks at the room on the store's disk, and whether the store gets on; tells the control loop, the
// log, and those who wait for an answer.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "server/control_thread.h"
#include "server/core/clock.h"
#include "storage/room/room.h"
#include "storage/store.h"

namespace shadow {

// A thread of its own, for a look may hang as long as the disk does.
class RoomWatch {
 public:
  static constexpr absl::Duration kLookInterval = absl::Seconds(1);
  // Between two tellings of low room, whose figures change all the time.
  static constexpr absl::Duration kTellInterval = absl::Seconds(10);
  // What was asked this long ago is answered while the store does not get on.
  static constexpr absl::Duration kAnswerPatience = absl::Seconds(5);

  // All of these must outlive it.
  RoomWatch(Room& room, const Store& store, ControlThread& control, Clock& clock);
  ~RoomWatch();
  RoomWatch(const RoomWatch&) = delete;
  RoomWatch& operator=(const RoomWatch&) = delete;

 private:
  void Run();
  void LookAtRoom();
  void LookAtStore();

  Room& room_;
  const Store& store_;
  ControlThread& control_;
  Clock& clock_;

  // The thread's own.
  bool told_ = false;
  Room::Look last_;  // That was told.
  absl::Duration next_tell_;
  bool stalled_ = false;

  std::mutex mutex_;
  std::condition_variable ended_;
  bool ending_ = false;
  std::thread thread_;  // The last member: it uses the others.
};

}  // namespace shadow
