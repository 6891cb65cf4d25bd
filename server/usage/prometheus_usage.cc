#include "server/usage/prometheus_usage.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/core/text.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

constexpr size_t kAnswerMaxBytes = 4 << 20;
constexpr size_t kScrapeMaxBytes = 16 << 20;
constexpr char kOpenMetrics[] = "application/openmetrics-text";
constexpr absl::Duration kStepDefault = absl::Minutes(1);
constexpr int kHoleMinSteps = 2;

v1::Sample SampleAt(absl::Time time, double value) {
  v1::Sample sample;
  *sample.mutable_time() = ToProto(time);
  sample.set_value(value);
  return sample;
}

// As in a query of a URL.
std::string UrlEscaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (IsAlnum(c) || c == '-' || c == '.' || c == '_' || c == '~') {
      escaped += c;
    } else {
      escaped += absl::StrFormat("%%%02X", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
  }
  return escaped;
}

// "1435781451.781"
std::string UnixText(absl::Time time) {
  const int64_t millis = absl::ToUnixMillis(time);
  return absl::StrFormat("%d.%03d", millis / 1000, millis % 1000);
}

absl::Time FloorTo(absl::Time time, absl::Duration step) {
  return absl::UnixEpoch() + absl::Floor(time - absl::UnixEpoch(), step);
}

// kFailedPrecondition: `count` series that nobody wants added up.
absl::Status CheckCount(bool sum, size_t count) {
  if (sum || count <= 1) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      count,
      " series came; wanted one, e.g. by sum() in the query or by more labels, or sum: "
      "true"));
}

// kFailedPrecondition: there is no demand below zero.
absl::Status CheckDemand(double value) {
  if (!(value < 0) || std::isinf(value)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("the value ", value, " is below zero"));
}

absl::Status CheckTime(absl::Time time, absl::Time now) {
  if (absl::AbsDuration(time - now) <= PrometheusUsage::kSkewMax) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the value is of ", absl::FormatTime(time, absl::UTCTimeZone()), ", ",
      absl::FormatDuration(absl::AbsDuration(absl::Trunc(time - now, absl::Seconds(1)))),
      time < now ? " before" : " after", " this host's clock"));
}

}  // namespace

PrometheusUsage::PrometheusUsage(const v1::PrometheusUsage& spec, absl::Duration step,
                                 const Clock& clock)
    : spec_(spec),
      step_(step > absl::ZeroDuration() ? step : kStepDefault),
      backfill_(FromProto(spec.backfill())),
      clock_(clock) {}

absl::StatusOr<UsageReading> PrometheusUsage::Read(const std::string& /*pool*/, absl::Time since) {
  auto reading = spec_.has_scrape() ? ReadScrape(since) : ReadQuery(since);
  if (reading.ok()) return reading;
  return absl::Status(
      reading.status().code(),
      absl::StrCat("prometheus ", peer(), ": ", std::string(reading.status().message())));
}

HttpCredentials PrometheusUsage::Credentials() const {
  return {.bearer_token_file = spec_.bearer_token_file(),
          .username_file = spec_.username_file(),
          .password_file = spec_.password_file(),
          .ca_file = spec_.ca_file()};
}

absl::StatusOr<HttpAnswer> PrometheusUsage::Get(const std::string& url, const char* accept,
                                                size_t max_bytes, absl::Duration timeout) const {
  if (timeout <= absl::ZeroDuration()) return absl::DeadlineExceededError("no answer in time");
  auto answer = GetHttp({.url = url,
                         .accept = accept,
                         .credentials = Credentials(),
                         .answer_max_bytes = max_bytes,
                         .timeout = timeout});
  if (!answer.ok() || (answer->status >= 200 && answer->status < 300)) return answer;
  return ErrorOfAnswer(*answer);
}

absl::Status PrometheusUsage::ErrorOfAnswer(const HttpAnswer& answer) const {
  const std::string error = spec_.has_scrape() ? "" : PrometheusError(answer.body);
  const std::string message =
      error.empty() ? absl::StrCat("it answers ", answer.status)
                    : absl::StrCat("it answers ", answer.status, ": ", QuotedAnswer(answer, error));
  switch (answer.status) {
    case 401:
      return absl::UnauthenticatedError(message);
    case 403:
      return absl::PermissionDeniedError(message);
    case 429:
      return absl::ResourceExhaustedError(message);
    case 400:
    case 404:
    case 422:
      return absl::FailedPreconditionError(message);
    default:
      return absl::UnavailableError(message);
  }
}

