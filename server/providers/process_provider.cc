#include "server/providers/process_provider.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/holder/interface.h"
#include "server/providers/look/process_look.h"
#include "server/providers/look/process_members.h"
#include "server/providers/process_dna.h"
#include "server/providers/process_log.h"
#include "server/providers/process_plan.h"
#include "server/providers/process_signals.h"
#include "server/providers/process_table.h"

namespace shadow {
namespace {

using Durability = RecordDirectory::Durability;

constexpr absl::Duration kStopTimeout = absl::Milliseconds(1500);  // Of the seam's 2 s.
constexpr int kSuspendedNice = 19;
constexpr absl::Duration kKillTimeout = absl::Milliseconds(500);

absl::Status Gone(const std::string& id) {
  return absl::NotFoundError(absl::StrCat("instance ", id, " is gone"));
}

Observation Absent(const std::string& id) {
  return {.id = id, .epoch = {}, .address = {}, .handle = {}, .exit_reason = {}};
}

}  // namespace

absl::StatusOr<std::unique_ptr<ProcessProvider>> ProcessProvider::Open(const Options& options) {
  auto records = RecordDirectory::Open(options.state_dir, options.make_room);
  if (!records.ok()) return records.status();
  auto holder = FindHolder();
  if (!holder.ok()) return holder.status();
  return std::unique_ptr<ProcessProvider>(
      new ProcessProvider(options, *std::move(records), *std::move(holder)));
}

ProcessProvider::ProcessProvider(const Options& options, RecordDirectory records,
                                 std::string holder_program)
    : options_(options),
      records_(std::move(records)),
      kept_logs_(records_.path()),
      holder_program_(std::move(holder_program)),
      ports_([this] { return records_.Ports(); }, options.store_id),
      facts_([this](const auto& dna, const auto& record, const auto& stop) {
        return CollectFacts(dna, record, options_.store_id, options_.clock, stop);
      }) {}

absl::Status ProcessProvider::Supports(const CompiledDna& dna) {
  const absl::Status understood = CompileProcessDna(dna.dna).status();
  return understood.ok() ? CheckEnforceable(dna.dna) : understood;
}

std::vector<absl::Status> ProcessProvider::Apply(std::span<const InstanceOp> operations) {
  std::vector<absl::Status> done;
  done.reserve(operations.size());
  for (const InstanceOp& operation : operations) done.push_back(Carry(operation));
  return done;
}

absl::Status ProcessProvider::Carry(const InstanceOp& operation) {
  switch (operation.kind) {
    case InstanceOp::Kind::kCreate:
      return Create(operation.instance);
    case InstanceOp::Kind::kSuspend:
      return Suspend(operation.instance);
    case InstanceOp::Kind::kResume:
      return Resume(operation.instance);
    case InstanceOp::Kind::kDestroy:
      return Destroy(operation.instance, Stop::kGraceful);
    case InstanceOp::Kind::kKill:
      return Destroy(operation.instance, Stop::kForce);
  }
  return absl::InternalError("no such operation");
}

absl::Status ProcessProvider::Create(const InstanceSpec& instance) {
  const auto found = Find(instance.id);
  if (found.ok()) return absl::OkStatus();
  if (!absl::IsNotFound(found.status())) return found.status();
  const auto dna = CompileProcessDna(instance);
  if (!dna.ok()) return dna.status();
  if (absl::Status status = CheckEnforceable(instance.dna->dna); !status.ok()) return status;
  const auto port = ports_.Take(*dna);
  if (!port.ok()) return port.status();
  absl::Status started = Start(instance, *port);
  ports_.Return(*port);  // It is in a record now, or free again.
  return started;
}

absl::Status ProcessProvider::Start(const InstanceSpec& instance, int port) {
  const absl::Time create_time = options_.clock.Now().wall;  // Before the secrets are read.
  auto plan = PlanInstance(instance, port, options_.store_id);
  if (!plan.ok()) return plan.status();
  plan->open_files_soft = options_.open_files_soft;
  const auto log = OpenLog(records_.LogPath(instance.id));
  if (!log.ok()) return log.status();
  const absl::Cleanup close_log = [&log] { close(*log); };
  auto exit_file = OpenExitFile(records_.ExitPath(instance.id));
  while (absl::IsResourceExhausted(exit_file.status()) && options_.make_room()) {
    exit_file = OpenExitFile(records_.ExitPath(instance.id));
  }
  if (!exit_file.ok()) return exit_file.status();
  const absl::Cleanup close_exit = [&exit_file] { close(*exit_file); };
  plan->holder = {
      .program = holder_program_,
      .environment = absl::StrCat(kHoldsVariable, "=", options_.epoch, " ", instance.id),
      .log_fd = *log,
      .exit_fd = *exit_file,
      .log_max_bytes = options_.log_max_bytes};

  auto held = HeldProcess::Spawn(*plan);
  ProcessRecord record;
  record.id = instance.id;
  record.epoch = options_.epoch;
  record.name = instance.name;
  record.dna_revision = instance.dna->revision_name;
  record.pool = instance.pool;
  record.shadow = instance.shadow;
  record.boot_id = BootId();
  record.port = port;
  record.create_time_unix_ns = absl::ToUnixNanos(create_time);
  record.has_secrets = !instance.dna->dna.security().secrets().empty();
  absl::Status status = held.status();
  if (status.ok()) {
    record.leader = held->id();
    record.holder = held->holder();
    record.uid = plan->credentials.uid;
    // The record is on disk before the program runs: no crash leaves an instance that nobody knows.
    status = records_.Write(record, Durability::kPowerLoss);
  }
  if (status.ok()) status = held->Release();
  if (!status.ok()) {
    if (absl::Status removed = records_.Remove(instance.id); !removed.ok()) return removed;
  }
  return status;
}

absl::StatusOr<ProcessRecord> ProcessProvider::Find(const std::string& id) {
  auto record = records_.Read(id);
  const bool damaged = record.ok() && record->leader.pid == 0;
  if (!damaged && !absl::IsNotFound(record.status())) return record;
  const auto table = ReadProcessTable();
  if (!table.ok()) return table.status();
  const auto uids = records_.Uids();
  if (!uids.ok()) return uids.status();
  const auto tagged = FindTagged(*table, options_.store_id, *uids);
  if (!tagged.ok()) return tagged.status();
  const auto found = tagged->find(id);
  if (found == tagged->end()) return damaged ? record : Gone(id);
  absl::Status written = records_.Write(found->second, Durability::kPowerLoss);
  if (!written.ok()) return written;
  return found->second;
}

absl::StatusOr<ProcessRecord> ProcessProvider::FindAlive(const std::string& id) {
  auto record = Find(id);
  if (!record.ok()) return record;
  const auto end = HowItEnded(*record, records_.ExitPath(id), options_.clock);
  if (!end.ok()) return end.status();
  if (end->has_value()) return Gone(id);
  if (record->stopping) {
    return absl::FailedPreconditionError(absl::StrCat("instance ", id, " is being destroyed"));
  }
  return record;
}

absl::Status ProcessProvider::Suspend(const InstanceSpec& instance) {
  auto record = FindAlive(instance.id);
  if (!record.ok()) return record.status();
  facts_.Forget(instance.id);  // What nobody has taken is old when it is verified again.
  if (!record->suspended && !record->suspending) {
    record->suspending = true;  // So that Resume continues what was stopped before a crash.
    absl::Status written = records_.Write(*record, Durability::kProcessCrash);
    if (!written.ok()) return written;
  }
  auto stopped = StopAll(*record, options_.store_id, options_.clock, kStopTimeout);
  if (!stopped.ok()) return stopped.status();
  if (record->suspended && record->stopped == *stopped) return absl::OkStatus();
  if (!record->suspended) {
    record->nice = getpriority(PRIO_PROCESS, 0);
    record->niced = LowerablePriority(*stopped, record->nice);
  }
  record->suspending = false;
  record->suspended = true;
  record->stopped = *std::move(stopped);
  absl::Status written = records_.Write(*record, Durability::kProcessCrash);
  // What is to be undone is written down first.
  if (written.ok()) written = SetPriority(record->niced, kSuspendedNice);
  return written;
}

absl::Status ProcessProvider::Resume(const InstanceSpec& instance) {
  auto record = FindAlive(instance.id);
  if (!record.ok()) return record.status();
  const auto dna = CompileProcessDna(instance);
  if (!dna.ok()) return dna.status();
  const auto leader = ReadLeader(*record);
  if (!leader.ok()) return leader.status();
  const bool stopped = leader->has_value() && (*leader)->state == 'T';
  if (!record->suspended && !record->suspending && !stopped) return absl::OkStatus();
  // No scan for what Suspend has written down: nothing that is stopped starts another process.
  absl::Status status = SetPriority(record->niced, record->nice);
  if (!status.ok()) return status;
  status = ContinueAll(*record, record->stopped, options_.store_id);
  const bool ours = record->suspended || record->suspending;  // Not somebody else's SIGSTOP.
  if (status.ok() && ours && dna->resume_signal > 0) {
    status = SendSignal(record->leader, dna->resume_signal);
  }
  if (!status.ok()) return status;
  record->suspending = false;
  record->suspended = false;
  record->stopped.clear();
  record->niced.clear();
  // It runs, and is seen to; a full disk is no reason to say otherwise.
  records_.Write(*record, Durability::kProcessCrash).IgnoreError();
  return absl::OkStatus();
}

absl::Status ProcessProvider::Destroy(const InstanceSpec& instance, Stop stop) {
  facts_.Forget(instance.id);
  auto record = Find(instance.id);
  if (absl::IsNotFound(record.status())) return records_.Remove(instance.id);
  if (!record.ok()) return record.status();
  if (stop == Stop::kForce && !record->stopping) {
    record->stopping = true;  // Nobody is to take its end for an exit. It ends also on a full disk.
    records_.Write(*record, Durability::kProcessCrash).IgnoreError();
  }
  absl::Status status = stop == Stop::kForce
                            ? KillAll(*record, options_.store_id, options_.clock, kKillTimeout)
                            : StopGracefully(instance, *record);
  if (!status.ok()) return status;
  const auto done = RemoveIfGone(*record);
  if (!done.ok() || *done || record->stopping) return done.status();
  record->stopping = true;
  return records_.Write(*record, Durability::kProcessCrash);
}

absl::Status ProcessProvider::StopGracefully(const InstanceSpec& instance, ProcessRecord& record) {
  const auto dna = CompileProcessDna(instance);
  const int signal = dna.ok() ? dna->stop_signal : SIGTERM;
  const auto table = ReadProcessTable();
  if (!table.ok()) return table.status();
  const auto processes = InstanceProcesses(*table, record, options_.store_id);
  const ProcessStat* const leader = FindProcess(*table, record.leader);
  const bool leader_lives = leader != nullptr && !leader->IsDead();
  if (!processes.ok()) return processes.status();
  for (const ProcessStat& process : *processes) {
    // The leader's group hears of it once; what outlives the leader, each time.
    const bool wanted = !leader_lives || (!record.stopping && process.group == record.leader.pid);
    if (!wanted || process.IsDead()) continue;
    const absl::Status sent = SendSignal(process.id, signal);
    if (!sent.ok() && !absl::IsNotFound(sent)) return sent;
  }
  const bool stopped = std::any_of(processes->begin(), processes->end(),
                                   [](const ProcessStat& process) { return process.state == 'T'; });
  if (!stopped) return absl::OkStatus();
  absl::Status status = SetPriority(record.niced, record.nice);
  if (!status.ok()) return status;
  return ContinueAll(record, {}, options_.store_id);
}

absl::StatusOr<bool> ProcessProvider::RemoveIfGone(ProcessRecord& record) {
  const auto table = ReadProcessTable();
  if (!table.ok()) return table.status();
  const auto left = InstanceProcesses(*table, record, options_.store_id);
  if (!left.ok()) return left.status();
  ReapOrphans(*left, record.leader);
  const bool alive = std::any_of(left->begin(), left->end(),
                                 [](const ProcessStat& process) { return !process.IsDead(); });
  // The holder ends by itself, once the kernel knows no descendant of it any more.
  if (alive || LivingHolder(*table, record) != nullptr) return false;
  const auto holder = ReadHolder(record);
  if (!holder.ok()) return holder.status();
  ReapIfOurs(*holder);
  // Until now its zombie has kept the session's number from being used again.
  const auto leader = ReadLeader(record);
  if (!leader.ok()) return leader.status();
  ReapIfOurs(*leader);
  absl::Status removed = kept_logs_.Keep(EndedSpec(record), records_.LogPath(record.id));
  removed.Update(records_.Remove(record.id));
  if (!removed.ok()) return removed;
  return true;
}

absl::StatusOr<LogPiece> ProcessProvider::ReadLog(const InstanceSpec& instance,
                                                  const LogRequest& request) {
  return ReadPresentOrKept(records_.LogPath(instance.id), kept_logs_, instance, request);
}

absl::StatusOr<Observation> ProcessProvider::Inspect(const InstanceSpec& instance) {
  auto record = Find(instance.id);
  if (absl::IsNotFound(record.status())) return Absent(instance.id);
  if (!record.ok()) return record.status();
  CapLogOf(*record, records_.LogPath(record->id), options_.log_max_bytes, log_mutex_);
  std::vector<ProcessStat> table;
  if (record->suspended) {
    auto read = ReadProcessTable();
    if (!read.ok()) return read.status();
    table = *std::move(read);
  }
  auto observed =
      ObserveInstance(*record, records_.ExitPath(record->id), ProcessTree(table), options_.clock);
  if (!observed.ok()) return observed;
  Observation& seen = *observed;
  if (record->stopping) {
    const auto leader = ReadLeader(*record);
    if (!leader.ok()) return leader.status();
    if (leader->has_value() && !(*leader)->IsDead()) return seen;
    const auto done = RemoveIfGone(*record);
    if (!done.ok()) return done.status();
    return *done ? Absent(instance.id) : seen;
  }
  if (seen.life == Life::kExited) {
    const auto holder = ReadHolder(*record);
    if (!holder.ok()) return holder.status();
    ReapIfOurs(*holder);
    seen.exit_reason =
        WithLastOutput(seen.exit_reason, *record, records_.LogPath(record->id), instance.dna.get());
  }
  return seen;
}

absl::StatusOr<std::optional<Provider::Differences>> ProcessProvider::Verify(
    const InstanceSpec& instance, Part part) {
  const auto record = FindAlive(instance.id);
  if (!record.ok()) return record.status();
  const CompiledDna& dna = *instance.dna;
  if (part == Part::kConnections) {
    const auto facts = CollectConnections(dna, *record, options_.store_id);
    if (!facts.ok()) return facts.status();
    return MissingConnections(dna, *facts);
  }
  const auto facts = facts_.Take(*record, instance.dna);
  if (!facts.ok()) return facts.status();
  if (!facts->has_value()) return std::nullopt;
  return shadow::Differences(dna, **facts);
}

absl::StatusOr<std::vector<Observation>> ProcessProvider::List() {
  const auto ids = records_.Ids();
  if (!ids.ok()) return ids.status();
  const auto table = ReadProcessTable();
  if (!table.ok()) return table.status();
  const auto uids = records_.Uids();
  if (!uids.ok()) return uids.status();
  auto found = FindTagged(*table, options_.store_id, *uids);
  if (!found.ok()) return found.status();
  auto& tagged = *found;
  const ProcessTree tree(*table);
  std::vector<Observation> all;
  for (const std::string& id : *ids) {
    auto record = records_.Read(id);
    if (absl::IsNotFound(record.status())) continue;  // Removed meanwhile, or a log alone.
    if (!record.ok()) return record.status();
    if (record->leader.pid == 0 && tagged.contains(id)) record = tagged.at(id);
    tagged.erase(id);
    CapLogOf(*record, records_.LogPath(id), options_.log_max_bytes, log_mutex_);
    auto seen = ObserveInstance(*record, records_.ExitPath(id), tree, options_.clock);
    if (!seen.ok()) return seen.status();
    if (seen->life == Life::kExited) {
      // Unless Destroy has begun since the record was read.
      const auto now = records_.Read(id);
      if (!now.ok() && !absl::IsNotFound(now.status())) return now.status();
      if (!now.ok()) continue;
      if (now->stopping) seen->life = Life::kStopping;
      seen->exit_reason = WithLastOutput(seen->exit_reason, *record, records_.LogPath(id), nullptr);
    }
    all.push_back(*std::move(seen));
  }
  // Without a record: they are found by their tag, and Find writes one once they are asked for.
  for (const auto& [id, record] : tagged) {
    // Since the directory was read, its record may have been written, or it has been destroyed.
    const auto written = records_.Read(id);
    if (!written.ok() && !absl::IsNotFound(written.status())) return written.status();
    auto seen = ObserveInstance(written.ok() ? *written : record, records_.ExitPath(id), tree,
                                options_.clock);
    if (!seen.ok()) return seen.status();
    if (written.ok() || seen->life != Life::kExited) all.push_back(*std::move(seen));
  }
  return all;
}

}  // namespace shadow
