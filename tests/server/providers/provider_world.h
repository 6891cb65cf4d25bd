// What a provider needs to be tested: a place, and an end of everything in it.
#pragma once

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "server/core/clock.h"
#include "server/providers/process_provider.h"
#include "server/providers/process_record.h"
#include "server/providers/process_table.h"
#include "tests/fakes/fake_provider.h"
#include "tests/fakes/loopback_socket.h"
#include "tests/fakes/poll.h"
#include "tests/fakes/test_dna.h"

namespace shadow {

// A directory that others can enter, removed with its owner.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = std::filesystem::temp_directory_path() / "shadowd-test-XXXXXX";
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
    std::filesystem::permissions(path_, std::filesystem::perms(0755));
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::trunc) << text;
}

inline std::string ReadText(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// `dna`, with fields that a host enforces.
inline CompiledDna WithLimits(CompiledDna dna) {
  dna.dna.mutable_security()->set_no_new_privileges(true);
  dna.dna.mutable_resources()->set_open_files_max(64);
  return dna;
}

// The process provider on a store of its own. At its end nothing of that store is left.
class ProcessWorld {
 public:
  static constexpr bool kTells = true;
  static constexpr char kEndReason[] = "killed by SIGKILL";  // Of what End ended.

  ProcessWorld() { Reopen(); }
  ~ProcessWorld() {
    if (!provider_) Reopen();
    const auto all = provider_->List();
    if (!all.ok()) return;
    for (const Observation& seen : *all) {
      const InstanceSpec instance{.id = seen.id, .name = "", .pool = "", .shadow = "", .dna = {}};
      PollUntil(kPatience, [&] {
        (void)Kill(*provider_, instance);
        const auto now = provider_->Inspect(instance);
        return now.ok() && now->life == Life::kAbsent;
      });
    }
  }

  Provider& provider() { return *provider_; }

  // Ends its threads. A child that is forked without exec afterwards finds no lock held by a thread
  // that it does not have.
  void Close() { provider_.reset(); }

  // As after a restart of the daemon: another object, which knows what is on disk and in /proc.
  Provider& Reopen() {
    auto opened = ProcessProvider::Open(options());
    REQUIRE(opened.ok());
    provider_ = *std::move(opened);
    return *provider_;
  }

  ProcessProvider::Options options() {
    return {.state_dir = directory_.path(),
            .store_id = store_id_,
            .epoch = Epoch(),
            .log_max_bytes = log_max_bytes,
            .open_files_soft = open_files_soft,
            .clock = clock_};
  }

  static CompiledDna Dna() { return TestDna({"/bin/sleep", "1000"}); }
  static CompiledDna LimitedDna() { return WithLimits(Dna()); }

  // Does not end when it is asked to, once AwaitStubborn has returned.
  static CompiledDna StubbornDna() {
    return TestDna({"/bin/bash", "-c", "trap '' TERM; echo deaf; sleep 1000"});
  }
  void AwaitStubborn(const InstanceSpec& instance) const {
    REQUIRE(PollUntil(kPatience, [&] {
      std::error_code none;
      const auto bytes = std::filesystem::file_size(LogPath(instance.id), none);
      return !none && bytes > 0;
    }));
  }

  // Of which the provider has room for one instance.
  static CompiledDna ScarceDna() {
    CompiledDna dna = Dna();
    const int port = FreeLoopbackPort();
    dna.dna.mutable_network()->set_port_min(port);
    dna.dna.mutable_network()->set_port_max(port);
    return dna;
  }

  // As if the instance, which runs, had ended by itself.
  void End(const InstanceSpec& instance);

  const TemporaryDirectory& directory() const { return directory_; }
  const std::string& store_id() const { return store_id_; }
  std::string Epoch() const { return store_id_ + "/" + std::to_string(epoch); }
  std::string LogPath(const std::string& id) const {
    return directory_ / ("instances/" + id + ".log");
  }
  std::string RecordPath(const std::string& id) const {
    return directory_ / ("instances/" + id + ".pid");
  }

  int epoch = 1;  // Of the store; counts from the next Reopen on.
  int64_t log_max_bytes = 1 << 20;
  uint64_t open_files_soft = 0;

 private:
  TemporaryDirectory directory_;
  std::string store_id_ = "store-of-" + directory_.path();
  SystemClock clock_;
  std::unique_ptr<ProcessProvider> provider_;
};

class FakeWorld {
 public:
  static constexpr bool kTells = true;
  static constexpr char kEndReason[] = "killed 9";

  FakeWorld() {
    Reopen();
    provider_.Set([](FakeProvider::Knobs& knobs) {
      knobs.supports = [](const CompiledDna& dna) {
        if (dna.dna.operating_system().image().empty()) return absl::OkStatus();
        return FieldError("dna.operating_system.image", "the fake has no images",
                          absl::StatusCode::kFailedPrecondition);
      };
    });
  }

  Provider& provider() { return provider_; }
  Provider& Reopen() {
    provider_.Set([this](FakeProvider::Knobs& knobs) { knobs.epoch = Epoch(); });
    return provider_;
  }
  std::string Epoch() const { return "store/" + std::to_string(epoch); }
  static CompiledDna Dna() { return TestDna(); }
  static CompiledDna LimitedDna() { return WithLimits(Dna()); }
  CompiledDna StubbornDna() {
    provider_.Set([](FakeProvider::Knobs& knobs) { knobs.stop_inspections = -1; });
    return Dna();
  }
  void AwaitStubborn(const InstanceSpec& /*instance*/) const {}
  CompiledDna ScarceDna() {
    provider_.Set([](FakeProvider::Knobs& knobs) { knobs.max_instances = 1; });
    return Dna();
  }
  void End(const InstanceSpec& instance) { provider_.Exit(instance.id, kEndReason); }

  int epoch = 1;

 private:
  FakeProvider provider_;
};

// The ids that were hinted at. Thread-safe.
class Heard {
 public:
  std::function<void(std::string_view id)> Listener() {
    return [this](std::string_view id) {
      const std::lock_guard lock(mutex_);
      ids_.emplace(id);
    };
  }
  std::set<std::string> ids() {
    const std::lock_guard lock(mutex_);
    return ids_;
  }

 private:
  std::mutex mutex_;
  std::set<std::string> ids_;
};

inline CompiledDna Shell(const std::string& script) { return TestDna({"/bin/bash", "-c", script}); }

inline ProcessRecord RecordOf(const ProcessWorld& world, const std::string& id) {
  const auto records = RecordDirectory::Open(world.directory().path());
  REQUIRE(records.ok());
  const auto record = records->Read(id);
  REQUIRE(record.ok());
  return *record;
}

// One look; an error fails the test.
inline Observation Look(Provider& provider, const InstanceSpec& instance) {
  const auto seen = provider.Inspect(instance);
  REQUIRE(seen.ok());
  return *seen;
}

inline bool Becomes(Provider& provider, const InstanceSpec& instance, Life life) {
  return PollUntil(kPatience, [&] {
    const auto seen = provider.Inspect(instance);
    return seen.ok() && seen->life == life;
  });
}

// Unset: it was not found out.
inline std::optional<Provider::Differences> Verified(Provider& provider,
                                                     const InstanceSpec& instance) {
  std::optional<Provider::Differences> differences;
  PollUntil(kPatience, [&] {
    auto now = provider.Verify(instance, Provider::Part::kEverything);
    if (now.ok()) differences = *std::move(now);
    return differences.has_value();
  });
  return differences;
}

// "pid 4711" -> 4711
inline pid_t PidOf(const Observation& seen) { return std::atoi(seen.handle.c_str() + 4); }

inline void ProcessWorld::End(const InstanceSpec& instance) {
  REQUIRE(kill(PidOf(Look(*provider_, instance)), SIGKILL) == 0);
}

// R, S, T, ... of a process; 'X' if there is none.
inline char StateOf(pid_t pid) {
  const auto stat = ReadProcessStat(pid);
  return stat.ok() ? stat->state : 'X';
}

// Neither running nor a zombie of ours.
inline bool IsGone(pid_t pid) {
  const auto stat = ReadProcessStat(pid);
  return !stat.ok() || (stat->IsDead() && stat->parent != getpid());
}

}  // namespace shadow