absl::StatusOr<std::vector<PrometheusSeries>> PrometheusUsage::Ask(const std::string& more,
                                                                   absl::Duration deadline) const {
  std::string base = spec_.url();
  while (base.ends_with('/')) base.pop_back();
  const auto answer = Get(absl::StrCat(base, "/api/v1/", more), "application/json", kAnswerMaxBytes,
                          deadline - clock_.Now().mono);
  if (!answer.ok()) return answer.status();
  return ParsePrometheusAnswer(
      answer->body, [&](const std::string& text) { return QuotedAnswer(*answer, text); });
}

absl::StatusOr<UsageReading> PrometheusUsage::ReadQuery(absl::Time since) {
  const absl::Duration deadline = clock_.Now().mono + kCallTime;
  const auto value = AskNow(deadline);
  if (!value.ok()) return value.status();
  const absl::Time now = clock_.Now().wall;
  UsageReading reading;
  bool up_to_now = true;
  if (const std::optional<Hole> hole = FindHole(since, now)) {
    auto past = AskPast(*hole, deadline);
    // Later samples would close the hole for ever.
    if (!NoteAsked(*hole, past.ok())) return past.status();
    up_to_now = hole->last || !past.ok();
    if (past.ok()) reading.samples = *std::move(past);
    std::erase_if(reading.samples,
                  [since](const v1::Sample& sample) { return FromProto(sample.time()) <= since; });
  }
  if (up_to_now && *value && now > since) reading.samples.push_back(SampleAt(now, **value));
  return reading;
}

