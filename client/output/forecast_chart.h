// What every picture of a forecast shows: its steps in order, the scale of its axis and its words.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "shadow/v1/pool.pb.h"
#include "shadow/v1/shadow_pool.pb.h"
#include "shadow/v1/usage.pb.h"

namespace shadow {

// Of one forecast step, demand.
struct Band {
  double low = 0;     // The lowest quantile.
  double median = 0;  // The quantile nearest 0.5.
  double high = 0;    // The highest quantile.
};

// One step: history or forecast, or neither where it is missing.
struct Slot {
  std::optional<double> history;
  std::optional<Band> band;
  std::optional<double> at_level = {};  // Of a forecast: its quantile at the service level, demand.
};

// The clock by which a picture says times.
struct PictureClock {
  absl::TimeZone zone = absl::UTCTimeZone();
  std::string name = "UTC";
};

// That of a pool; UTC where this host does not know its time zone.
PictureClock ClockOf(const v1::Pool& pool);

// What a pool has and wants, beside its forecast; what is unset is not drawn.
struct PoolLines {
  std::optional<double> base = {};           // Capacity of the base, demand.
  std::optional<double> ready = {};          // Of all that serves or waits now, demand.
  std::optional<double> service_level = {};  // In (0, 1).
};

// Of a pool and its shadow pools as they are now.
PoolLines LinesOf(const v1::Pool& pool, std::span<const v1::ShadowPool> shadows);

// "base 80", "ready now 240", "service level 99%".
std::string BaseText(const PoolLines& lines);
std::string ReadyText(const PoolLines& lines);
std::string LevelText(const PoolLines& lines);

struct Chart {
  static constexpr std::size_t kForecastSlotsMax = 10'000;  // Several times what a daemon returns.
  static constexpr std::size_t kHistorySlotsMax = 10'000;

  std::vector<Slot> slots;        // One per step, oldest first. Empty: nothing is forecast.
  std::size_t history_slots = 0;  // So many lie before the forecast.
  absl::Time first;               // Start of the first slot.
  absl::Duration step;            // Of each slot.

  // Start of slot `slot`; of the one behind the last: the end.
  absl::Time TimeOf(std::size_t slot) const { return first + static_cast<double>(slot) * step; }
};

// All the history and points of `forecast`, within the limits above (the latest history, the first
// points). Values that are not finite are missing. `service_level`: of Slot::at_level, which is
// missing where the quantiles do not enclose it.
Chart ChartOf(const v1::Forecast& forecast, std::optional<double> service_level = std::nullopt);

// The highest demand shown, rounded up to 1, 1.5, 2, 2.5, 3, 4, 5, 6 or 8 times a power of ten:
// 73 -> 80. At least 1e-300; 1 if nothing is above zero. The lines are shown too.
double AxisTop(std::span<const Slot> slots, const PoolLines& lines = {});

// A number of the axis, in full: 0.0004, 1200, 1e+15.
std::string AxisText(double demand);

// "pools/web, requests/s", printable; without the comma if there is no unit.
std::string TitleText(std::string_view pool, std::string_view unit);

// The quantiles that bound the band: "5% to 95%". Empty if there are none.
std::string BandText(const v1::Forecast& forecast);

// The forecaster's verdict on itself, printable: "trust: TOO_LITTLE_DATA: 3 steps".
std::string TrustText(const v1::Forecast& forecast);

}  // namespace shadow
