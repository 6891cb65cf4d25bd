// Demand as a Prometheus server has it, or one target that such a server could scrape.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "server/core/ports.h"
#include "server/usage/exposition.h"
#include "server/usage/http_get.h"
#include "server/usage/prometheus_answer.h"
#include "shadow/v1/pool.pb.h"

namespace shadow {

// One object for one pool. Thread-safe; no lock is held while the server is asked. `clock` must
// outlive this.
class PrometheusUsage final : public UsageSource {
 public:
  static constexpr absl::Duration kSkewMax = absl::Seconds(10);
  // Of one Read; what is still missing then comes with the next ones.
  static constexpr int kBackfillStepsMax = 1000;

  // `step`: of the pool, the grid of what is asked for afterwards.
  PrometheusUsage(const v1::PrometheusUsage& spec, absl::Duration step, const Clock& clock);

  std::string peer() const override { return PublicUrl(spec_.url()); }

  // Of a query its result now, stamped now. Where `since` is more than two steps ago, before it the
  // results at the steps since then, as far back as `backfill`; each part of the past is asked for
  // once if it is answered, three times if not. Of a gauge its value now. Of a counter its rate
  // per second between the previous Read and this one. Worked value: 1200 at 10.0 s, 1500 at 12.5
  // s: 120/s.
  //
  // Empty: no result or series, NaN, an infinity; of a counter the first read, the first after one
  // fell or after the set of series changed, and less than kIntervalMin after the read before; a
  // wall clock that is not after `since`. kFailedPrecondition: more than one series without `sum`,
  // a value below zero, a time that is not now, a query that the server refuses, a type that the
  // target does not tell. kUnauthenticated and kPermissionDenied 401 and 403, kResourceExhausted
  // 429. kUnavailable, kDeadlineExceeded: as GetHttp, other statuses, what was not understood.
  absl::StatusOr<UsageReading> Read(const std::string& pool, absl::Time since) override;

 private:
  static constexpr absl::Duration kIntervalMin = absl::Milliseconds(100);
  static constexpr absl::Duration kCallTime = absl::Milliseconds(1800);
  static constexpr int kBackfillTriesMax = 3;

  struct Counts {
    std::map<std::string, double> of_series;  // By labels.
    absl::Duration mono;
  };
  struct Hole {
    absl::Time begin;   // On the steps.
    absl::Time end;     // Of this part; also on the steps.
    absl::Time now;     // When it was found.
    bool last = false;  // Nothing is missing after it.
  };

  HttpCredentials Credentials() const;
  absl::StatusOr<HttpAnswer> Get(const std::string& url, const char* accept, size_t max_bytes,
                                 absl::Duration timeout) const;
  absl::Status ErrorOfAnswer(const HttpAnswer& answer) const;
  // `more`: "query?query=up", of the API.
  absl::StatusOr<std::vector<PrometheusSeries>> Ask(const std::string& more,
                                                    absl::Duration deadline) const;

  absl::StatusOr<UsageReading> ReadQuery(absl::Time since);
  // Now; unset: unknown.
  absl::StatusOr<std::optional<double>> AskNow(absl::Duration deadline) const;
  std::optional<Hole> FindHole(absl::Time since, absl::Time now);
  absl::StatusOr<std::vector<v1::Sample>> AskPast(const Hole& hole, absl::Duration deadline) const;
  // Whether the hole counts as asked for, after an answer or the last try.
  bool NoteAsked(const Hole& hole, bool answered);

  absl::StatusOr<UsageReading> ReadScrape(absl::Time since);
  absl::StatusOr<bool> IsCounter(const ExposedMetric& metric) const;
  // Per second; unset: unknown. Keeps the counts.
  std::optional<double> Rate(const std::vector<ExposedSeries>& series);

  const v1::PrometheusUsage spec_;
  const absl::Duration step_;
  const absl::Duration backfill_;
  const Clock& clock_;

  std::mutex mutex_;  // Guards what follows.
  std::optional<Counts> before_;
  absl::Time asked_until_ = absl::InfinitePast();  // The past before it is not asked for again.
  int backfill_tries_ = 0;
};

}  // namespace shadow
