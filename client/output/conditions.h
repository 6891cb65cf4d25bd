// Conditions as people read them.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "google/protobuf/repeated_field.h"
#include "shadow/v1/condition.pb.h"

namespace shadow {

using Conditions = google::protobuf::RepeatedPtrField<v1::Condition>;

// The first that needs attention: something does not answer, usage is stale, instances fail, or a
// limit holds the pool back. OBSERVE, a hold and a start under way are no problem. nullptr: none.
const v1::Condition* ProblemOf(const Conditions& conditions);

// "BalancerReachable: Misconfigured"; empty: no problem.
std::string ProblemCell(const Conditions& conditions);

// "; BalancerReachable: there is no backend \"web\""; empty: no problem.
std::string ProblemSuffix(const Conditions& conditions);

// The same, of a provider or balancer that does not answer alone: instances wait for it whatever
// the demand is.
std::string UnreachableSuffix(const Conditions& conditions);

// A line with reason and message for each that is not TRUE, except the reason Observing.
std::string ConditionLines(const Conditions& conditions, absl::Time now);

}  // namespace shadow
