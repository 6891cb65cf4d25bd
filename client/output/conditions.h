// Conditions as people read them.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "google/protobuf/repeated_field.h"
#include "shadow/v1/condition.pb.h"

namespace shadow {

using Conditions = google::protobuf::RepeatedPtrField<v1::Condition>;

// The first that somebody may have to look at: something does not answer, or instances fail. One
// that is FALSE because of a setting, or for a start that goes on, is none. nullptr: there is none.
const v1::Condition* ProblemOf(const Conditions& conditions);

// "BalancerReachable: Misconfigured"; empty: no problem.
std::string ProblemCell(const Conditions& conditions);

// "; BalancerReachable: there is no backend \"web\""; empty: no problem.
std::string ProblemSuffix(const Conditions& conditions);

// A line for each that is not TRUE, with what it says; but for Observing. Empty: there is none.
std::string ConditionLines(const Conditions& conditions, absl::Time now);

}  // namespace shadow
