// The listener while no descriptor is free.
#include "server/api/listener.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "tests/fakes/http2_client.h"
#include "tests/fakes/poll.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

constexpr size_t kSpares = Listener::kSpares;

// All descriptors that this process may have, but for those that were taken before.
class AllDescriptors {
 public:
  AllDescriptors() {
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before_) == 0);
    const rlimit few = {.rlim_cur = 256, .rlim_max = before_.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
    for (int fd = Take(); fd >= 0; fd = Take()) taken_.emplace_back(fd);
  }
  AllDescriptors(const AllDescriptors&) = delete;
  AllDescriptors& operator=(const AllDescriptors&) = delete;
  ~AllDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

  void FreeOne() { taken_.pop_back(); }

 private:
  static int Take() { return memfd_create("taken", MFD_CLOEXEC); }

  rlimit before_{};
  std::vector<TestSocket> taken_;
};

// A listener, and clients that have their descriptors before others take them all.
class Callers {
 public:
  // The kernel says of all clients that they are this process's user: `admins` says by number, from
  // 0, who counts as an administrator where the listener asks.
  Callers(size_t clients, std::function<bool(size_t)> admins) : admins_(std::move(admins)) {
    auto listener = Listener::Open(
        directory_.File("s"), [this](int) { return admins_(asked_++); },
        [this](int fd) {
          const std::lock_guard lock(mutex_);
          accepted_.emplace_back(fd);
        });
    REQUIRE(listener.ok());
    listener_ = *std::move(listener);
    spares_ = OpenNull();
    REQUIRE(spares_ >= kSpares);
    for (size_t i = 0; i < clients; ++i) {
      clients_.emplace_back(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      REQUIRE(clients_.back());
    }
  }

  void Call(size_t client) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = directory_.File("s");
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    REQUIRE(connect(clients_[client].fd(), reinterpret_cast<const sockaddr*>(&address),
                    sizeof(address)) == 0);
  }

  const TestSocket& client(size_t client) const { return clients_[client]; }

  size_t accepted() {
    const std::lock_guard lock(mutex_);
    return accepted_.size();
  }
  bool AnswerFirst() {
    const std::lock_guard lock(mutex_);
    return http2::Send(accepted_.front(), "hello");
  }

  bool HasSparesBack() const { return OpenNull() == spares_; }

 private:
  // Descriptors of /dev/null in this process.
  static size_t OpenNull() {
    size_t count = 0;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
      if (std::filesystem::read_symlink(entry.path(), error) == "/dev/null") ++count;
    }
    return count;
  }

  const TempDirectory directory_;
  const std::function<bool(size_t)> admins_;
  size_t asked_ = 0;  // The listener's thread.
  std::mutex mutex_;
  std::vector<TestSocket> accepted_;  // Under it.
  std::vector<TestSocket> clients_;
  size_t spares_ = 0;
  std::unique_ptr<Listener> listener_;
};

TEST_CASE("where no descriptor is free, an administrator behind a flood of readers is accepted") {
  constexpr size_t kReaders = 60;
  Callers callers(kReaders + 1, [](size_t number) { return number == kReaders; });
  {
    const AllDescriptors all;
    for (size_t i = 0; i <= kReaders; ++i) callers.Call(i);
    REQUIRE(PollUntil(kPatience, [&] { return callers.accepted() == 1; }));
    for (size_t i = 0; i < kReaders; ++i) CHECK(http2::Closed(callers.client(i)));
    CHECK(callers.AnswerFirst());
    std::string answer;
    CHECK(ReceiveMore(callers.client(kReaders), answer));
    CHECK(answer == "hello");
  }
  CHECK(PollUntil(kPatience, [&] { return callers.HasSparesBack(); }));
}

TEST_CASE("spares that administrators have spent are taken back when descriptors are free") {
  Callers callers(kSpares + 1, [](size_t) { return true; });
  {
    AllDescriptors all;
    for (size_t i = 0; i <= kSpares; ++i) callers.Call(i);
    REQUIRE(PollUntil(kPatience, [&] { return callers.accepted() >= kSpares; }));
    CHECK(callers.accepted() == kSpares);
    all.FreeOne();
    CHECK(PollUntil(kPatience, [&] { return callers.accepted() == kSpares + 1; }));
  }
  CHECK(PollUntil(kPatience, [&] { return callers.HasSparesBack(); }));
}

}  // namespace
}  // namespace shadow
