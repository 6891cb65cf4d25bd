// Samples as they come out of a file, in any order, put into theirs.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/import/import.h"
#include "client/import/import_time.h"

namespace shadow {

inline constexpr std::size_t kImportSamplesMax = 5'000'000;

class ImportRows {
 public:
  // `scale`: what each value is multiplied by.
  explicit ImportRows(double scale) : scale_(scale) {}

  // A value that is not known.
  void Miss() { ++missing_; }
  // kInvalidArgument, without the place: no demand, a time of another form than those before, too
  // many. `place`: of the sample, from 1.
  absl::Status Add(const ImportedTime& time, double value, std::size_t place);
  // By time, whatever their order was; otherwise it must ascend or descend.
  void Sort();
  // Fills in all but `told`, and adds to it how many, from when to when and in which order.
  // kInvalidArgument: there is none, or one is out of order; says `imported.place` and its number.
  absl::Status Finish(Imported& imported);

  // "epoch seconds"; empty: no sample yet.
  const std::string& form() const { return form_; }
  bool zoneless() const { return zoneless_; }

 private:
  struct Row {
    absl::Time time;
    absl::Time later;
    double value = 0;
    std::size_t place = 0;
  };

  const double scale_;
  std::vector<Row> rows_;
  std::size_t missing_ = 0;
  std::size_t zoneless_place_ = 0;
  std::string form_;
  bool zoneless_ = false;
  bool sorted_ = false;
};

}  // namespace shadow
