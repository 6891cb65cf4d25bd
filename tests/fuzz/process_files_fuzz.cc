// Files that say what an instance is: its record, how it ended, and /proc/PID/stat.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "server/providers/look/process_look.h"
#include "server/providers/process_record.h"
#include "server/providers/process_table.h"
#include "tests/fuzz/input.h"

namespace shadow {
namespace {

// It goes into messages, events and the log.
void CheckPrintable(std::string_view text) {
  if (!std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; })) abort();
}

void ReadRecord(const std::string& text) {
  const auto record = ParseRecord("i7", text);
  if (!record.has_value()) return;
  for (const std::string& said : {record->epoch, record->name, record->dna_revision, record->pool,
                                  record->shadow, record->boot_id, record->exit_reason}) {
    CheckPrintable(said);
  }
  // Each may be sent a signal.
  if (record->leader.pid <= 0) abort();
  if (record->holder.has_value() && record->holder->pid <= 0) abort();
  for (const auto* list : {&record->stopped, &record->niced}) {
    for (const ProcessId& process : *list) {
      if (process.pid <= 0) abort();
    }
  }
  if (record->port < 0 || record->port > 65535) abort();
  // What is taken is what would have been written.
  const auto again = ParseRecord("i7", SerializeRecord(*record));
  if (!again.has_value() || SerializeRecord(*again) != SerializeRecord(*record)) abort();
}

}  // namespace

void Fuzz(std::string_view bytes) {
  ReadRecord(std::string(bytes));
  CheckPrintable(ParseExit(bytes));
  const auto stat = ParseProcessStat(7, bytes);
  if (stat.has_value() && stat->id.pid != 7) abort();
}

}  // namespace shadow
