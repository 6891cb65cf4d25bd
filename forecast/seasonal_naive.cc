#include "forecast/seasonal_naive.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace shadow {
namespace {

constexpr int kForecastMaxSteps = 2016;
constexpr double kValueMax = 1e30;  // Beyond any demand; keeps all sums finite.
constexpr std::array<int64_t, 10> kLeads = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};
constexpr size_t kTrustLead = 2;  // Of kLeads: 4 steps.
constexpr int64_t kResidualSpanMinSteps = 512;
constexpr int64_t kResidualsMax = 1024;   // Of one lead.
constexpr int64_t kResidualsEnough = 8;   // To stand for a lead.
constexpr double kHalfLifeMinSteps = 64;  // Of the losses that candidates are compared by.
constexpr double kErrorsMin = 8;          // Before a candidate is chosen: a quarter of the shortest
constexpr double kErrorsMax = 64;         // season, within these bounds.
constexpr double kBetterBy = 0.95;  // A new candidate's loss is below this share of the old one's.
constexpr double kClearlyWorse = 1.1;
constexpr int64_t kStaleSteps = 3;

std::vector<int64_t> SeasonSteps(const Forecaster::Options& options) {
  std::vector<int64_t> seasons;
  for (const absl::Duration season : options.season_lengths)
    seasons.push_back(season / options.step);
  return seasons;
}

// All that the longest residual window and the deepest candidate can ask for.
int64_t HistorySteps(const std::vector<int64_t>& seasons) {
  return std::max(seasons.back(), kResidualSpanMinSteps) + kDepthMax * seasons.back() +
         kLeads.back() + kWindowMax;
}

// The factor that halves a weight in `steps` steps.
double Decay(double steps) { return std::exp2(-1 / steps); }