absl::StatusOr<std::optional<double>> PrometheusUsage::AskNow(absl::Duration deadline) const {
  const auto series = Ask(absl::StrCat("query?query=", UrlEscaped(spec_.query())), deadline);
  if (!series.ok()) return series.status();
  if (absl::Status status = CheckCount(spec_.sum(), series->size()); !status.ok()) return status;
  if (series->empty()) return std::nullopt;
  const absl::Time now = clock_.Now().wall;
  double value = 0;
  for (const PrometheusSeries& one : *series) {
    if (one.points.size() != 1) {
      return absl::FailedPreconditionError("the result is a range; wanted its value now");
    }
    if (absl::Status status = CheckTime(one.points[0].first, now); !status.ok()) return status;
    if (absl::Status status = CheckDemand(one.points[0].second); !status.ok()) return status;
    value += one.points[0].second;
  }
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::optional<PrometheusUsage::Hole> PrometheusUsage::FindHole(absl::Time since, absl::Time now) {
  const std::lock_guard lock(mutex_);
  const absl::Time known = std::max({since, asked_until_, now - backfill_});
  if (now - known <= kHoleMinSteps * step_) return std::nullopt;
  Hole hole{.begin = FloorTo(known, step_) + step_, .end = FloorTo(now, step_), .now = now};
  // A value of this moment follows.
  if (hole.end == now) hole.end -= step_;
  const absl::Time end = hole.begin + (kBackfillStepsMax - 1) * step_;
  hole.last = hole.end <= end;
  hole.end = std::min(hole.end, end);
  return hole;
}

bool PrometheusUsage::NoteAsked(const Hole& hole, bool answered) {
  const std::lock_guard lock(mutex_);
  if (!answered && ++backfill_tries_ < kBackfillTriesMax) return false;
  backfill_tries_ = 0;
  asked_until_ = answered && !hole.last ? hole.end : hole.now;
  return true;
}

absl::StatusOr<std::vector<v1::Sample>> PrometheusUsage::AskPast(const Hole& hole,
                                                                 absl::Duration deadline) const {
  const auto series = Ask(
      absl::StrCat("query_range?query=", UrlEscaped(spec_.query()), "&start=", UnixText(hole.begin),
                   "&end=", UnixText(hole.end), "&step=", absl::ToDoubleSeconds(step_)),
      deadline);
  if (!series.ok()) return series.status();
  struct At {
    double value = 0;
    int series = 0;
  };
  std::map<absl::Time, At> times;
  for (const PrometheusSeries& one : *series) {
    for (const auto& [time, value] : one.points) {
      if (time < hole.begin || time > hole.end) continue;
      times[time].value += value;
      ++times[time].series;
    }
  }
  std::vector<v1::Sample> samples;
  for (const auto& [time, at] : times) {
    if (!spec_.sum() && at.series > 1) continue;
    if (std::isfinite(at.value) && at.value >= 0) samples.push_back(SampleAt(time, at.value));
  }
  return samples;
}

absl::StatusOr<UsageReading> PrometheusUsage::ReadScrape(absl::Time since) {
  const auto answer = Get(spec_.url(), "text/plain;version=0.0.4", kScrapeMaxBytes, kCallTime);
  if (!answer.ok()) return answer.status();
  const auto metric =
      ParseExposition(answer->body, spec_.scrape().metric(),
                      {spec_.scrape().labels().begin(), spec_.scrape().labels().end()},
                      answer->content_type.starts_with(kOpenMetrics));
  if (!metric.ok()) return metric.status();
  const std::vector<ExposedSeries>& all = metric->series;
  if (absl::Status status = CheckCount(spec_.sum(), all.size()); !status.ok()) return status;
  if (all.empty()) {
    const std::lock_guard lock(mutex_);
    before_.reset();
    return UsageReading{};
  }
  const auto counter = IsCounter(*metric);
  if (!counter.ok()) return counter.status();
  const absl::Time now = clock_.Now().wall;
  double sum = 0;
  for (const ExposedSeries& series : all) {
    if (series.time) {
      if (absl::Status status = CheckTime(*series.time, now); !status.ok()) return status;
    }
    if (absl::Status status = CheckDemand(series.value); !status.ok()) return status;
    sum += series.value;
  }
  const std::optional<double> value = *counter ? Rate(all) : sum;
  UsageReading reading;
  if (value && std::isfinite(*value) && now > since) {
    reading.samples.push_back(SampleAt(now, *value));
  }
  return reading;
}

absl::StatusOr<bool> PrometheusUsage::IsCounter(const ExposedMetric& metric) const {
  using Scrape = v1::PrometheusUsage::Scrape;
  if (spec_.scrape().type() == Scrape::COUNTER) return true;
  if (spec_.scrape().type() == Scrape::GAUGE) return false;
  if (metric.type == ExposedMetric::Type::kUnknown) {
    return absl::FailedPreconditionError(
        absl::StrCat("the target does not say whether ", spec_.scrape().metric(),
                     " is a counter or a gauge; wanted scrape.type"));
  }
  return metric.type == ExposedMetric::Type::kCounter;
}

std::optional<double> PrometheusUsage::Rate(const std::vector<ExposedSeries>& series) {
  Counts counts{.of_series = {}, .mono = clock_.Now().mono};
  bool whole = true;
  for (const ExposedSeries& one : series) {
    std::string labels;  // Each with its length: no two sets look the same.
    for (const auto& [name, value] : one.labels) {
      absl::StrAppend(&labels, name, "=", value.size(), ":", value, ",");
    }
    whole &= std::isfinite(one.value) && counts.of_series.emplace(labels, one.value).second;
  }
  const std::lock_guard lock(mutex_);
  if (!whole) {
    before_.reset();
    return std::nullopt;
  }
  // A read that began earlier and ended later.
  if (before_ && counts.mono - before_->mono < kIntervalMin) return std::nullopt;
  const std::optional<Counts> before = std::exchange(before_, counts);
  if (!before || before->of_series.size() != counts.of_series.size()) return std::nullopt;
  double more = 0;
  for (const auto& [labels, value] : counts.of_series) {
    const auto old = before->of_series.find(labels);
    // One by one: the sum may have grown although one of them was set back.
    if (old == before->of_series.end() || value < old->second) return std::nullopt;
    more += value - old->second;
  }
  return more / absl::ToDoubleSeconds(counts.mono - before->mono);
}

}  // namespace shadow
