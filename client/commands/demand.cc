// shadowctl usage push, decisions, why, pool analyze: demand in, verdicts out.
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/command.h"
#include "client/commands/documents.h"
#include "client/errors.h"
#include "client/input/samples_csv.h"
#include "client/names.h"
#include "client/output/columns.h"
#include "client/output/explain.h"
#include "client/proto_time.h"
#include "client/session.h"
#include "client/text.h"

namespace shadow {
namespace {

using Stub = v1::UsageService::Stub;

constexpr std::size_t kSamplesPerMessage = 5'000;  // ReportUsage takes 10,000 at most.
constexpr std::size_t kSamplesPerBatch = 100'000;  // ReportUsageBatch's own limit.
constexpr absl::Duration kImportTimeout = absl::Minutes(10);
constexpr int kDecisionsDefault = 20;

absl::StatusOr<std::vector<v1::Sample>> ReadSamples(Session& session) {
  const Arguments& arguments = session.arguments();
  if (!arguments.csv.empty()) {
    const absl::StatusOr<std::string> text =
        ReadInput(arguments.csv, session.console().in, kCsvBytesMax, "--csv");
    if (!text.ok()) return text.status();
    return ParseSamplesCsv(*text,
                           arguments.csv == "-" ? "standard input" : PrintableText(arguments.csv));
  }
  absl::Time time = session.console().now();
  if (!arguments.time.empty()) {
    const absl::StatusOr<absl::Time> given = ParseTimeFlag(arguments.time, "--time");
    if (!given.ok()) return given.status();
    time = *given;
  }
  v1::Sample sample;
  *sample.mutable_time() = ToProto(time);
  sample.set_value(*arguments.value);
  return std::vector<v1::Sample>{sample};
}

std::string AcceptedText(const std::string& pool, std::int64_t samples) {
  return absl::StrCat(pool, ": ", samples, samples == 1 ? " sample" : " samples", " accepted");
}

// All or nothing, with the conventions of a mutation.
absl::Status PushBatch(Session& session, const std::string& pool,
                       const std::vector<v1::Sample>& samples) {
  if (samples.size() > kSamplesPerBatch) {
    return BadField("--csv", absl::StrCat("with --dry-run or --request-id at most ",
                                          kSamplesPerBatch, " samples"));
  }
  v1::ReportUsageBatchRequest request;
  request.set_pool(pool);
  request.mutable_samples()->Add(samples.begin(), samples.end());
  session.Prepare(request);
  const auto response = session.Call(session.usage(), &Stub::ReportUsageBatch, request);
  if (!response.ok()) return response.status();
  session.Print(*response, absl::StrCat(AcceptedText(pool, response->accepted_samples()),
                                        DryRunNote(session), "\n"));
  return absl::OkStatus();
}

absl::Status PushStream(Session& session, const std::string& pool,
                        const std::vector<v1::Sample>& samples) {
  grpc::ClientContext context;
  Session::SetDeadline(context, std::max(session.call_timeout(), kImportTimeout));
  v1::ReportUsageResponse response;
  const auto writer = session.usage().ReportUsage(&context, &response);
  for (std::size_t at = 0; at < samples.size(); at += kSamplesPerMessage) {
    v1::ReportUsageRequest request;
    request.set_pool(pool);
    const std::size_t end = std::min(at + kSamplesPerMessage, samples.size());
    for (std::size_t i = at; i < end; ++i) *request.add_samples() = samples[i];
    if (!writer->Write(request)) break;  // Finish says why.
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (!status.ok()) return session.FromRpc(status);
  session.Print(response, AcceptedText(pool, response.accepted_samples()) + "\n");
  return absl::OkStatus();
}

absl::Status Push(Session& session) {
  const Arguments& arguments = session.arguments();
  if (arguments.csv.empty() != arguments.value.has_value()) {
    return BadField("--csv", "give either --csv FILE or --value V");
  }
  if (!arguments.time.empty() && !arguments.value) {
    return BadField("--time", "goes with --value; a CSV file has its own times");
  }
  const absl::StatusOr<std::vector<v1::Sample>> samples = ReadSamples(session);
  if (!samples.ok()) return samples.status();
  const std::string pool = FullPoolName(arguments.name);
  const bool batch = arguments.value || arguments.dry_run || !arguments.request_id.empty();
  return batch ? PushBatch(session, pool, *samples) : PushStream(session, pool, *samples);
}

absl::Status Decisions(Session& session) {
  const int limit = session.arguments().limit;
  v1::ListDecisionsRequest request;
  request.set_pool(FullPoolName(session.arguments().name));
  const auto list = session.CallPages(session.usage(), &Stub::ListDecisions, request,
                                      &v1::ListDecisionsResponse::mutable_decisions,
                                      limit > 0 ? limit : kDecisionsDefault);
  if (!list.ok()) return list.status();
  const std::vector<v1::Decision> decisions(list->decisions().begin(), list->decisions().end());
  session.Print(*list, RenderMessages(DecisionColumns(), decisions, session.console().now(),
                                      session.console().colour));
  return absl::OkStatus();
}

absl::Status Why(Session& session) {
  v1::ListDecisionsRequest request;
  request.set_pool(PoolOf(session.arguments().name));
  request.set_page_size(1);
  const auto list = session.Call(session.usage(), &Stub::ListDecisions, request);
  if (!list.ok()) return list.status();
  if (list->decisions().empty()) {
    return absl::NotFoundError(absl::StrCat(request.pool(), ": nothing was decided yet; ",
                                            "`shadowctl pool analyze` decides now"));
  }
  session.Print(list->decisions(0), ExplainDecision(list->decisions(0)));
  return absl::OkStatus();
}

absl::Status Analyze(Session& session) {
  v1::AnalyzePoolUsageRequest request;
  request.set_pool(FullPoolName(session.arguments().name));
  request.set_validate_only(session.arguments().dry_run);
  const auto response = session.Call(session.usage(), &Stub::AnalyzePoolUsage, request);
  if (!response.ok()) return response.status();
  std::string text = ExplainDecision(response->decision());
  absl::StrAppend(&text, "  deviation of the demand from its forecast: ",
                  response->has_deviation()
                      ? absl::StrCat(NumberText(100 * response->deviation()), "%")
                      : "unknown",
                  "\n");
  if (session.arguments().dry_run) text += "dry run: neither acted on nor recorded\n";
  session.Print(*response, text);
  return absl::OkStatus();
}

constexpr std::array<Command, 4> kCommands = {{
    {"usage", "push", "POOL",
     "Report demand: samples of a CSV file (timestamp,value), or one value",
     "usage push web --csv demand.csv", kTakesSamples | kTakesDryRun | kTakesRequestId, Push},
    {"pool", "analyze", "POOL", "Read the usage, forecast and decide now, and say what and why",
     "pool analyze web --dry-run", kTakesDryRun, Analyze},
    {"", "decisions", "POOL", "List the latest decisions, newest first", "decisions web --limit 50",
     kTakesLimit, Decisions},
    {"", "why", "NAME", "Explain the last decision for a pool or a shadow pool", "why web",
     kTakesNothing, Why},
}};

}  // namespace

std::span<const Command> DemandCommands() { return kCommands; }

}  // namespace shadow
