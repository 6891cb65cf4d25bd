// The text of an instance's record.
#include "server/providers/process_record.h"

#include <catch2/catch.hpp>

#include "absl/strings/str_replace.h"

namespace shadow {
namespace {

ProcessRecord Recorded() {
  ProcessRecord record;
  record.id = "i7";
  record.name = "pools/web/instances/i7";
  record.pool = "web";
  record.leader = {.pid = 4711, .start_ticks = 88123};
  record.holder = ProcessId{.pid = 4710, .start_ticks = 88120};
  record.port = 20001;
  record.stopped = {record.leader};
  record.exit_reason = "exit status 3";
  return record;
}

TEST_CASE("a record is read as it was written") {
  const auto read = ParseRecord("i7", SerializeRecord(Recorded()));
  REQUIRE(read.has_value());
  CHECK(SerializeRecord(*read) == SerializeRecord(Recorded()));
  CHECK(read->id == "i7");
  CHECK(read->holder == Recorded().holder);
}

TEST_CASE("a record that says what is never written is damaged") {
  struct Row {
    std::string written;
    std::string read;
  };
  const std::string text = SerializeRecord(Recorded());
  for (const Row& row : std::vector<Row>{
           {"exit status 3", "exit \xff"},
           {"exit status 3", "exit\tstatus"},
           {"stopped 4711:", "stopped -1:"},
           {"stopped 4711:", "stopped 0:"},
           {"holder 4710:", "holder 0:"},
           {"pid 4711\n", "pid -1\n"},
           {"port 20001", "port -1"},
           {"port 20001", "port 65536"},
           {"end\n", ""},
           {"pool web", "colour red"},
       }) {
    INFO(row.read);
    const std::string other = absl::StrReplaceAll(text, {{row.written, row.read}});
    REQUIRE(other != text);
    CHECK_FALSE(ParseRecord("i7", other).has_value());
  }
}

}  // namespace
}  // namespace shadow
