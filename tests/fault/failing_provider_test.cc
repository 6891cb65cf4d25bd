// Each system call of the process provider fails in its turn, once, and every n-th of them: a
// look is complete or an error, what is said to be done is done, and nothing is left over.
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <set>

#include "server/providers/http_prober.h"
#include "server/providers/logs/kept_logs.h"
#include "tests/fakes/loopback_socket.h"
#include "tests/fault/failing_calls/failing_here.h"
#include "tests/fault/tally.h"
#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

constexpr RefusedCall kProviderCalls[] = {
    {"open, no descriptor", Faults::kOpen, EMFILE},
    {"open, no memory", Faults::kOpen, ENOMEM},
    {"read", Faults::kRead, EIO},
    {"short reads", Faults::kRead, Faults::kShort},
    {"write", Faults::kWrite, ENOSPC},
    {"short writes", Faults::kWrite, Faults::kShort},
    {"readdir", Faults::kList, EIO},
    {"stat", Faults::kStat, EIO},
    {"unlink", Faults::kUnlink, EIO},
    {"rename", Faults::kRename, ENOSPC},
    {"fsync", Faults::kSync, EIO},
    {"pipe", Faults::kPipe, EMFILE},
    {"socket", Faults::kSocket, EMFILE},
    {"pidfd", Faults::kPidfd, EMFILE},
    {"poll", Faults::kPoll, ENOMEM},
    {"inotify", Faults::kWatch, EMFILE},
    {"fork", Faults::kFork, EAGAIN},
};

size_t OwnChildren() {
  const auto table = ReadProcessTable();
  REQUIRE(table.ok());
  return static_cast<size_t>(
      std::count_if(table->begin(), table->end(),
                    [](const ProcessStat& process) { return process.parent == getpid(); }));
}

CompiledDna VerifiedDna() {
  CompiledDna dna = TestDna();
  v1::Software& software = *dna.dna.add_software();
  software.set_name("echo");
  software.set_version("1.25");
  software.add_verify_argv("/bin/echo");
  software.add_verify_argv("echo 1.25");
  return dna;
}

// Of one kind of call. One instance lives through all of it, another one lives and ends each time.
class ProviderRow {
 public:
  explicit ProviderRow(const RefusedCall& refused)
      : refused_(refused), tally_(std::string("provider, ") + refused.what, "calls") {
    REQUIRE(Create(provider(), bystander_).ok());
    REQUIRE(Becomes(provider(), bystander_, Life::kRunning));
    bystander_pid_ = PidOf(Look(provider(), bystander_));
    children_ = OwnChildren();
    descriptors_ = OpenDescriptors();
    files_ = FilesOfInstances();
  }

  void Run() {
    for (int64_t n = 1; Live(n, 1); n += 1 + n / 2) {
    }
    for (int64_t n = 1; Live(n, 0); n *= 3) {
    }
  }

 private:
  static constexpr int kTries = 3;

  Provider& provider() { return world_.provider(); }

