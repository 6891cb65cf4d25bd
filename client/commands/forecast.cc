// shadowctl forecast: the demand that is expected, as a picture or as data.
#include <array>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/command.h"
#include "client/errors.h"
#include "client/names.h"
#include "client/output/forecast_chart.h"
#include "client/output/forecast_csv.h"
#include "client/output/forecast_svg.h"
#include "client/output/json.h"
#include "client/output/plot.h"
#include "client/proto_time.h"
#include "client/session.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr int kHistoryStepsMax = 2016;  // GetForecast's own limit.
constexpr int kPlotRows = 14;

// -o, or else what the name of the file to write ends in.
absl::StatusOr<Output> FormatOf(const Arguments& arguments) {
  if (arguments.output != Output::kTable || arguments.save.empty()) return arguments.output;
  constexpr struct {
    const char* ending;
    Output output;
  } kEndings[] = {{".csv", Output::kCsv}, {".json", Output::kJson}, {".svg", Output::kSvg}};
  for (const auto& row : kEndings) {
    if (absl::EndsWithIgnoreCase(arguments.save, row.ending)) return row.output;
  }
  return BadField("--save", absl::StrCat("\"", PrintableText(arguments.save),
                                         "\" does not end in .csv, .json or .svg; say the format "
                                         "with -o"));
}

bool IsPicture(Output format) { return format == Output::kTable || format == Output::kSvg; }

absl::StatusOr<v1::GetForecastRequest> RequestOf(const Arguments& arguments, Output format) {
  v1::GetForecastRequest request;
  request.set_pool(FullPoolName(arguments.name));
  if (!arguments.horizon.empty()) {
    const absl::StatusOr<absl::Duration> horizon =
        ParseDurationFlag(arguments.horizon, "--horizon");
    if (!horizon.ok()) return horizon.status();
    *request.mutable_horizon() = ToProto(*horizon);
  }
  request.set_history_steps(
      arguments.history_steps.value_or(IsPicture(format) ? kHistoryStepsMax : 0));
  return request;
}

// Drops the history that is further back than the forecast reaches ahead.
void Balance(v1::Forecast& forecast) {
  if (forecast.points().empty()) return;
  const absl::Time from =
      FromProto(forecast.points(0).time()) - forecast.points_size() * FromProto(forecast.step());
  auto& history = *forecast.mutable_history();
  int old = 0;
  while (old < history.size() && FromProto(history[old].time()) < from) ++old;
  history.DeleteSubrange(0, old);
}

std::string PictureOf(const v1::Forecast& forecast, const v1::Pool& pool, const PoolLines& lines,
                      Output format, const Console& console) {
  const PictureClock clock = ClockOf(pool);
  if (format == Output::kSvg) {
    return ForecastSvg(
        forecast,
        {.pool = pool.name(), .unit = pool.demand_unit(), .clock = clock, .lines = lines});
  }
  return PlotForecast(forecast, {.title = TitleText(pool.name(), pool.demand_unit()),
                                 .columns = console.columns,
                                 .rows = kPlotRows,
                                 .blocks = console.out_is_terminal && console.utf8,
                                 .colour = console.colour,
                                 .clock = clock,
                                 .lines = lines});
}

absl::StatusOr<std::string> TextOf(Session& session, Output format) {
  const absl::StatusOr<v1::GetForecastRequest> request = RequestOf(session.arguments(), format);
  if (!request.ok()) return request.status();
  absl::StatusOr<v1::Forecast> forecast =
      session.Call(session.usage(), &v1::UsageService::Stub::GetForecast, *request);
  if (!forecast.ok()) return forecast.status();
  if (format == Output::kCsv) return ForecastCsv(*forecast);
  if (format == Output::kJson) return JsonText(*forecast) + "\n";
  if (!session.arguments().history_steps) Balance(*forecast);
  v1::GetPoolRequest pool_request;  // For the unit of demand, the clock and the lines.
  pool_request.set_name(request->pool());
  const absl::StatusOr<v1::Pool> pool =
      session.Call(session.pools(), &v1::PoolService::Stub::GetPool, pool_request);
  if (!pool.ok()) return pool.status();
  v1::ListShadowPoolsRequest shadows_request;
  shadows_request.set_parent(request->pool());
  const auto shadows =
      session.CallPages(session.shadows(), &v1::ShadowPoolService::Stub::ListShadowPools,
                        shadows_request, &v1::ListShadowPoolsResponse::mutable_shadow_pools, 0);
  if (!shadows.ok()) return shadows.status();
  const std::vector<v1::ShadowPool> list(shadows->shadow_pools().begin(),
                                         shadows->shadow_pools().end());
  return PictureOf(*forecast, *pool, LinesOf(*pool, list), format, session.console());
}

absl::Status SaveTo(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  if (!file) return BadField("--save", absl::StrCat("cannot write \"", PrintableText(path), "\""));
  file << text;
  file.close();
  if (file) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("--save: writing \"", PrintableText(path), "\" failed"));
}

absl::Status Forecast(Session& session) {
  const std::string& path = session.arguments().save;
  const absl::StatusOr<Output> format = FormatOf(session.arguments());
  if (!format.ok()) return format.status();
  const absl::StatusOr<std::string> text = TextOf(session, *format);
  if (!text.ok()) return text.status();
  if (!path.empty()) return SaveTo(path, *text);
  session.console().out << *text;
  return absl::OkStatus();
}

constexpr std::array<Command, 1> kCommands = {{
    {"", "forecast", "POOL", "Plot the demand that is expected, or write it as CSV, JSON or SVG",
     "forecast web --horizon 6h --save web.svg", kTakesHorizon | kTakesHistory | kTakesChart,
     Forecast},
}};

}  // namespace

std::span<const Command> ForecastCommands() { return kCommands; }

}  // namespace shadow
