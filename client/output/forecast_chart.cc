#include "client/output/forecast_chart.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/proto_time.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr double kAxisTopMin = 1e-300;  // Beyond these a scale would end in zero or infinity.
constexpr double kAxisTopMax = 1e300;

int MedianColumn(const v1::Forecast& forecast) {
  int median = 0;
  for (int i = 1; i < forecast.quantiles_size(); ++i) {
    if (std::fabs(forecast.quantiles(i) - 0.5) < std::fabs(forecast.quantiles(median) - 0.5)) {
      median = i;
    }
  }
  return median;
}

std::optional<Band> BandOf(const v1::Forecast::Point& point, int median) {
  const auto& values = point.values();
  if (values.size() <= median) return std::nullopt;
  const Band band = {.low = values[0], .median = values[median], .high = values[values.size() - 1]};
  const bool finite =
      std::isfinite(band.low) && std::isfinite(band.median) && std::isfinite(band.high);
  return finite ? std::optional<Band>(band) : std::nullopt;
}

// Between the two quantiles that enclose `level`, in proportion.
std::optional<double> AtLevel(const v1::Forecast& forecast, const v1::Forecast::Point& point,
                              double level) {
  const auto& quantiles = forecast.quantiles();
  const auto& values = point.values();
  for (int i = 0; i + 1 < std::min(quantiles.size(), values.size()); ++i) {
    if (level < quantiles[i] || level > quantiles[i + 1]) continue;
    const double width = quantiles[i + 1] - quantiles[i];
    const double share = width > 0 ? (level - quantiles[i]) / width : 1;
    const double value = values[i] + share * (values[i + 1] - values[i]);
    return std::isfinite(value) ? std::optional<double>(value) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

PictureClock ClockOf(const v1::Pool& pool) {
  PictureClock clock;
  if (pool.time_zone().empty() || !absl::LoadTimeZone(pool.time_zone(), &clock.zone)) return {};
  clock.name = pool.time_zone();
  return clock;
}

PoolLines LinesOf(const v1::Pool& pool, std::span<const v1::ShadowPool> shadows) {
  PoolLines lines;
  const double capacity = pool.instance_capacity();
  if (std::isfinite(capacity) && capacity > 0) {
    std::int64_t ready = pool.serving_base_instances();
    for (const v1::ShadowPool& shadow : shadows) {
      ready += shadow.serving_instances() + shadow.suspended_instances();
    }
    lines.base = capacity * pool.managed_instances();
    lines.ready = capacity * static_cast<double>(ready);
  }
  const double level = pool.policy().service_level();
  if (level > 0 && level < 1) lines.service_level = level;
  return lines;
}

std::string BaseText(const PoolLines& lines) {
  return lines.base ? absl::StrCat("base ", NumberText(*lines.base)) : "";
}

std::string ReadyText(const PoolLines& lines) {
  return lines.ready ? absl::StrCat("ready now ", NumberText(*lines.ready)) : "";
}

std::string LevelText(const PoolLines& lines) {
  if (!lines.service_level) return "";
  return absl::StrCat("service level ", NumberText(100 * *lines.service_level), "%");
}

Chart ChartOf(const v1::Forecast& forecast, std::optional<double> service_level) {
  Chart chart;
  chart.step = FromProto(forecast.step());
  if (forecast.points().empty() || chart.step <= absl::ZeroDuration()) return chart;
  const std::size_t points =
      std::min(static_cast<std::size_t>(forecast.points_size()), Chart::kForecastSlotsMax);
  const absl::Time now = FromProto(forecast.points(0).time());

  if (forecast.history_size() > 0) {
    const absl::Duration known = now - FromProto(forecast.history(0).time());
    const double steps = std::ceil(absl::FDivDuration(known, chart.step));
    chart.history_slots = static_cast<std::size_t>(
        std::clamp(steps, 0.0, static_cast<double>(Chart::kHistorySlotsMax)));
  }
  chart.first = now - static_cast<double>(chart.history_slots) * chart.step;
  chart.slots.resize(chart.history_slots + points);
  for (const v1::Sample& sample : forecast.history()) {
    const double at = absl::FDivDuration(FromProto(sample.time()) - chart.first, chart.step);
    if (at < 0 || at >= static_cast<double>(chart.history_slots)) continue;
    if (!std::isfinite(sample.value())) continue;
    chart.slots[static_cast<std::size_t>(at)].history = sample.value();
  }
  const int median = MedianColumn(forecast);
  for (std::size_t i = 0; i < points; ++i) {
    const v1::Forecast::Point& point = forecast.points(static_cast<int>(i));
    Slot& slot = chart.slots[chart.history_slots + i];
    slot.band = BandOf(point, median);
    if (service_level) slot.at_level = AtLevel(forecast, point, *service_level);
  }
  return chart;
}

double AxisTop(std::span<const Slot> slots, const PoolLines& lines) {
  double highest = std::max(lines.base.value_or(0), lines.ready.value_or(0));
  for (const Slot& slot : slots) {
    if (slot.history) highest = std::max(highest, *slot.history);
    if (slot.band) highest = std::max(highest, slot.band->high);
  }
  if (highest <= 0) return 1;
  highest = std::clamp(highest, kAxisTopMin, kAxisTopMax);
  const double power = std::pow(10, std::floor(std::log10(highest)));
  for (const double factor : {1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0}) {
    if (factor * power >= highest) return factor * power;
  }
  return 10 * power;
}

std::string AxisText(double demand) { return absl::StrFormat("%.12g", demand); }

std::string TitleText(std::string_view pool, std::string_view unit) {
  std::string title = PrintableText(pool);
  if (!unit.empty()) title += ", " + PrintableText(unit);
  return title;
}

std::string BandText(const v1::Forecast& forecast) {
  if (forecast.quantiles().empty()) return "";
  const double low = 100 * forecast.quantiles(0);
  const double high = 100 * forecast.quantiles(forecast.quantiles_size() - 1);
  return absl::StrCat(NumberText(low), "% to ", NumberText(high), "%");
}

std::string TrustText(const v1::Forecast& forecast) {
  std::string text = "trust: ";
  text += v1::Trust_IsValid(forecast.trust()) ? v1::Trust_Name(forecast.trust()) : "unknown";
  if (!forecast.trust_reason().empty()) text += ": " + PrintableText(forecast.trust_reason());
  return text;
}

}  // namespace shadow
