// The one form of the log's lines.
#include "server/log/log.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "server/log/event_log.h"
#include "tests/fakes/captured_log.h"

namespace shadow {
namespace {

using Lines = std::vector<std::string>;

v1::Event EventOf(const std::string& name, const std::string& message) {
  v1::Event event;
  event.set_name(name);
  event.set_message(message);
  return event;
}

}  // namespace

TEST_CASE("a line of the log says what it is about in fields, in a fixed order") {
  const CapturedLog log;
  v1::Event event = EventOf("pools/web/shadowPools/s1/instances/i12", "WARMING -> FAILED: warm up");
  event.set_request_id("r-1");
  LogEvent(event, LogLevel::kWarning);
  LogEvent(EventOf("pools/web/instances/i3", "gone"), LogLevel::kInfo);
  LogEvent(EventOf("pools/web", "created"), LogLevel::kInfo);
  LogEvent(EventOf("instances/i7", "an instance without a record is destroyed"), LogLevel::kInfo);
  LogEvent(EventOf("dnas/web", "revision 0123456789ab"), LogLevel::kInfo);
  LogEvent(EventOf("", "the daemon started"), LogLevel::kInfo);
  Log(LogLevel::kInfo, {.pool = "web", .uid = 1000}, "asked");
  LogEvent(EventOf("pools/web", "a step on the way"), LogLevel::kDebug);
  CHECK(log.Lines() ==
        Lines{"WARMING -> FAILED: warm up pool=web shadow=s1 instance=i12 request_id=r-1",
              "gone pool=web instance=i3", "created pool=web",
              "an instance without a record is destroyed instance=i7",
              "revision 0123456789ab resource=dnas/web", "the daemon started",
              "asked pool=web uid=1000"});
}

TEST_CASE("a line of the log is one line, whatever an instance wrote") {
  const CapturedLog log;
  LogEvent(EventOf("pools/web/instances/i1", "no: a\nb\x1b[2J\x7f"), LogLevel::kWarning);
  CHECK(log.Lines() == Lines{"no: a?b?[2J? pool=web instance=i1"});
}

TEST_CASE("a name that is no resource's is a field as a whole") {
  CHECK(FieldsOf("pools/web/else/x").resource == "pools/web/else/x");
  CHECK(FieldsOf("pools/web/else/x").pool.empty());
  CHECK(FieldsOf("nonsense").resource == "nonsense");
  CHECK(FieldsOf("pools/").pool.empty());
}

}  // namespace shadow
