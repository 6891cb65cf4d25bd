#include <thread>

#include "absl/strings/str_cat.h"
#include "server/core/time_proto.h"
#include "tests/bench/daemon_benches.h"

namespace shadow::bench {
namespace {

constexpr int kMessageSamples = 10'000;
constexpr absl::Duration kSpacing = absl::Seconds(1);

// Ready to be sent, so that only the daemon's work is measured.
std::vector<v1::ReportUsageRequest> MakeMessages(const std::string& pool_name, int messages) {
  absl::Time time = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now())) -
                    messages * kMessageSamples * kSpacing;
  std::vector<v1::ReportUsageRequest> made(static_cast<size_t>(messages));
  for (v1::ReportUsageRequest& message : made) {
    message.set_pool(pool_name);
    for (int i = 0; i < kMessageSamples; ++i) {
      v1::Sample& sample = *message.add_samples();
      *sample.mutable_time() = ToProto(time);
      sample.set_value(100 + i % 50);
      time += kSpacing;
    }
  }
  return made;
}

// One stream from its first message to the acknowledgement of all. The samples that are durable.
int64_t Report(DaemonProcess& daemon, const std::vector<v1::ReportUsageRequest>& messages) {
  grpc::ClientContext context;
  v1::ReportUsageResponse response;
  const auto writer = daemon.usage().ReportUsage(&context, &response);
  for (const v1::ReportUsageRequest& message : messages) {
    if (!writer->Write(message)) break;
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (!status.ok()) throw std::runtime_error("ReportUsage: " + status.error_message());
  return response.accepted_samples();
}

// Samples/s of `streams` at once, each to a pool of its own.
double RateOf(int streams, int messages) {
  BenchDaemon daemon;
  CreateDna(daemon, WorkerDna(absl::Milliseconds(1)));
  std::vector<std::vector<v1::ReportUsageRequest>> made;
  for (int i = 0; i < streams; ++i) {
    const v1::Pool pool = PushedPool(absl::StrCat("web", i));
    CreatePool(daemon, pool);
    made.push_back(MakeMessages(pool.name(), messages));
  }
  std::vector<int64_t> accepted(static_cast<size_t>(streams), 0);
  std::vector<std::thread> threads;
  const auto begin = Steady::now();
  for (size_t i = 0; i < accepted.size(); ++i) {
    threads.emplace_back([&, i] {
      try {
        accepted[i] = Report(daemon, made[i]);
      } catch (const std::exception&) {
        accepted[i] = -1;  // Told below: an exception cannot leave a thread.
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = MsSince(begin) / 1e3;
  const int64_t wanted = static_cast<int64_t>(messages) * kMessageSamples;
  for (const int64_t count : accepted) {
    if (count != wanted) throw std::runtime_error("not all samples were accepted");
  }
  return static_cast<double>(streams * wanted) / seconds;
}

constexpr int kRuns = 3;

}  // namespace

std::vector<Row> MeasureUsage(const Amount& amount) {
  std::vector<Row> rows;
  for (const int streams : {1, 4}) {
    std::vector<double> rates;
    for (int run = 0; run < kRuns; ++run) {
      rates.push_back(RateOf(streams, amount.messages / streams + 1));
    }
    Row row = RowOf(absl::StrCat("durable ReportUsage, streams at once: ", streams), "samples/s",
                    rates, ">= 200000");
    row.p99 = Quantile(rates, 0);  // The worst is the slowest.
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace shadow::bench
