#include "tests/fault/failing_calls/judge.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace shadow::shim {
namespace {

Faults* MapFaults() {
  const char* const path = std::getenv(kFaultsVariable);
  if (path == nullptr) return new Faults();
  const auto fd = static_cast<int>(Raw(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0));
  if (fd < 0) return new Faults();
  void* const memory = mmap(nullptr, sizeof(Faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  Raw(SYS_close, fd);
  return memory == MAP_FAILED ? new Faults() : static_cast<Faults*>(memory);
}

enum class Verdict { kGoesOn, kFails, kShort, kFew };

// errno is set for kFails. Does not return where it never is to.
Verdict Judge(Faults::Call call, Owner owner, bool may_be_short = false) {
  if (owner == Owner::kNobody) return Verdict::kGoesOn;
  Faults& faults = FaultsHere();
  const uint64_t bit = owner == Owner::kStore ? Faults::OfStore(call) : call;
  if ((faults.calls.load() & bit) == 0) return Verdict::kGoesOn;
  const int error = faults.error.load();
  const bool moves_less = error == Faults::kShort || error == Faults::kFew;
  if (moves_less && !may_be_short) return Verdict::kGoesOn;
  if ((faults.seen.fetch_add(1) + 1) % faults.every.load() != 0) return Verdict::kGoesOn;
  const int64_t most = faults.refusals_max.load();
  if (most > 0 && faults.refused.load() >= most) return Verdict::kGoesOn;
  faults.refused.fetch_add(1);
  while (error == Faults::kNeverReturns) pause();
  if (error == Faults::kFew) return Verdict::kFew;
  if (error == Faults::kShort) return Verdict::kShort;
  errno = error;
  return Verdict::kFails;
}

// Before there are threads, and so before a fork that might find a lock of the loader taken.
[[gnu::constructor]] void FindAll() {
  Raw(SYS_getpid);
  FaultsHere();
  OwnersOfFiles();
  OwnersOfDirectories();
}

}  // namespace

Owners& OwnersOfFiles() {
  static const Kept<Owners*> kOwners{new Owners()};
  return *kOwners.what;
}

Owners& OwnersOfDirectories() {
  static const Kept<Owners*> kOwners{new Owners()};
  return *kOwners.what;
}

Owner OwnerOf(std::string_view path) {
  if (path.starts_with("/proc") || path.find("/instances/") != std::string_view::npos ||
      path.ends_with("/instances")) {
    return Owner::kProvider;
  }
  const bool stored = path.find(".db") != std::string_view::npos || path.ends_with("/ballast") ||
                      path == "/etc/machine-id";
  return stored ? Owner::kStore : Owner::kNobody;
}

Owner OwnerOf(const Owners& owners, int fd) {
  const bool known = fd >= 0 && static_cast<size_t>(fd) < owners.size();
  return known ? owners[static_cast<size_t>(fd)].load() : Owner::kNobody;
}

void SetOwner(Owners& owners, int fd, Owner owner) {
  if (fd >= 0 && static_cast<size_t>(fd) < owners.size()) {
    owners[static_cast<size_t>(fd)].store(owner);
  }
}

bool Fails(Faults::Call call, Owner owner) { return Judge(call, owner) == Verdict::kFails; }

ssize_t BytesToMove(Faults::Call call, int fd, size_t bytes) {
  const Verdict verdict = Judge(call, OwnerOf(fd), bytes > 1);
  if (verdict == Verdict::kFails) return -1;
  if (verdict == Verdict::kGoesOn) return static_cast<ssize_t>(bytes);
  return static_cast<ssize_t>(
      std::min(bytes / 2, verdict == Verdict::kFew ? Faults::kFewBytes : bytes));
}

}  // namespace shadow::shim

namespace shadow {

Faults& FaultsHere() {
  static const shim::Kept<Faults*> kFaults{shim::MapFaults()};
  return *kFaults.what;
}

}  // namespace shadow
