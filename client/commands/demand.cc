// shadowctl usage push, usage import, decisions, why, pool analyze: demand in, verdicts out.
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/command.h"
#include "client/commands/documents.h"
#include "client/errors.h"
#include "client/formats/table_of.h"
#include "client/import/import.h"
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

constexpr std::size_t kSamplesPerBatch = 100'000;  // ReportUsageBatch's own limit.
constexpr absl::Duration kImportTimeout = absl::Minutes(10);
constexpr int kDecisionsDefault = 20;

// All or nothing.
absl::StatusOr<v1::ReportUsageBatchResponse> SendBatch(Session& session,
                                                       const v1::ReportUsageBatchRequest& request) {
  grpc::ClientContext context;
  Session::SetDeadline(context, std::max(session.call_timeout(), kImportTimeout));
  v1::ReportUsageBatchResponse response;
  const grpc::Status status = session.usage().ReportUsageBatch(&context, request, &response);
  if (!status.ok()) return session.FromRpc(status);
  return response;
}

// `told`: of the file; lines.
void PrintAccepted(Session& session, const std::string& pool,
                   const v1::ReportUsageBatchResponse& response, const std::string& told = "") {
  const std::int64_t samples = response.accepted_samples();
  session.Print(response, absl::StrCat(told, pool, ": ", CountText(samples, "sample"), " accepted",
                                       DryRunNote(session), "\n"));
}

absl::Status PushValue(Session& session, const std::string& pool) {
  const Arguments& arguments = session.arguments();
  absl::Time time = session.console().now();
  if (!arguments.time.empty()) {
    const absl::StatusOr<absl::Time> given = ParseTimeFlag(arguments.time, "--time");
    if (!given.ok()) return given.status();
    if (LacksZone(arguments.time)) {
      const absl::Status right = CheckZonelessTime(session, pool, "--time");
      if (!right.ok()) return right;
    }
    time = *given;
  }
  v1::ReportUsageBatchRequest request;
  request.set_pool(pool);
  *request.add_samples()->mutable_time() = ToProto(time);
  request.mutable_samples(0)->set_value(*arguments.value);
  session.Prepare(request);
  const auto response = SendBatch(session, request);
  if (!response.ok()) return response.status();
  PrintAccepted(session, pool, *response);
  return absl::OkStatus();
}

struct SampleFile {
  std::string name;  // For messages.
  std::string flag;  // That named it.
  Imported content;
};

std::string FileName(const std::string& path) {
  return path == "-" ? "standard input" : PrintableText(path);
}

absl::StatusOr<SampleFile> ReadCsv(Session& session) {
  const std::string& path = session.arguments().csv;
  const absl::StatusOr<std::string> text =
      ReadInput(path, session.console().in, kCsvBytesMax, "--csv");
  if (!text.ok()) return text.status();
  SampleFile file{.name = FileName(path), .flag = "--csv", .content = {}};
  absl::StatusOr<CsvSamples> csv = ParseSamplesCsv(*text, file.name);
  if (!csv.ok()) return csv.status();
  file.content.samples = std::move(csv->samples);
  file.content.places = std::move(csv->lines);
  file.content.zoneless_place = csv->zoneless_line;
  return file;
}

absl::StatusOr<SampleFile> ReadImport(Session& session) {
  const Arguments& arguments = session.arguments();
  ImportOptions options{.time_column = arguments.time_column,
                        .value_column = arguments.value_column,
                        .time_zone = std::nullopt,
                        .scale = arguments.scale.value_or(1)};
  if (!(options.scale > 0)) return BadField("--scale", "wanted a number above 0");
  if (!arguments.time_zone.empty()) {
    absl::TimeZone zone;
    if (!absl::LoadTimeZone(arguments.time_zone, &zone)) {
      return BadField("--time-zone", "wanted an IANA name such as Europe/Berlin");
    }
    options.time_zone = zone;
  }
  const absl::StatusOr<std::string> text =
      ReadInput(arguments.file, session.console().in, kCsvBytesMax, "--file");
  if (!text.ok()) return text.status();
  SampleFile file{.name = FileName(arguments.file), .flag = "--file", .content = {}};
  absl::StatusOr<Imported> imported = ImportSamples(*text, file.name, options);
  if (!imported.ok()) return imported.status();
  file.content = *std::move(imported);
  return file;
}

std::string PlaceText(const SampleFile& file, std::size_t place) {
  return absl::StrCat(file.content.place, " ", place);
}

absl::Status AtPlace(const SampleFile& file, std::size_t sample, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(file.name, ": ", PlaceText(file, file.content.places[sample]),
                                   ": ", std::string(status.message())));
}

// The error of a batch that began with the file's sample `first`: with the place, where it is
// about one, and with what was taken before: the samples that `taken` says, none if it is empty.
absl::Status BatchError(const SampleFile& file, std::size_t first, const absl::Status& status,
                        const std::string& taken) {
  constexpr std::string_view kSamples = "samples[";
  const std::string field = FieldOf(status);
  std::size_t index = 0;
  absl::Status error = status;
  if (field.starts_with(kSamples) &&
      absl::SimpleAtoi(field.substr(kSamples.size(), field.find(']') - kSamples.size()), &index) &&
      first + index < file.content.places.size()) {
    error = AtPlace(file, first + index, status);
  }
  if (taken.empty()) return error;
  return absl::Status(error.code(),
                      absl::StrCat(std::string(error.message()), "; ", taken, " were accepted"));
}

v1::ReportUsageBatchRequest::Overlap OverlapOf(const std::string& flag) {
  if (flag == "skip") return v1::ReportUsageBatchRequest::SKIP;
  if (flag == "fail") return v1::ReportUsageBatchRequest::FAIL;
  return v1::ReportUsageBatchRequest::OVERLAP_UNSPECIFIED;
}

