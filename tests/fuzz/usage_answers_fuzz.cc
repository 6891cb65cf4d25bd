// What Prometheus and the targets that it scrapes answer.
#include <cstdlib>

#include "server/usage/exposition.h"
#include "server/usage/http_get.h"
#include "server/usage/prometheus_answer.h"
#include "tests/fuzz/input.h"

namespace shadow {

void Fuzz(std::string_view bytes) {
  const HttpAnswer answer{.status = 200, .content_type = "", .body = "", .secrets = {"secret"}};
  const auto series = ParsePrometheusAnswer(
      bytes, [&](const std::string& text) { return QuotedAnswer(answer, text); });
  if (series.ok() && series->size() > kPrometheusSeriesMax) abort();
  if (series.status().message().find("secret") != absl::string_view::npos) abort();
  if (QuotedAnswer(answer, PrometheusError(bytes)).size() > 4096) abort();
  for (const bool open_metrics : {false, true}) {
    const auto metric = ParseExposition(bytes, "requests_total", {{"job", "web"}}, open_metrics);
    if (!metric.ok()) continue;
    for (const ExposedSeries& one : metric->series) {
      const auto job = one.labels.find("job");
      if (job == one.labels.end() || job->second != "web") abort();
    }
  }
}

}  // namespace shadow
