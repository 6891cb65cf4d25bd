#include "client/commands/backup.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "client/errors.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr mode_t kBackupMode = 0600;

absl::Status Failed(const char* what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " ", PrintableText(path)));
}

absl::Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Failed("write", path);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return absl::OkStatus();
}

// Of the daemon into `fd`; how many bytes there were. No deadline: it takes as long as the store is
// large.
absl::StatusOr<std::int64_t> Receive(Session& session, int fd, const std::string& path) {
  grpc::ClientContext context;
  const auto reader = session.backups().CreateBackup(&context, v1::CreateBackupRequest());
  v1::BackupChunk chunk;
  std::int64_t bytes = 0;
  absl::Status written;
  while (written.ok() && reader->Read(&chunk)) {
    written = WriteAll(fd, chunk.data(), path);
    bytes += static_cast<std::int64_t>(chunk.data().size());
  }
  if (!written.ok()) context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (!written.ok()) return written;
  if (!status.ok()) return session.FromRpc(status);
  return bytes;
}

}  // namespace

absl::Status Backup(Session& session) {
  const std::string& path = session.arguments().name;
  const std::string partial = path + ".partial";
  if (access(path.c_str(), F_OK) == 0) {
    return absl::AlreadyExistsError(absl::StrCat(PrintableText(path), " is there already"));
  }
  const int fd = open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kBackupMode);
  if (fd < 0) return Failed("create", partial);
  const absl::Cleanup close_file = [fd] { close(fd); };
  absl::Cleanup remove = [&partial] { unlink(partial.c_str()); };
  const absl::StatusOr<std::int64_t> bytes = Receive(session, fd, partial);
  if (!bytes.ok()) return bytes.status();
  if (fsync(fd) != 0) return Failed("write", partial);
  // Unlike rename, link replaces nothing that came meanwhile.
  if (link(partial.c_str(), path.c_str()) != 0) return Failed("create", path);
  session.console().err << PrintableText(path) << ": " << *bytes << " bytes\n";
  return absl::OkStatus();
}

}  // namespace shadow
