// systemd's journal as a place for the log: each line with its fields.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "server/log/log.h"
#include "spdlog/sinks/base_sink.h"

namespace shadow {

// Whether standard error goes to the journal: its device and inode are those that `journal_stream`
// names, the value of JOURNAL_STREAM (systemd.exec(5)). Null: it is not set.
bool StderrIsJournal(const char* journal_stream);

// Sends each line as a datagram of journald's native protocol. Not by sd_journal_sendv(3), whose
// socket blocks: with journald stopped it was seen to wait without a limit after 37 lines. Here all
// threads together wait at most kWaitMax in kWaitWindow for a journald that is slow or hangs.
// Beyond that a line is lost, and once journald takes lines again the log says how many were.
// Thread-safe.
class JournalSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  static constexpr char kSocketPath[] = "/run/systemd/journal/socket";
  static constexpr absl::Duration kWaitMax = absl::Milliseconds(100);
  static constexpr absl::Duration kWaitWindow = absl::Seconds(10);

  // `clock` must outlive it. An error: nobody takes entries at `socket_path`.
  static absl::StatusOr<std::shared_ptr<JournalSink>> Open(const std::string& socket_path,
                                                           Clock& clock);

  JournalSink(int fd, std::string socket_path, Clock& clock);
  ~JournalSink() override;
  JournalSink(const JournalSink&) = delete;
  JournalSink& operator=(const JournalSink&) = delete;

  void Write(spdlog::level::level_enum level, const LogFields& fields, std::string_view message,
             const CodePlace& place);

 private:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}

  void Take(const std::string& entry);
  bool TellLost();
  // False: it is lost.
  bool Send(std::string_view entry);
  // Until journald may take a datagram. False: not within what may be waited.
  bool AwaitRoom();
  // After journald's socket was replaced.
  bool Reconnect();

  const std::string socket_path_;
  Clock& clock_;
  // Under the lock of base_sink.
  int fd_;
  int64_t lost_ = 0;             // Lines that the log has not told of yet.
  absl::Duration window_begin_;  // Monotonic.
  absl::Duration waited_;        // In this window.
};

}  // namespace shadow
