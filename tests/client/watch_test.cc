// --watch and events, over real gRPC.
#include <grpcpp/support/status_code_enum.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/client/fake_daemon.h"
#include "tests/client/run_shadowctl.h"

namespace shadow {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kShadow[] = "pools/web/shadowPools/r1";

Ran RunWatch(const FakeDaemon& daemon, const std::vector<std::string>& arguments,
             bool terminal = false) {
  return RunCommandLine(arguments,
                        {.input = "", .address = daemon.address(), .terminal = terminal});
}

std::vector<Json> Lines(const std::string& text) {
  std::vector<Json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(Json::parse(line));
  return lines;
}

void AddEvent(FakeDaemon& daemon, v1::Event::Kind kind, v1::ShadowPool::State shadow_state) {
  v1::Event& event = daemon.state.events.emplace_back();
  event.set_revision(daemon.state.revision + static_cast<std::int64_t>(daemon.state.events.size()));
  event.set_kind(kind);
  event.set_name(kShadow);
  event.set_message("moved");
  event.mutable_shadow_pool()->set_name(kShadow);
  event.mutable_shadow_pool()->set_state(shadow_state);
}

// r1 is CREATING, then SUSPENDED, ACTIVATING, and gone.
void Script(FakeDaemon& daemon) {
  v1::ShadowPool& shadow = daemon.state.shadows[kShadow];
  shadow.set_name(kShadow);
  shadow.set_state(v1::ShadowPool::CREATING);
  AddEvent(daemon, v1::Event::UPDATED, v1::ShadowPool::CREATING);  // As it is known already.
  AddEvent(daemon, v1::Event::UPDATED, v1::ShadowPool::SUSPENDED);
  v1::Event& other = daemon.state.events.emplace_back();
  other.set_revision(13);
  other.mutable_instance()->set_name(std::string(kShadow) + "/instances/i1");
  AddEvent(daemon, v1::Event::UPDATED, v1::ShadowPool::ACTIVATING);
  AddEvent(daemon, v1::Event::DELETED, v1::ShadowPool::DELETING);
  AddEvent(daemon, v1::Event::CREATED, v1::ShadowPool::CREATING);
}

TEST_CASE("a watched resource is one JSON line for each change until it is gone") {
  FakeDaemon daemon;
  Script(daemon);
  const Ran ran = RunWatch(daemon, {"shadow", "get", "web", "--watch", "-o", "json"});
  INFO(ran.err);
  CHECK(ran.exit_code == 0);
  const std::vector<Json> lines = Lines(ran.out);
  REQUIRE(lines.size() == 4);
  CHECK(lines[0]["state"] == "CREATING");
  CHECK(lines[1]["state"] == "SUSPENDED");
  CHECK(lines[2]["state"] == "ACTIVATING");
  CHECK(lines[3]["deleted"] == true);
  CHECK_FALSE(lines[2].contains("deleted"));
  REQUIRE(daemon.state.watches.size() == 1);
  CHECK(daemon.state.watches[0].since_revision() == 10);  // From before what was shown first.
  CHECK(daemon.state.watches[0].name_prefix() == kShadow);
}

TEST_CASE("a watched list goes on after a deletion and ignores other kinds") {
  FakeDaemon daemon;
  Script(daemon);
  const std::vector<Json> lines =
      Lines(RunWatch(daemon, {"shadow", "list", "--watch", "-o", "json"}).out);
  REQUIRE(lines.size() == 5);
  CHECK(lines[4]["state"] == "CREATING");
  CHECK(daemon.state.watches[0].name_prefix().empty());
}

TEST_CASE("a watched table is printed again when it changes, in place on a terminal") {
  FakeDaemon daemon;
  daemon.state.events.clear();
  v1::ShadowPool& shadow = daemon.state.shadows[kShadow];
  shadow.set_name(kShadow);
  shadow.set_state(v1::ShadowPool::SUSPENDED);
  const std::string table =
      "NAME    STATE      READY  LEVEL  SERVING  FAILED  AGE  HOLD  REASON\n"
      "web/r1  SUSPENDED    0/0     0%        0       0  -    -     -\n";
  CHECK(RunWatch(daemon, {"shadow", "list", "--watch"}).out == table);
  CHECK(RunWatch(daemon, {"shadow", "list", "--watch"}, true).out ==
        "\x1b[H\x1b[2J\x1b[3J" + table);
  AddEvent(daemon, v1::Event::UPDATED, v1::ShadowPool::ACTIVE);
  const Ran ran = RunWatch(daemon, {"shadow", "list", "--watch"});
  CHECK_THAT(ran.out, Catch::StartsWith(table + "\n") && Catch::Contains("web/r1  ACTIVE "));
}

TEST_CASE("a watcher that was too slow goes on where it was") {
  FakeDaemon daemon;
  Script(daemon);
  daemon.state.page_size = 2;
  daemon.state.watch_errors = {
      {grpc::StatusCode::RESOURCE_EXHAUSTED, "too slow", "", "SLOW_WATCHER"}};
  const Ran ran = RunWatch(daemon, {"events", "--since", "10", "--watch", "-o", "json"});
  CHECK(ran.exit_code == 0);
  CHECK(Lines(ran.out).size() == 6);
  REQUIRE(daemon.state.watches.size() == 2);
  CHECK(daemon.state.watches[1].since_revision() == 12);
}

TEST_CASE("a watch that the daemon ends is an error") {
  FakeDaemon daemon;
  daemon.state.watch_errors = {
      {grpc::StatusCode::OUT_OF_RANGE, "since_revision: gone", "", "GONE"}};
  const Ran ran = RunWatch(daemon, {"events", "--since", "1", "--watch"});
  CHECK(ran.exit_code == 1);
  CHECK(ran.err == "error: OUT_OF_RANGE: since_revision: gone\n");
}

TEST_CASE("events are listed after a revision, as a table or as the response") {
  FakeDaemon daemon;
  AddEvent(daemon, v1::Event::CREATED, v1::ShadowPool::CREATING);
  AddEvent(daemon, v1::Event::UPDATED, v1::ShadowPool::SUSPENDED);
  AddEvent(daemon, v1::Event::UPDATED, v1::ShadowPool::ACTIVE);
  CHECK(RunWatch(daemon, {"events", "web", "--since", "11"}).out ==
        "REVISION  TIME                  KIND     NAME                      MESSAGE\n"
        "      12  1970-01-01T00:00:00Z  UPDATED  pools/web/shadowPools/r1  moved\n"
        "      13  1970-01-01T00:00:00Z  UPDATED  pools/web/shadowPools/r1  moved\n");
  CHECK(daemon.state.calls.back() == "ListEvents pools/web");
  const Json json = Json::parse(RunWatch(daemon, {"events", "-o", "json"}).out);
  REQUIRE(json["events"].size() == 3);
  CHECK(json["events"][0]["message"] == "moved");
  CHECK(json["events"][0]["shadowPool"]["state"] == "CREATING");
}

TEST_CASE("a stream of events leaves bookmarks out and starts now unless told otherwise") {
  FakeDaemon daemon;
  AddEvent(daemon, v1::Event::BOOKMARK, v1::ShadowPool::CREATING);
  AddEvent(daemon, v1::Event::UPDATED, v1::ShadowPool::SUSPENDED);
  CHECK(RunWatch(daemon, {"events", "--watch"}).out ==
        "12  1970-01-01T00:00:00Z  UPDATED  pools/web/shadowPools/r1  moved\n");
  CHECK_FALSE(daemon.state.watches[0].has_since_revision());
}

}  // namespace
}  // namespace shadow
