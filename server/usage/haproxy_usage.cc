#include "server/usage/haproxy_usage.h"

#include <utility>

#include "server/core/time_proto.h"

namespace shadow {
namespace {

v1::Sample MakeSample(absl::Time time, double value) {
  v1::Sample sample;
  *sample.mutable_time() = ToProto(time);
  sample.set_value(value);
  return sample;
}

}  // namespace

HaproxyUsage::HaproxyUsage(const v1::HaproxyUsage& spec, const Clock& clock)
    : proxies_(Proxies(spec)),
      requests_(spec.metric() != v1::HaproxyUsage::SESSIONS),
      socket_(spec.socket_path(), clock),
      clock_(clock) {}

std::vector<HaproxyUsage::Proxy> HaproxyUsage::Proxies(const v1::HaproxyUsage& spec) {
  std::vector<Proxy> proxies;
  if (!spec.frontend().empty()) proxies.push_back({.backend = false, .name = spec.frontend()});
  for (const std::string& name : spec.frontends()) {
    proxies.push_back({.backend = false, .name = name});
  }
  if (!spec.backend().empty()) proxies.push_back({.backend = true, .name = spec.backend()});
  for (const std::string& name : spec.backends()) {
    proxies.push_back({.backend = true, .name = name});
  }
  return proxies;
}

absl::StatusOr<UsageReading> HaproxyUsage::Read(const std::string& /*pool*/, absl::Time since) {
  absl::StatusOr<Counts> counts = ReadCounts();
  if (!counts.ok()) return counts.status();
  const absl::Time now = clock_.Now().wall;

  const std::lock_guard lock(mutex_);
  const std::optional<int64_t> arrived = before_ ? Arrived(*before_, *counts) : std::nullopt;
  if (!arrived) {
    before_ = *std::move(counts);
    return UsageReading{};
  }
  const absl::Duration interval = counts->mono - before_->mono;
  if (interval < kIntervalMin) return UsageReading{};
  before_ = *std::move(counts);
  UsageReading reading;
  if (now > since) {
    reading.samples.push_back(
        MakeSample(now, static_cast<double>(*arrived) / absl::ToDoubleSeconds(interval)));
  }
  return reading;
}

std::optional<int64_t> HaproxyUsage::Arrived(const Counts& before, const Counts& after) {
  if (before.epoch != after.epoch || after.mono < before.mono) return std::nullopt;
  int64_t arrived = 0;
  // One by one: the sum may have grown although one of them was set back.
  for (size_t i = 0; i < after.arrivals.size(); ++i) {
    if (after.arrivals[i] < before.arrivals[i]) return std::nullopt;
    arrived += after.arrivals[i] - before.arrivals[i];
  }
  return arrived;
}

absl::StatusOr<HaproxyUsage::Counts> HaproxyUsage::ReadCounts() const {
  if (proxies_.empty()) return absl::InvalidArgumentError("no frontend and no backend is named");
  for (const Proxy& proxy : proxies_) {
    if (absl::Status status = CheckHaproxyName(Kind(proxy), proxy.name); !status.ok()) {
      return status;
    }
  }
  int mask = 0;
  for (const Proxy& proxy : proxies_) mask |= proxy.backend ? 2 : 1;
  // Rows of frontends are 1, of backends 2. All of a kind: given a name, `show stat` may take a
  // backend instead of a frontend of that name.
  const absl::StatusOr<std::vector<std::string>> replies =
      socket_.Run({absl::StrCat("show stat -1 ", mask, " -1"), "show info"}, socket_.Deadline());
  if (!replies.ok()) return replies.status();
  Counts counts;
  counts.mono = clock_.Now().mono;
  const absl::StatusOr<HaproxyTable> table =
      HaproxyTable::Parse(replies->front(), HaproxyTable::Format::kCsv);
  if (!table.ok()) return table.status();
  for (const Proxy& proxy : proxies_) {
    const absl::StatusOr<int64_t> arrivals = Arrivals(*table, proxy);
    if (!arrivals.ok()) return arrivals.status();
    counts.arrivals.push_back(*arrivals);
  }
  absl::StatusOr<std::string> epoch = ParseEpoch((*replies)[1]);
  if (!epoch.ok()) return epoch.status();
  counts.epoch = *std::move(epoch);
  return counts;
}

absl::StatusOr<int64_t> HaproxyUsage::Arrivals(const HaproxyTable& table,
                                               const Proxy& proxy) const {
  const std::string where = "haproxy socket " + socket_.path() + ": ";
  const std::string what = std::string(Kind(proxy)) + " \"" + proxy.name + "\"";
  const std::string_view row_name = proxy.backend ? "BACKEND" : "FRONTEND";
  size_t row = 0;
  while (row < table.rows() &&
         (table.Text(row, "pxname") != proxy.name || table.Text(row, "svname") != row_name)) {
    ++row;
  }
  if (row == table.rows()) return absl::FailedPreconditionError(where + "there is no " + what);
  const std::string mode(table.Text(row, "mode"));
  if (requests_ && mode != "http") {  // In TCP mode a frontend's req_tot is 0, not empty.
    return absl::FailedPreconditionError(where + what + " is in mode \"" + mode +
                                         "\", where HAProxy counts no requests; wanted "
                                         "metric: SESSIONS, or mode http");
  }
  // A backend's req_tot counts a request when it was answered, its stot when it was given to it.
  const bool by_requests = requests_ && !proxy.backend;
  const std::optional<int64_t> arrivals = table.Count(row, by_requests ? "req_tot" : "stot");
  if (!arrivals) return absl::FailedPreconditionError(where + what + " has no count of arrivals");
  return *arrivals;
}

}  // namespace shadow
