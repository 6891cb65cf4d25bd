#include "storage/state_identity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "storage/schema.h"

namespace shadow::storage {
namespace {

constexpr char kMachineIdFile[] = "/etc/machine-id";
constexpr size_t kMachineIdBytesMax = 64;
constexpr char kHasMeta[] =
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'meta'";
constexpr char kLoadPlace[] =
    "SELECT (SELECT value FROM meta WHERE key = 'place_machine_id'), "
    "(SELECT value FROM meta WHERE key = 'place_inode'), "
    "(SELECT value FROM meta WHERE key = 'place_device'), "
    "(SELECT value FROM meta WHERE key = 'place_boot_id')";
constexpr char kSavePlace[] =
    "INSERT OR REPLACE INTO meta(key, value) VALUES('place_machine_id', ?1), ('place_inode', ?2), "
    "('place_device', ?3), ('place_boot_id', ?4)";

constexpr char kHasEpoch[] = "SELECT count(*) FROM epochs WHERE last_revision IS NULL";
constexpr char kBeginEpoch[] = R"sql(
UPDATE epochs SET last_revision =
    (SELECT max(ifnull((SELECT max(revision) FROM events), 0), value)
     FROM meta WHERE key = 'events_removed')
  WHERE last_revision IS NULL;
INSERT INTO epochs(epoch, last_revision)
  SELECT value || '/' || lower(hex(randomblob(8))), NULL FROM meta WHERE key = 'store_id';
)sql";

std::string PlaceText(const StateIdentity& place) {
  return absl::StrCat("inode ", place.inode, " of device ", place.device, " on machine \"",
                      place.machine_id, "\"");
}

bool SamePlace(const StateIdentity& a, const StateIdentity& b) {
  const bool one_boot = !a.boot_id.empty() && a.boot_id == b.boot_id;
  return a.machine_id == b.machine_id && a.inode == b.inode && (!one_boot || a.device == b.device);
}

constexpr char kForgetPlace[] =
    "DELETE FROM meta WHERE key IN "
    "('place_machine_id', 'place_inode', 'place_device', 'place_boot_id')";

// Unset: it was not noted.
absl::StatusOr<std::optional<StateIdentity>> LoadIdentity(Connection& state) {
  absl::StatusOr<Statement> load = state.Prepare(kLoadPlace);
  if (!load.ok()) return load.status();
  if (const absl::StatusOr<bool> row = load->Next(); !row.ok()) return row.status();
  if (load->IsNull(1)) return std::nullopt;
  return StateIdentity{.machine_id = std::string(load->Bytes(0)),
                       .inode = std::string(load->Bytes(1)),
                       .device = std::string(load->Bytes(2)),
                       .boot_id = std::string(load->Bytes(3))};
}

// Empty where the host has none, or none for us. One that cannot be read now is not none: the store
// would count as a copy.
absl::StatusOr<std::string> ReadMachineId() {
  const int fd = open(kMachineIdFile, O_RDONLY | O_CLOEXEC);
  if (fd < 0 && (errno == ENOENT || errno == EACCES)) return std::string();
  if (fd < 0) return FileError(kMachineIdFile, "open");
  const absl::Cleanup close_file = [fd] { close(fd); };
  std::string text(kMachineIdBytesMax, '\0');
  size_t have = 0;
  while (have < text.size()) {
    const ssize_t got = read(fd, text.data() + have, text.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(kMachineIdFile, "read");
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  text.resize(std::min(have, text.find('\n')));
  return std::string(absl::StripAsciiWhitespace(text));
}

absl::Status SavePlace(Connection& state, const StateIdentity& here) {
  absl::StatusOr<Statement> save = state.Prepare(kSavePlace);
  if (!save.ok()) return save.status();
  save->BindText(1, here.machine_id);
  save->BindText(2, here.inode);
  save->BindText(3, here.device);
  save->BindText(4, here.boot_id);
  return save->Run();
}

}  // namespace

absl::StatusOr<StateIdentity> ReadStateIdentity(const std::string& directory,
                                                const std::string& boot_id) {
  struct stat info {};
  if (stat(directory.c_str(), &info) != 0) return FileError(directory, "stat");
  const absl::StatusOr<std::string> machine_id = ReadMachineId();
  if (!machine_id.ok()) return machine_id.status();
  return StateIdentity{.machine_id = *machine_id,
                       .inode = absl::StrCat(info.st_ino),
                       .device = absl::StrCat(info.st_dev),
                       .boot_id = boot_id};
}

absl::Status CheckIdentity(const std::string& path, const StateIdentity& here) {
  const absl::StatusOr<bool> is_there = IsThere(path);
  if (!is_there.ok() || !*is_there) return is_there.status();
  const absl::StatusOr<std::unique_ptr<Connection>> state =
      Connection::Open(path, Connection::Access::kReadWrite);
  if (!state.ok()) return state.status();
  (*state)->KeepWalOnClose();
  const absl::StatusOr<int64_t> has_meta = (*state)->QueryInteger(kHasMeta);
  if (!has_meta.ok()) return has_meta.status();
  if (*has_meta == 0) return absl::OkStatus();
  const absl::StatusOr<std::optional<StateIdentity>> known = LoadIdentity(**state);
  if (!known.ok()) return known.status();
  if (!known->has_value() || SamePlace(**known, here)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      path, " is a copy: it was last used as ", PlaceText(**known), ", and is here as ",
      PlaceText(here),
      ". Two daemons on one registry would end each other's instances. Nothing was touched. If the "
      "other one is not used any more (a restore, a move), start once with --recover=adopt-copy"));
}

absl::Status SaveIdentity(Connection& state, const StateIdentity& here) {
  const absl::StatusOr<std::optional<StateIdentity>> known = LoadIdentity(state);
  if (!known.ok()) return known.status();
  const absl::StatusOr<int64_t> has_epoch = state.QueryInteger(kHasEpoch);
  if (!has_epoch.ok()) return has_epoch.status();
  if (*known == here && *has_epoch > 0) return absl::OkStatus();
  Transaction transaction(state);
  absl::Status status = transaction.Begin(Transaction::Kind::kWrite);
  const bool moved = !known->has_value() || !SamePlace(**known, here);
  if (status.ok() && (moved || *has_epoch == 0)) status = state.Execute(kBeginEpoch);
  if (status.ok()) status = SavePlace(state, here);
  return status.ok() ? transaction.Commit() : status;
}

absl::Status ForgetIdentity(const std::string& path) {
  const absl::StatusOr<std::unique_ptr<Connection>> state =
      Connection::Open(path, Connection::Access::kReadWrite);
  return state.ok() ? (*state)->Execute(kForgetPlace) : state.status();
}

}  // namespace shadow::storage
