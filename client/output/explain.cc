#include "client/output/explain.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/output/columns.h"
#include "client/proto_time.h"
#include "client/text.h"

namespace shadow {
namespace {

struct Line {
  std::string name;
  std::string text;
};

std::string Aligned(const std::vector<Line>& lines) {
  std::size_t width = 0;
  for (const Line& line : lines) width = std::max(width, line.name.size());
  std::string text;
  for (const Line& line : lines) {
    absl::StrAppend(&text, "  ", line.name, std::string(width - line.name.size() + 2, ' '),
                    PrintableText(line.text), "\n");
  }
  return text;
}

std::string Known(bool known, double number) { return known ? NumberText(number) : "unknown"; }

std::string DurationText(const google::protobuf::Duration& duration) {
  const absl::Duration exact = FromProto(duration);
  const absl::Duration rounded = absl::Trunc(exact, absl::Milliseconds(1));
  return shadow::DurationText(rounded == absl::ZeroDuration() ? exact : rounded);
}

std::vector<Line> UsageLines(const v1::Usage& usage) {
  std::string demand = Known(usage.has_demand(), usage.demand());
  if (usage.has_sample_time()) demand += " at " + TimeText(FromProto(usage.sample_time()));
  if (usage.stale()) demand += " (stale)";
  std::vector<Line> lines = {{"demand", demand}};
  if (usage.has_errors_per_second()) {
    lines.push_back({"errors per second", NumberText(usage.errors_per_second())});
  }
  if (usage.has_queued_requests()) {
    lines.push_back({"queued requests", NumberText(usage.queued_requests())});
  }
  if (usage.has_response_time_ms()) {
    lines.push_back({"response time", NumberText(usage.response_time_ms()) + " ms"});
  }
  if (!usage.error().empty()) lines.push_back({"last reading failed", usage.error()});
  lines.push_back({"steps of history", absl::StrCat(usage.sample_count())});
  return lines;
}

void AddPlan(const v1::Decision::Inputs& inputs, std::vector<Line>& lines) {
  lines.push_back({"planned instances", absl::StrCat(inputs.planned_instances())});
  const std::string misses =
      absl::StrCat("misses ", NumberText(100 * inputs.miss_rate()), " % of steps");
  if (!inputs.has_miss_budget_steps()) {
    lines.push_back({"cheapest by the policy's costs", misses});
  } else {
    lines.push_back({"price of a missed step", absl::StrCat(NumberText(inputs.miss_price()),
                                                            " instance-steps of idle; ", misses)});
    lines.push_back(
        {"steps that may be missed", NumberText(std::floor(inputs.miss_budget_steps()))});
  }
  if (inputs.has_burst_instances()) {
    lines.push_back({"if it goes on rising", absl::StrCat(inputs.burst_instances())});
  }
  if (inputs.has_early_instances()) {
    lines.push_back(
        {"so that more can be created in time", absl::StrCat(inputs.early_instances())});
  }
  if (inputs.has_budget_instances()) {
    lines.push_back({"share of the daemon's instances", absl::StrCat(inputs.budget_instances())});
  }
}

std::vector<Line> InputLines(const v1::Decision::Inputs& inputs) {
  const auto known = [](bool has, double value) { return Known(has, value); };
  std::vector<Line> lines = UsageLines(inputs.usage());
  const auto add = [&](const char* name, std::string text) {
    lines.push_back({name, std::move(text)});
  };
  add("forecast is", v1::Trust_Name(inputs.trust()));
  if (inputs.has_planned_instances()) AddPlan(inputs, lines);
  add("provisioning lead", DurationText(inputs.provisioning_lead()));
  add("forecast, activation lead",
      absl::StrCat(known(inputs.has_activation_quantile(), inputs.activation_quantile()),
                   " within ", DurationText(inputs.activation_lead())));
  if (inputs.has_look_ahead_quantile()) {
    add("forecast, look-ahead", absl::StrCat(NumberText(inputs.look_ahead_quantile()), " within ",
                                             DurationText(inputs.look_ahead())));
  }
  add("service level", NumberText(inputs.service_level()));
  add("base capacity", NumberText(inputs.base_capacity()));
  add("instance capacity", NumberText(inputs.instance_capacity()));
  add("headroom", NumberText(inputs.headroom()));
  add("least predicted increase", NumberText(inputs.min_predicted_increase()));
  add("shadow instances allowed",
      absl::StrCat(inputs.min_shadow_instances(), " to ", inputs.max_shadow_instances(),
                   inputs.bounds_by().empty() ? "" : ", by \"" + inputs.bounds_by() + "\""));
  add("shadow before", absl::StrCat(inputs.current_instances(), " instances, ",
                                    inputs.current_active(), " to serve"));
  add("stabilization window", DurationText(inputs.stabilization_window()));
  if (inputs.has_hold_until_time()) {
    add("held until", TimeText(FromProto(inputs.hold_until_time())));
  }
  add("mode", absl::StrCat(v1::Policy::Mode_Name(inputs.mode()), ", ",
                           v1::Policy::Sizing_Name(inputs.sizing())));
  return lines;
}

}  // namespace

std::string ExplainDecision(const v1::Decision& decision) {
  std::string text =
      absl::StrCat(decision.pool(), ", ", v1::Decision::Kind_Name(decision.kind()), " decision ",
                   decision.id(), " at ", TimeText(FromProto(decision.time())),
                   decision.acted() ? "" : " (not acted on)", "\n");
  absl::StrAppend(&text, PrintableText(decision.explanation()), "\n");
  std::vector<Line> lines = {
      {"target",
       absl::StrCat(decision.target_instances(), " shadow instances, ", decision.target_active(),
                    " to serve (level ", decision.target_activation_level(), "%)")},
      {"because", ReasonsText(decision)},
      {"demand to be coverable", NumberText(decision.ready_need())}};
  const std::vector<Line> inputs = InputLines(decision.inputs());
  lines.insert(lines.end(), inputs.begin(), inputs.end());
  return text + Aligned(lines);
}

}  // namespace shadow
