#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "client/input/samples_csv.h"
#include "client/output/forecast_csv.h"
#include "client/proto_time.h"

namespace shadow {
namespace {

TEST_CASE("a CSV of samples is taken with either kind of time, gaps and all") {
  const auto csv = ParseSamplesCsv(
      "\xEF\xBB\xBFtimestamp,value\r\n"
      "2026-05-01T12:00:00Z,10.5\r\n"
      "\n"
      "1777636860,0\n"
      "2026-05-01T12:02:00Z,\n"
      " \"2026-05-01 12:03:00\" , \"7\" \n",
      "demand.csv");
  REQUIRE(csv.ok());
  const std::vector<v1::Sample>& samples = csv->samples;
  REQUIRE(samples.size() == 3);
  CHECK(FromProto(samples[0].time()) == absl::FromUnixSeconds(1777636800));
  CHECK(samples[0].value() == 10.5);
  CHECK(samples[1].value() == 0);
  CHECK(FromProto(samples[2].time()) == absl::FromUnixSeconds(1777636980));
  CHECK(samples[2].value() == 7);
  CHECK(csv->lines == std::vector<std::size_t>{2, 4, 6});
  CHECK(csv->zoneless_line == 6);
  CHECK(ParseSamplesCsv("timestamp,value\n2026-05-01T12:00:00Z,1\n", "d.csv")->zoneless_line == 0);
}

TEST_CASE("a bad CSV is rejected with the line and what was wanted") {
  const struct {
    const char* text;
    const char* message;
  } table[] = {
      {"", "d.csv: line 1: it is empty; wanted the header `timestamp,value` and samples"},
      {"1777636800,1\n", "d.csv: line 1: the header must be `timestamp,value`"},
      {"time,value\n", "d.csv: line 1: the header must be `timestamp,value`"},
      {"timestamp,value\n1,2,3\n", "d.csv: line 2: \"1,2,3\" is not `timestamp,value`"},
      {"timestamp,value\n5\n", "d.csv: line 2: \"5\" is not `timestamp,value`"},
      {"timestamp,value\n\n1,x\n",
       "d.csv: line 3: value \"x\" is not a finite number of at least 0; leave it empty if it is "
       "missing"},
      {"timestamp,value\n1,nan\n",
       "d.csv: line 2: value \"nan\" is not a finite number of at least 0; leave it empty if it "
       "is missing"},
      {"timestamp,value\n1,-1\n",
       "d.csv: line 2: value \"-1\" is not a finite number of at least 0; leave it empty if it is "
       "missing"},
      {"timestamp,value\nnoon,1\n",
       "d.csv: line 2: \"noon\" is not a time; wanted ISO 8601 such as 2026-05-01T09:30:00Z, or "
       "Unix seconds"},
      {"timestamp,value\n2,1\n2,1\n",
       "d.csv: line 3: its time is not after that of the sample before it"},
      {"timestamp,value\n2,\n", "d.csv: line 2: it ends without a sample"},
  };
  for (const auto& row : table) {
    INFO(row.text);
    const auto samples = ParseSamplesCsv(row.text, "d.csv");
    CHECK(samples.status() == absl::InvalidArgumentError(row.message));
  }
}

TEST_CASE("a forecast is written as CSV with its history") {
  v1::Forecast forecast;
  forecast.add_quantiles(0.05);
  forecast.add_quantiles(0.5);
  v1::Sample& sample = *forecast.add_history();
  *sample.mutable_time() = ToProto(absl::FromUnixSeconds(60));
  sample.set_value(3.5);
  v1::Forecast::Point& point = *forecast.add_points();
  *point.mutable_time() = ToProto(absl::FromUnixSeconds(120));
  point.add_values(1);
  point.add_values(2.25);
  CHECK(ForecastCsv(forecast) ==
        "timestamp,history,q0.05,q0.5\n"
        "1970-01-01T00:01:00Z,3.5,,\n"
        "1970-01-01T00:02:00Z,,1,2.25\n");
}

}  // namespace
}  // namespace shadow
