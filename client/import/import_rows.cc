#include "client/import/import_rows.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "client/proto_time.h"
#include "client/text.h"

namespace shadow {

absl::Status ImportRows::Add(const ImportedTime& time, double value, std::size_t place) {
  const double scaled = value * scale_;
  if (!std::isfinite(scaled) || scaled < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(value, " is not a demand; wanted a finite number of at least 0"));
  }
  if (!form_.empty() && form_ != time.form) {
    return absl::InvalidArgumentError(
        absl::StrCat("its time is in ", time.form, ", those before in ", form_));
  }
  if (rows_.size() == kImportSamplesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("more than ", kImportSamplesMax, " samples; split the file"));
  }
  form_ = time.form;
  if (time.zoneless && zoneless_place_ == 0) zoneless_place_ = place;
  zoneless_ |= time.zoneless;
  rows_.push_back({.time = time.time, .later = time.later, .value = scaled, .place = place});
  return absl::OkStatus();
}

void ImportRows::Sort() {
  std::stable_sort(rows_.begin(), rows_.end(),
                   [](const Row& a, const Row& b) { return a.time < b.time; });
  sorted_ = true;
}

absl::Status ImportRows::Finish(Imported& imported) {
  if (rows_.empty()) return absl::InvalidArgumentError("it holds no sample");
  const bool descends = rows_.back().time < rows_.front().time;
  if (descends) std::reverse(rows_.begin(), rows_.end());
  absl::Time last = absl::InfinitePast();
  imported.samples.reserve(rows_.size());
  imported.places.reserve(rows_.size());
  for (const Row& row : rows_) {
    // When the clocks were set back, they showed some times twice.
    const absl::Time time = row.time > last ? row.time : row.later;
    if (time <= last) {
      return absl::InvalidArgumentError(
          absl::StrCat(imported.place, " ", row.place, ": its time, ", TimeText(time),
                       time == last ? ", is that of another sample"
                                    : ", is out of order; wanted times that all "
                                      "ascend, or all descend"));
    }
    v1::Sample& sample = imported.samples.emplace_back();
    *sample.mutable_time() = ToProto(time);
    sample.set_value(row.value);
    imported.places.push_back(row.place);
    last = time;
  }
  imported.zoneless_place = zoneless_place_;
  const char* const order = sorted_ ? "sorted" : descends ? "descending" : "ascending";
  absl::StrAppend(&imported.told, "  ",
                  CountText(static_cast<std::int64_t>(rows_.size()), "sample"), " from ",
                  TimeText(FromProto(imported.samples.front().time())), " to ", TimeText(last),
                  ", ", order, "; ", missing_, " missing\n");
  return absl::OkStatus();
}

}  // namespace shadow
