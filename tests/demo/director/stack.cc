#include "tests/demo/director/stack.h"

#include <poll.h>
#include <sys/stat.h>

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/substitute.h"
#include "tests/demo/curve.h"

namespace shadow::demo {
namespace {

constexpr absl::Duration kWaitInterval = absl::Milliseconds(50);
constexpr absl::Duration kStartTimeout = absl::Seconds(15);
constexpr absl::Duration kBaseTimeout = absl::Seconds(30);
constexpr absl::Duration kControlTimeout = absl::Seconds(20);
constexpr absl::Duration kDeleteTimeout = absl::Seconds(20);
constexpr absl::Duration kEndTimeout = absl::Seconds(10);
// Debian's place for it, which is not in every user's PATH.
constexpr char kHaproxyProgram[] = "/usr/sbin/haproxy";
constexpr size_t kLogTailBytes = 1500;

constexpr char kStopScript[] = R"script(#!/bin/sh
# Ends the demonstration that was left up, and removes its directory and the link to it.
ctl="$0 --address $1"
kill $5 2> /dev/null
for shadow in $$($$ctl -o json shadow list web | grep -o 'pools/web/shadowPools/[a-z0-9]*"'); do
  $$ctl shadow delete "$${shadow%?}" --wait
done
$$ctl pool delete web --wait
kill $2 $3
for process in $2 $3; do
  while kill -0 $$process 2> /dev/null; do sleep 0.1; done
done
if [ -n "$6" ] && [ "$$(readlink "$6")" = "$4" ]; then rm "$6"; fi
rm -rf "$4"
)script";

constexpr char kEnvironment[] = R"(# What a shell needs to try the demonstration.
export SHADOWD_ADDRESS=$0
export DEMO_URL=http://127.0.0.1:$1/
export PATH="$2:$$PATH"
)";

void Pause(absl::Duration time) {
  poll(nullptr, 0, static_cast<int>(absl::ToInt64Milliseconds(time)));
}

}  // namespace

Stack::Stack(Setup setup, std::string bin_directory, const Clock& clock, Interrupt& interrupt)
    : setup_(std::move(setup)),
      bin_directory_(bin_directory),
      shadowd_(bin_directory + "/shadowd"),
      shadowctl_(bin_directory + "/shadowctl"),
      clock_(clock),
      interrupt_(interrupt),
      api_(std::make_unique<Api>(setup_.Address())) {}

Stack::~Stack() {
  if (kept_) return;
  load_.reset();
  daemon_.reset();
  haproxy_.reset();
  KillProcessesWithEnvironment(setup_.WorkerTag(), kEndTimeout, clock_);
}

absl::Status Stack::WriteFiles() {
  std::error_code error;
  std::filesystem::create_directories(setup_.directory + "/state", error);
  if (error) return absl::UnavailableError(absl::StrCat(setup_.directory, ": ", error.message()));
  const std::pair<std::string, absl::StatusOr<std::string>> files[] = {
      {setup_.HaproxyFile(), HaproxyConfig(setup_)},
      {setup_.DaemonFile(), DaemonConfig()},
      {setup_.PageFile(), PageText(setup_)},
      {setup_.WebFile(), WebYaml(setup_, false)}};
  for (const auto& [path, text] : files) {
    if (!text.ok()) return text.status();
    if (absl::Status status = WriteText(path, *text); !status.ok()) return status;
  }
  return absl::OkStatus();
}

template <typename Condition>
absl::Status Stack::WaitFor(const char* what, absl::Duration timeout, bool interruptible,
                            Condition&& done) {
  const absl::Duration deadline = clock_.Now().mono + timeout;
  for (;;) {
    const absl::Status status = done();
    if (status.ok() || !absl::IsUnavailable(status)) return status;
    if (clock_.Now().mono >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat(what, " took more than ", absl::FormatDuration(timeout), ": ",
                       std::string(status.message()), "\n",
                       FileTail(setup_.directory + "/shadowd.log", kLogTailBytes)));
    }
    if (!interruptible) {
      Pause(kWaitInterval);
    } else if (interrupt_.Wait(kWaitInterval)) {
      return absl::CancelledError("interrupted");
    }
  }
}

