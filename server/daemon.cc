#include "server/daemon.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/api/activation/inherited_socket.h"
#include "server/api/api_server.h"
#include "server/control_thread.h"
#include "server/log/log.h"
#include "server/notify.h"
#include "server/providers/look/instance_callers.h"
#include "server/providers/process_record.h"
#include "server/providers/process_table.h"
#include "server/recovery.h"
#include "server/room_watch.h"
#include "server/web/web_server.h"
#include "server/workers/step_workers.h"
#include "spdlog/spdlog.h"
#include "storage/room/room.h"
#include "storage/state_lock.h"
#include "storage/store.h"

namespace shadow {
namespace {

constexpr absl::Duration kPruneInterval = absl::Minutes(5);
constexpr absl::Duration kHousekeepingInterval = absl::Milliseconds(100);
// More than any input takes, and any write on a busy disk. The store's own patience with errors is
// shorter: it ends the daemon by itself.
constexpr absl::Duration kStuckPatience = absl::Minutes(1);
// Of the end: together with the API's it is less than the unit's TimeoutStopSec.
constexpr absl::Duration kLockPatience = absl::Seconds(2);
constexpr absl::Duration kLockPause = absl::Milliseconds(50);
constexpr absl::Duration kEndPatience = absl::Seconds(10);

// Takes as many descriptors as the daemon may have, and returns how many it had. By default these
// are 1024, for programs that use select(2), which instances may be and shadowd is not.
rlim_t RaiseOpenFiles() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return 0;
  const rlim_t before = std::exchange(files.rlim_cur, files.rlim_max);
  setrlimit(RLIMIT_NOFILE, &files);
  return before;
}

Store::Options StoreOptions(const Config& config, Room& room, Clock& clock) {
  return {.sample_retention = config.sample_retention,
          .rollup_5m_retention = config.rollup_5m_retention,
          .rollup_1h_retention = config.rollup_1h_retention,
          .decision_retention = config.decision_retention,
          .event_retention = config.event_retention,
          .events_max = config.events_max,
          .boot_id = BootId(),
          .adopt_copy = config.adopt_copy,
          .room = &room,
          .now = [&clock] { return clock.Now().wall; },
          .on_definitions_error =
              [](const absl::Status& error) {
                spdlog::warn("definitions of pools and DNAs were not kept, and are tried again: {}",
                             std::string(error.message()));
              }};
}

// Why the daemon ends. Its members are told and read on several threads.
struct Ending {
  std::atomic<bool> told = false;  // By a signal.
  std::atomic<bool> failed = false;

