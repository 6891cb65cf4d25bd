#include "server/core/spec/usage_kinds.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "server/core/text.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

using v1::PrometheusUsage;

constexpr size_t kSourceUrlMaxBytes = 2048;
constexpr size_t kQueryMaxBytes = 4096;
constexpr size_t kFileMaxBytes = 4096;
constexpr size_t kNameMaxBytes = 200;    // Of a metric or a label.
constexpr size_t kValueMaxBytes = 1024;  // Of a label.
constexpr int kLabelsMax = 32;
constexpr FieldChecker::DurationLimits kBackfill = {.min = absl::ZeroDuration(),
                                                    .max = absl::Hours(35 * 24)};
constexpr absl::Duration kBackfillDefault = absl::Hours(1);

struct Url {
  std::string_view scheme;  // "http://", "https://"; empty: it is none of these.
  std::string_view authority;
  std::string_view rest;  // From the path on.
};

Url SplitUrl(std::string_view url) {
  Url split;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (url.starts_with(scheme)) split.scheme = scheme;
  }
  if (split.scheme.empty()) return split;
  url.remove_prefix(split.scheme.size());
  const size_t end = std::min(url.find_first_of("/?#"), url.size());
  split.authority = url.substr(0, end);
  split.rest = url.substr(end);
  return split;
}

bool IsThisHost(std::string_view authority) {
  for (const std::string_view host : {"127.0.0.1", "[::1]", "localhost"}) {
    if (authority == host) return true;
    if (authority.starts_with(host) && authority[host.size()] == ':') return true;
  }
  return false;
}

void CheckUrl(const std::string& field, const PrometheusUsage& spec, FieldChecker& check) {
  check.Word(field, spec.url(), kSourceUrlMaxBytes);
  if (!check.ok()) return;
  const Url url = SplitUrl(spec.url());
  // Never the URL itself, which may hold a password.
  if (url.authority.find('@') != std::string_view::npos) {
    check.Fail(field,
               "has credentials; wanted bearer_token_file, or username_file and "
               "password_file");
  } else if (url.authority.empty()) {
    check.Fail(field, "is not a URL such as \"http://10.0.0.7:9090\"");
  } else if (url.rest.find('#') != std::string_view::npos ||
             (!spec.has_scrape() && url.rest.find('?') != std::string_view::npos)) {
    check.Fail(field, "has \"?\" or \"#\"; wanted what is before /api/v1/query");
  }
}

void CheckFiles(const std::string& field, const PrometheusUsage& spec, FieldChecker& check) {
  const struct {
    const char* name;
    const std::string& path;
  } files[] = {{".bearer_token_file", spec.bearer_token_file()},
               {".username_file", spec.username_file()},
               {".password_file", spec.password_file()},
               {".ca_file", spec.ca_file()}};
  for (const auto& file : files) {
    if (file.path.empty()) continue;
    check.Text(absl::StrCat(field, file.name), file.path, kFileMaxBytes);
    check.Path(absl::StrCat(field, file.name), file.path);
  }
  if (spec.username_file().empty() != spec.password_file().empty()) {
    check.Fail(field, "has one of username_file and password_file; wanted both or none");
  }
  if (!spec.bearer_token_file().empty() && !spec.username_file().empty()) {
    check.Fail(field, "has bearer_token_file and username_file; wanted one way to sign in");
  }
  const Url url = SplitUrl(spec.url());
  const bool secret = !spec.bearer_token_file().empty() || !spec.username_file().empty();
  if (secret && url.scheme != "https://" && !IsThisHost(url.authority)) {
    check.Fail(absl::StrCat(field, ".url"),
               "would send credentials in the clear; wanted https://, or a server on this host");
  }
}

// Of a label; of a metric with colons too.
bool IsMetricName(std::string_view name, bool colons) {
  return !name.empty() && !IsDigit(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [colons](char c) { return IsAlnum(c) || c == '_' || (colons && c == ':'); });
}

void CheckScrape(const std::string& field, const PrometheusUsage::Scrape& scrape,
                 FieldChecker& check) {
  check.Text(absl::StrCat(field, ".metric"), scrape.metric(), kNameMaxBytes);
  if (!IsMetricName(scrape.metric(), true)) {
    check.Fail(absl::StrCat(field, ".metric"),
               absl::StrCat(Quoted(scrape.metric()), " is not the name of a metric"));
  }
  check.Count(absl::StrCat(field, ".labels"), static_cast<int64_t>(scrape.labels().size()),
              kLabelsMax);
  for (const auto& [name, value] : scrape.labels()) {
    if (name.size() > kNameMaxBytes || !IsMetricName(name, false)) {
      check.Fail(absl::StrCat(field, ".labels"),
                 absl::StrCat(Quoted(name), " is not the name of a label"));
    }
    if (value.size() > kValueMaxBytes) {
      check.Fail(absl::StrCat(field, ".labels"),
                 absl::StrCat("the value of ", Quoted(name), " is longer than ", kValueMaxBytes,
                              " bytes"));
    }
  }
}

}  // namespace

void CompilePrometheusUsage(const std::string& source, v1::UsageSource& spec, FieldChecker& check) {
  const std::string field = absl::StrCat(source, ".prometheus");
  PrometheusUsage& prometheus = *spec.mutable_prometheus();
  CheckUrl(absl::StrCat(field, ".url"), prometheus, check);
  switch (prometheus.what_case()) {
    case PrometheusUsage::kQuery:
      check.Text(absl::StrCat(field, ".query"), prometheus.query(), kQueryMaxBytes);
      if (!prometheus.has_backfill()) *prometheus.mutable_backfill() = ToProto(kBackfillDefault);
      check.Duration(absl::StrCat(field, ".backfill"), prometheus.backfill(), kBackfill);
      break;
    case PrometheusUsage::kScrape:
      CheckScrape(absl::StrCat(field, ".scrape"), prometheus.scrape(), check);
      if (prometheus.has_backfill()) {
        check.Fail(absl::StrCat(field, ".backfill"), "is set; a target does not tell its past");
      }
      break;
    case PrometheusUsage::WHAT_NOT_SET:
      check.Fail(field, "has neither query nor scrape");
      break;
  }
  CheckFiles(field, prometheus, check);
}

void CompileCgroupUsage(const std::string& source, v1::UsageSource& spec, FieldChecker& check) {
  const std::string field = absl::StrCat(source, ".cgroup");
  v1::CgroupUsage& cgroup = *spec.mutable_cgroup();
  if (cgroup.metric() == v1::CgroupUsage::METRIC_UNSPECIFIED) {
    cgroup.set_metric(v1::CgroupUsage::CPU);
  }
  if (cgroup.path().empty()) return;  // The slice of the pool.
  check.Text(absl::StrCat(field, ".path"), cgroup.path(), kFileMaxBytes);
  check.Path(absl::StrCat(field, ".path"), cgroup.path());
}

}  // namespace shadow
