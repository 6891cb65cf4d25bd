// The log in systemd's journal: what an entry says, and a journald that hangs.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/log/event_log.h"
#include "server/log/journal_entry.h"
#include "server/log/journal_sink.h"
#include "server/log/log.h"
#include "server/log/message_kinds.h"
#include "spdlog/spdlog.h"
#include "tests/fakes/loopback_socket.h"
#include "tests/fakes/manual_clock.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

using EntryLines = std::vector<std::string>;

EntryLines LinesOf(const std::string& entry) {
  REQUIRE(entry.ends_with("\n"));
  return absl::StrSplit(entry.substr(0, entry.size() - 1), '\n');
}

// "" where the entry has no such field.
std::string FieldIn(const std::string& entry, const std::string& name) {
  for (const std::string& line : LinesOf(entry)) {
    if (line.starts_with(name + "=")) return line.substr(name.size() + 1);
  }
  return "";
}

// In place of journald: takes what is sent to its socket.
class FakeJournald {
 public:
  FakeJournald() { Bind(); }

  // As a journald whose socket is made anew.
  void Restart() {
    socket_.Close();
    std::filesystem::remove(path());
    Bind();
  }

  std::string path() const { return directory_.File("socket"); }

  // "" where there is none.
  std::string Next() const {
    std::string entry(1 << 20, '\0');
    const ssize_t size = recv(socket_.fd(), entry.data(), entry.size(), MSG_DONTWAIT);
    entry.resize(size < 0 ? 0 : static_cast<size_t>(size));
    return entry;
  }

 private:
  void Bind() {
    socket_ = TestSocket(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path().c_str(), path().size() + 1);
    REQUIRE(bind(socket_.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  }

  const TempDirectory directory_;
  TestSocket socket_;
};

// spdlog's default logger, for as long as this lives, writes to a FakeJournald.
class LogToJournal {
 public:
  LogToJournal() : before_(spdlog::default_logger()) {
    auto sink = JournalSink::Open(journald.path(), clock);
    REQUIRE(sink.ok());
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("journal", *std::move(sink)));
  }
  LogToJournal(const LogToJournal&) = delete;
  LogToJournal& operator=(const LogToJournal&) = delete;
  ~LogToJournal() { spdlog::set_default_logger(before_); }

  ManualClock clock;
  FakeJournald journald;

 private:
  const std::shared_ptr<spdlog::logger> before_;
};

}  // namespace

TEST_CASE("an entry of the journal has the fields of its line, and what is unset is left out") {
  const CodePlace place{.file = "/some/tree/server/log/log.cc", .line = 7, .function = "Log"};
  CHECK(LinesOf(JournalEntry(spdlog::level::warn,
                             {.pool = "web",
                              .shadow = "s1",
                              .instance = "i12",
                              .uid = 0,
                              .request_id = "r-1",
                              .kind = MessageKind::kInstanceFailed},
                             "no answer", &place)) ==
        EntryLines{"MESSAGE=no answer", "PRIORITY=4", "SYSLOG_IDENTIFIER=shadowd",
                   "MESSAGE_ID=1e3137d3e48747fab335548c0aa5e92a", "SHADOW_POOL=web",
                   "SHADOW_SHADOW=s1", "SHADOW_INSTANCE=i12", "SHADOW_UID=0", "REQUEST_ID=r-1",
                   "CODE_FILE=server/log/log.cc", "CODE_LINE=7", "CODE_FUNC=Log"});
  CHECK(LinesOf(JournalEntry(spdlog::level::info, {.resource = "dnas/web"}, "created", nullptr)) ==
        EntryLines{"MESSAGE=created", "PRIORITY=6", "SYSLOG_IDENTIFIER=shadowd",
                   "SHADOW_RESOURCE=dnas/web"});
}

TEST_CASE("no value of an entry adds a field, and each is text that the journal shows") {
  const auto value = [](const std::string& text) {
    const std::string entry =
        JournalEntry(spdlog::level::info, {.request_id = text}, text, nullptr);
    CHECK(LinesOf(entry).size() == 4);
    CHECK(FieldIn(entry, "REQUEST_ID") == FieldIn(entry, "MESSAGE"));
    return FieldIn(entry, "MESSAGE");
  };
  CHECK(value("a\nPRIORITY=0\n") == "a?PRIORITY=0?");
  CHECK(value("tab\tescape\x1b[2J del\x7f") == "tab?escape?[2J del?");
  CHECK(value(std::string("nul\0end", 7)) == "nul?end");
  CHECK(value("Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x98\x80") ==
        "Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x98\x80");
  CHECK(value("c1\xc2\x9b"
              "31m") == "c1?31m");
  CHECK(value("cut\xe2\x82 alone\xa0 long\xc0\xaf pair\xed\xa0\x80") ==
        "cut?? alone? long?? pair???");
}