  void OnStoreError(const absl::Status& error) {
    if (told && !absl::IsDataLoss(error)) return;  // EndControl says what is lost by that.
    Log(spdlog::level::critical, {.kind = MessageKind::kStoreFailed},
        absl::StrCat("the store failed, shadowd ends: ", error.ToString()));
    failed = true;
    kill(getpid(), SIGTERM);  // KeepHouse waits for it.
  }
};

// What KeepHouse looks after.
struct House {
  ControlThread& control;
  ApiServer& server;
  Store& store;
  Room& room;
  Clock& clock;
  const ConfigReader& read_config;
  const Config& config;  // Of the start.
  Ending& ending;
  ServiceNotifier& notifier;
};

void Reload(House& house) {
  const auto fresh = house.read_config();
  if (!fresh.ok()) {
    Log(spdlog::level::err, {.kind = MessageKind::kNotReloaded},
        absl::StrCat("the configuration was not reloaded, the old one stays in force: ",
                     fresh.status().message()));
    return;
  }
  // What can be refused comes first.
  const absl::Status access = house.server.Reload(fresh->grants, fresh->tls);
  if (!access.ok()) {
    Log(spdlog::level::err, {.kind = MessageKind::kNotReloaded},
        absl::StrCat("the configuration was not reloaded, the old one stays in force: ",
                     access.message()));
    return;
  }
  for (const std::string& field : NeedRestart(house.config, *fresh)) {
    Log(LogLevel::kWarning, {.kind = MessageKind::kNeedsRestart},
        absl::StrCat(field, " has changed in the configuration; this needs a restart"));
  }
  spdlog::set_level(spdlog::level::from_str(fresh->log_level));
  house.store.Configure(StoreOptions(*fresh, house.room, house.clock));
  house.control.PostInstancesMax(fresh->instances_max);
  Log(LogLevel::kInfo, {.kind = MessageKind::kReloaded}, "the configuration was reloaded");
}

void ReloadAndTell(House& house) {
  house.notifier.Reloading();
  Reload(house);
  house.notifier.Ready();
}

// What the process provider has noted of an instance.
absl::StatusOr<CreationNote> ReadProcessNote(const RecordDirectory& records,
                                             const std::string& id) {
  const auto record = records.Read(id);
  if (absl::IsNotFound(record.status())) return CreationNote{};
  if (!record.ok()) return record.status();
  return CreationNote{.name = record->name,
                      .dna_revision = record->dna_revision,
                      .create_time = absl::FromUnixNanos(record->create_time_unix_ns)};
}

absl::Status AdoptProcesses(const Config& config, Adapters& adapters, Store& store,
                            const DefinitionFiles::Kept& kept, v1::StoreContents& contents,
                            Clock& clock) {
  const auto records = RecordDirectory::Open(config.state_dir);
  if (!records.ok()) return records.status();
  return AdoptForeign(
      adapters,
      {.provider = DefaultProvider(),
       .read_note = [&](const std::string& id) { return ReadProcessNote(*records, id); },
       .kept = kept,
       .end_others = config.end_unknown},
      store, contents, clock);
}

// Whether the store can know all that lives; or, if a person says so, adopts or ends what it
// cannot. Nothing begins before a complete list says so.
absl::Status CheckProvider(const Config& config, Adapters& adapters, Store& store,
                           const DefinitionFiles::Kept& kept, v1::StoreContents& contents,
                           Clock& clock) {
  if (config.adopt_unknown) return AdoptProcesses(config, adapters, store, kept, contents, clock);
  const absl::StatusOr<Provider*> provider = adapters.providers->Get(*DefaultProvider());
  if (!provider.ok()) return provider.status();
  return config.end_unknown ? EndForeign(**provider, contents, clock)
                            : CheckNoneForeign(**provider, contents, kept);
}

// As CheckProvider, with what is kept beside the records of instances.
absl::Status CheckStart(const Config& config, Adapters& adapters, Store& store,
                        v1::StoreContents& contents, Clock& clock) {
  DefinitionFiles files(config.state_dir);
  const auto kept = files.Read();
  if (!kept.ok()) return absl::UnavailableError(kept.status().message());
  absl::Status status = CheckProvider(config, adapters, store, *kept, contents, clock);
  if (status.ok()) KeepDefinitions(files, contents);
  return status;
}

// Takes over what the store holds.
absl::Status Fill(ControlLoop& loop, Store& store, const v1::StoreContents& contents,
                  StepWorkers& workers, Clock& clock) {
  absl::Status status = loop.Load(contents, clock.Now());
  for (Store::Finding& finding : store.TakeFindings()) {
    loop.AddFinding(std::move(finding.name), std::move(finding.text));
  }
  return status.ok() ? Relearn(store, loop, workers, clock.Now().wall) : status;
}

absl::StatusOr<std::unique_ptr<ApiServer>> StartApi(
    ApiContext& api, const Config& config, const std::string& store_id,
    const std::optional<InheritedSocket>& inherited) {
  auto records = RecordDirectory::Open(config.state_dir);
  if (!records.ok()) return records.status();
  const auto instances = std::make_shared<const InstanceCallers>(store_id, *std::move(records));
  return ApiServer::Start(api,
                          {.socket_path = config.socket_path,
                           .inherited_fd = inherited.has_value() ? inherited->fd : -1,
                           .grants = config.grants,
                           .tcp_address = config.tcp_address,
                           .tls = config.tls,
                           .enable_reflection = config.enable_reflection,
                           .is_instance = [instances](int fd) { return instances->MayBe(fd); }});
}

// Waits for a signal to end or for a failure; meanwhile tells health, systemd and the retention.
void KeepHouse(House& house) {
  sigset_t awaited;
  sigemptyset(&awaited);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&awaited, signal);
  const timespec soon = absl::ToTimespec(kHousekeepingInterval);
  bool serving = false;
  absl::Duration next_prune =
      house.clock.Now().mono;  // Also where no daemon lives for an interval.
  while (!house.ending.failed) {
    const timespec later =
        absl::ToTimespec(std::max(absl::Milliseconds(1), next_prune - house.clock.Now().mono));
    const int signal = sigtimedwait(&awaited, nullptr, serving ? &later : &soon);
    if (signal == SIGHUP && serving) ReloadAndTell(house);
    if (signal == SIGHUP && !serving) Reload(house);
    if (signal == SIGTERM || signal == SIGINT) return;
    if (!serving && house.control.snapshot()->recovered) {
      serving = true;
      house.server.SetServing(true);
      house.notifier.Ready();
      Log(LogLevel::kInfo, {.kind = MessageKind::kServing}, "serving");
    }
    const Instant now = house.clock.Now();
    if (now.mono < next_prune) continue;
    next_prune = now.mono + kPruneInterval;
    house.store.Prune(now.wall, now.mono);
  }
}