absl::Status CheckQuantiles(const std::vector<double>& quantiles) {
  if (quantiles.empty()) return absl::InvalidArgumentError("quantiles: none are given");
  for (size_t i = 0; i < quantiles.size(); ++i) {
    const double quantile = quantiles[i];
    if (!(quantile > 0 && quantile < 1)) {
      return absl::InvalidArgumentError(absl::StrCat("quantiles: ", quantile, " is not in (0, 1)"));
    }
    if (i > 0 && quantile <= quantiles[i - 1]) {
      return absl::InvalidArgumentError(
          absl::StrCat("quantiles: ", quantile, " does not ascend from ", quantiles[i - 1]));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::unique_ptr<Forecaster> MakeForecaster(const Forecaster::Options& options) {
  return std::make_unique<SeasonalNaive>(options);
}

void SeasonalNaive::Loss::Add(double error, double decay) {
  sum = sum * decay + error;
  weight = weight * decay + 1;
}

SeasonalNaive::SeasonalNaive(const Options& options)
    : options_(options),
      step_seconds_(absl::ToInt64Seconds(options.step)),
      seasons_(SeasonSteps(options)),
      candidates_(MakeCandidates(seasons_)),
      history_(HistorySteps(seasons_)) {
  const int64_t span = std::max(seasons_.back(), kResidualSpanMinSteps);
  const int64_t stride = (span + kResidualsMax - 1) / kResidualsMax;
  for (const int64_t steps : kLeads) {
    leads_.push_back({.steps = steps,
                      .losses = std::vector<Loss>(candidates_.size()),
                      .residuals = ResidualWindow(span, stride)});
  }
}

absl::Time SeasonalNaive::LastStep() const {
  if (!started_) return absl::InfinitePast();
  return absl::FromUnixSeconds((history_.next() - 1) * step_seconds_);
}

absl::Status SeasonalNaive::Update(absl::Time step_start, double value) {
  const int64_t seconds = absl::ToUnixSeconds(step_start);
  if (absl::FromUnixSeconds(seconds) != step_start || seconds % step_seconds_ != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(absl::FormatTime(step_start, absl::UTCTimeZone()), " is not on the grid of ",
                     step_seconds_, " s"));
  }
  if (value < 0 || std::isinf(value)) {
    return absl::InvalidArgumentError(absl::StrCat(
        value, " is not a demand: finite and not negative, or NaN where it is missing"));
  }
  const int64_t index = seconds / step_seconds_;
  if (index <= -kStepIndexMax || index >= kStepIndexMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(seconds, " s since 1970 is no time of a sample"));
  }
  if (started_ && index < history_.next()) {
    return absl::OutOfRangeError(absl::StrCat(absl::FormatTime(step_start, absl::UTCTimeZone()),
                                              " is not after the last step, ",
                                              absl::FormatTime(LastStep(), absl::UTCTimeZone())));
  }
  if (!started_ || index - history_.next() >= history_.capacity()) history_.Reset(index);
  started_ = true;
  while (history_.next() < index) Push(kMissing);
  Push(std::min(value, kValueMax));  // NaN stays.
  return absl::OkStatus();
}

void SeasonalNaive::Push(double value) {
  const int64_t target = history_.next();
  history_.Push(value);
  for (Lead& lead : leads_) Learn(lead, target, value);
  if (!std::isnan(value)) last_value_ = value;
}

double SeasonalNaive::Residual(const Lead& lead, int64_t target) const {
  return history_.At(target) -
         Predict(history_, candidates_[lead.chosen], target - lead.steps, lead.steps);
}

void SeasonalNaive::Learn(Lead& lead, int64_t target, double value) {
  if (!std::isnan(value)) {
    const double decay =
        Decay(std::max(kHalfLifeMinSteps, static_cast<double>(seasons_.back()) / 2));
    PredictAll(history_, candidates_, target - lead.steps, lead.steps, predictions_);
    if (lead.steps == kLeads[kTrustLead]) LearnTrust(lead, value);
    for (size_t i = 0; i < candidates_.size(); ++i) {
      if (!std::isnan(predictions_[i])) {
        lead.losses[i].Add(std::abs(value - predictions_[i]), decay);
      }
    }
    const size_t best = Best(lead);
    if (best != lead.chosen) {
      lead.chosen = best;
      lead.residuals.Rebuild(target, [&](int64_t index) { return Residual(lead, index); });
      return;
    }
  }
  if (lead.residuals.Takes(target)) lead.residuals.Put(target, Residual(lead, target));
}

// Compares what was in use until now with the last value carried forward.
void SeasonalNaive::LearnTrust(const Lead& lead, double value) {
  const double own = predictions_[lead.chosen];
  const double carried = predictions_.front();
  if (std::isnan(own) || std::isnan(carried)) return;
  const double decay = Decay(static_cast<double>(seasons_.front()));
  own_.Add(std::abs(value - own), decay);
  carried_.Add(std::abs(value - carried), decay);
}

size_t SeasonalNaive::Best(const Lead& lead) const {
  const double enough =
      std::clamp(static_cast<double>(seasons_.front()) / 4, kErrorsMin, kErrorsMax);
  const Loss& current = lead.losses[lead.chosen];
  size_t best = lead.chosen;
  double bound =
      current.weight > 0 ? current.Mean() * kBetterBy : std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < candidates_.size(); ++i) {
    const Loss& loss = lead.losses[i];
    if (loss.weight < enough || loss.Mean() >= bound) continue;
    best = i;
    bound = loss.Mean();
  }
  return best;
}

const SeasonalNaive::Lead& SeasonalNaive::LeadFor(int64_t steps, double& growth) const {
  growth = 1;
  const Lead* shorter = &leads_.front();
  for (const Lead& lead : leads_) {
    if (lead.residuals.count() < kResidualsEnough) continue;
    shorter = &lead;
    if (lead.steps >= steps) break;
  }
  // Season errors do not grow with the lead; those of a carried level do, at most as a random
  // walk's.
  if (shorter->steps < steps && candidates_[shorter->chosen].season == 0) {
    growth = std::sqrt(static_cast<double>(steps) / static_cast<double>(shorter->steps));
  }
  return *shorter;
}

