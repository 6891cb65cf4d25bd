// Which daemon shadowctl talks to, and the files that it needs for that.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "client/connection/contexts.h"
#include "tests/client/run_shadowctl.h"
#include "tests/fakes/tls/certificates.h"

namespace shadow {
namespace {

// The clock of RunCommandLine stands at this; certificates are of the real time.
int SecondsToTheTestsClock() {
  return static_cast<int>(1777636800 - absl::ToUnixSeconds(ProcessConsole().now()));
}

class ContextFile {
 public:
  ContextFile() {
    std::string pattern = (std::filesystem::temp_directory_path() / "shadowctl-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
  }
  ~ContextFile() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  ContextFile(const ContextFile&) = delete;
  ContextFile& operator=(const ContextFile&) = delete;

  std::string path() const { return File("config/shadowctl.yaml"); }
  std::string File(const std::string& name) const { return directory_ + "/" + name; }
  void Write(const std::string& text) const {
    std::filesystem::create_directories(File("config"));
    std::ofstream(path()) << text;
  }
  Ran Run(const std::vector<std::string>& arguments, const std::string& address = "",
          const std::string& context = "") const {
    return RunCommandLine(arguments,
                          {.address = address, .context = context, .contexts_path = path()});
  }

 private:
  std::string directory_;
};

TEST_CASE("contexts are added, shown, chosen, changed and deleted") {
  const ContextFile file;
  CHECK(file.Run({"context", "list"}).out == "CURRENT  NAME  ADDRESS  CERT\n");
  CHECK(file.Run({"context", "show"}).err == "error: NOT_FOUND: no context is current\n");
  CHECK(file.Run({"context", "set", "here", "--address", "unix:/run/s"}).out ==
        "here added; it is the current context\n");
  CHECK(file.Run({"context", "set", "prod", "--address", "dns:shadow.example:7443", "--cert",
                  "/c.pem", "--key", "/c.key", "--ca", "/ca.pem"})
            .out == "prod added\n");
  struct stat status {};
  REQUIRE(stat(file.path().c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(file.Run({"context", "use", "prod"}).out == "prod is the current context\n");
  CHECK(file.Run({"context", "set", "prod", "--server-name", "shadow"}).out ==
        "prod changed; it is the current context\n");
  CHECK(file.Run({"context", "list"}).out ==
        "CURRENT  NAME  ADDRESS                  CERT\n"
        "         here  unix:/run/s              -\n"
        "*        prod  dns:shadow.example:7443  /c.pem\n");
  CHECK(file.Run({"context", "show"}).out ==
        "name         prod\naddress      dns:shadow.example:7443\ncert         /c.pem\n"
        "key          /c.key\nca           /ca.pem\nserver-name  shadow\n");
  CHECK(file.Run({"context", "show", "here"}).out ==
        "name         here\naddress      unix:/run/s\n");
  CHECK(file.Run({"context", "delete", "prod"}).out == "prod deleted; no context is current\n");
  const Ran gone = file.Run({"context", "use", "prod"});
  CHECK(gone.exit_code == 2);
  CHECK(gone.err ==
        "error: INVALID_ARGUMENT: NAME: there is no context \"prod\"; wanted one of here\n");
  CHECK(file.Run({"context", "set", "x"}).exit_code == 2);  // No address.
  CHECK(file.Run({"context", "list", "-o", "json"}).exit_code == 2);
}

TEST_CASE("a flag is stronger than the environment, and that than the current context") {
  const FakeDaemon here;
  const FakeDaemon there;
  const ContextFile file;
  file.Write("current-context: here\ncontexts:\n- {name: here, address: \"" + here.address() +
             "\"}\n- {name: there, address: \"" + there.address() + "\"}\n");
  const auto asked = [](const FakeDaemon& daemon) { return daemon.state.calls.size(); };
  const std::vector<std::string> get = {"shadow", "release", "web/r0123456789ab"};
  const auto with = [&](std::vector<std::string> flags) {
    flags.insert(flags.begin(), get.begin(), get.end());
    return flags;
  };
  const struct {
    std::vector<std::string> flags;
    std::string address;
    std::string context;
    bool is_here;
  } rows[] = {
      {{}, "", "", true},
      {{}, "", "there", false},
      {{}, there.address(), "here", false},
      {{"--context", "here"}, there.address(), "there", true},
      {{"--address", there.address()}, here.address(), "here", false},
      {{"--address", there.address(), "--context", "here"}, "", "", false},
  };
  for (const auto& row : rows) {
    const size_t before_here = asked(here);
    const size_t before_there = asked(there);
    file.Run(with(row.flags), row.address, row.context);
    CHECK((asked(here) > before_here) == row.is_here);
    CHECK((asked(there) > before_there) == !row.is_here);
  }
  const Ran unknown = file.Run(get, "", "prod");
  CHECK(unknown.err ==
        "error: INVALID_ARGUMENT: $SHADOWCTL_CONTEXT: there is no context \"prod\"; wanted one "
        "of here, there\n");
}

TEST_CASE("a file of contexts that is wrong is an error with its place, where it is needed") {
  const ContextFile file;
  const struct {
    const char* text;
    const char* error;
  } rows[] = {
      {"context: []\n", "line 1: \"context\" is neither contexts nor current-context"},
      {"contexts: {}\n", "line 1: contexts: wanted a list"},
      {"contexts:\n- address: unix:/s\n", "line 2: this context has no name"},
      {"contexts:\n- name: a\n- name: a\n", "line 3: there are two contexts \"a\""},
      {"contexts:\n- name: a\n  adress: b\n", "line 3: \"adress\" is none of name, address, "},
      {"contexts:\n- name: [a]\n", "line 2: name: wanted a text"},
      {"- a\n", "line 1: wanted contexts and current-context"},
      {"contexts: [\n", "line "},
      {",", "line "},
  };
  for (const auto& row : rows) {
    file.Write(row.text);
    const Ran ran = file.Run({"status"});
    INFO(row.text << ran.err);
    CHECK(ran.exit_code == 2);
    CHECK(ran.err.starts_with("error: INVALID_ARGUMENT: " + file.path() + ": " + row.error));
    CHECK(file.Run({"status", "--address", "unix:/nonexistent/s"}).exit_code == 6);
  }
  file.Write("current-context: gone\ncontexts: []\n");
  CHECK(file.Run({"status"}).err ==
        "error: INVALID_ARGUMENT: " + file.path() +
            ": current-context: there is no context \"gone\"; make one with `shadowctl context "
            "set`\n");
  file.Write("current-context: a\ncontexts: [{name: a, address: tcp:1}]\n");
  CHECK(file.Run({"status"}).err == "error: INVALID_ARGUMENT: " + file.path() +
                                        ": context a: \"tcp:1\" is not unix:PATH or "
                                        "dns:HOST:PORT\n");
  file.Write("");
  CHECK(file.Run({"context", "list"}).exit_code == 0);
}

TEST_CASE("files of a context are of its own directory") {
  const ContextFile file;
  file.Write("contexts:\n- {name: a, address: \"dns:h:1\", cert: a.pem, key: /k, ca: ../ca.pem}\n");
  const auto contexts = ReadContexts(file.path());
  REQUIRE(contexts.ok());
  const Target& target = contexts->contexts[0].target;
  CHECK(target.cert == file.File("config") + "/a.pem");
  CHECK(target.key == "/k");
  CHECK(target.ca == file.File("config") + "/../ca.pem");
}

TEST_CASE("what is wrong with a certificate or a key is said with the file's name") {
  const ContextFile file;
  const int away = SecondsToTheTestsClock();
  const TestCertificate good({.common_name = "a",
                              .begins_seconds_from_now = away - 60,
                              .ends_seconds_from_now = away + 3600});
  const TestCertificate old({.common_name = "a",
                             .begins_seconds_from_now = away - 60,
                             .ends_seconds_from_now = away - 10});
  const TestCertificate early({.common_name = "a",
                               .begins_seconds_from_now = away + 60,
                               .ends_seconds_from_now = away + 3600});
  good.WriteCertificate(file.File("good.pem"));
  good.WriteKey(file.File("good.key"));
  good.WriteKey(file.File("open.key"), 0644);
  old.WriteCertificate(file.File("old.pem"));
  old.WriteKey(file.File("old.key"));
  early.WriteCertificate(file.File("early.pem"));
  std::ofstream(file.File("text")) << "hello\n";
  const auto run = [&](const std::string& cert, const std::string& key, const std::string& ca) {
    return file
        .Run({"status", "--address", "dns:127.0.0.1:1", "--cert", file.File(cert), "--key",
              file.File(key), "--ca", file.File(ca)})
        .err;
  };
  const std::string begin = "error: INVALID_ARGUMENT: ";
  CHECK(run("none", "good.key", "good.pem").starts_with(begin + "--cert: "));
  CHECK(run("text", "good.key", "good.pem") ==
        begin + "--cert: " + file.File("text") + ": is no certificate in PEM\n");
  CHECK(run("old.pem", "old.key", "good.pem")
            .starts_with(begin + "--cert: " + file.File("old.pem") +
                         ": it has expired, at 2026-05-01T11:59:5"));
  CHECK(run("early.pem", "good.key", "good.pem")
            .starts_with(begin + "--cert: " + file.File("early.pem") +
                         ": it is not valid before 2026-05-01T12:01:0"));
  CHECK(run("good.pem", "good.pem", "good.pem") ==
        begin + "--key: " + file.File("good.pem") +
            ": is no private key in PEM without a pass phrase\n");
  CHECK(run("good.pem", "old.key", "good.pem") == begin + "--key: " + file.File("old.key") +
                                                      ": does not belong to the certificate " +
                                                      file.File("good.pem") + "\n");
  CHECK(run("good.pem", "good.key", "text") ==
        begin + "--ca: " + file.File("text") + ": is no certificate in PEM\n");
  // Nobody listens there.
  CHECK(run("good.pem", "good.key", "good.pem")
            .starts_with("error: UNAVAILABLE: dns:127.0.0.1:1: no shadowd answers: "));
  CHECK(run("good.pem", "open.key", "good.pem")
            .starts_with("warning: " + file.File("open.key") +
                         ": everyone on this host may read this key; run chmod 600\n"));
}

TEST_CASE("flags of TLS and addresses that do not fit are errors of usage") {
  const ContextFile file;
  const struct {
    std::vector<std::string> arguments;
    const char* error;
  } rows[] = {
      {{"status", "--address", "dns:h:1"}, "--cert: an address dns:HOST:PORT needs --cert, "},
      {{"status", "--address", "dns:h"}, "--address: \"dns:h\" is not unix:PATH or dns:HOST:PORT"},
      {{"status", "--address", "dns:h:0"}, "--address: \"dns:h:0\" is not "},
      {{"status", "--address", "unix:/s", "--ca", "x"}, "--ca: means nothing to an address unix:"},
      {{"status", "--context", "x"}, "--context: there is no context \"x\"; make one with "},
  };
  for (const auto& row : rows) {
    const Ran ran = file.Run(row.arguments);
    INFO(ran.err);
    CHECK(ran.exit_code == 2);
    CHECK(ran.err.starts_with(std::string("error: INVALID_ARGUMENT: ") + row.error));
  }
}

}  // namespace
}  // namespace shadow
