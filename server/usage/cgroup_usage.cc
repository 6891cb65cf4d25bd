#include "server/usage/cgroup_usage.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/core/text.h"
#include "server/core/time_proto.h"
#include "server/usage/whole_file.h"

namespace shadow {
namespace {

using v1::CgroupUsage_Metric;

constexpr size_t kFileMaxBytes = 16 << 10;
constexpr double kMicrosPerSecond = 1e6;
constexpr double kPercent = 100;

// The file of a metric, and the word before its number; empty: the number stands alone.
struct Place {
  const char* file;
  std::string_view word;
};

Place PlaceOf(CgroupUsage_Metric metric) {
  switch (metric) {
    case v1::CgroupUsage::MEMORY:
      return {"memory.current", ""};
    case v1::CgroupUsage::CPU_PRESSURE:
      return {"cpu.pressure", "some"};
    case v1::CgroupUsage::MEMORY_PRESSURE:
      return {"memory.pressure", "some"};
    case v1::CgroupUsage::IO_PRESSURE:
      return {"io.pressure", "some"};
    case v1::CgroupUsage::METRIC_UNSPECIFIED:
    case v1::CgroupUsage::CPU:
    case v1::CgroupUsage_Metric_CgroupUsage_Metric_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::CgroupUsage_Metric_CgroupUsage_Metric_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return {"cpu.stat", "usage_usec"};
}

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  const int fd_;
};

struct File {
  uint64_t cgroup = 0;  // Inode of its directory.
  std::string text;
};

absl::Status ErrorOfFile(const std::string& path, int error) {
  const std::string message = absl::StrCat(path, ": ", std::strerror(error));
  // EOPNOTSUPP: pressure without PSI. ENODEV: the cgroup went while it was read.
  const bool none = error == ENOENT || error == ENOTDIR || error == EOPNOTSUPP || error == ENODEV;
  return none ? absl::FailedPreconditionError(message) : absl::UnavailableError(message);
}

// Never waits: only a regular file is read.
absl::StatusOr<File> ReadFile(const std::string& directory, const char* name) {
  const std::string path = absl::StrCat(directory, "/", name);
  const Fd home(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (home.get() < 0) return ErrorOfFile(directory, errno);
  const Fd fd(openat(home.get(), name, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return ErrorOfFile(path, errno);
  struct stat of_home {};
  struct stat of_file {};
  if (fstat(home.get(), &of_home) != 0 || fstat(fd.get(), &of_file) != 0) {
    return ErrorOfFile(path, errno);
  }
  if (!S_ISREG(of_file.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is not a regular file"));
  }
  File file{.cgroup = of_home.st_ino, .text = {}};
  if (const int error = ReadToEnd(fd.get(), kFileMaxBytes, file.text); error != 0) {
    return ErrorOfFile(path, error);
  }
  return file;
}

// "usage_usec 12" -> 12; "some avg10=0.00 avg60=0.00 avg300=0.00 total=12" -> 12; "12" -> 12.
std::optional<uint64_t> FindNumber(std::string_view text, std::string_view word) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!word.empty()) {
      if (!line.starts_with(word) || line.size() == word.size() || line[word.size()] != ' ') {
        continue;
      }
      const size_t last = line.find_last_of(" =");
      if (word == "some" && line.substr(0, last + 1).find(" total=") == std::string_view::npos) {
        return std::nullopt;
      }
      line.remove_prefix(last + 1);
    }
    uint64_t number = 0;
    if (!absl::SimpleAtoi(Absl(line), &number)) return std::nullopt;
    return number;
  }
  return std::nullopt;
}

}  // namespace

CgroupUsage::CgroupUsage(v1::CgroupUsage::Metric metric, std::string directory, const Clock& clock)
    : metric_(metric), directory_(std::move(directory)), clock_(clock) {}

absl::StatusOr<UsageReading> CgroupUsage::Read(const std::string& /*pool*/, absl::Time since) {
  if (directory_.empty()) return absl::FailedPreconditionError("the pool has no cgroup");
  const Place place = PlaceOf(metric_);
  const auto file = ReadFile(directory_, place.file);
  if (!file.ok()) return file.status();
  const Instant now = clock_.Now();
  const auto number = FindNumber(file->text, place.word);
  if (!number) {
    return absl::InternalError(absl::StrCat(directory_, "/", place.file, " was not understood"));
  }
  std::optional<double> value = static_cast<double>(*number);
  if (metric_ != v1::CgroupUsage::MEMORY) {
    value = Rate({.cgroup = file->cgroup, .micros = *number, .mono = now.mono});
    const bool cores = place.word != "some";
    // Two clocks: what waited all the time may have waited a little longer.
    if (value && !cores) value = std::min(*value * kPercent, kPercent);
  }
  UsageReading reading;
  if (value && now.wall > since) {
    v1::Sample& sample = reading.samples.emplace_back();
    *sample.mutable_time() = ToProto(now.wall);
    sample.set_value(*value);
  }
  return reading;
}

std::optional<double> CgroupUsage::Rate(const Count& count) {
  const std::lock_guard lock(mutex_);
  if (before_ && count.mono - before_->mono < kIntervalMin) return std::nullopt;
  const std::optional<Count> before = std::exchange(before_, count);
  if (!before || before->cgroup != count.cgroup || count.micros < before->micros) {
    return std::nullopt;
  }
  return static_cast<double>(count.micros - before->micros) / kMicrosPerSecond /
         absl::ToDoubleSeconds(count.mono - before->mono);
}

}  // namespace shadow
