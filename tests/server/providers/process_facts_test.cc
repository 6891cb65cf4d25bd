// Data set digests, and what is found out of a running instance.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>

#include "server/providers/facts/data_set_digest.h"
#include "server/providers/facts/verify.h"
#include "server/providers/guard/guarded_run.h"
#include "server/providers/process_plan.h"
#include "server/providers/process_spawn.h"
#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

Facts FactsOf(const ProcessWorld& world, const InstanceSpec& instance) {
  SystemClock clock;
  const auto facts =
      CollectFacts(*instance.dna, RecordOf(world, instance.id), world.store_id(), clock, {});
  REQUIRE(facts.ok());
  return *facts;
}

// The first word that a shell command prints.
std::string OutputOf(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 256> text{};
  const bool got = fgets(text.data(), text.size(), pipe) != nullptr;
  pclose(pipe);
  REQUIRE(got);
  const std::string line = text.data();
  return line.substr(0, line.find_first_of(" \n"));
}

TEST_CASE("the digest of a file is that of its bytes") {
  const TemporaryDirectory directory;
  WriteFile(directory / "file", "abc");
  // FIPS 180-2, appendix B.1.
  CHECK(DataSetDigest(directory / "file", {}).value() ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("the digest of a directory is that of what sha256sum prints of its files") {
  const TemporaryDirectory directory;
  std::filesystem::create_directories(directory / "b/deep");
  WriteFile(directory / "b/deep/x", "one");
  WriteFile(directory / "b.txt", "two");  // "b.txt" < "b/deep/x", as '.' < '/'.
  WriteFile(directory / "a b", std::string(1 << 20, 'z'));
  WriteFile(directory / "\xC3\xA4", "");
  REQUIRE(symlink("a b", (directory / "link").c_str()) == 0);
  const std::string expected = OutputOf(
      "cd '" + directory.path() + "' && find . -type f -printf '%P\\0' | LC_ALL=C sort -z | " +
      "xargs -0 sha256sum | sha256sum");
  CHECK(DataSetDigest(directory.path(), {}).value() == expected);
  CHECK(DataSetDigest(directory.path() + "/", {}).value() == expected);
  WriteFile(directory / "b/deep/x", "One");
  CHECK(DataSetDigest(directory.path(), {}).value() != expected);
}

TEST_CASE("a data set that cannot be read is an error, and a stop is heard") {
  const TemporaryDirectory directory;
  CHECK(absl::IsNotFound(DataSetDigest(directory / "missing", {}).status()));
  CHECK(absl::IsInvalidArgument(DataSetDigest("/dev/null", {}).status()));
  WriteFile(directory / "file", "abc");
  std::stop_source stop;
  stop.request_stop();
  CHECK(absl::IsCancelled(DataSetDigest(directory / "file", stop.get_token()).status()));
}

TEST_CASE("an instance whose data set or software is another differs by name") {
  ProcessWorld world;
  const std::string path = world.directory() / "catalog";
  WriteFile(path, "abc");
  CompiledDna dna = TestDna();
  v1::DataSet& set = *dna.dna.add_data_sets();
  set.set_name("catalog");
  set.set_source(path);
  set.set_sha256("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  v1::Software& good = *dna.dna.add_software();
  good.set_name("good");
  good.set_version("1.2.3");
  for (const char* word : {"/bin/sh", "-c", "echo \"good version 1.2.3\" >&2"}) {
    good.add_verify_argv(word);
  }
  v1::Software& missing = *dna.dna.add_software();
  missing.set_name("missing");
  missing.set_version("3.1");
  missing.add_verify_argv("/nowhere/missing-3.1/run");
  const InstanceSpec instance = TestInstance("a1", dna);
  REQUIRE(Create(world.provider(), instance).ok());

  auto facts = FactsOf(world, instance);
  CHECK(Differences(dna, facts) ==
        std::vector<std::string>{"dna.software[missing].version: wanted 3.1, found (its verify "
                                 "command cannot be executed)"});
  CHECK(facts.data_sets.at("catalog").writable == (geteuid() == facts.uid));

  WriteFile(path, "abd");
  facts = FactsOf(world, instance);
  const auto differences = Differences(dna, facts);
  REQUIRE(differences.size() == 2);
  CHECK(differences[1].starts_with("dna.data_sets[catalog].sha256: wanted ba7816bf"));

  REQUIRE(std::filesystem::remove(path));
  facts = FactsOf(world, instance);
  CHECK(facts.data_sets.at("catalog").error ==
        "cannot read " + path + ": No such file or directory");
}

TEST_CASE("an instance whose secret's file has changed since differs, and shows neither content") {
  ProcessWorld world;
  const std::string path = world.directory() / "token";
  WriteFile(path, "first-token\n");
  CompiledDna dna = TestDna();
  v1::Secret& secret = *dna.dna.mutable_security()->add_secrets();
  secret.set_environment_variable("TOKEN");
  secret.set_source_file(path);
  const InstanceSpec instance = TestInstance("a1", dna);
  REQUIRE(Create(world.provider(), instance).ok());
  CHECK(Differences(dna, FactsOf(world, instance)).empty());
  WriteFile(path, "first-token\n");  // Only its time is another.
  CHECK(Differences(dna, FactsOf(world, instance)).empty());
  WriteFile(path, "second-token\n");
  CHECK(Differences(dna, FactsOf(world, instance)) ==
        std::vector<std::string>{"dna.security.secrets[TOKEN]: wanted what its source_file holds, "
                                 "found an older content"});
  REQUIRE(std::filesystem::remove(path));  // Nobody knows.
  CHECK(Differences(dna, FactsOf(world, instance)).empty());
}

TEST_CASE("the operating system and the limits are those of the host and the process") {
  ProcessWorld world;
  CompiledDna dna = TestDna();
  dna.dna.mutable_resources()->set_memory_max_bytes(1 << 30);
  const InstanceSpec instance = TestInstance("a1", dna);
  REQUIRE(Create(world.provider(), instance).ok());
  const auto facts = FactsOf(world, instance);
  CHECK(facts.os_id == OutputOf(". /etc/os-release; echo $ID"));
  CHECK(facts.limits.at("memory_max_bytes") == 1 << 30);
  CHECK(facts.uid == geteuid());
  CHECK(facts.wanted_uid == geteuid());
  CHECK(facts.capabilities.empty());
  CHECK_FALSE(facts.no_new_privileges);
}

TEST_CASE("established connections of any process of an instance are facts") {
  const bool six = GENERATE(false, true);
  const int listener = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 address6{};
  address6.sin6_family = AF_INET6;
  address6.sin6_addr = in6addr_loopback;
  sockaddr_in address4{};
  address4.sin_family = AF_INET;
  address4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const address =
      six ? reinterpret_cast<sockaddr*>(&address6) : reinterpret_cast<sockaddr*>(&address4);
  socklen_t length = six ? sizeof(address6) : sizeof(address4);
  if (six && bind(listener, address, length) != 0) {  // A host without IPv6.
    close(listener);
    return;
  }
  if (!six) REQUIRE(bind(listener, address, length) == 0);
  REQUIRE(listen(listener, 8) == 0);
  REQUIRE(getsockname(listener, address, &length) == 0);
  const int port = ntohs(six ? address6.sin6_port : address4.sin_port);
  const std::string host = six ? "::1" : "127.0.0.1";

  ProcessWorld world;
  // bash connects in a child of the leader.
  CompiledDna dna =
      TestDna({"/bin/bash", "-c",
               "(exec 9<>/dev/tcp/" + host + "/" + std::to_string(port) + "; sleep 1000) & wait"});
  v1::Connection& connection = *dna.dna.mutable_network()->add_connections();
  connection.set_host(host);
  connection.set_port(port);
  const InstanceSpec instance = TestInstance("a1", dna);
  REQUIRE(Create(world.provider(), instance).ok());
  CHECK(PollUntil(kPatience, [&] {
    const auto facts = FactsOf(world, instance);
    return Differences(dna, facts).empty();
  }));

  CompiledDna spelled = dna;
  spelled.dna.mutable_network()->mutable_connections(0)->set_host(six ? "0:0:0:0:0:0:0:1"
                                                                      : "::ffff:127.0.0.1");
  const auto same = FactsOf(world, TestInstance("a1", spelled));
  CHECK(Differences(spelled, same) == std::vector<std::string>{});

  CompiledDna other = dna;
  other.dna.mutable_network()->mutable_connections(0)->set_port(1);
  const auto facts = FactsOf(world, TestInstance("a1", other));
  CHECK(Differences(other, facts) ==
        std::vector<std::string>{"dna.network.connections: wanted an established connection to " +
                                 RemoteEnd(host, 1) + ", found " + RemoteEnd(host, port)});
  const auto missing = [&](const CompiledDna& wanted) {
    return world.provider().Verify(TestInstance("a1", wanted), Provider::Part::kConnections);
  };
  CHECK(missing(dna)->value().empty());
  CHECK(missing(other)->value().size() == 1);
  close(listener);
}

SpawnSpec Plan(const std::string& script) {
  SpawnSpec plan;
  plan.argv = {"/bin/sh", "-c", script};
  plan.environment = {"PATH=/usr/bin:/bin"};
  plan.credentials = ResolveCredentials(v1::Security()).value();
  return plan;
}

TEST_CASE("a verify command is bounded in output and time, and so are its children") {
  SystemClock clock;
  const auto big = RunToEnd(Plan("yes 0123456789 | head -c 1000000"), clock, kPatience, 4096, {});
  REQUIRE(big.ok());
  CHECK(big->size() == 4096);
  CHECK(big->starts_with("0123456789\n0123"));

  // One that leaves a child behind which holds its output open does not wait for it.
  const auto child = RunToEnd(Plan("sleep 1000 & echo $!"), clock, kPatience, 4096, {});
  REQUIRE(child.ok());
  const pid_t pid = std::atoi(child->c_str());
  REQUIRE(pid > 0);
  CHECK(PollUntil(kPatience, [&] { return IsGone(pid); }));

  const auto late = RunToEnd(Plan("sleep 1000"), clock, absl::Milliseconds(50), 4096, {});
  CHECK(absl::IsDeadlineExceeded(late.status()));
  std::stop_source stop;
  stop.request_stop();
  CHECK(absl::IsCancelled(
      RunToEnd(Plan("sleep 1000"), clock, kPatience, 4096, stop.get_token()).status()));
}

TEST_CASE("a verify command sees no secret and is no process of the instance") {
  v1::Dna dna = TestDna().dna;
  const TemporaryDirectory directory;
  WriteFile(directory / "token", "hidden");
  v1::Secret& secret = *dna.mutable_security()->add_secrets();
  secret.set_environment_variable("TOKEN");
  secret.set_source_file(directory / "token");
  v1::Software software;
  software.add_verify_argv("/usr/bin/env");
  const auto plan = PlanVerification(dna, software, 20000);
  REQUIRE(plan.ok());
  SystemClock clock;
  const auto output = RunToEnd(*plan, clock, kPatience, 4096, {});
  REQUIRE(output.ok());
  CHECK(output->find("PORT=20000\n") != std::string::npos);
  CHECK(output->find("TOKEN") == std::string::npos);
  CHECK(output->find("SHADOWD_") == std::string::npos);
}

TEST_CASE("a verification that nobody waited for says nothing once the instance was suspended") {
  ProcessWorld world;
  const std::string path = world.directory() / "catalog";
  WriteFile(path, "abc");
  CompiledDna dna = TestDna();
  v1::DataSet& set = *dna.dna.add_data_sets();
  set.set_name("catalog");
  set.set_source(path);
  set.set_sha256("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const InstanceSpec left = TestInstance("a1", dna);
  const InstanceSpec other = TestInstance("b1", dna);
  REQUIRE(Create(world.provider(), left).ok());
  REQUIRE(Create(world.provider(), other).ok());
  const auto asked = world.provider().Verify(left, Provider::Part::kEverything);
  REQUIRE(asked.ok());
  CHECK_FALSE(asked->has_value());
  // Its facts are collected before these, which come after it twice.
  for (int i = 0; i < 2; ++i) CHECK(Verified(world.provider(), other) == Provider::Differences{});
  REQUIRE(Suspend(world.provider(), left).ok());
  WriteFile(path, "abd");
  REQUIRE(Resume(world.provider(), left).ok());
  const auto differences = Verified(world.provider(), left);
  REQUIRE(differences.has_value());
  REQUIRE(differences->size() == 1);
  CHECK(differences->front().starts_with("dna.data_sets[catalog].sha256: wanted ba7816bf"));
}

TEST_CASE("a provider that goes away does not wait for a verify command") {
  ProcessWorld world;
  CompiledDna dna = TestDna();
  v1::Software& software = *dna.dna.add_software();
  software.set_name("slow");
  software.set_version("1");
  for (const char* word : {"/bin/sleep", "9"}) software.add_verify_argv(word);
  const InstanceSpec instance = TestInstance("a1", dna);
  REQUIRE(Create(world.provider(), instance).ok());
  const auto differences = world.provider().Verify(instance, Provider::Part::kEverything);
  REQUIRE(differences.ok());
  CHECK_FALSE(differences->has_value());
  SystemClock clock;
  const absl::Duration begin = clock.Now().mono;
  world.Reopen();
  CHECK(clock.Now().mono - begin < absl::Seconds(5));
}

}  // namespace
}  // namespace shadow
