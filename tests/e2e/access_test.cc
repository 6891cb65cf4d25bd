// Who may call the real daemon: over TCP with certificates, after reloads, and from an instance.
#include <signal.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/e2e/shadow_world.h"
#include "tests/fakes/tls/tls_files.h"

namespace shadow {
namespace {

// A daemon with a TCP port, and shadowctl as a client of it.
class RemoteDaemon {
 public:
  RemoteDaemon() {
    for (const char* name : {"ops", "viewer", "nobody"}) {
      files.Write(name, files.Client({.common_name = name}));
    }
    CHECK(Restart());
  }

  std::string Configuration(const std::string& grants) const {
    const TlsFiles tls = files.files();
    return absl::Substitute(R"(log_level: "info"
listen_tcp: "127.0.0.1:$0"
tls { certificate_file: "$1" key_file: "$2" client_ca_file: "$3" }
$4)",
                            port, tls.certificate, tls.key, tls.client_ca, grants);
  }

  // True: it serves.
  bool Restart() {
    daemon.Terminate();
    std::ofstream(daemon.directory() + "/shadowd.textproto") << Configuration(kGrants);
    daemon.Start();
    return true;
  }

  // Returns once the log says `word` once more.
  bool Reload(const std::string& configuration, const std::string& word) {
    const size_t before = Count(word);
    std::ofstream(daemon.directory() + "/shadowd.textproto") << configuration;
    kill(daemon.pid(), SIGHUP);
    return PollUntil(DaemonProcess::kStopTimeout, [&] { return Count(word) > before; });
  }

  size_t Count(const std::string& word) const {
    const std::string log = daemon.Log();
    size_t count = 0;
    for (size_t at = log.find(word); at != std::string::npos; at = log.find(word, at + 1)) ++count;
    return count;
  }

  ProgramResult Shadowctl(const std::string& client, std::vector<std::string> arguments,
                          const std::string& ca = "") const {
    std::vector<std::string> argv = {std::string(SHADOW_BIN_DIR) + "/shadowctl",
                                     "--address",
                                     "dns:127.0.0.1:" + std::to_string(port),
                                     "--cert",
                                     files.Path(client + ".pem"),
                                     "--key",
                                     files.Path(client + ".key"),
                                     "--ca",
                                     ca.empty() ? files.server_ca() : ca};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return RunProgram(argv);
  }

  static constexpr char kGrants[] =
      "grants { role: ADMIN certificates: \"CN=ops\" }\n"
      "grants { role: VIEWER certificates: \"CN=viewer\" }\n";

  const TestTlsFiles files;
  const int port = FreeLoopbackPort();
  DaemonProcess daemon{SHADOW_BIN_DIR};
};

TEST_CASE("over TCP a client does what its certificate's role allows, and nothing without one") {
  const RemoteDaemon remote;
  CHECK(remote.Shadowctl("ops", {"dna", "list"}).exit_code == 0);
  CHECK(remote.Shadowctl("viewer", {"status"}).exit_code == 0);
  const std::vector<std::string> change = {"dna", "delete", "web"};
  CHECK(remote.Shadowctl("ops", change).exit_code == 3);
  const ProgramResult viewer = remote.Shadowctl("viewer", change);
  CHECK(viewer.exit_code == 4);
  CHECK(viewer.err ==
        "error: PERMISSION_DENIED: DeleteDna needs the role admin; certificate CN=viewer has "
        "viewer (grants in the configuration of shadowd)\n");
  CHECK(remote.Count("DeleteDna: PERMISSION_DENIED (ROLE_TOO_LOW) resource=dnas/web "
                     "certificate=CN=viewer") == 1);
  const ProgramResult nobody = remote.Shadowctl("nobody", {"status"});
  CHECK(nobody.exit_code == 4);
  CHECK(nobody.err.find("certificate CN=nobody has no role") != std::string::npos);
  // A daemon that cannot prove itself is not talked to.
  const ProgramResult impostor =
      remote.Shadowctl("ops", {"status", "--timeout", "5s"}, remote.files.Path("client-ca.pem"));
  CHECK(impostor.exit_code == 6);
}

TEST_CASE("a reload takes new grants and revoked certificates, and refuses bad files as a whole") {
  RemoteDaemon remote;
  const std::vector<std::string> status = {"status", "--timeout", "5s"};
  const std::string no_viewer = "grants { role: ADMIN certificates: \"CN=ops\" }\n";
  std::string bad = remote.Configuration(no_viewer);
  bad.replace(bad.find("server.key"), 10, "viewer.key");
  CHECK(remote.Reload(bad,
                      "the configuration was not reloaded, the old one stays in force: "
                      "tls.key_file: "));
  CHECK(remote.Shadowctl("viewer", status).exit_code == 0);
  CHECK(remote.Reload(remote.Configuration(no_viewer), "the configuration was reloaded"));
  CHECK(remote.Shadowctl("viewer", status).exit_code == 4);

  const TestCertificate lost = remote.files.Client({.common_name = "ops"});
  remote.files.Write("lost", lost);
  CHECK(remote.Shadowctl("lost", status).exit_code == 0);
  remote.files.clients().AppendRevocation(remote.files.files().client_ca, lost);
  CHECK(remote.Reload(remote.Configuration(no_viewer), "the configuration was reloaded"));
  CHECK(remote.Shadowctl("lost", status).exit_code == 6);
  CHECK(remote.Count("a TLS connection from 127.0.0.1 is closed: certificate revoked") == 1);
  CHECK(remote.Shadowctl("ops", status).exit_code == 0);
}

TEST_CASE("a start with bad files of TLS ends, and the check of a configuration finds them") {
  RemoteDaemon remote;
  CHECK(remote.daemon.Terminate() == 0);
  std::ofstream(remote.files.files().key) << "no key\n";
  CHECK(remote.daemon.StartInVain() == kExitConfig);
  std::vector<std::string> check = remote.daemon.Argv();
  check.emplace_back("--check-config");
  const ProgramResult checked = RunProgram(check);
  CHECK(checked.exit_code == kExitConfig);
  CHECK(checked.err.find("tls.key_file: " + remote.files.files().key) != std::string::npos);
}

TEST_CASE("an instance cannot call the daemon, though it runs as the daemon's own user") {
  WorldOptions options;
  options.haproxy = false;
  options.prelude = absl::Substitute(R"(d=$$(dirname "$$0")
"$0/shadowctl" --address "unix:$$d/shadowd.sock" --timeout 5s status > "$$d/answer" 2>&1
echo "exit $$?" >> "$$d/answer"
env -i "$0/shadowctl" --address "unix:$$d/shadowd.sock" --timeout 5s status > "$$d/bare" 2>&1
echo "exit $$?" >> "$$d/bare")",
                                     SHADOW_BIN_DIR);
  ShadowWorld world(options);
  for (const char* name : {"/answer", "/bare"}) {
    std::ifstream file(world.daemon().directory() + name);
    std::stringstream answer;
    answer << file.rdbuf();
    INFO(answer.str());
    CHECK(answer.str().find("exit 6") != std::string::npos);
    CHECK(answer.str().find("UNAVAILABLE") != std::string::npos);
  }
  CHECK(world.daemon().Log().find("it is of an instance, and no grant names its user or group") !=
        std::string::npos);
}

}  // namespace
}  // namespace shadow