double SeasonalNaive::Point(const Lead& lead, double offset, int64_t steps) const {
  const int64_t last = history_.next() - 1;
  const Candidate& chosen = candidates_[lead.chosen];
  double base = kMissing;
  if (chosen.season > 0) {
    base = SeasonalBase(history_, chosen, last + steps, steps);
    // In a gap: the same slot of more seasons, longest season first.
    for (size_t i = candidates_.size(); std::isnan(base) && i-- > 0;) {
      const Candidate& other = candidates_[i];
      if (other.season > 0) base = SeasonalBase(history_, other, last + steps, steps);
    }
  }
  if (std::isnan(base))
    base = Level(history_, candidates_[chosen.season > 0 ? 0 : lead.chosen], last);
  if (std::isnan(base)) base = last_value_.value_or(0);
  return std::max(0.0, base + offset);
}

absl::StatusOr<std::vector<std::vector<double>>> SeasonalNaive::Forecast(
    int steps, const std::vector<double>& quantiles) const {
  if (steps < 1 || steps > kForecastMaxSteps) {
    return absl::InvalidArgumentError(
        absl::StrCat("steps: ", steps, " is not in 1 to ", kForecastMaxSteps));
  }
  if (const absl::Status status = CheckQuantiles(quantiles); !status.ok()) return status;
  if (!last_value_.has_value()) return absl::FailedPreconditionError("no value was seen yet");
  std::vector<std::vector<double>> rows;
  rows.reserve(static_cast<size_t>(steps));
  std::vector<double> spread(quantiles.size());
  const Lead* lead = nullptr;
  double offset = 0;
  for (int h = 1; h <= steps; ++h) {
    double growth = 1;
    const Lead& lead_now = LeadFor(h, growth);
    if (&lead_now != lead) {
      lead = &lead_now;
      const Candidate& chosen = candidates_[lead->chosen];
      offset =
          chosen.rho > 0 ? chosen.rho * SeasonalOffset(history_, chosen, history_.next() - 1) : 0;
      if (std::isnan(offset)) offset = 0;
      for (size_t i = 0; i < quantiles.size(); ++i) {
        spread[i] = lead->residuals.Quantile(quantiles[i]);
      }
    }
    const double point = Point(*lead, offset, h);
    std::vector<double>& row = rows.emplace_back(quantiles.size());
    for (size_t i = 0; i < quantiles.size(); ++i) {
      row[i] = std::max(0.0, point + growth * spread[i]);
    }
  }
  return rows;
}

TrustVerdict SeasonalNaive::Trust() const {
  const int64_t needed = 2 * seasons_.front();
  if (SampleCount() < needed) {
    return {ForecastTrust::kTooLittleData,
            absl::StrFormat("%d steps hold a value; two of the shortest seasons have %d",
                            SampleCount(), needed)};
  }
  int64_t missing = 0;
  while (missing < kStaleSteps && std::isnan(history_.At(history_.next() - 1 - missing))) ++missing;
  if (missing == kStaleSteps) {
    return {ForecastTrust::kStale,
            absl::StrFormat("the last %d steps or more hold no value", kStaleSteps)};
  }
  if (own_.weight <= 0) {
    return {ForecastTrust::kTooLittleData, "nothing could be compared with the forecast yet"};
  }
  const bool worse = own_.Mean() > kClearlyWorse * carried_.Mean();
  return {worse ? ForecastTrust::kWorseThanNaive : ForecastTrust::kTrusted,
          absl::StrFormat("%d steps ahead the mean error was %.4g of late; carrying the last value "
                          "forward: %.4g",
                          kLeads[kTrustLead], own_.Mean(), carried_.Mean())};
}

}  // namespace shadow
