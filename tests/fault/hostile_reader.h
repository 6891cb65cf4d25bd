// Users who may only read and mean harm, and the measure of what they do to the daemon and others.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "absl/time/time.h"
#include "tests/fakes/daemon_process.h"
#include "tests/fakes/http2_client.h"
#include "tests/fault/tally.h"

namespace shadow {

inline constexpr uid_t kReaderUid = 54321;
inline constexpr absl::Duration kSoon = absl::Seconds(20);

// True: this cannot be tested here.
inline bool NotRoot() {
  if (geteuid() == 0) return false;
  WARN("only root can connect as somebody else");
  return true;
}

// Of the daemon's memory, in MB.
inline int64_t ResidentMb(const DaemonProcess& daemon) {
  std::ifstream status("/proc/" + std::to_string(daemon.pid()) + "/status");
  std::string line;
  while (std::getline(status, line)) {
    if (!line.starts_with("VmRSS:")) continue;
    int64_t kilobytes = 0;
    std::istringstream(line.substr(6)) >> kilobytes;
    return kilobytes / 1024;
  }
  return -1;
}

// Without those of the store: it keeps a few connections for readers, made as they are needed.
inline int64_t DescriptorsOf(const DaemonProcess& daemon) {
  const std::string directory = "/proc/" + std::to_string(daemon.pid()) + "/fd";
  int64_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::error_code gone;
    const std::string file = std::filesystem::read_symlink(entry, gone).string();
    if (!gone && file.find(".db") == std::string::npos) ++count;
  }
  return count;
}

// The descriptors of a daemon that has answered all kinds of calls that read.
inline int64_t DescriptorsBefore(DaemonProcess& daemon) {
  v1::ListEventsRequest request;
  request.set_page_size(1000);
  CHECK(DaemonProcess::Call(daemon.events(), &v1::EventService::Stub::ListEvents, request).ok());
  return DescriptorsOf(daemon);
}

// When the readers are gone: what it holds beyond `before` has leaked.
inline void CountDescriptors(const DaemonProcess& daemon, int64_t before, Tally& tally) {
  PollUntil(kSoon, [&] { return DescriptorsOf(daemon) <= before; });
  tally.Leak(std::max<int64_t>(0, DescriptorsOf(daemon) - before));
}

// Each call is answered before its deadline, otherwise it has failed. Prints how soon, which
// depends on the machine.
inline void CountAdminCalls(DaemonProcess& daemon, Tally& tally) {
  constexpr size_t kCalls = 100;
  std::vector<double> millis;
  for (size_t i = 0; i < kCalls; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const auto status =
        DaemonProcess::Call(daemon.server(), &v1::ServerService::Stub::GetServerStatus, {});
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    tally.Fail(status.ok() ? 0 : 1);
    millis.push_back(took.count());
  }
  std::sort(millis.begin(), millis.end());
  std::printf("an administrator's call: p99 %.1f ms of %zu calls, daemon %lld MB\n",
              millis[kCalls - 2], kCalls, static_cast<long long>(ResidentMb(daemon)));
}

// A connection of a reader, as far as the daemon takes it: it says nothing to one over a limit.
inline TestSocket Reader(const DaemonProcess& daemon, uid_t uid = kReaderUid) {
  return http2::Connect(daemon.socket_path(), uid);
}

}  // namespace shadow
