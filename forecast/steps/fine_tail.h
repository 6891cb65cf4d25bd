// Steps finer than the cells that are learned: the cell that is not over, and the latest steps.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "forecast/saved_bytes.h"

namespace shadow {

// Used where a day has too many steps to learn each (shape.h). A forecast of cells becomes one of
// steps: moved by how far the latest steps lie from it (fading by half each cell), and spread by
// what single steps differ from their neighbours. One owner at a time. Memory: 2 KiB.
class FineTail {
 public:
  static constexpr int64_t kBytes = 2048;  // Of its vectors, at most.

  // `cell_steps`: steps a cell.
  explicit FineTail(double cell_steps);

  // Takes a step of cell `cell`, NaN: missing. The mean of the cell before, if that is over now
  // (NaN: it held no value); cells between them are not reported.
  struct Closed {
    int64_t cell = 0;
    double mean = 0;
  };
  std::optional<Closed> Push(int64_t cell, double value);

  // Whether a step of cell `cell` would end the cell before.
  bool Closes(int64_t cell) const { return open_ && cell > cell_; }

  // Where a path of cells (cell_path.h) stands for single steps.
  struct Path {
    double level_median = 0;  // Of the path, LevelAge() steps before the last step's middle.
    std::span<const double> medians;  // Of the rows.
    std::span<const int64_t> ahead;   // Steps from the last one to each row's.
  };

  // Turns the rows of `quantiles` of that path into those of the steps.
  void Refine(const Path& path, std::span<const double> quantiles,
              std::vector<std::vector<double>>& rows) const;

  // Steps by which the running level is behind a ramp.
  double LevelAge() const { return 1 / gain_ - 1; }

  bool seen() const { return seen_; }      // A value.
  double level() const { return level_; }  // Running mean of the latest steps.

  void Save(SavedWriter& writer) const;
  // False: not from Save.
  bool Load(SavedReader& reader);

 private:
  void Add(float difference);

  double cell_steps_;
  double gain_;
  bool open_ = false;
  int64_t cell_ = 0;
  double sum_ = 0;
  int64_t count_ = 0;
  bool seen_ = false;
  double level_ = 0;  // Running mean of the latest steps.
  double last_ = 0;   // The last step, and the one before; NaN: missing.
  double before_last_ = 0;
  std::vector<float> differences_;  // Of steps from both neighbours, as of the noise; a ring.
  int64_t next_ = 0;
  std::vector<float> sorted_;  // The same, rising: forecasts are asked more often than steps end.
};

}  // namespace shadow
