// For LD_PRELOAD: sets the wall clock of a program as the file named by SHADOW_TEST_CLOCK says
// (offset.h), at any time. It stands before the C library's functions, under their names. The
// monotonic clock is the machine's.
//
// As with a clock that is really set, a futex wait until a time of the wall clock, which is how
// Abseil and so gRPC wait, ends when that clock passes the time. So such waits go in slices.
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <ctime>

#include "tests/fault/clock_shim/offset.h"

namespace shadow {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kSlice = kSecond / 20;

using GetTime = int (*)(clockid_t, timespec*);
using Call = long (*)(long, long, long, long, long, long, long);

// What this process keeps, from its first use on.
template <typename T>
struct Kept {
  T what;
};

// Of the C library.
template <typename F>
F Next(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

int MachineTime(clockid_t clock, timespec* time) {
  static const Kept<GetTime> kGetTime{Next<GetTime>("clock_gettime")};
  return kGetTime.what(clock, time);
}

const ClockOffset* MapOffset() {
  const char* const path = std::getenv(kClockVariable);
  const int fd = path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* const memory = mmap(nullptr, sizeof(ClockOffset), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  return memory == MAP_FAILED ? nullptr : static_cast<const ClockOffset*>(memory);
}

int64_t Offset() {
  static const Kept<const ClockOffset*> kMapped{MapOffset()};
  return kMapped.what == nullptr ? 0 : kMapped.what->nanoseconds.load();
}

int64_t ToNanos(const timespec& time) { return time.tv_sec * kSecond + time.tv_nsec; }

// Rounded down, before 1970 too.
timespec FromNanos(int64_t nanos) {
  const int64_t rest = (nanos % kSecond + kSecond) % kSecond;
  return {.tv_sec = (nanos - rest) / kSecond, .tv_nsec = rest};
}

int64_t MachineWall() {
  timespec time{};
  MachineTime(CLOCK_REALTIME, &time);
  return ToNanos(time);
}

int Time(clockid_t clock, timespec* time) {
  const int result = MachineTime(clock, time);
  const bool wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  if (result == 0 && wall) *time = FromNanos(ToNanos(*time) + Offset());
  return result;
}

bool WaitsForWallTime(long number, long operation, long deadline) {
  return number == SYS_futex && (operation & FUTEX_CLOCK_REALTIME) != 0 && deadline != 0 &&
         (operation & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
}

long WaitInSlices(Call call, long word, long operation, long value, const timespec& deadline,
                  long set) {
  while (true) {
    const int64_t now = MachineWall();
    const int64_t left = ToNanos(deadline) - Offset() - now;
    if (left <= 0) {
      errno = ETIMEDOUT;
      return -1;
    }
    const timespec slice = FromNanos(now + std::min(left, kSlice));
    const long result =
        call(SYS_futex, word, operation, value, reinterpret_cast<long>(&slice), 0, set);
    if (result != -1 || errno != ETIMEDOUT) return result;
  }
}

}  // namespace
}  // namespace shadow

extern "C" {

int GetShiftedTime(clockid_t clock, timespec* time) __asm__("clock_gettime");
int GetShiftedTimeOfDay(timeval* time, void* zone) __asm__("gettimeofday");
time_t ShiftedTime(time_t* time) __asm__("time");
long SystemCall(long number, long a, long b, long c, long d, long e, long f) __asm__("syscall");

int GetShiftedTime(clockid_t clock, timespec* time) { return shadow::Time(clock, time); }

int GetShiftedTimeOfDay(timeval* time, void* /*zone*/) {
  timespec now{};
  if (shadow::Time(CLOCK_REALTIME, &now) != 0) return -1;
  *time = {.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
  return 0;
}

time_t ShiftedTime(time_t* time) {
  timespec now{};
  shadow::Time(CLOCK_REALTIME, &now);
  if (time != nullptr) *time = now.tv_sec;
  return now.tv_sec;
}

long SystemCall(long number, long a, long b, long c, long d, long e, long f) {
  static const shadow::Kept<shadow::Call> kCall{shadow::Next<shadow::Call>("syscall")};
  if (!shadow::WaitsForWallTime(number, b, d)) return kCall.what(number, a, b, c, d, e, f);
  return shadow::WaitInSlices(kCall.what, a, b, c, *reinterpret_cast<const timespec*>(d), f);
}

}  // extern "C"
