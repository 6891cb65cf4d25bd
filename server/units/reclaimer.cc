#include "server/units/reclaimer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string_view>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

constexpr size_t kMaxJobs = 4096;
constexpr std::string_view kPart =
    "8M";  // Of one write, so that a resumed unit waits for one part.

// The word behind `name` in a file of "NAME WORD" lines, or the first one of a file without names.
std::string WordOf(const std::string& path, std::string_view name) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    if (name.empty()) return word;
    if (word == name) return file >> word ? word : "";
  }
  return "";
}

std::optional<int64_t> NumberOf(const std::string& path, std::string_view name) {
  int64_t number = 0;
  if (!absl::SimpleAtoi(WordOf(path, name), &number) || number < 0) return std::nullopt;
  return number;
}

}  // namespace

void Reclaimer::Begin(const std::string& id, const std::string& cgroup_path) {
  auto before_bytes = NumberOf(absl::StrCat(cgroup_path, "/memory.current"), "");
  const std::lock_guard lock(mutex_);
  if (jobs_.size() >= kMaxJobs) return;
  const auto same = [&id](const Job& job) { return job.id == id; };
  if (std::any_of(jobs_.begin(), jobs_.end(), same)) return;
  if (const auto done = reclaimed_.extract(id)) before_bytes = done.mapped().before_bytes;
  jobs_.push_back({.id = id, .path = cgroup_path, .before_bytes = before_bytes});
  changed_.notify_one();
}

void Reclaimer::End(const std::string& id) {
  const std::lock_guard lock(mutex_);
  std::erase_if(jobs_, [&id](const Job& job) { return job.id == id; });
  reclaimed_.erase(id);
}

std::optional<ReclaimedMemory> Reclaimer::Reclaimed(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = reclaimed_.find(id);
  return found == reclaimed_.end() ? std::nullopt : std::optional(found->second);
}

void Reclaimer::Run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [this] { return !jobs_.empty(); })) {
    if (stop.stop_requested()) return;
    const Job job = jobs_.front();
    lock.unlock();
    const bool more = ReclaimPart(absl::StrCat(job.path, "/memory.reclaim"));
    const auto measured = more ? std::nullopt : Measure(job);
    lock.lock();
    if (more || jobs_.empty() || jobs_.front().id != job.id) continue;
    jobs_.pop_front();
    if (measured.has_value() && reclaimed_.size() < kMaxJobs) reclaimed_[job.id] = *measured;
  }
}

std::optional<ReclaimedMemory> Reclaimer::Measure(const Job& job) {
  const auto after_bytes = NumberOf(absl::StrCat(job.path, "/memory.current"), "");
  if (!job.before_bytes.has_value() || !after_bytes.has_value()) return std::nullopt;
  return ReclaimedMemory{.before_bytes = *job.before_bytes,
                         .after_bytes = *after_bytes,
                         .swap = NumberOf("/proc/meminfo", "SwapFree:").value_or(0) > 0 &&
                                 WordOf(absl::StrCat(job.path, "/memory.swap.max"), "") != "0"};
}

bool Reclaimer::ReclaimPart(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const absl::Cleanup close_fd = [fd] { close(fd); };
  // EAGAIN: less than that could be freed.
  return write(fd, kPart.data(), kPart.size()) == static_cast<ssize_t>(kPart.size());
}

}  // namespace shadow
