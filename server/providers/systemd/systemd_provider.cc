#include "server/providers/systemd/systemd_provider.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/providers/logs/kept_logs.h"
#include "server/providers/look/process_look.h"
#include "server/providers/process_dna.h"
#include "server/providers/process_log.h"
#include "server/providers/systemd/unit_facts.h"
#include "server/units/unit_failure.h"
#include "server/units/unit_properties.h"

namespace shadow {
namespace {

// What the manager says of a unit, as the seam has it. `stopping`: Destroy was called.
Life LifeOf(const UnitView& unit, bool stopping) {
  if (stopping) return Life::kStopping;
  if (unit.active_state == "failed") return Life::kExited;
  if (unit.active_state == "activating") return Life::kStarting;
  if (unit.active_state == "deactivating") {
    // Its main process has ended by itself, and the manager ends the rest; or somebody stops it.
    return unit.main_pid == 0 ? Life::kExited : Life::kStopping;
  }
  if (unit.sub_state == "exited") return Life::kExited;
  return unit.freezer_state == "frozen" ? Life::kSuspended : Life::kRunning;
}

bool HasEnded(const UnitView& unit) {
  return LifeOf(unit, false) == Life::kExited || LifeOf(unit, false) == Life::kStopping;
}

absl::Status UnitGone(const std::string& id) {
  return absl::NotFoundError(absl::StrCat("instance ", id, " is gone"));
}

}  // namespace

SystemdProvider::SystemdProvider(std::unique_ptr<Units> units, Options options)
    : units_(std::move(units)),
      options_(std::move(options)),
      ports_([this] { return PortsInUse(); }, absl::StrCat("units of ", options_.store_id)),
      facts_([this](const CompiledDna& dna, const ProcessRecord& record,
                    const std::stop_token& stop) -> absl::StatusOr<Facts> {
        const auto unit = units_->Get(record.id);
        if (!unit.ok()) return unit.status();
        if (!unit->has_value() || HasEnded(**unit)) return UnitGone(record.id);
        if (options_.collect) return options_.collect(dna, **unit, stop);
        return CollectUnitFacts(dna, **unit, options_.store_id, options_.clock, stop);
      }) {}

absl::Status SystemdProvider::Supports(const CompiledDna& dna) {
  return CheckUnitDna(dna.dna, options_.way);
}

std::vector<absl::Status> SystemdProvider::Apply(std::span<const InstanceOp> operations) {
  std::vector<absl::Status> done;
  done.reserve(operations.size());
  for (const InstanceOp& operation : operations) done.push_back(Carry(operation));
  return done;
}

absl::Status SystemdProvider::Carry(const InstanceOp& operation) {
  switch (operation.kind) {
    case InstanceOp::Kind::kCreate:
      return Create(operation.instance);
    case InstanceOp::Kind::kSuspend:
      facts_.Forget(operation.instance.id);  // They are old when it is verified again.
      return units_->Suspend(operation.instance.id);
    case InstanceOp::Kind::kResume:
      return Resume(operation.instance);
    case InstanceOp::Kind::kDestroy:
      return Destroy(operation.instance, /*force=*/false);
    case InstanceOp::Kind::kKill:
      return Destroy(operation.instance, /*force=*/true);
  }
  return absl::InternalError("no such operation");
}

absl::Status SystemdProvider::Create(const InstanceSpec& instance) {
  const auto found = units_->Get(instance.id);
  if (!found.ok()) return found.status();
  if (found->has_value()) return absl::OkStatus();
  const v1::Dna& dna = instance.dna->dna;
  if (absl::Status status = CheckUnitDna(dna, options_.way); !status.ok()) return status;
  const auto compiled = CompileProcessDna(instance);
  if (!compiled.ok()) return compiled.status();
  const auto port = ports_.Take(*compiled);
  if (!port.ok()) return port.status();
  const std::string log_path = LogPath(instance.id);
  if (!log_path.empty()) {
    const auto log = OpenLog(log_path);
    if (!log.ok()) {
      ports_.Return(*port);
      return log.status();
    }
    close(*log);
  }
  {
    const std::lock_guard lock(mutex_);
    dropped_.erase(instance.id);
    known_[instance.id] = {
        .port = *port, .dna = instance.dna, .start_time = options_.clock.Now().wall};
  }
  ports_.Return(*port);
  const absl::Status started = units_->Start({.id = instance.id,
                                              .pool = instance.pool,
                                              .shadow = instance.shadow,
                                              .store_id = options_.store_id,
                                              .epoch = options_.epoch,
                                              .revision_name = instance.dna->revision_name,
                                              .dna = dna,
                                              .port = *port,
                                              .log_path = log_path});
  // What was asked for in vain may have been done all the same; a list would show it.
  if (!started.ok() && !absl::IsUnavailable(started)) Drop(instance);
  return started;
}

absl::Status SystemdProvider::Resume(const InstanceSpec& instance) {
  const auto dna = CompileProcessDna(instance);
  if (!dna.ok()) return dna.status();
  bool suspended = false;
  if (dna->resume_signal > 0) {
    const auto unit = units_->Get(instance.id);
    if (!unit.ok()) return unit.status();
    if (!unit->has_value()) return UnitGone(instance.id);
    suspended = LifeOf(**unit, false) == Life::kSuspended;
  }
  const absl::Status resumed = units_->Resume(instance.id, instance.dna->dna);
  if (!resumed.ok() || !suspended) return resumed;
  return units_->Signal(instance.id, dna->resume_signal);
}

absl::Status SystemdProvider::Destroy(const InstanceSpec& instance, bool force) {
  facts_.Forget(instance.id);
  const auto unit = units_->Get(instance.id);
  if (!unit.ok()) return unit.status();
  if (!unit->has_value()) {
    Drop(instance);
    return absl::OkStatus();
  }
  {
    const std::lock_guard lock(mutex_);
    Known& known = known_[instance.id];
    known.port = (*unit)->port;
    known.stopping = true;
  }
  if ((*unit)->active_state == "failed") return units_->Forget(instance.id);
  return units_->Stop(instance.id, force);
}

absl::StatusOr<Observation> SystemdProvider::Inspect(const InstanceSpec& instance) {
  auto unit = units_->Get(instance.id);
  if (!unit.ok()) return unit.status();
  // It has not ended well, and nobody asks any more how.
  if (unit->has_value() && (*unit)->active_state == "failed" && Stopping(instance.id)) {
    absl::Status forgotten = units_->Forget(instance.id);
    if (!forgotten.ok()) return forgotten;
    unit = std::nullopt;
  }
  if (!unit->has_value()) {
    if (Stopping(instance.id)) Drop(instance);
    Observation nothing;
    nothing.id = instance.id;
    return nothing;
  }
  if (instance.dna != nullptr) {
    const std::lock_guard lock(mutex_);
    Known& known = known_[instance.id];
    known.port = (*unit)->port;
    if (known.dna == nullptr) known.dna = instance.dna;
  }
  return Observe(**unit, Stopping(instance.id));
}

Observation SystemdProvider::Observe(const UnitView& unit, bool stopping) {
  Observation seen;
  seen.id = unit.id;
  seen.epoch = unit.epoch;
  seen.life = LifeOf(unit, stopping);
  seen.address = absl::StrCat("127.0.0.1:", unit.port);
  seen.handle = absl::StrCat("pid ", unit.main_pid);
  seen.missing_controllers = unit.missing_controllers;
  if (seen.life == Life::kSuspended) seen.reclaimed = unit.reclaimed;
  if (seen.life == Life::kExited) seen.exit_reason = WithOutput(unit);
  if (const std::string log = LogPath(unit.id); !log.empty()) {
    // A log that cannot be cut is no reason to know nothing of the instance; the next look tries
    // again.
    CapLog(log, options_.log_max_bytes).IgnoreError();
  }
  return seen;
}

std::string SystemdProvider::WithOutput(const UnitView& unit) const {
  std::string reason = EndReason(unit);
  ProcessRecord record;
  std::shared_ptr<const CompiledDna> dna;
  {
    const std::lock_guard lock(mutex_);
    const auto known = known_.find(unit.id);
    if (known != known_.end()) {
      dna = known->second.dna;
      record.create_time_unix_ns = absl::ToUnixNanos(known->second.start_time);
    }
  }
  // A start that takes longer than Units::Start waits for it fails here.
  const absl::Status start = dna == nullptr ? absl::OkStatus() : StartFailure(unit, dna->dna);
  if (!start.ok()) {
    absl::StrAppend(&reason,
                    ", which systemd gives a program that it cannot start: ", start.message());
  }
  if (options_.log_dir.empty()) return reason;
  record.has_secrets = dna == nullptr || !dna->dna.security().secrets().empty();
  return shadow::WithLastOutput(reason, record, LogPath(unit.id), dna.get());
}

absl::StatusOr<std::optional<Provider::Differences>> SystemdProvider::Verify(
    const InstanceSpec& instance, Part part) {
  const auto unit = units_->Get(instance.id);
  if (!unit.ok()) return unit.status();
  if (!unit->has_value() || HasEnded(**unit) || Stopping(instance.id)) return UnitGone(instance.id);
  const CompiledDna& dna = *instance.dna;
  if (part == Part::kConnections) {
    if (dna.dna.network().connections().empty()) return Differences{};
    const auto record = RecordOfUnit(**unit);
    if (!record.ok()) return record.status();
    const auto facts = CollectConnections(dna, *record, options_.store_id);
    if (!facts.ok()) return facts.status();
    return MissingConnections(dna, *facts);
  }
  ProcessRecord asked;
  asked.id = instance.id;
  const auto facts = facts_.Take(asked, instance.dna);
  if (!facts.ok()) return facts.status();
  if (!facts->has_value()) return std::nullopt;
  return shadow::Differences(dna, **facts);
}

absl::StatusOr<std::vector<Observation>> SystemdProvider::List() {
  {
    const std::lock_guard lock(mutex_);
    ++listing_;
  }
  const auto units = units_->List();
  std::vector<std::pair<const UnitView*, bool>> there;  // Each, and whether it is stopping.
  {
    const std::lock_guard lock(mutex_);
    const std::set<std::string> dropped = dropped_;
    if (--listing_ == 0) dropped_.clear();
    if (!units.ok()) return units.status();
    // Of those that nobody here has made, what has gone is forgotten.
    std::erase_if(
        known_, [](const auto& one) { return one.second.dna == nullptr && !one.second.stopping; });
    for (const UnitView& unit : *units) {
      if (dropped.contains(unit.id)) continue;
      Known& known = known_[unit.id];
      known.port = unit.port;
      there.emplace_back(&unit, known.stopping);
    }
    listed_ = true;
  }
  std::vector<Observation> all;
  all.reserve(there.size());
  for (const auto& [unit, stopping] : there) all.push_back(Observe(*unit, stopping));
  return all;
}

void SystemdProvider::Drop(const InstanceSpec& instance) {
  if (const std::string log = LogPath(instance.id); !log.empty()) {
    KeptLogs(options_.log_dir).Keep(instance, log).IgnoreError();
  }
  const std::lock_guard lock(mutex_);
  known_.erase(instance.id);
  if (listing_ > 0) dropped_.insert(instance.id);
}

absl::StatusOr<LogPiece> SystemdProvider::ReadLog(const InstanceSpec& instance,
                                                  const LogRequest& request) {
  if (!options_.log_dir.empty()) {
    return ReadPresentOrKept(LogPath(instance.id), KeptLogs(options_.log_dir), instance, request);
  }
  const std::string fields = request.previous ? absl::StrCat("SHADOW_POOL=", instance.pool)
                                              : absl::StrCat("SHADOW_INSTANCE=", instance.id);
  return absl::UnimplementedError(
      absl::StrCat("units of the system write to the journal: journalctl ", fields));
}

bool SystemdProvider::Stopping(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto known = known_.find(id);
  return known != known_.end() && known->second.stopping;
}

std::string SystemdProvider::LogPath(const std::string& id) const {
  return options_.log_dir.empty() ? "" : absl::StrCat(options_.log_dir, "/", id, ".log");
}

absl::StatusOr<std::set<int>> SystemdProvider::PortsInUse() {
  bool listed = false;
  {
    const std::lock_guard lock(mutex_);
    listed = listed_;
  }
  if (!listed) {
    if (const auto all = List(); !all.ok()) return all.status();
  }
  std::set<int> ports;
  const std::lock_guard lock(mutex_);
  for (const auto& [id, known] : known_) ports.insert(known.port);
  return ports;
}

absl::StatusOr<std::string> UnitDirectory(const std::string& state_dir) {
  const std::string path = absl::StrCat(state_dir, "/units");
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot make ", path, ": ", strerrordesc_np(errno)));
  }
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != geteuid() ||
      (info.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is not a directory that only our own user can enter"));
  }
  return path;
}

}  // namespace shadow
