#include "server/room_watch.h"

#include <pthread.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "server/log/log.h"

namespace shadow {

RoomWatch::RoomWatch(Room& room, const Store& store, ControlThread& control, Clock& clock)
    : room_(room), store_(store), control_(control), clock_(clock), thread_([this] { Run(); }) {}

RoomWatch::~RoomWatch() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

void RoomWatch::Run() {
  pthread_setname_np(pthread_self(), "room-watch");
  std::unique_lock lock(mutex_);
  while (!ending_) {
    lock.unlock();
    LookAtRoom();
    LookAtStore();
    lock.lock();
    const absl::Duration next = clock_.Now().mono + kLookInterval;
    while (!ending_ && clock_.Now().mono < next) clock_.WaitUntil(lock, ended_, next);
  }
}

void RoomWatch::LookAtRoom() {
  const Room::Look look = room_.LookNow();
  const absl::Duration now = clock_.Now().mono;
  const bool turned = !told_ || look.low != last_.low || look.scarce != last_.scarce;
  if (!turned && !(look.low && now >= next_tell_)) return;
  told_ = true;
  last_ = look;
  next_tell_ = now + kTellInterval;
  control_.PostRoom({.directory = room_.directory(),
                     .free_bytes = look.free_bytes,
                     .wanted_bytes = look.wanted_bytes,
                     .low = look.low,
                     .scarce = look.scarce});
}

void RoomWatch::LookAtStore() {
  const absl::Status why = store_.Stalled();
  if (why.ok()) {
    if (stalled_) {
      Log(LogLevel::kInfo, {.kind = MessageKind::kStoreGoesOn}, "the store writes again");
    }
    stalled_ = false;
    return;
  }
  const std::string message(why.message());
  if (!stalled_) {
    Log(LogLevel::kWarning, {.kind = MessageKind::kStoreStalled},
        absl::StrCat("the store cannot write, and tries again: ", message));
  }
  stalled_ = true;
  control_.AnswerOverdue(
      absl::Status(why.code(), absl::StrCat("the store cannot write at present, so it is not known "
                                            "whether this will be done: ",
                                            message)),
      kAnswerPatience);
}

}  // namespace shadow
