// What instances that have ended wrote, the last ones of it:
//
//   DIR/POOL.SHADOW.ID.ended   the log of an instance; SHADOW is empty for one of the base.
//
// So it can still be read why one has failed, after nothing else is left of it.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/core/ports.h"
#include "server/providers/process_record.h"

namespace shadow {

// Thread-safe: it remembers nothing.
class KeptLogs {
 public:
  static constexpr int kOfGroup = 2;  // Of one base, or one shadow pool.
  static constexpr int kOfAll = 32;

  explicit KeptLogs(std::string directory) : directory_(std::move(directory)) {}

  // Moves the file at `log_path` here, and removes the oldest ones that are too many. Without a
  // pool, where it cannot be moved or is no plain file, it is removed. OK if there is no such file.
  absl::Status Keep(const InstanceSpec& instance, const std::string& log_path) const;

  // That of `instance`, or of the one of its group that ended last. kNotFound: it is not kept.
  absl::StatusOr<LogPiece> Read(const InstanceSpec& instance, const LogRequest& request) const;

 private:
  std::string PathOf(std::string_view group, std::string_view id) const;

  const std::string directory_;
};

// As Provider::ReadLog, of an instance whose log is at `log_path` while it is there.
absl::StatusOr<LogPiece> ReadPresentOrKept(const std::string& log_path, const KeptLogs& kept,
                                           const InstanceSpec& instance, const LogRequest& request);

// CapLog, if it has no holder that does so. One that cannot be cut is no reason to know nothing of
// the instance: the next look tries again. One at a time, by `mutex`.
void CapLogOf(const ProcessRecord& record, const std::string& path, int64_t max_bytes,
              std::mutex& mutex);

// As Keep takes it: without its DNA.
InstanceSpec EndedSpec(const ProcessRecord& record);

}  // namespace shadow