void EndServing(House& house) {
  house.notifier.Stopping();
  Log(LogLevel::kInfo, {.kind = MessageKind::kStopping}, "stopping; instances go on");
  house.ending.told = true;
  house.store.EndRetries();  // A full disk is no reason not to end.
  house.server.SetServing(false);
  house.server.Shutdown();
}

// Until the control thread has saved what it has to. Where a call into the world does not return
// then, its thread cannot be ended, and all that it uses has to stay: the process ends as it is,
// which a start recovers from.
void EndControl(ControlThread& control, const Ending& ending) {
  control.Close();
  const ControlThread::End end = control.AwaitEnd(kEndPatience);
  const ControlThread::Unsaved unsaved = control.unsaved();
  if (unsaved.changes + unsaved.forecasts > 0 || unsaved.samples > 0) {
    spdlog::warn(
        "the store could not write: {} changes that nobody was told of, {} samples and the "
        "forecasts of {} pools were not saved",
        unsaved.changes, unsaved.samples, unsaved.forecasts);
  }
  if (end == ControlThread::End::kDone) return;
  const bool calling = end == ControlThread::End::kCalling;
  spdlog::warn("{} within {}; shadowd ends without it",
               calling ? "a call to a provider, balancer, usage source or probe has not returned"
                       : "the store has not written everything",
               absl::FormatDuration(kEndPatience));
  spdlog::default_logger()->flush();
  std::_Exit(calling && !ending.failed ? 0 : 1);  // As RunDaemon would end.
}

void TellStart(const Config& config, const std::optional<InheritedSocket>& inherited, int pools) {
  const std::string& path = inherited.has_value() ? inherited->path : config.socket_path;
  if (path != config.socket_path) {
    spdlog::warn("listen in the configuration is {}, but systemd has passed {}, which counts",
                 config.socket_path, path);
  }
  spdlog::info("listening on {}{}{}, state in {}, {} pools", path,
               inherited.has_value() ? " of systemd" : "",
               config.tcp_address.empty() ? "" : " and TCP " + config.tcp_address, config.state_dir,
               pools);
}

