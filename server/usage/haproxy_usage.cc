#include "server/usage/haproxy_usage.h"

#include <utility>
#include <vector>

#include "server/balancers/haproxy_replies.h"
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
    : frontend_(spec.frontend()),
      requests_(spec.metric() != v1::HaproxyUsage::SESSIONS),
      socket_(spec.socket_path(), clock),
      clock_(clock) {}

absl::StatusOr<UsageReading> HaproxyUsage::Read(const std::string& /*pool*/, absl::Time since) {
  absl::StatusOr<Count> count = ReadCount();
  if (!count.ok()) return count.status();
  const absl::Time now = clock_.Now().wall;

  const std::lock_guard lock(mutex_);
  const std::optional<Count> before = before_;
  const bool comparable = before && before->epoch == count->epoch &&
                          count->arrivals >= before->arrivals && count->mono >= before->mono;
  if (!comparable) {
    before_ = *std::move(count);
    return UsageReading{};
  }
  const absl::Duration interval = count->mono - before->mono;
  if (interval < kIntervalMin) return UsageReading{};
  const auto arrived = static_cast<double>(count->arrivals - before->arrivals);
  before_ = *std::move(count);
  UsageReading reading;
  if (now > since) {
    reading.samples.push_back(MakeSample(now, arrived / absl::ToDoubleSeconds(interval)));
  }
  return reading;
}

absl::StatusOr<HaproxyUsage::Count> HaproxyUsage::ReadCount() const {
  if (absl::Status status = CheckHaproxyName("frontend", frontend_); !status.ok()) return status;
  // All frontends: given a name, `show stat` may take a backend of the same name instead.
  const absl::StatusOr<std::vector<std::string>> replies =
      socket_.Run({"show stat -1 1 -1", "show info"}, socket_.Deadline());
  if (!replies.ok()) return replies.status();
  Count count;
  count.mono = clock_.Now().mono;
  const std::string where = "haproxy socket " + socket_.path() + ": ";
  absl::StatusOr<HaproxyTable> table =
      HaproxyTable::Parse(replies->front(), HaproxyTable::Format::kCsv);
  if (!table.ok()) return table.status();
  size_t row = 0;
  while (row < table->rows() && table->Text(row, "pxname") != frontend_) ++row;
  if (row == table->rows()) {
    return absl::FailedPreconditionError(where + "there is no frontend \"" + frontend_ + "\"");
  }
  const std::string mode(table->Text(row, "mode"));
  if (requests_ && mode != "http") {  // In TCP mode req_tot is 0, not empty.
    return absl::FailedPreconditionError(where + "frontend \"" + frontend_ + "\" is in mode \"" +
                                         mode + "\", where HAProxy counts no requests; wanted " +
                                         "metric: SESSIONS, or mode http");
  }
  const std::optional<int64_t> arrivals = table->Number(row, requests_ ? "req_tot" : "stot");
  if (!arrivals) {
    return absl::FailedPreconditionError(where + "frontend \"" + frontend_ +
                                         "\" has no count of arrivals");
  }
  count.arrivals = *arrivals;
  absl::StatusOr<std::string> epoch = ParseEpoch((*replies)[1]);
  if (!epoch.ok()) return epoch.status();
  count.epoch = *std::move(epoch);
  return count;
}

}  // namespace shadow
