#include "client/output/conditions.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "client/proto_time.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr std::array<std::string_view, 4> kProblemTypes = {"BalancerReachable", "ProviderReachable",
                                                           "UsageFresh", "LimitsEnforced"};
constexpr std::array<std::string_view, 3> kProblemReasons = {"InstancesFail", "OverBudget",
                                                             "AtMaximum"};

bool IsUnreachable(const v1::Condition& condition) {
  return condition.status() == v1::Condition::FALSE &&
         (condition.type() == "BalancerReachable" || condition.type() == "ProviderReachable");
}

std::string Suffix(const v1::Condition& condition) {
  return absl::StrCat("; ", condition.type(), ": ",
                      condition.message().empty() ? condition.reason() : condition.message());
}

bool IsProblem(const v1::Condition& condition) {
  if (condition.status() != v1::Condition::FALSE) return false;
  const std::string_view type = std::string_view(condition.type());
  return std::find(kProblemTypes.begin(), kProblemTypes.end(), type.substr(0, type.find('/'))) !=
             kProblemTypes.end() ||
         std::find(kProblemReasons.begin(), kProblemReasons.end(), condition.reason()) !=
             kProblemReasons.end();
}

}  // namespace

const v1::Condition* ProblemOf(const Conditions& conditions) {
  const auto found = std::find_if(conditions.begin(), conditions.end(), IsProblem);
  return found == conditions.end() ? nullptr : &*found;
}

std::string ProblemCell(const Conditions& conditions) {
  const v1::Condition* problem = ProblemOf(conditions);
  return problem == nullptr ? "" : absl::StrCat(problem->type(), ": ", problem->reason());
}

std::string ProblemSuffix(const Conditions& conditions) {
  const v1::Condition* problem = ProblemOf(conditions);
  return problem == nullptr ? "" : Suffix(*problem);
}

std::string UnreachableSuffix(const Conditions& conditions) {
  const auto found = std::find_if(conditions.begin(), conditions.end(), IsUnreachable);
  return found == conditions.end() ? "" : Suffix(*found);
}

std::string ConditionLines(const Conditions& conditions, absl::Time now) {
  std::string lines;
  for (const v1::Condition& condition : conditions) {
    // Of a pool that only observes, its score says so.
    if (condition.status() == v1::Condition::TRUE || condition.reason() == "Observing") continue;
    absl::StrAppend(&lines, PrintableText(condition.type()), " is ",
                    v1::Condition::Status_Name(condition.status()));
    if (condition.has_since_time()) {
      absl::StrAppend(&lines, " for ", ShortDuration(now - FromProto(condition.since_time())));
    }
    absl::StrAppend(&lines, ": ", PrintableText(condition.reason()));
    if (!condition.message().empty()) {
      absl::StrAppend(&lines, ", ", PrintableText(condition.message()));
    }
    lines += '\n';
  }
  return lines;
}

}  // namespace shadow
