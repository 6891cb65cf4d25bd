#include "client/output/forecast_csv.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/proto_time.h"

namespace shadow {
namespace {

std::string FullTime(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", FromProto(time), absl::UTCTimeZone());
}

}  // namespace

std::string ForecastCsv(const v1::Forecast& forecast) {
  std::string csv = "timestamp,history";
  for (const double quantile : forecast.quantiles()) absl::StrAppend(&csv, ",q", quantile);
  csv += '\n';
  const std::string no_quantiles(static_cast<std::size_t>(forecast.quantiles_size()), ',');
  for (const v1::Sample& sample : forecast.history()) {
    absl::StrAppendFormat(&csv, "%s,%.15g%s\n", FullTime(sample.time()), sample.value(),
                          no_quantiles);
  }
  for (const v1::Forecast::Point& point : forecast.points()) {
    csv += FullTime(point.time());
    csv += ',';
    for (const double value : point.values()) absl::StrAppendFormat(&csv, ",%.15g", value);
    csv += '\n';
  }
  return csv;
}

}  // namespace shadow
