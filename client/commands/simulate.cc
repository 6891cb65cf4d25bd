// shadowctl simulate, pool evaluate: what policies would have done on demand that was.
#include <algorithm>
#include <array>
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/command.h"
#include "client/commands/documents.h"
#include "client/errors.h"
#include "client/input/manifest.h"
#include "client/input/samples_csv.h"
#include "client/names.h"
#include "client/output/outcomes.h"
#include "client/output/replay_plot.h"
#include "client/proto_time.h"
#include "client/session.h"
#include "client/text.h"

namespace shadow {
namespace {

using Stub = v1::SimulationService::Stub;

constexpr absl::Duration kReplayTimeout = absl::Minutes(10);
constexpr std::size_t kRequestBytesMax = std::size_t{4} << 20U;  // What the daemon takes.
constexpr int kPlotRows = 14;

absl::Status AddSamples(Session& session, v1::SimulateRequest& request) {
  const std::string& path = session.arguments().csv;
  if (path.empty()) return absl::OkStatus();
  const absl::StatusOr<std::string> text =
      ReadInput(path, session.console().in, kCsvBytesMax, "--csv");
  if (!text.ok()) return text.status();
  const std::string source = path == "-" ? "standard input" : PrintableText(path);
  const auto csv = ParseSamplesCsv(*text, source);
  if (!csv.ok()) return csv.status();
  if (csv->zoneless_line != 0) {
    const absl::Status right = CheckZonelessTime(
        session, request.pool(), absl::StrCat(source, ": line ", csv->zoneless_line));
    if (!right.ok()) return right;
  }
  request.mutable_samples()->Add(csv->samples.begin(), csv->samples.end());
  if (request.ByteSizeLong() <= kRequestBytesMax) return absl::OkStatus();
  return BadField("--csv",
                  absl::StrCat(csv->samples.size(), " samples are more than a call carries, ",
                               kRequestBytesMax, " bytes; cut the file"));
}

absl::Status AddVariants(Session& session, v1::SimulateRequest& request) {
  for (const double level : session.arguments().service_levels) {
    request.add_variants()->set_service_level(level);
  }
  for (const std::string& path : session.arguments().policies) {
    const absl::StatusOr<std::string> text =
        ReadInput(path, session.console().in, kManifestBytesMax, "--policy");
    if (!text.ok()) return text.status();
    const bool input = path == "-";
    auto policy = ParsePolicy(*text, input ? "standard input" : path);
    if (!policy.ok()) return policy.status();
    v1::SimulateRequest::Variant& variant = *request.add_variants();
    variant.set_label(input ? "policy" : std::filesystem::path(path).stem().string());
    *variant.mutable_policy() = *std::move(policy);
  }
  return absl::OkStatus();
}

template <typename Request>
void AddPrices(const Arguments& arguments, Request& request) {
  if (!arguments.idle_cost || !arguments.shortage_cost) return;  // Each needs the other.
  request.mutable_prices()->set_idle_cost_per_instance_hour(*arguments.idle_cost);
  request.mutable_prices()->set_shortage_cost_per_instance_hour(*arguments.shortage_cost);
}

// Sets `*duration` where the flag is given.
absl::Status Take(const std::string& text, const char* flag,
                  google::protobuf::Duration* (v1::SimulateRequest::*field)(),
                  v1::SimulateRequest& request) {
  if (text.empty()) return absl::OkStatus();
  const absl::StatusOr<absl::Duration> duration = ParseDurationFlag(text, flag);
  if (duration.ok()) *(request.*field)() = ToProto(*duration);
  return duration.status();
}

absl::StatusOr<v1::SimulateRequest> RequestOf(Session& session) {
  using R = v1::SimulateRequest;
  const Arguments& arguments = session.arguments();
  R request;
  request.set_pool(FullPoolName(arguments.name));
  absl::Status status = Take(arguments.warm_up, "--warmup", &R::mutable_warm_up, request);
  status.Update(Take(arguments.step, "--step", &R::mutable_step, request));
  status.Update(Take(arguments.lead, "--lead", &R::mutable_provisioning_lead, request));
  if (status.ok()) status = AddVariants(session, request);
  if (status.ok()) status = AddSamples(session, request);
  if (!status.ok()) return status;
  AddPrices(arguments, request);
  if (!session.json()) request.set_plot_points(ReplayPlotPoints(session.console().columns));
  return request;
}

// An empty line and the picture of `outcome`; nothing without points.
std::string PictureOf(Session& session, const std::string& pool, const v1::Outcome& outcome) {
  if (outcome.points().empty()) return "";
  v1::GetPoolRequest request;  // For its clock; in UTC where that cannot be had.
  request.set_name(pool);
  const auto found = session.Call(session.pools(), &v1::PoolService::Stub::GetPool, request);
  const Console& console = session.console();
  return "\n" + PlotReplay(outcome, {.title = outcome.label(),
                                     .columns = console.columns,
                                     .rows = kPlotRows,
                                     .blocks = console.out_is_terminal && console.utf8,
                                     .colour = console.colour,
                                     .clock = found.ok() ? ClockOf(*found) : PictureClock()});
}

absl::Status Simulate(Session& session) {
  const auto request = RequestOf(session);
  if (!request.ok()) return request.status();
  const auto response = session.CallWithin(std::max(session.call_timeout(), kReplayTimeout),
                                           session.simulations(), &Stub::Simulate, *request);
  if (!response.ok()) return response.status();
  std::string text = SimulationText(*response, request->pool(), session.console().colour) +
                     RecommendationText(*response);
  if (response->variants_size() > 0 && !session.json()) {
    text += PictureOf(session, request->pool(), response->variants(0));
  }
  session.Print(*response, text);
  return absl::OkStatus();
}

absl::Status Evaluate(Session& session) {
  const Arguments& arguments = session.arguments();
  v1::EvaluatePoolRequest request;
  request.set_pool(FullPoolName(arguments.name));
  if (!arguments.last.empty()) {
    const absl::StatusOr<absl::Duration> last = ParseDurationFlag(arguments.last, "--last");
    if (!last.ok()) return last.status();
    *request.mutable_last() = ToProto(*last);
  }
  AddPrices(arguments, request);
  if (!session.json()) request.set_plot_points(ReplayPlotPoints(session.console().columns));
  const auto response = session.CallWithin(std::max(session.call_timeout(), kReplayTimeout),
                                           session.simulations(), &Stub::EvaluatePool, request);
  if (!response.ok()) return response.status();
  std::string text = EvaluationText(*response, request.pool(), session.console().colour);
  if (!session.json()) text += PictureOf(session, request.pool(), response->automatic());
  session.Print(*response, text);
  return absl::OkStatus();
}

constexpr std::array<Command, 2> kCommands = {{
    {"", "simulate", "POOL", "Replay policies on real demand: what each would have cost and missed",
     "simulate web --service-level 0.95 --service-level 0.99 --idle-cost 0.1 --shortage-cost 5",
     kTakesReplay | kTakesPrices, Simulate},
    {"pool", "evaluate", "POOL", "Say what switching to AUTOMATIC would have meant lately",
     "pool evaluate web --last 7d", kTakesPrices | kTakesLast, Evaluate},
}};

}  // namespace

std::span<const Command> SimulateCommands() { return kCommands; }

}  // namespace shadow
