// Which fits of a series are due, and which one counts: by cell, from the cells that closed alone.
#pragma once

#include <cstdint>
#include <optional>

#include "forecast/saved_bytes.h"

namespace shadow {

// A fit is due when cells close that pass a multiple of `refit` (and `phase`), and when there is
// enough history for the first one. It is made of the history up to then, and counts from the next
// time on that a cell closes: until then the one before it does. So nothing depends on when, where
// or how often fits are made. After a gap that the history does not reach across from the fit that
// counts, with a window before it, one counts at once. Worked, refit 12: the fit of cell 24 is due
// when cell 23 closes, and counts when cell 24 does.
//
// Past cells are history that nobody decides by. When the first cell after them closes, a fit is
// due whatever the multiple.
class FitSchedule {
 public:
  // `age_max`: cells from the fit that counts to the end of the history, at most.
  struct Options {
    int refit = 1;
    int past_refit = 1;
    int phase = 0;
    int64_t age_max = 1;
  };
  explicit FitSchedule(const Options& options) : options_(options) {}

  // Cells closed: the history now ends before the cell `next`. `enough`: for a fit. `past`: they
  // are past ones, and fits are due every `past_refit`.
  void Close(int64_t next, bool enough, bool past = false);

  // All that is known are past cells.
  bool past() const { return past_ == Past::kAll; }

  // What is in the open cell is past no more.
  void EndPast() {
    if (past_ == Past::kAll) past_ = Past::kUpToOpenCell;
  }

  // The fit that counts, and the one that is to count next, by the cell that their history ends
  // before. Unset: none.
  const std::optional<int64_t>& counting() const { return counting_; }
  const std::optional<int64_t>& due() const { return due_; }

  // The series begins anew.
  void Reset() {
    counting_ = due_ = std::nullopt;
    past_ = Past::kNone;
  }

  // Cells are counted from elsewhere: `cells` more each.
  void Shift(int64_t cells);

  void Save(SavedWriter& writer) const;
  // False: not from Save of a history of the cells [first, next).
  bool Load(SavedReader& reader, int64_t first, int64_t next);

 private:
  enum class Past : uint8_t { kNone, kAll, kUpToOpenCell };

  Options options_;
  std::optional<int64_t> counting_;
  std::optional<int64_t> due_;
  Past past_ = Past::kNone;
};

}  // namespace shadow