// Where the batches of a file begin, in the order in which they are sent: from its first sample, or
// with history from its last, because each batch of it must be older than what there is.
std::vector<std::size_t> BatchStarts(std::size_t samples, bool history) {
  std::vector<std::size_t> starts;
  for (std::size_t at = 0; at == 0 || at < samples; at += kSamplesPerBatch) starts.push_back(at);
  if (history) std::reverse(starts.begin(), starts.end());
  return starts;
}

// What several batches would find out only after the first ones were taken: everything else is in
// the file itself, which was read as a whole.
absl::Status CheckNotAhead(Session& session, const std::string& pool, const SampleFile& file) {
  v1::GetPoolRequest request;
  request.set_name(pool);
  const auto found = session.Call(session.pools(), &v1::PoolService::Stub::GetPool, request);
  if (!found.ok()) return found.status();
  const absl::Time limit = session.console().now() + FromProto(found->step());
  const auto& samples = file.content.samples;  // They ascend.
  const auto ahead = std::find_if(samples.begin(), samples.end(), [&](const v1::Sample& sample) {
    return FromProto(sample.time()) > limit;
  });
  if (ahead == samples.end()) return absl::OkStatus();
  return AtPlace(
      file, static_cast<std::size_t>(ahead - samples.begin()),
      absl::InvalidArgumentError(absl::StrCat("its time, ", TimeText(FromProto(ahead->time())),
                                              ", is more than a step in the future")));
}

// Up to kSamplesPerBatch all or nothing; more in batches, once the whole file is found good.
absl::Status SendFile(Session& session, const std::string& pool, const SampleFile& file) {
  const Imported& content = file.content;
  if (content.zoneless_place != 0) {
    const absl::Status right = CheckZonelessTime(
        session, pool, absl::StrCat(file.name, ": ", PlaceText(file, content.zoneless_place)));
    if (!right.ok()) return right;
  }
  const std::vector<v1::Sample>& samples = content.samples;
  if (samples.size() > kSamplesPerBatch) {
    if (session.arguments().dry_run || !session.arguments().request_id.empty()) {
      return BadField(file.flag, absl::StrCat("with --dry-run or --request-id at most ",
                                              kSamplesPerBatch, " samples"));
    }
    if (absl::Status checked = CheckNotAhead(session, pool, file); !checked.ok()) return checked;
  }
  const bool history = !session.arguments().overlap.empty();
  v1::ReportUsageBatchResponse all;
  std::string taken;
  for (const std::size_t at : BatchStarts(samples.size(), history)) {
    const std::size_t end = std::min(at + kSamplesPerBatch, samples.size());
    v1::ReportUsageBatchRequest request;
    request.set_pool(pool);
    request.set_overlap(OverlapOf(session.arguments().overlap));
    for (std::size_t i = at; i < end; ++i) *request.add_samples() = samples[i];
    session.Prepare(request);
    const auto response = SendBatch(session, request);
    if (!response.ok()) return BatchError(file, at, response.status(), taken);
    all.set_accepted_samples(all.accepted_samples() + response->accepted_samples());
    taken = history
                ? absl::StrCat("those from ", PlaceText(file, content.places[at]), " on")
                : absl::StrCat("the ", end, " samples before ",
                               PlaceText(file, content.places[std::min(end, samples.size() - 1)]));
  }
  PrintAccepted(session, pool, all, content.told);
  return absl::OkStatus();
}

absl::Status PushCsv(Session& session, const std::string& pool) {
  const absl::StatusOr<SampleFile> file = ReadCsv(session);
  return file.ok() ? SendFile(session, pool, *file) : file.status();
}

absl::Status Import(Session& session) {
  const absl::StatusOr<SampleFile> file = ReadImport(session);
  if (!file.ok()) return file.status();
  return SendFile(session, FullPoolName(session.arguments().name), *file);
}

absl::Status Push(Session& session) {
  const Arguments& arguments = session.arguments();
  if (arguments.csv.empty() != arguments.value.has_value()) {
    return BadField("--csv", "give either --csv FILE or --value V");
  }
  if (!arguments.time.empty() && !arguments.value) {
    return BadField("--time", "goes with --value; a CSV file has its own times");
  }
  if (!arguments.overlap.empty() && arguments.value) {
    return BadField("--overlap", "goes with --csv");
  }
  const std::string pool = FullPoolName(arguments.name);
  return arguments.value ? PushValue(session, pool) : PushCsv(session, pool);
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
  session.Print(*list, TableOf(session, DecisionColumns(), decisions));
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

constexpr std::array<Command, 5> kCommands = {{
    {"usage", "push", "POOL",
     "Report demand: samples of a CSV file (timestamp,value), or one value",
     "usage push web --csv demand.csv", kTakesSamples | kTakesDryRun | kTakesRequestId, Push},
    {"usage", "import", "POOL",
     "Report past demand from an export of Prometheus, CloudWatch, Grafana, or any CSV file",
     "usage import web -f export.csv --dry-run",
     kTakesFile | kTakesImport | kTakesDryRun | kTakesRequestId, Import},
    {"pool", "analyze", "POOL", "Read the usage, forecast and decide now, and say what and why",
     "pool analyze web --dry-run", kTakesDryRun, Analyze},
    {"", "decisions", "POOL", "List the latest decisions, newest first", "decisions web --limit 50",
     kTakesLimit | kTakesFormats, Decisions},
    {"", "why", "NAME", "Explain the last decision for a pool or a shadow pool", "why web",
     kTakesFormats, Why},
}};

}  // namespace

std::span<const Command> DemandCommands() { return kCommands; }

}  // namespace shadow
