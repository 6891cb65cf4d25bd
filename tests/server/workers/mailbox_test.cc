#include "server/core/mailbox.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "tests/fakes/manual_clock.h"

namespace shadow {

TEST_CASE("a full mailbox refuses commands and takes events") {
  ManualClock clock;
  Mailbox<int, int> mailbox(2, clock);
  CHECK(mailbox.PostCommand(1).ok());
  CHECK(mailbox.PostCommand(2).ok());
  CHECK(absl::IsResourceExhausted(mailbox.PostCommand(3)));
  for (int i = 0; i < 10; ++i) mailbox.PostEvent(i);
  const auto contents = mailbox.Take(clock.Now().mono);
  CHECK(contents.commands == std::vector<int>{1, 2});
  CHECK(contents.events == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK_FALSE(contents.closed);
  CHECK(mailbox.PostCommand(4).ok());
}

TEST_CASE("an empty mailbox gives nothing when the time is up") {
  ManualClock clock;
  Mailbox<int, int> mailbox(2, clock);
  const auto contents = mailbox.Take(clock.Now().mono);
  CHECK(contents.commands.empty());
  CHECK(contents.events.empty());
}

TEST_CASE("a closed mailbox refuses commands, still takes events, and tells its reader") {
  ManualClock clock;
  Mailbox<int, int> mailbox(2, clock);
  mailbox.Close();
  CHECK(absl::IsUnavailable(mailbox.PostCommand(1)));
  mailbox.PostEvent(1);
  const auto contents = mailbox.Take(absl::InfiniteDuration());
  CHECK(contents.closed);
  CHECK(contents.events == std::vector<int>{1});
}

TEST_CASE("what many threads post arrives once, and in order for each of them") {
  constexpr int kWriters = 4;
  constexpr int kPosts = 1000;
  SystemClock clock;
  Mailbox<int, int> mailbox(64, clock);
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&mailbox, writer] {
      for (int i = 0; i < kPosts; ++i) {
        mailbox.PostEvent(writer * kPosts + i);
        while (!mailbox.PostCommand(writer * kPosts + i).ok()) std::this_thread::yield();
      }
    });
  }
  std::vector<int> next_event(kWriters, 0);
  std::vector<int> next_command(kWriters, 0);
  int bad = 0;
  int taken = 0;
  while (taken < 2 * kWriters * kPosts) {
    const auto contents = mailbox.Take(clock.Now().mono + absl::Seconds(10));
    if (contents.events.empty() && contents.commands.empty()) break;
    for (const int event : contents.events) {
      bad += next_event[static_cast<size_t>(event / kPosts)]++ != event % kPosts;
    }
    for (const int command : contents.commands) {
      bad += next_command[static_cast<size_t>(command / kPosts)]++ != command % kPosts;
    }
    taken += static_cast<int>(contents.events.size() + contents.commands.size());
  }
  mailbox.Close();
  for (std::thread& writer : writers) writer.join();
  CHECK(taken == 2 * kWriters * kPosts);
  CHECK(bad == 0);
}

}  // namespace shadow
