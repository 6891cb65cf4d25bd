#include "forecast/need/need_signals.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

namespace shadow {
namespace {

constexpr int kDayEntriesMax = 2048;
constexpr int kRecentStepsMin = 16;  // More than kHourSteps.
constexpr int kHalfHourSteps = 6;    // So they are called for the 5-minute grid.
constexpr int kHourSteps = 12;
constexpr double kSmoothing = 0.25;
constexpr double kVolatilitySmoothing = 0.2;
constexpr double kForecastCorrection = 0.7;  // Share of its last error that a forecast is moved by.

// Edges between situations, in instances.
constexpr std::array kVolatilityEdges = {.05, .15, .4, 1.0, 2.5, 6.0};
constexpr std::array kLevelEdges = {.5, 1.5, 2.5, 4.5, 7.5, 11.5, 17.5, 25.5, 37.5};
constexpr std::array kDifferenceEdges = {-20.0, -8.0, -3.0, -.5, .5, 3.0, 8.0, 20.0};
constexpr std::array kRiseEdges = {-8.0, -3.0, -1.2, -.5, .5, 1.2, 3.0, 8.0};
constexpr std::array kSpreadEdges = {.2, .5, 1.2, 2.4, 4.8};
// Coarser, of histograms: each situation takes memory at every horizon.
constexpr std::array kFewVolatilityEdges = {.15, .4, 1.0, 2.5};
constexpr std::array kFewLevelEdges = {.5, 2.5, 6.5, 14.5, 27.5};
constexpr std::array kFewSmoothedEdges = {1.5, 4.5, 11.5, 25.5};
constexpr std::array kFewDifferenceEdges = {-8.0, -.5, .5, 8.0};
constexpr std::array kFewRiseEdges = {-.8, .8};
constexpr int kRises = 3;
constexpr int kTrends = 3;
constexpr int kDeviations = 3;

// How many of the edges lie below `value`.
template <size_t kEdges>
int BinOf(const std::array<double, kEdges>& edges, double value) {
  return static_cast<int>(std::lower_bound(edges.begin(), edges.end(), value) - edges.begin());
}

int32_t Whole(double quarters) {
  return static_cast<int32_t>(std::lrint(std::clamp<double>(quarters, 0, kQuartersMax)));
}

// Of a load that is not rounded up.
double Quarters(double load) { return kQuartersPerInstance * load + kQuartersPerInstance - 1; }

double Instances(double quarters) { return quarters / kQuartersPerInstance; }

uint8_t Byte(int value) { return static_cast<uint8_t>(value); }

size_t Entries(int steps) { return static_cast<size_t>(steps); }

}  // namespace

NeedSignals::NeedSignals(std::vector<int> horizons, int day_steps)
    : horizons_(std::move(horizons)),
      day_steps_(day_steps),
      stride_((day_steps + kDayEntriesMax - 1) / kDayEntriesMax),
      recent_(Entries(std::max(kRecentStepsMin, horizons_.back() + 3))),
      day_(Entries((day_steps + 2) / stride_ + 2)) {}

int NeedSignals::At(int64_t steps_back) const {
  if (count_ == 0) return 0;
  const int64_t back = std::clamp<int64_t>(steps_back, 1, count_);
  const int64_t step = count_ - back;
  const auto recent = static_cast<int64_t>(recent_.size());
  if (back <= recent) return recent_[static_cast<size_t>(step % recent)];
  const auto entries = static_cast<int64_t>(day_.size());
  const int64_t oldest = (count_ - 1) / stride_ - entries + 1;
  return day_[static_cast<size_t>(std::max(step / stride_, oldest) % entries)];
}

int NeedSignals::Yesterday(int horizon) const {
  const int64_t days = horizon / day_steps_ + 1;
  return At(days * day_steps_ - horizon);
}

void NeedSignals::Push(int load) {
  if (count_ == 0) {
    smoothed_ = next_forecast_ = load;
  } else {
    volatility_ += kVolatilitySmoothing * (std::abs(load - last()) - volatility_);
  }
  smoothed_ += kSmoothing * (load - smoothed_);
  recent_[static_cast<size_t>(count_) % recent_.size()] = load;
  int32_t& entry = day_[static_cast<size_t>(count_ / stride_) % day_.size()];
  entry = count_ % stride_ == 0 ? load : std::max(entry, load);
  ++count_;
}

double NeedSignals::Median(const LoadForecast& forecast, int horizon) const {
  const auto step = static_cast<size_t>(horizon);
  const bool known = step < forecast.median.size() && std::isfinite(forecast.median[step]);
  return known ? Quarters(forecast.median[step]) : Yesterday(horizon);
}

NeedSituation NeedSignals::Guess(const LoadForecast& forecast, std::span<NeedGuesses> guesses) {
  const int now = last();
  const int lead = horizons_.back();
  const int half_hour = std::max(kHalfHourSteps, lead + 1);
  const int hour = std::max(kHourSteps, lead + 1);
  const int since_yesterday = now - At(day_steps_ + 1);
  const int since_hour = now - At(hour + 1);
  const auto high = [&](int horizon) {
    const auto step = static_cast<size_t>(horizon);
    const bool known = step < forecast.high.size() && std::isfinite(forecast.high[step]);
    return known ? Quarters(forecast.high[step]) : Median(forecast, horizon);
  };
  const double correction = kForecastCorrection * (now - next_forecast_);
  for (size_t i = 0; i < horizons_.size(); ++i) {
    const int horizon = horizons_[i];
    guesses[i] = {now,
                  Whole(Median(forecast, horizon) + correction),
                  Whole(high(horizon)),
                  Yesterday(horizon),
                  Whole(Yesterday(horizon) + since_yesterday),
                  At(half_hour - horizon),
                  Whole(At(hour - horizon) + since_hour),
                  Whole(smoothed_)};
  }
  double highest = Median(forecast, 0);
  next_forecast_ = std::clamp<double>(highest, 0, kQuartersMax);
  for (int k = 1; k <= lead; ++k) highest = std::max(highest, Median(forecast, k));
  const double at_lead = Median(forecast, lead);
  return Situation({.rise = highest + correction - now,
                    .at_lead = at_lead + correction,
                    .spread = high(lead) - at_lead});
}

NeedSituation NeedSignals::Situation(const Outlook& outlook) const {
  const int now = last();
  int highest = now;
  if (count_ > day_steps_) {
    highest = At(day_steps_ + 1);
    for (int k = 0; k <= horizons_.back() + 1; ++k) highest = std::max(highest, Yesterday(k));
  }
  const int step = now - At(2);
  const int trend = step > 0 ? 2 : (step < 0 ? 0 : 1);
  const double mean = Instances(smoothed_);
  const double deviation = std::rint((Instances(now) - mean) / std::sqrt(mean + 1));
  const int middle = kDeviations / 2;
  const int smooth = BinOf(kFewSmoothedEdges, std::rint(mean)) * kDeviations + middle +
                     static_cast<int>(std::clamp<double>(deviation, -middle, middle));
  const double volatility = Instances(volatility_);
  const int need = now / kQuartersPerInstance;
  const double difference = Instances(highest - now);
  const double rise = Instances(outlook.rise);
  const int few_rises = BinOf(kFewRiseEdges, rise);
  const int at_lead = Whole(outlook.at_lead) / kQuartersPerInstance;
  const int by_lead = BinOf(kLevelEdges, at_lead) * kRises + few_rises;
  const int by_spread = BinOf(kSpreadEdges, Instances(outlook.spread)) * kRises + few_rises;
  const uint8_t since_yesterday = Byte(BinOf(kFewDifferenceEdges, difference));
  const uint8_t moving = Byte(BinOf(kFewVolatilityEdges, volatility));
  return {.of = {Byte(BinOf(kFewLevelEdges, need) * kTrends + trend), Byte(by_lead),
                 Byte(by_spread), since_yesterday, since_yesterday, moving, moving, Byte(smooth)},
          .gates = {Byte(BinOf(kDifferenceEdges, difference)), Byte(BinOf(kRiseEdges, rise)),
                    Byte(BinOf(kVolatilityEdges, volatility)), Byte(BinOf(kLevelEdges, need))}};
}

size_t NeedSignals::StateBytes() const {
  return sizeof(*this) + horizons_.size() * sizeof(int) +
         (recent_.size() + day_.size()) * sizeof(int32_t);
}

void NeedSignals::Save(SavedWriter& writer) const {
  writer.I64(count_);
  writer.F64(smoothed_);
  writer.F64(volatility_);
  writer.F64(next_forecast_);
  for (const auto* ring : {&recent_, &day_}) {
    writer.U32(static_cast<uint32_t>(ring->size()));
    writer.All<int32_t>(*ring);
  }
}

bool NeedSignals::Restore(SavedReader& reader) {
  count_ = reader.I64();
  smoothed_ = reader.F64();
  volatility_ = reader.F64();
  next_forecast_ = reader.F64();
  bool fits = count_ >= 0 && count_ <= kSavedStepsMax;
  for (const double mean : {smoothed_, volatility_, next_forecast_}) {
    fits = fits && mean >= 0 && mean <= kQuartersMax;
  }
  for (auto* ring : {&recent_, &day_}) {
    fits = fits && reader.U32() == ring->size();
    if (!fits) return false;
    for (int32_t& load : *ring) {
      const uint32_t saved = reader.U32();
      fits = fits && saved <= kQuartersMax;
      load = static_cast<int32_t>(saved);
    }
  }
  return fits && reader.ok();
}

}  // namespace shadow
