#include "server/units/reclaimer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

constexpr size_t kMaxJobs = 4096;
constexpr std::string_view kPart =
    "8M";  // Of one write, so that a resumed unit waits for one part.

}  // namespace

void Reclaimer::Begin(const std::string& id, const std::string& cgroup_path) {
  const std::lock_guard lock(mutex_);
  if (jobs_.size() >= kMaxJobs) return;
  jobs_.push_back({.id = id, .path = absl::StrCat(cgroup_path, "/memory.reclaim")});
  changed_.notify_one();
}

void Reclaimer::End(const std::string& id) {
  const std::lock_guard lock(mutex_);
  std::erase_if(jobs_, [&id](const Job& job) { return job.id == id; });
}

void Reclaimer::Run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [this] { return !jobs_.empty(); })) {
    if (stop.stop_requested()) return;
    const Job job = jobs_.front();
    lock.unlock();
    const bool more = ReclaimPart(job.path);
    lock.lock();
    if (!more && !jobs_.empty() && jobs_.front().id == job.id) jobs_.pop_front();
  }
}

bool Reclaimer::ReclaimPart(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const absl::Cleanup close_fd = [fd] { close(fd); };
  // EAGAIN: less than that could be freed.
  return write(fd, kPart.data(), kPart.size()) == static_cast<ssize_t>(kPart.size());
}

}  // namespace shadow
