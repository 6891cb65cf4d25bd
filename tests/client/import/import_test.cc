// What other systems export, read as samples of demand. The files are made, as their names say.
#include "client/import/import.h"

#include <grpcpp/support/status_code_enum.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "client/proto_time.h"
#include "tests/client/fake_daemon.h"
#include "tests/client/run_shadowctl.h"

namespace shadow {
namespace {

using Samples = std::vector<std::pair<int64_t, double>>;  // Unix seconds, value.

std::string ImportPath(const std::string& name) {
  return std::string(SHADOW_TEST_DATA) + "/imports/" + name;
}

std::string ImportText(const std::string& name) {
  std::ifstream file(ImportPath(name), std::ios::binary);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

absl::TimeZone Berlin() {
  absl::TimeZone zone;
  REQUIRE(absl::LoadTimeZone("Europe/Berlin", &zone));
  return zone;
}

Samples SamplesOf(const Imported& imported) {
  Samples samples;
  for (const v1::Sample& sample : imported.samples) {
    samples.emplace_back(absl::ToUnixSeconds(FromProto(sample.time())), sample.value());
  }
  return samples;
}

// Of a file that is good.
Imported ImportGood(const std::string& text, const ImportOptions& options = {}) {
  const auto imported = ImportSamples(text, "f", options);
  INFO(imported.status());
  REQUIRE(imported.ok());
  CHECK(imported->samples.size() == imported->places.size());
  return *imported;
}

constexpr int64_t kMayDay = 1777593600;  // 2026-05-01T00:00:00Z

TEST_CASE("a range query of Prometheus is imported, without what it does not know") {
  const Imported imported = ImportGood(ImportText("made-prometheus.json"));
  CHECK(SamplesOf(imported) == Samples{{kMayDay, 10}, {kMayDay + 120, 12.5}});
  CHECK(imported.place == "point");
  CHECK(imported.places == std::vector<std::size_t>{1, 3});
  CHECK(imported.told ==
        "f: range query of Prometheus\n  series {\"job\":\"web\"}\n  times: epoch seconds\n"
        "  2 samples from 2026-05-01T00:00:00Z to 2026-05-01T00:02:00Z, ascending; 1 missing\n");
}

TEST_CASE("one of several series is imported by name or number, none of them unasked") {
  const std::string text = ImportText("made-prometheus-two-series.json");
  CHECK(ImportSamples(text, "f", {}).status() ==
        absl::InvalidArgumentError("f: it holds 2 of series, 1 to 2: {\"job\":\"web\"}, "
                                   "{\"job\":\"api\"}; name one with --value-column"));
  CHECK(ImportGood(text, {.value_column = "2"}).samples.size() == 2);
  CHECK(ImportGood(text, {.value_column = "{\"job\":\"web\"}"}).samples.size() == 1);
}

TEST_CASE("CloudWatch's metrics are imported in either form, per second by a scale") {
  for (const char* name : {"made-cloudwatch-data.json", "made-cloudwatch-statistics.json"}) {
    INFO(name);
    const Imported imported = ImportGood(ImportText(name), {.scale = 1.0 / 300});
    CHECK(SamplesOf(imported) == Samples{{kMayDay, 1}, {kMayDay + 300, 1.5}, {kMayDay + 600, 2}});
    CHECK_THAT(imported.told, Catch::Contains("RequestCount"));
  }
}

TEST_CASE("Grafana's CSV is imported, its times in the zone that is given") {
  const Imported imported = ImportGood(ImportText("made-grafana.csv"), {.time_zone = Berlin()});
  CHECK(SamplesOf(imported) == Samples{{kMayDay, 10.5}, {kMayDay + 120, 12}});
  CHECK(imported.places == std::vector<std::size_t>{3, 5});
  CHECK(imported.zoneless_place == 0);
  CHECK_THAT(imported.told,
             Catch::Contains("CSV as Grafana writes it") &&
                 Catch::Contains("column 1 (\"Time\"): time, date and time without a zone, read in "
                                 "Europe/Berlin\n") &&
                 Catch::Contains("column 2 (\"sum(rate(http_requests_total{job=\"web\"}[1m]))\"): "
                                 "value\n"));
  CHECK(ImportGood(ImportText("made-grafana.csv")).zoneless_place == 3);  // To be asked about.
}

TEST_CASE("semicolons, decimal commas, dates with points and descending times are taken") {
  const Imported imported =
      ImportGood(ImportText("made-semicolons-descending.csv"), {.time_zone = Berlin()});
  CHECK(SamplesOf(imported) == Samples{{kMayDay, 10}, {kMayDay + 120, 12.5}});
  CHECK(imported.places == std::vector<std::size_t>{4, 2});
  CHECK_THAT(imported.told, Catch::Contains("header: Host | Zeit | Anfragen\n") &&
                                Catch::Contains("column 3 (\"Anfragen\"): value, with a decimal "
                                                "comma\n") &&
                                Catch::Contains("column 1 (\"Host\"): not used\n") &&
                                Catch::Contains("descending; 1 missing\n"));
}

TEST_CASE("tabs, milliseconds and no header are taken") {
  const Imported imported = ImportGood(ImportText("made-tabs-millis-no-header.csv"));
  CHECK(SamplesOf(imported) == Samples{{kMayDay, 10}, {kMayDay + 60, 11}});
  CHECK_THAT(imported.told, Catch::Contains("parted by a tab, without a header\n") &&
                                Catch::Contains("column 1: time, epoch milliseconds\n"));
}

TEST_CASE("times that the clocks showed twice keep their order, skipped ones are refused") {
  const ImportOptions berlin{.time_zone = Berlin()};
  const std::string autumn =
      "time,value\n2026-10-25 02:30:00,1\n2026-10-25 02:45:00,2\n2026-10-25 02:30:00,3\n"
      "2026-10-25 02:45:00,4\n";
  const Samples samples = SamplesOf(ImportGood(autumn, berlin));
  REQUIRE(samples.size() == 4);
  CHECK(samples[2].first - samples[0].first == 3600);
  CHECK_THAT(
      std::string(
          ImportSamples("time,value\n2026-03-29 02:30:00,1\n", "f", berlin).status().message()),
      Catch::Contains("is never shown by the clocks of Europe/Berlin"));
}

TEST_CASE("a bad export is refused with the line, the column and what was wanted") {
  const struct {
    const char* text;
    const char* words;
  } cases[] = {
      {"", "f: it is empty"},
      {"time\n1\n", "one column"},
      {"a,b\nx,y\n", "no column holds times; name one with --time-column"},
      {"time,a,b\n2026-05-01T00:00:00Z,1,2\n",
       "values could be in column 2 (\"a\"), column 3 (\"b\"); name one with --value-column"},
      {"time,value\n", "it holds no sample"},
      {"time,value\n2026-05-01T00:00:00Z,1\nnoon,2\n", "f: line 3, column 1 (\"time\"): \"noon\""},
      {"time,value\n2026-05-01T00:00:00Z,12 req/s\n",
       "line 2, column 2 (\"value\"): \"12 req/s\" is not a number; of Grafana"},
      {"time,value\n2026-05-01T00:00:00Z,-1\n", "line 2, column 2 (\"value\"): -1 is not a demand"},
      {"time,value\n2026-05-01T00:00:00Z,inf\n", "inf is not a demand"},
      {"time,value\n2026-05-01T00:00:00Z,\"1,200\"\n", "has a comma"},
      {"time;value\n2026-05-01T00:00:00Z;1.200,5\n", "has a comma"},
      {"time;value\n2026-05-01T00:00:00Z;1,5\n2026-05-01T00:01:00Z;1.5\n", "line 3, column 2"},
      {"time,value\n05/01/2026 00:00,1\n", "may be of two months"},
      {"time,value\n2026-05-01T00:00:00Z\n", "line 2: it has 1 column; wanted column 2"},
      {"time,value\n1777593600,1\n1777593660000,1\n", "in epoch milliseconds, those before in"},
      {"time,value\n1777593600,1\n1777593600,2\n",
       "line 3: its time, 2026-05-01T00:00:00Z, is "
       "that of another"},
      {"time,value\n1777593600,1\n1777593500,2\n1777593700,2\n", "is out of order"},
      {"time,value\n\"1777593600,1\n", "line 2: a quote is not closed"},
      {"{\n \"a\": }", "f: line 2, column 7: it is not JSON"},
      {"{}", "neither a range query of Prometheus"},
      {"{\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{},\"value\":[1,\"2\"]}]}}",
       "instant query"},
      {"{\"data\":{\"result\":[{\"metric\":{},\"values\":[[1777593600,\"x\"]]}]}}",
       "point 1: \"x\" is no number"},
      {"{\"data\":{\"result\":[]}}", "it holds no series"},
      {"{\"MetricDataResults\":[{\"Id\":\"a\",\"Timestamps\":[],\"Values\":[1]}]}",
       "as many Timestamps as Values"},
      {"{\"Datapoints\":[]}", "it holds no statistics"},
  };
  for (const auto& c : cases) {
    INFO(c.text);
    const auto imported = ImportSamples(c.text, "f", {});
    REQUIRE(absl::IsInvalidArgument(imported.status()));
    CHECK_THAT(std::string(imported.status().message()), Catch::Contains(c.words));
  }
}

TEST_CASE("columns can be named, by name or number, and wrong names are told with the header") {
  const std::string text = "when,a,b\n2026-05-01T00:00:00Z,1,2\n";
  CHECK(ImportGood(text, {.value_column = "B"}).samples[0].value() == 2);
  CHECK(ImportGood(text, {.time_column = "1", .value_column = "2"}).samples[0].value() == 1);
  CHECK(ImportSamples(text, "f", {.value_column = "c"}).status() ==
        absl::InvalidArgumentError(
            "f: --value-column: there is no column \"c\"; the header is when | a | b"));
}

TEST_CASE("usage import says what it took, and sends as usage push does") {
  FakeDaemon daemon;
  const std::string file = ImportPath("made-semicolons-descending.csv");
  Ran ran = Run(daemon, {"usage", "import", "web", "-f", file, "--time-zone", "Europe/Berlin",
                         "--overlap", "skip", "--dry-run"});
  INFO(ran.err);
  CHECK(ran.exit_code == 0);
  CHECK_THAT(ran.out,
             Catch::Contains("column 2 (\"Zeit\"): time") &&
                 Catch::EndsWith("pools/web: 2 samples accepted (dry run: nothing was changed)\n"));
  CHECK(daemon.state.batch.samples(0).time().seconds() == kMayDay);
  CHECK(daemon.state.batch.overlap() == v1::ReportUsageBatchRequest::SKIP);

  daemon.state.errors = {
      {grpc::StatusCode::INVALID_ARGUMENT, "samples[1].time: too old", "samples[1].time", "ORDER"}};
  ran = Run(daemon, {"usage", "import", "web", "-f", "-"}, ImportText("made-prometheus.json"));
  CHECK(ran.err == "error: INVALID_ARGUMENT: standard input: point 3: samples[1].time: too old\n");
  for (const auto& [flag, value] :
       {std::pair("--time-zone", "Mars/Olympus"), std::pair("--scale", "0")}) {
    ran = Run(daemon, {"usage", "import", "web", "-f", file, flag, value});
    CHECK(ran.exit_code == 2);
    CHECK_THAT(ran.err, Catch::Contains(flag));
  }
}

}  // namespace
}  // namespace shadow
