#include "server/web/feed_cache.h"

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace shadow {
namespace {

// A cache whose answers are given by hand.
struct CacheWorld {
  std::shared_ptr<FeedCache> cache = std::make_shared<FeedCache>();
  std::vector<FeedDone> making;  // Of what is being made, oldest first.
  std::vector<absl::StatusOr<FeedBody>> answers;

  void Ask(const FeedCache::Key& key, absl::Duration mono = absl::ZeroDuration()) {
    cache->Get(
        key, mono, [this](FeedDone made) { making.push_back(std::move(made)); },
        [this](absl::StatusOr<FeedBody> answer) { answers.push_back(std::move(answer)); });
  }
  void Make(const std::string& text) {
    std::exchange(making, {}).front()(std::make_shared<const std::string>(text));
  }
  std::string Last() const { return **answers.back(); }
};

FeedCache::Key TimedKey(const std::string& name) {
  return {.name = name, .source = {}, .ttl = absl::Seconds(5)};
}

}  // namespace

TEST_CASE("what ten pages ask for at one time is made once") {
  CacheWorld world;
  for (int i = 0; i < 10; ++i) world.Ask(TimedKey("chart web"));
  REQUIRE(world.making.size() == 1);
  CHECK(world.answers.empty());
  world.Make("one");
  REQUIRE(world.answers.size() == 10);
  CHECK(world.Last() == "one");
  world.Ask(TimedKey("chart web"), absl::Seconds(4));
  CHECK(world.making.empty());
  CHECK(world.Last() == "one");
  world.Ask(TimedKey("chart web"), absl::Seconds(5));
  CHECK(world.making.size() == 1);
}

TEST_CASE("what is made from a state is fresh until there is another one") {
  CacheWorld world;
  const auto first = std::make_shared<int>(1);
  const FeedCache::Key key{
      .name = "state", .source = first, .ttl = absl::InfiniteDuration(), .cheap = true};
  world.Ask(key);
  world.Make("first");
  world.Ask(key, absl::Hours(9));
  CHECK(world.answers.size() == 2);
  CHECK(world.making.empty());
  FeedCache::Key next = key;
  next.source = std::make_shared<int>(1);
  world.Ask(next);
  CHECK(world.making.size() == 1);
}

TEST_CASE("more than a few answers are not made at one time") {
  CacheWorld world;
  for (int i = 0; i < FeedCache::kMakesMax; ++i) world.Ask(TimedKey(std::to_string(i)));
  CHECK(world.answers.empty());
  world.Ask(TimedKey("too many"));
  REQUIRE(world.answers.size() == 1);
  CHECK(absl::IsResourceExhausted(world.answers[0].status()));
  world.Ask({.name = "cheap", .source = {}, .ttl = absl::Seconds(1), .cheap = true});
  CHECK(world.making.size() == FeedCache::kMakesMax + 1);
}

TEST_CASE("only so many answers are made in a second") {
  CacheWorld world;
  int refused = 0;
  for (int i = 0; i < 2 * FeedCache::kMakesPerSecondMax; ++i) {
    world.Ask(TimedKey(std::to_string(i)));
    if (world.making.empty()) {
      ++refused;
    } else {
      world.Make("x");
    }
  }
  CHECK(refused == FeedCache::kMakesPerSecondMax);
  world.Ask(TimedKey("later"), absl::Seconds(1));
  CHECK(world.making.size() == 1);
}

TEST_CASE("those who wait for an answer are bounded") {
  CacheWorld world;
  for (size_t i = 0; i <= FeedCache::kWaitersMax; ++i) world.Ask(TimedKey("chart web"));
  REQUIRE(world.answers.size() == 1);
  CHECK(absl::IsResourceExhausted(world.answers[0].status()));
  world.Make("x");
  CHECK(world.answers.size() == FeedCache::kWaitersMax + 1);
}

TEST_CASE("an error is told to all who wait, and not kept") {
  CacheWorld world;
  world.Ask(TimedKey("log web"));
  std::exchange(world.making, {}).front()(absl::UnavailableError("away"));
  CHECK(absl::IsUnavailable(world.answers.back().status()));
  world.Ask(TimedKey("log web"));
  CHECK(world.making.size() == 1);
}

TEST_CASE("the oldest answers go when there are too many bytes") {
  CacheWorld world;
  const std::string megabyte(1 << 20, 'x');
  for (int i = 0; i < 20; ++i) {
    world.Ask(TimedKey(std::to_string(i)), absl::Seconds(i));
    world.Make(megabyte);
  }
  CHECK(world.cache->bytes() <= FeedCache::kBytesMax);
  FeedCache::Key forever = TimedKey("19");
  forever.ttl = absl::InfiniteDuration();
  world.Ask(forever, absl::Seconds(30));
  CHECK(world.making.empty());
  forever.name = "0";
  world.Ask(forever, absl::Seconds(30));
  CHECK(world.making.size() == 1);
}

}  // namespace shadow