TEST_CASE("a value of an entry that is too long is cut between characters and says so") {
  constexpr size_t kMax = kJournalValueMaxBytes;
  const auto message = [](const std::string& text) {
    return FieldIn(JournalEntry(spdlog::level::info, {}, text, nullptr), "MESSAGE");
  };
  CHECK(message(std::string(kMax, 'x')) == std::string(kMax, 'x'));
  CHECK(message(std::string(kMax + 1, 'x')) == std::string(kMax - 3, 'x') + "...");
  std::string euros;
  while (euros.size() <= kMax) euros += "\xe2\x82\xac";
  const std::string cut = message("x" + euros);
  CHECK(cut.size() <= kMax);
  CHECK(cut == ("x" + euros).substr(0, cut.size() - 3) + "...");
  CHECK((cut.size() - 4) % 3 == 0);
}

TEST_CASE("each kind of line has an id of 128 bits of its own") {
  std::set<std::string> ids;
  for (const MessageId& one : MessageIds()) {
    const std::string id(one.id);
    CHECK(id.find_first_not_of("0123456789abcdef") == std::string::npos);
    CHECK(id.size() == 32);
    CHECK(ids.insert(id).second);
    CHECK(MessageIdOf(one.kind) == one.id);
  }
}

TEST_CASE("journald gets each line with its fields, also those of a logger without them") {
  LogToJournal log;
  v1::Event event;
  event.set_name("pools/web/shadowPools/s1");
  event.set_message("SUSPENDED -> ACTIVE");
  event.set_request_id("r-1");
  LogEvent(event, LogLevel::kInfo);
  const std::string first = log.journald.Next();
  CHECK(FieldIn(first, "MESSAGE") == "SUSPENDED -> ACTIVE pool=web shadow=s1 request_id=r-1");
  CHECK(FieldIn(first, "SHADOW_POOL") == "web");
  CHECK(FieldIn(first, "SHADOW_SHADOW") == "s1");
  CHECK(FieldIn(first, "REQUEST_ID") == "r-1");
  CHECK(FieldIn(first, "MESSAGE_ID") == MessageIdOf(MessageKind::kShadow));
  CHECK(FieldIn(first, "CODE_FILE") == "server/log/event_log.cc");
  CHECK(FieldIn(first, "CODE_FUNC") == "LogEvent");
  spdlog::error("something {}", "else");
  const std::string second = log.journald.Next();
  CHECK(FieldIn(second, "MESSAGE") == "something else");
  CHECK(FieldIn(second, "PRIORITY") == "3");
  Log(LogLevel::kDebug, {}, "not for the log");
  CHECK(log.journald.Next().empty());
}

TEST_CASE("lines that a hung journald does not take are lost, counted, and wait only once") {
  LogToJournal log;
  constexpr int kLines = 4000;  // With a wait each, they would take longer than a test may.
  for (int i = 0; i < kLines; ++i) Log(LogLevel::kInfo, {}, absl::StrCat(i));
  int taken = 0;
  for (std::string entry = log.journald.Next(); !entry.empty(); entry = log.journald.Next()) {
    CHECK(FieldIn(entry, "MESSAGE") == absl::StrCat(taken));
    ++taken;
  }
  CHECK(taken > 0);
  REQUIRE(taken < kLines);
  Log(LogLevel::kInfo, {}, "again");
  const std::string told = log.journald.Next();
  CHECK(FieldIn(told, "MESSAGE") ==
        absl::StrCat(kLines - taken,
                     " lines of the log were lost: journald did not take them in "
                     "time"));
  CHECK(FieldIn(told, "MESSAGE_ID") == MessageIdOf(MessageKind::kLinesLost));
  CHECK(FieldIn(log.journald.Next(), "MESSAGE") == "again");
}

TEST_CASE("a journald whose socket was replaced gets the next line") {
  LogToJournal log;
  Log(LogLevel::kInfo, {}, "before");
  CHECK(FieldIn(log.journald.Next(), "MESSAGE") == "before");
  log.journald.Restart();
  Log(LogLevel::kInfo, {}, "after");
  CHECK(FieldIn(log.journald.Next(), "MESSAGE") == "after");
}

TEST_CASE("standard error is the journal only if it is the very stream that was named") {
  struct stat status {};
  REQUIRE(fstat(STDERR_FILENO, &status) == 0);
  const std::string own = absl::StrCat(status.st_dev, ":", status.st_ino);
  CHECK(StderrIsJournal(own.c_str()));
  CHECK_FALSE(StderrIsJournal(absl::StrCat(status.st_dev, ":", status.st_ino + 1).c_str()));
  CHECK_FALSE(StderrIsJournal(""));
  CHECK_FALSE(StderrIsJournal(nullptr));
}

TEST_CASE("where nobody takes entries, the journal cannot be opened") {
  const TempDirectory directory;
  ManualClock clock;
  CHECK_FALSE(JournalSink::Open(directory.File("none"), clock).ok());
  CHECK_FALSE(JournalSink::Open(std::string(200, 'x'), clock).ok());
}

}  // namespace shadow
