#include "server/event_hub.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

namespace shadow {
namespace {

v1::Event Named(int64_t revision, const std::string& name) {
  v1::Event event;
  event.set_revision(revision);
  event.set_name(name);
  return event;
}

}  // namespace

TEST_CASE("an event concerns its resource and those above it") {
  const std::string name = "pools/web/shadowPools/r1";
  CHECK(Concerns(name, ""));
  CHECK(Concerns(name, "pools/web"));
  CHECK(Concerns(name, "pools/web/shadowPools/r1"));
  CHECK_FALSE(Concerns(name, "pools/we"));
  CHECK_FALSE(Concerns(name, "pools/web/shadowPools/r"));
  CHECK_FALSE(Concerns(name, "pools/web/shadowPools/r1/instances/i1"));
}

TEST_CASE("events come in order, from the asked revision on, in pages") {
  EventHub hub(10);
  hub.Publish({Named(11, "pools/a"), Named(12, "pools/b"), Named(13, "pools/a")});
  const EventHub::Page all = hub.After(10, "", 10);
  REQUIRE(all.events.size() == 3);
  CHECK(all.events[0]->revision == 11);
  CHECK(all.events[2]->revision == 13);
  CHECK(all.last_revision == 13);
  CHECK_FALSE(all.gap);
  const EventHub::Page some = hub.After(10, "pools/a", 1);
  REQUIRE(some.events.size() == 1);
  CHECK(some.events[0]->revision == 11);
  const EventHub::Page rest = hub.After(some.last_revision, "pools/a", 1);
  REQUIRE(rest.events.size() == 1);
  CHECK(rest.events[0]->revision == 13);
  CHECK(hub.After(13, "", 10).events.empty());
}

TEST_CASE("a page of events ends by bytes too, and the next one goes on behind it") {
  EventHub hub(0);
  std::vector<v1::Event> events;
  for (int i = 1; i <= 7; ++i) events.push_back(Named(i, "pools/" + std::string(100, 'a')));
  hub.Publish(events);
  std::vector<int64_t> seen;
  int64_t after = 0;
  int pages = 0;
  for (; after < 7; ++pages) {
    const EventHub::Page page = hub.After(after, "", 10, 150);
    REQUIRE(page.events.size() <= 2);  // Two have 200 and more.
    for (const auto& event : page.events) seen.push_back(event->revision);
    REQUIRE(page.last_revision > after);
    after = page.last_revision;
  }
  CHECK(seen == std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7});
  CHECK(pages == 4);
  CHECK(hub.After(0, "", 10, 1).events.size() == 1);
}

TEST_CASE("what is only in the store is a gap") {
  EventHub hub(10);
  CHECK(hub.After(9, "", 10).gap);
  std::vector<v1::Event> events;
  const auto count = static_cast<int64_t>(EventHub::kEventsMax) + 5;
  for (int64_t i = 1; i <= count; ++i) events.push_back(Named(10 + i, "pools/a"));
  hub.Publish(events);
  CHECK(hub.last_revision() == 10 + count);
  CHECK(hub.dropped_revision() == 15);
  CHECK(hub.After(14, "", 10).gap);
  CHECK_FALSE(hub.After(15, "", 10).gap);
  CHECK(hub.After(15, "", 10).events[0]->revision == 16);
}

TEST_CASE("a subscriber is woken by each publication and not after it has left") {
  EventHub hub(0);
  std::atomic<int> wakes = 0;
  const int64_t id = hub.Subscribe([&wakes] { ++wakes; });
  std::thread publisher([&hub] {
    for (int i = 1; i <= 100; ++i) hub.Publish({Named(i, "pools/a")});
  });
  publisher.join();
  CHECK(wakes == 100);
  hub.Unsubscribe(id);
  hub.Publish({Named(101, "pools/a")});
  CHECK(wakes == 100);
}

}  // namespace shadow
