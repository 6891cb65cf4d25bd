// As shim.cc: calls at sockets, pipes and processes.
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <ctime>

#include "tests/fault/failing_calls/judge.h"

namespace shadow::shim {
namespace {

int MakePair(long result, const int* pair) {
  if (result != 0) return -1;
  SetOwner(pair[0], Owner::kProvider);
  SetOwner(pair[1], Owner::kProvider);
  return 0;
}

}  // namespace

extern "C" {

int PipeOrFail(int* pair, int flags) __asm__("pipe2");
int SocketPairOrFail(int domain, int type, int protocol, int* pair) __asm__("socketpair");
int SocketOrFail(int domain, int type, int protocol) __asm__("socket");
int ConnectOrFail(int fd, const sockaddr* address, socklen_t bytes) __asm__("connect");
int Listen(int fd, int backlog) __asm__("listen");
ssize_t SendOrFail(int fd, const void* buffer, size_t bytes, int flags) __asm__("send");
ssize_t ReceiveOrFail(int fd, void* buffer, size_t bytes, int flags) __asm__("recv");
int PollOrFail(pollfd* files, nfds_t count, int timeout_ms) __asm__("poll");
int WatchOrFail(int flags) __asm__("inotify_init1");
int AddWatchOrFail(int fd, const char* path, uint32_t mask) __asm__("inotify_add_watch");
pid_t ForkOrFail() __asm__("fork");
long SyscallOrFail(long number, ...) __asm__("syscall");

int PipeOrFail(int* pair, int flags) {
  if (Fails(Faults::kPipe, Owner::kProvider)) return -1;
  return MakePair(Raw(SYS_pipe2, pair, flags), pair);
}

int SocketPairOrFail(int domain, int type, int protocol, int* pair) {
  if (Fails(Faults::kPipe, Owner::kProvider)) return -1;
  return MakePair(Raw(SYS_socketpair, domain, type, protocol, pair), pair);
}

int SocketOrFail(int domain, int type, int protocol) {
  constexpr int kKinds = ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
  const bool local = domain == AF_UNIX && (type & kKinds) == SOCK_STREAM;
  const Owner owner = local || domain == AF_INET ? Owner::kProvider : Owner::kNobody;
  if (Fails(Faults::kSocket, owner)) return -1;
  const auto fd = static_cast<int>(Raw(SYS_socket, domain, type, protocol));
  SetOwner(fd, owner);
  return fd;
}

int ConnectOrFail(int fd, const sockaddr* address, socklen_t bytes) {
  if (Fails(Faults::kConnect, OwnerOf(fd))) return -1;
  return static_cast<int>(Raw(SYS_connect, fd, address, bytes));
}

int Listen(int fd, int backlog) {
  SetOwner(fd, Owner::kNobody);
  return static_cast<int>(Raw(SYS_listen, fd, backlog));
}

ssize_t SendOrFail(int fd, const void* buffer, size_t bytes, int flags) {
  const ssize_t moved = BytesToMove(Faults::kSend, fd, bytes);
  return moved < 0 ? -1 : Raw(SYS_sendto, fd, buffer, moved, flags, nullptr, 0);
}

ssize_t ReceiveOrFail(int fd, void* buffer, size_t bytes, int flags) {
  const ssize_t moved = BytesToMove(Faults::kReceive, fd, bytes);
  return moved < 0 ? -1 : Raw(SYS_recvfrom, fd, buffer, moved, flags, nullptr, nullptr);
}

int PollOrFail(pollfd* files, nfds_t count, int timeout_ms) {
  const bool counts = std::any_of(files, files + count, [](const pollfd& file) {
    return OwnerOf(file.fd) == Owner::kProvider;
  });
  if (counts && Fails(Faults::kPoll, Owner::kProvider)) return -1;
  timespec timeout{.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1'000'000L};
  timespec* const limit = timeout_ms < 0 ? nullptr : &timeout;
  return static_cast<int>(Raw(SYS_ppoll, files, count, limit, nullptr, 0));
}

int WatchOrFail(int flags) {
  if (Fails(Faults::kWatch, Owner::kProvider)) return -1;
  const auto fd = static_cast<int>(Raw(SYS_inotify_init1, flags));
  SetOwner(fd, Owner::kProvider);
  return fd;
}

int AddWatchOrFail(int fd, const char* path, uint32_t mask) {
  if (Fails(Faults::kWatch, Owner::kProvider)) return -1;
  return static_cast<int>(Raw(SYS_inotify_add_watch, fd, path, mask));
}

pid_t ForkOrFail() {
  using Function = pid_t (*)();
  static const Kept<Function> kNext{Next<Function>("fork")};
  if (Fails(Faults::kFork, Owner::kProvider)) return -1;
  return kNext.what();
}

long SyscallOrFail(long number, ...) {
  std::array<long, 6> values{};
  va_list arguments;
  va_start(arguments, number);
  for (long& value : values) value = va_arg(arguments, long);
  va_end(arguments);
  if (number == SYS_pidfd_open && Fails(Faults::kPidfd, Owner::kProvider)) return -1;
  return Raw(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}

}  // extern "C"

}  // namespace shadow::shim
