// Hears at once of instances that have ended: their holders close the exit file once they have
// written it (server/holder/main.cc).
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

namespace shadow {

// Owns one thread, which ends in the destructor. Hints may be missing: all of them where inotify(7)
// is not available, some where files of the directory are closed faster than it reads.
class ExitWatch {
 public:
  // `on_exit` is called on the thread, with the id of each exit file in `directory` that was closed
  // after it was open for writing.
  ExitWatch(const std::string& directory, std::function<void(std::string_view id)> on_exit);
  ~ExitWatch();
  ExitWatch(const ExitWatch&) = delete;
  ExitWatch& operator=(const ExitWatch&) = delete;

 private:
  void Run();
  void Read();

  const std::function<void(std::string_view)> on_exit_;
  const int events_fd_;  // -1: it cannot be had.
  const int end_fd_;     // As above.
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace shadow