absl::Status Stack::Control(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {shadowctl_, "--address", setup_.Address()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return RunToEnd(argv, setup_.directory + "/shadowctl.log", kControlTimeout, clock_, interrupt_)
      .status();
}

absl::Status Stack::Start() {
  if (absl::Status status = WriteFiles(); !status.ok()) return status;
  auto haproxy = Program::Start({kHaproxyProgram, "-db", "-f", setup_.HaproxyFile()},
                                setup_.directory + "/haproxy.log");
  if (!haproxy.ok()) return haproxy.status();
  haproxy_ = *std::move(haproxy);
  auto daemon = Program::Start({shadowd_, "--config", setup_.DaemonFile(), "--state-dir",
                                setup_.directory + "/state", "--listen", setup_.Address()},
                               setup_.directory + "/shadowd.log");
  if (!daemon.ok()) return daemon.status();
  daemon_ = *std::move(daemon);

  absl::Status status = WaitFor("starting HAProxy and shadowd", kStartTimeout, true, [&] {
    if (const std::string ended = Diagnosis(); !ended.empty()) return absl::InternalError(ended);
    if (!std::filesystem::exists(setup_.AdminSocket()) ||
        !std::filesystem::exists(setup_.DaemonSocket())) {
      return absl::UnavailableError("their sockets are not there");
    }
    return api_->ServerStatus().status();
  });
  if (!status.ok()) return status;
  if (status = Control({"apply", "-f", setup_.WebFile()}); !status.ok()) return status;
  return WaitFor("starting the base instances", kBaseTimeout, true, [&] {
    const auto pool = api_->GetPool();
    if (!pool.ok()) return pool.status();
    if (pool->serving_base_instances() >= kBaseInstances) return absl::OkStatus();
    return absl::UnavailableError(
        absl::StrCat(pool->serving_base_instances(), " of ", kBaseInstances, " serve"));
  });
}

absl::Status Stack::ImportHistory(const std::vector<double>& history, absl::Time last_step,
                                  absl::Duration step) {
  const absl::StatusOr<std::string> web = WebYaml(setup_, true);
  if (!web.ok()) return web.status();
  absl::Status status = WriteHistory(setup_.HistoryFile(), history, last_step, step);
  if (status.ok()) status = WriteText(setup_.WebFile(), *web);
  if (status.ok()) status = Control({"usage", "push", "web", "--csv", setup_.HistoryFile()});
  if (status.ok()) status = Control({"apply", "-f", setup_.WebFile()});
  return status;
}

absl::Status Stack::DeletePool() {
  // A pool with serving shadows is not deleted, so they go first; the loop may make another.
  return WaitFor("deleting the pool", kDeleteTimeout, false, [&] {
    const auto shadows = api_->ListShadowPools();
    if (absl::IsNotFound(shadows.status())) return absl::OkStatus();
    if (!shadows.ok()) return shadows.status();
    for (const v1::ShadowPool& shadow : *shadows) {
      if (shadow.state() == v1::ShadowPool::DELETING) continue;
      absl::Status status = api_->DeleteShadowPool(shadow.name());
      if (!status.ok() && !absl::IsNotFound(status)) return status;
    }
    if (!shadows->empty()) return absl::UnavailableError("the shadow pool is still there");
    const auto pool = api_->GetPool();
    if (absl::IsNotFound(pool.status())) return absl::OkStatus();
    if (!pool.ok()) return pool.status();
    if (pool->state() != v1::Pool::DELETING) {
      absl::Status status = api_->DeletePool();
      if (!status.ok() && !absl::IsNotFound(status) && !absl::IsFailedPrecondition(status)) {
        return status;
      }
    }
    return absl::UnavailableError("the pool is still there");
  });
}

absl::Status Stack::Stop() {
  absl::Status result;
  load_.reset();
  if (daemon_ != nullptr && daemon_->Running()) result.Update(DeletePool());
  if (daemon_ != nullptr) result.Update(daemon_->Stop(kEndTimeout, clock_));
  // HAProxy ends at once on SIGTERM; with -db that is its exit status 143 or its signal.
  if (haproxy_ != nullptr) haproxy_->Stop(kEndTimeout, clock_).IgnoreError();
  const size_t left = KillProcessesWithEnvironment(setup_.WorkerTag(), kEndTimeout, clock_);
  if (left > 0) {
    result.Update(absl::InternalError(absl::StrCat(left, " workers were left and were killed")));
  }
  return result;
}

std::string Stack::Diagnosis() {
  std::string text;
  if (haproxy_ != nullptr && !haproxy_->Running()) {
    absl::StrAppend(
        &text, "HAProxy ended: ", FileTail(setup_.directory + "/haproxy.log", kLogTailBytes), "\n");
  }
  if (daemon_ != nullptr && !daemon_->Running()) {
    absl::StrAppend(&text, "shadowd ended (", daemon_->Description(),
                    "): ", FileTail(setup_.directory + "/shadowd.log", kLogTailBytes), "\n");
  }
  return text;
}

absl::Status Stack::BeginLoad(const std::vector<double>& rates, absl::Duration step) {
  absl::StatusOr<std::string> web = WebYaml(setup_, true);
  if (!web.ok()) return web.status();
  if (absl::StrReplaceAll(
          {{"min_shadow_instances: 0", absl::StrCat("min_shadow_instances: ", kKeptInstances)}},
          &*web) == 0) {
    return absl::FailedPreconditionError("web.yaml has no \"min_shadow_instances: 0\"");
  }
  absl::Status status = WriteText(setup_.WebFile(), *web);
  if (status.ok()) status = WriteHistory(setup_.LoadFile(), rates, clock_.Now().wall, step);
  if (!status.ok()) return status;
  auto load =
      Program::Start({bin_directory_ + "/shadow-demo-load", "--port",
                      absl::StrCat(setup_.http_port), "--curve", setup_.LoadFile(), "--step",
                      absl::FormatDuration(step), "--report", setup_.directory + "/load.json"},
                     setup_.directory + "/load.log");
  if (!load.ok()) return load.status();
  load_ = *std::move(load);
  if (status = Control({"apply", "-f", setup_.WebFile()}); !status.ok()) return status;
  return WaitFor("creating the shadow pool", kBaseTimeout, true, [&] {
    const auto shadows = api_->ListShadowPools();
    if (!shadows.ok()) return shadows.status();
    for (const v1::ShadowPool& shadow : *shadows) {
      const int ready = shadow.suspended_instances() + shadow.serving_instances();
      if (shadow.state() != v1::ShadowPool::DELETING && ready >= kKeptInstances) {
        return absl::OkStatus();
      }
    }
    return absl::UnavailableError("the shadow pool is not complete");
  });
}

absl::Status Stack::Keep(const std::string& directory, const std::string& link) {
  const std::string script = directory + "/stop";
  absl::Status status =
      WriteText(script, absl::Substitute(kStopScript, shadowctl_, setup_.Address(), daemon_->pid(),
                                         haproxy_->pid(), directory, load_->pid(), link));
  status.Update(WriteText(directory + "/env", absl::Substitute(kEnvironment, setup_.Address(),
                                                               setup_.http_port, bin_directory_)));
  if (!status.ok()) return status;
  chmod(script.c_str(), 0700);
  daemon_->Release();
  haproxy_->Release();
  load_->Release();
  kept_ = true;
  return absl::OkStatus();
}

}  // namespace shadow::demo