  // But for the logs that are kept of ended ones.
  size_t FilesOfInstances() {
    size_t files = 0;
    size_t kept = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(world_.directory() / "instances")) {
      ++(entry.path().extension() == ".ended" ? kept : files);
    }
    CHECK(kept <= KeptLogs::kOfAll);
    return files;
  }

  // False: there is no such call any more.
  bool Live(int64_t every, int64_t refusals_max) {
    INFO(refused_.what << ", number " << every << (refusals_max == 0 ? " and so on" : ""));
    const InstanceSpec instance = TestInstance("a" + std::to_string(++lives_), VerifiedDna());
    int64_t refused = 0;
    {
      FailingHere failing(refused_, every, refusals_max);
      OpenAnother();
      Do(failing, "create", [&] { return Create(provider(), instance); });
      pid_ = failing.Truth([&] { return PidOf(shadow::Look(provider(), instance)); });
      Expect(failing, instance, {Life::kRunning});
      VerifyIt(failing, instance);
      Do(failing, "suspend", [&] { return Suspend(provider(), instance); });
      CHECK(failing.Truth([&] { return StateOf(pid_); }) == 'T');
      Expect(failing, instance, {Life::kSuspended});
      Do(failing, "resume", [&] { return Resume(provider(), instance); });
      CHECK(failing.Truth([&] { return StateOf(pid_); }) != 'T');
      Expect(failing, instance, {Life::kRunning});
      if (lives_ % 2 == 0) {  // By itself.
        kill(pid_, SIGKILL);
        Expect(failing, instance, {Life::kRunning, Life::kExited});
      }
      Remove(failing, instance);
      refused = FailingHere::refused();
    }
    tally_.Try(refused);
    CountLeaks();
    return refused > 0;
  }

  // As at a start; it takes the same instances over.
  void OpenAnother() {
    auto opened = ProcessProvider::Open(world_.options());
    if (opened.ok()) (*opened)->Listen([](std::string_view) {});
  }

  // The verb is asked for again, as the loop does. Without an end, the calls fail no more then.
  template <typename F>
  void Do(FailingHere& failing, const char* what, F verb) {
    INFO(what);
    absl::Status status = verb();
    for (int tries = 1; !status.ok() && tries < kTries; ++tries) {
      INFO(status);
      // It is not gone, and nothing is wrong with what it was asked for.
      CHECK(!absl::IsNotFound(status));
      CHECK(!absl::IsFailedPrecondition(status));
      CHECK(!absl::IsInvalidArgument(status));
      status = verb();
    }
    if (status.ok()) return;
    failing.End();
    REQUIRE(PollUntil(kPatience, [&] { return verb().ok(); }));
  }

  // What looks say that are no errors. `lives`: of the instance, which may be in more than one.
  void Expect(FailingHere& failing, const InstanceSpec& instance, const std::set<Life>& lives) {
    const auto seen = provider().Inspect(instance);
    if (seen.ok() && !lives.contains(seen->life)) tally_.Lose(1);
    const auto other = provider().Inspect(bystander_);
    if (other.ok() && other->life != Life::kRunning) tally_.Lose(1);
    const auto all = provider().List();
    if (all.ok()) {
      int found = 0;
      for (const Observation& one : *all) {
        if (one.id == instance.id && lives.contains(one.life)) ++found;
        if (one.id == bystander_.id && one.life == Life::kRunning) ++found;
      }
      if (found != 2 || all->size() != 2) tally_.Lose(1);
    }
    if (failing.Truth([&] { return StateOf(bystander_pid_); }) == 'X') tally_.Lose(1);
  }

  void VerifyIt(FailingHere& failing, const InstanceSpec& instance) {
    std::optional<Provider::Differences> found;
    const auto verified = [&] {
      auto now = provider().Verify(instance, Provider::Part::kEverything);
      INFO(now.status());
      CHECK(!absl::IsNotFound(now.status()));
      if (now.ok() && now->has_value()) found = **std::move(now);
      return !now.ok() || found.has_value();
    };
    for (int tries = 0; tries < kTries && !found.has_value(); ++tries) {
      REQUIRE(PollUntil(kPatience, verified));
    }
    if (!found.has_value()) {
      failing.End();
      REQUIRE(PollUntil(kPatience, [&] { return verified() && found.has_value(); }));
    }
    if (!found->empty()) tally_.Fail(1);  // It is as it should be.
  }

  void Remove(FailingHere& failing, const InstanceSpec& instance) {
    int tries = 0;
    REQUIRE(PollUntil(kPatience, [&] {
      if (++tries > 10 * kTries) failing.End();
      (void)Destroy(provider(), instance);
      const auto seen = provider().Inspect(instance);
      return seen.ok() && seen->life == Life::kAbsent;
    }));
    if (!failing.Truth([&] { return IsGone(pid_); })) tally_.Leak(1);
  }

  void CountLeaks() {
    const auto settled = [&] {
      return OwnChildren() == children_ && OpenDescriptors() == descriptors_;
    };
    if (!PollUntil(kPatience, settled)) tally_.Leak(1);
    if (FilesOfInstances() != files_) tally_.Leak(1);
  }

  const RefusedCall& refused_;
  Tally tally_;
  ProcessWorld world_;
  const InstanceSpec bystander_ = TestInstance("b1");
  pid_t bystander_pid_ = 0;
  pid_t pid_ = 0;
  int lives_ = 0;
  size_t children_ = 0;
  size_t descriptors_ = 0;
  size_t files_ = 0;
};

TEST_CASE("each system call of the provider that fails is an error, and never a fact") {
  for (const RefusedCall& refused : kProviderCalls) ProviderRow(refused).Run();
}

TEST_CASE("a probe that has no socket, or cannot wait, says nothing of the instance") {
  const TestSocket listener = ListenOnLoopback(0);
  const std::string address = "127.0.0.1:" + std::to_string(LocalPort(listener));
  const SystemClock clock;
  HttpProber prober(clock);
  const CompiledDna dna = TestDna();
  REQUIRE(prober.Check(dna, address, {}).ok());
  for (const RefusedCall& refused : {RefusedCall{"socket", Faults::kSocket, EMFILE},
                                     RefusedCall{"poll", Faults::kPoll, ENOMEM}}) {
    INFO(refused.what);
    const FailingHere failing(refused, 1, 0);
    CHECK(absl::IsResourceExhausted(prober.Check(dna, address, {})));
    CHECK(FailingHere::refused() > 0);
  }
}

}  // namespace
}  // namespace shadow
