// shadowctl haproxy dump against what listens on the socket's path.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/client/run_shadowctl.h"
#include "tests/fakes/poll.h"
#include "tests/server/balancers/unix_peer.h"

namespace shadow {
namespace {

constexpr char kTwoServers[] =
    "1\n# be_id be_name srv_id srv_name srv_addr\n3 web 1 slot1 127.0.0.1\n"
    "3 web 2 slot2 127.0.0.1\n\n";

class StateFile {
 public:
  StateFile() {
    std::string pattern = (std::filesystem::temp_directory_path() / "shadow-dump-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
  }
  ~StateFile() { std::filesystem::remove_all(directory_); }
  StateFile(const StateFile&) = delete;
  StateFile& operator=(const StateFile&) = delete;

  std::string path() const { return directory_ + "/server-state"; }
  void Write(const std::string& text) const { std::ofstream(path()) << text; }
  std::string Text() const {
    std::ostringstream text;
    text << std::ifstream(path()).rdbuf();
    return text.str();
  }
  int FilesBeside() const {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      count += entry.path() == path() ? 0 : 1;
    }
    return count;
  }

  Ran Dump(const std::string& socket, const std::string& timeout = "10s") const {
    return RunCommandLine(
        {"haproxy", "dump", "--socket", socket, "--file", path(), "--timeout", timeout}, {});
  }

 private:
  std::string directory_;
};

TEST_CASE("a dump replaces the state file with what HAProxy says, without a daemon") {
  const UnixPeer haproxy(UnixPeer::Answer(kTwoServers));
  const StateFile file;
  file.Write("old\n");
  const Ran ran = file.Dump(haproxy.path());
  CHECK(ran.err == file.path() + ": 2 servers\n");
  CHECK(ran.exit_code == 0);
  CHECK(file.Text() == kTwoServers);
  CHECK(file.FilesBeside() == 0);
  struct stat status {};
  REQUIRE(stat(file.path().c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0644);
}

TEST_CASE("a dump of an answer that is empty, cut off or none of states keeps the old file") {
  const std::string text = kTwoServers;
  for (const std::string& answer :
       {std::string(), std::string("\n"), std::string("Permission denied\n\n"),
        std::string("1\n# be_id be_name srv_id srv_name srv_addr\n\n"),
        text.substr(0, text.size() - 1), text.substr(0, 60), "2" + text.substr(1)}) {
    const UnixPeer haproxy(UnixPeer::Answer(answer));
    const StateFile file;
    file.Write("old\n");
    const Ran ran = file.Dump(haproxy.path());
    INFO(answer << ran.err);
    CHECK(ran.exit_code == 1);
    CHECK(ran.err.find("show servers state") != std::string::npos);
    CHECK(file.Text() == "old\n");
    CHECK(file.FilesBeside() == 0);
  }
}

TEST_CASE("a dump says that HAProxy is away, hangs, or cannot be written down") {
  const StateFile file;
  const Ran away = file.Dump(file.path() + ".none");
  CHECK(away.exit_code == 3);
  CHECK(away.err.find("is HAProxy running") != std::string::npos);

  const UnixPeer hanging([](const UnixPeer& peer, const TestSocket&, const std::string&) {
    PollUntil(kPatience, [&] { return peer.stopping(); });
  });
  const Ran hung = file.Dump(hanging.path(), "100ms");
  CHECK(hung.exit_code == 6);
  CHECK(hung.err.find("has not answered within 100ms") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(file.path()));

  const UnixPeer haproxy(UnixPeer::Answer(kTwoServers));
  const Ran unwritten = RunCommandLine(
      {"haproxy", "dump", "--socket", haproxy.path(), "--file", file.path() + "/none/state"}, {});
  CHECK(unwritten.exit_code == 3);
  CHECK(unwritten.err.find("cannot create a file beside") != std::string::npos);
  CHECK(RunCommandLine({"haproxy", "dump", "--socket", haproxy.path()}, {}).exit_code == 2);
}

}  // namespace
}  // namespace shadow
