#include "server/providers/look/exit_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <utility>

#include "server/core/names.h"
#include "server/providers/process_record.h"

namespace shadow {
namespace {

// The pause after each read, so that a process that closes files here all the time causes one read
// per pause. Events that find the kernel's queue full meanwhile are lost.
constexpr int kRestMs = 10;
constexpr size_t kReadBytes = 16 * 1024;  // Some 500 events.

}  // namespace

ExitWatch::ExitWatch(const std::string& directory, std::function<void(std::string_view)> on_exit)
    : on_exit_(std::move(on_exit)),
      events_fd_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
      end_fd_(eventfd(0, EFD_CLOEXEC)) {
  if (events_fd_ < 0 || end_fd_ < 0) return;
  if (inotify_add_watch(events_fd_, directory.c_str(), IN_CLOSE_WRITE | IN_ONLYDIR) < 0) return;
  thread_ = std::thread([this] { Run(); });
}

ExitWatch::~ExitWatch() {
  if (thread_.joinable()) {
    ending_ = true;
    eventfd_write(end_fd_, 1);
    thread_.join();
  }
  if (events_fd_ >= 0) close(events_fd_);
  if (end_fd_ >= 0) close(end_fd_);
}

void ExitWatch::Run() {
  std::array<pollfd, 2> awaited = {pollfd{.fd = end_fd_, .events = POLLIN, .revents = 0},
                                   pollfd{.fd = events_fd_, .events = POLLIN, .revents = 0}};
  while (!ending_) {  // Also where nothing can be waited for.
    if (poll(awaited.data(), awaited.size(), -1) > 0 && awaited[0].revents != 0) return;
    Read();
    if (poll(awaited.data(), 1, kRestMs) > 0) return;
  }
}

void ExitWatch::Read() {
  std::array<char, kReadBytes> buffer;
  const ssize_t got = read(events_fd_, buffer.data(), buffer.size());
  inotify_event event;
  for (size_t at = 0; got > 0 && at < static_cast<size_t>(got); at += sizeof(event) + event.len) {
    std::memcpy(&event, buffer.data() + at, sizeof(event));
    if (event.len == 0) continue;                                // The queue was full.
    std::string_view name = buffer.data() + at + sizeof(event);  // NULs follow it.
    if (!name.ends_with(kExitSuffix)) continue;
    name.remove_suffix(kExitSuffix.size());
    if (IsId(name)) on_exit_(name);
  }
}

}  // namespace shadow