// A daemon that was killed may have left a child between its fork and its exec, which has the lock
// until then.
absl::StatusOr<std::unique_ptr<StateLock>> TakeState(const std::string& directory) {
  SystemClock clock;
  const absl::Duration until = clock.Now().mono + kLockPatience;
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock waiting(mutex);
  while (true) {
    auto lock = StateLock::Take(directory);
    const absl::Duration now = clock.Now().mono;
    if (!absl::IsAlreadyExists(lock.status()) || now >= until) return lock;
    clock.WaitUntil(waiting, never, now + kLockPause);
  }
}

ControlLoop::Options LoopOptions(const Config& config, StepWorkers& workers) {
  return {.instances_max = config.instances_max,
          .parallel_for = [&workers](size_t count, const std::function<void(size_t)>& part) {
            workers.Run(count, part);
          }};
}

absl::StatusOr<std::unique_ptr<WebServer>> StartWeb(const ApiContext& api, const Config& config) {
  return WebServer::Start(config.http_listen, {.control = api.control,
                                               .store = api.store,
                                               .hub = api.hub,
                                               .clock = api.clock,
                                               .start_time = api.start_time,
                                               .version = SHADOWD_VERSION});
}

}  // namespace

absl::Status RunDaemon(const Config& config, const ConfigReader& read_config, MayAct may_act) {
  const rlim_t open_files = RaiseOpenFiles();
  const auto inherited = TakeInheritedSocket();
  if (!inherited.ok()) return inherited.status();
  auto lock = TakeState(config.state_dir);
  if (!lock.ok()) return lock.status();
  if (BootId().empty()) return absl::UnavailableError("the boot id of the kernel cannot be read");
  SystemClock clock;
  Room room(config.state_dir);
  auto store = Store::Open(config.state_dir, StoreOptions(config, room, clock));
  if (!store.ok()) return store.status();
  auto contents = (*store)->Load();
  if (!contents.ok()) return contents.status();
  SimulationWorker simulations;
  auto adapters = MakeAdapters(config, open_files, *contents, **store, room, simulations, clock);
  if (!adapters.ok()) return adapters.status();
  adapters->may_act = std::move(may_act);
  absl::Status status = CheckStart(config, *adapters, **store, *contents, clock);
  if (status.ok()) status = CheckOthers(*adapters, *contents, config.end_unknown, clock);
  if (!status.ok()) return status;
  StepWorkers workers(std::thread::hardware_concurrency());
  ControlLoop loop(LoopOptions(config, workers));
  status = Fill(loop, **store, *contents, workers, clock);
  if (!status.ok()) return status;

  Ending ending;
  EventHub hub(contents->last_revision());
  ControlThread control(loop, **store, *adapters, hub, clock, config.effect_workers,
                        [&ending](const absl::Status& error) { ending.OnStoreError(error); });
  RequestLog requests(clock);
  ApiContext api{control,          **store,         hub, clock, simulations, requests,
                 clock.Now().wall, config.state_dir};
  auto server = StartApi(api, config, contents->store_id(), *inherited);
  if (!server.ok()) return server.status();
  auto web = StartWeb(api, config);
  if (!web.ok()) return web.status();
  TellStart(config, *inherited, contents->pools_size());
  std::thread control_thread([&control] { control.Run(); });
  ServiceNotifier notifier({.check = [&control] { return control.CheckProgress(kStuckPatience); },
                            .status = [&control] { return StatusLine(*control.snapshot()); }},
                           clock);
  House house{.control = control,
              .server = **server,
              .store = **store,
              .room = room,
              .clock = clock,
              .read_config = read_config,
              .config = config,
              .ending = ending,
              .notifier = notifier};
  {
    const RoomWatch watch(room, **store, control, clock);
    KeepHouse(house);
  }
  web->reset();
  EndServing(house);
  simulations.Shutdown();  // What it scores is posted to `control`.
  EndControl(control, ending);
  control_thread.join();
  return ending.failed ? absl::UnavailableError("the store failed") : absl::OkStatus();
}

}  // namespace shadow
