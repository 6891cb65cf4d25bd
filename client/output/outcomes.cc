#include "client/output/outcomes.h"

#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/names.h"
#include "client/output/table.h"
#include "client/proto_time.h"
#include "client/text.h"

namespace shadow {
namespace {

using O = v1::Outcome;

std::string Percent(double share) { return absl::StrFormat("%.2f%%", 100 * share); }

std::string Hours(double instance_hours) {
  return absl::StrFormat("%.1f", instance_hours) + " instance-hours";
}

std::string Span(const google::protobuf::Timestamp& start, const google::protobuf::Timestamp& end) {
  return absl::StrCat("from ", TimeText(FromProto(start)), " to ", TimeText(FromProto(end)));
}

std::string NameOf(const O& outcome) {
  if (outcome.as_good_as().empty()) return outcome.label();
  return absl::StrCat(outcome.label(), ", like ", outcome.as_good_as());
}

std::string TableOf(const std::vector<O>& outcomes, bool colour) {
  std::vector<TableColumn> columns = {{"POLICY", Cells::kText},
                                      {"HIT", Cells::kNumber},
                                      {"UNSERVED", Cells::kNumber},
                                      {"IDLE", Cells::kNumber},
                                      {"CREATED/DAY", Cells::kNumber}};
  const bool priced = !outcomes.empty() && outcomes.front().has_cost();
  if (priced) columns.push_back({"COST", Cells::kNumber});
  std::vector<TableRow> rows;
  for (const O& outcome : outcomes) {
    TableRow& row = rows.emplace_back();
    row = {NameOf(outcome), Percent(outcome.hit_rate()), Percent(outcome.unserved_share()),
           Percent(outcome.idle_share()), absl::StrFormat("%.1f", outcome.created_per_day())};
    if (priced) row.push_back(absl::StrFormat("%.2f", outcome.cost()));
  }
  return RenderTable(columns, rows, colour);
}

template <typename List>
void Append(const List& list, std::vector<O>& outcomes) {
  outcomes.insert(outcomes.end(), list.begin(), list.end());
}

// "met the need in 99.31% of the steps, missed 14, ..."
std::string Fared(const O& outcome) {
  std::string text =
      absl::StrCat("met the need in ", Percent(outcome.hit_rate()), " of the steps (",
                   outcome.missed_steps(), " missed, ", Hours(outcome.unserved_instance_hours()),
                   " short) with ", Hours(outcome.idle_instance_hours()), " idle");
  if (outcome.has_cost()) absl::StrAppendFormat(&text, ", at a cost of %.2f", outcome.cost());
  return text;
}

// "max_shadow_instances 20", "the balancer's 10 slots"
std::string LimitName(const v1::BindingLimit& limit) {
  using B = v1::BindingLimit;
  if (limit.kind() == B::BALANCER_SLOTS) {
    return absl::StrCat("the balancer's ", limit.value(), " slots");
  }
  if (limit.kind() == B::INSTANCES_MAX) {
    return absl::StrCat("the ", limit.value(), " instances that instances_max leaves");
  }
  const bool creations = limit.kind() == B::MAX_CONCURRENT_CREATIONS;
  const std::string name = absl::StrCat(
      creations ? "max_concurrent_creations " : "max_shadow_instances ", limit.value());
  if (limit.override().empty()) return name;
  return absl::StrCat(name, " (by \"", PrintableText(limit.override()), "\")");
}

// "max_shadow_instances 20 bound in 312 of 340 missed steps, by up to 7 instances; 27 would have
// covered them. The plan itself missed the other 28.\n"; empty: no limit caused a miss.
template <typename Limits>
std::string LimitsText(const Limits& limits, std::int64_t missed_steps) {
  std::string text;
  std::int64_t others = missed_steps;
  for (const v1::BindingLimit& limit : limits) {
    absl::StrAppend(&text, text.empty() ? "" : " ", LimitName(limit), " bound in ",
                    limit.missed_steps(), " of ", missed_steps, " missed steps, by up to ",
                    limit.missing_instances(), " instances; ", limit.sufficient(),
                    " would have covered them.");
    others -= limit.missed_steps();
  }
  if (text.empty()) return "";
  if (others > 0) absl::StrAppend(&text, " The plan itself missed the other ", others, ".");
  return text + "\n";
}

std::string VariantLimits(const v1::SimulateResponse& response) {
  std::string text;
  for (const O& outcome : response.variants()) {
    const std::string limits = LimitsText(outcome.limits(), outcome.missed_steps());
    if (!limits.empty()) absl::StrAppend(&text, PrintableText(outcome.label()), ": ", limits);
  }
  return text;
}

// Unspecified is OBSERVE.
bool Observes(const v1::Pool& pool) { return pool.policy().mode() != v1::Policy::AUTOMATIC; }

// "99.31% of the steps (14 missed, 0.04% of the need unserved), with 1.2 instances idle on average,
// 12.2 created a day"
std::string Fared(const v1::ObserveScore::Outcome& fared) {
  std::string text = absl::StrFormat(
      "%s of the steps (%d missed, %s of the need unserved), with %.1f instances idle on average, "
      "%.1f created a day",
      Percent(fared.hit_rate()), fared.missed_steps(), Percent(fared.unserved_share()),
      fared.idle_instances(), fared.created_per_day());
  if (fared.has_cost()) absl::StrAppendFormat(&text, ", at a cost of %.2f", fared.cost());
  return text;
}

std::string MissesText(const O& outcome, bool colour) {
  if (outcome.misses().empty()) return "It would have missed no step.\n";
  std::vector<TableRow> rows;
  for (const O::Miss& miss : outcome.misses()) {
    rows.push_back(
        {TimeText(FromProto(miss.time())), absl::StrCat(miss.need()), absl::StrCat(miss.ready())});
  }
  const std::vector<TableColumn> columns = {
      {"MISSED", Cells::kText}, {"NEEDED", Cells::kNumber}, {"READY", Cells::kNumber}};
  std::string text = RenderTable(columns, rows, colour);
  const std::int64_t more = outcome.missed_steps() - outcome.misses_size();
  if (more > 0) absl::StrAppend(&text, "and ", more, " more\n");
  return text;
}

}  // namespace

std::string SimulationText(const v1::SimulateResponse& response, const std::string& pool,
                           bool colour) {
  std::vector<O> outcomes;
  Append(response.variants(), outcomes);
  Append(response.alternatives(), outcomes);
  return absl::StrCat(
      PrintableText(pool), " ", Span(response.start_time(), response.end_time()), ": ",
      response.scored_steps(), " steps of ", ShortDuration(FromProto(response.step())), ", after ",
      ShortDuration(FromProto(response.warm_up())), " to learn from; an instance takes ",
      ShortDuration(FromProto(response.provisioning_lead())), " until it waits, ",
      ShortDuration(FromProto(response.activation_lead())), " to wake\n", TableOf(outcomes, colour),
      VariantLimits(response));
}

std::string RecommendationText(const v1::SimulateResponse& response) {
  if (!response.has_recommendation()) return "";
  const v1::Recommendation& best = response.recommendation();
  std::string text =
      best.label().empty()
          ? std::string("recommended: none, as limits keep each from its service level (")
          : absl::StrFormat("recommended: %s, the cheapest at these prices: %.2f (",
                            PrintableText(best.label()), best.cost());
  const char* separator = "";
  for (const v1::Recommendation::Option& option : best.options()) {
    const std::string name = option.service_level() > 0 ? NumberText(option.service_level())
                                                        : PrintableText(option.label());
    absl::StrAppendFormat(&text, "%s%s: %.2f%s", separator, name, option.cost(),
                          option.out_of_reach() ? " but out of reach" : "");
    separator = ", ";
  }
  absl::StrAppend(&text, ")\n");
  for (const v1::BindingLimit& limit : best.limits()) {
    absl::StrAppend(&text, "out of reach: ", LimitName(limit), " bound in ", limit.missed_steps(),
                    " steps; ", limit.sufficient(), " would have covered them\n");
  }
  return text;
}

std::string EvaluationText(const v1::EvaluatePoolResponse& response, const std::string& pool,
                           bool colour) {
  const bool observes = response.mode() != v1::Policy::AUTOMATIC;
  std::vector<O> outcomes = {response.automatic(), response.present()};
  Append(response.alternatives(), outcomes);
  return absl::StrCat(
      PrintableText(pool), " ", Span(response.start_time(), response.end_time()),
      ": AUTOMATIC would have ", Fared(response.automatic()), ". ",
      observes ? "As it is, observed only, its base alone " : "As it is, it ",
      Fared(response.present()), ".\n", TableOf(outcomes, colour),
      LimitsText(response.automatic().limits(), response.automatic().missed_steps()),
      MissesText(response.automatic(), colour));
}

std::string ScoreText(const v1::Pool& pool, absl::Time now) {
  if (!Observes(pool)) return "";
  const v1::ObserveScore& score = pool.observe_score();
  const std::string name = PrintableText(ShortName(pool.name()));
  const std::string reason = PrintableText(score.unscored_reason());
  if (!score.has_score_time()) {
    return absl::StrCat(
        name, " is only observed; not scored: ", reason.empty() ? "not yet" : reason, "\n");
  }
  return absl::StrCat(name, " is only observed; AUTOMATIC would have met the need in ",
                      Fared(score.automatic()), "; the base alone in ", Fared(score.base_alone()),
                      ".\n",
                      LimitsText(score.automatic().limits(), score.automatic().missed_steps()),
                      "Scored ", ShortDuration(now - FromProto(score.score_time())), " ago, ",
                      Span(score.start_time(), score.end_time()), ", ", score.scored_steps(),
                      " steps", reason.empty() ? "" : absl::StrCat("; not again since: ", reason),
                      ". The misses: shadowctl pool evaluate ", name, "\n");
}

std::string ScoreCell(const v1::Pool& pool) {
  if (!Observes(pool)) return "";
  const v1::ObserveScore& score = pool.observe_score();
  if (score.has_score_time()) {
    return absl::StrCat(Percent(score.automatic().hit_rate()), ", base ",
                        Percent(score.base_alone().hit_rate()));
  }
  return "not yet";
}

}  // namespace shadow
