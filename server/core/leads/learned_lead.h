// How long a new instance will take, learned from how long others took. Pure.
//
// Instances that begin together share whatever slowed them down, so a burst of them is one
// observation. Newer bursts count for more: a burst has half the weight of the fourth one after it,
// and half the weight of one two weeks later. So a lasting change is followed within a few bursts,
// while a single bad one lengthens the lead by half at most.
#pragma once

#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/repeated_field.h"
#include "shadow/v1/record.pb.h"

namespace shadow {

// Notes that an instance which began at `begin` (wall clock) took `took` (monotonic clock). What is
// below 0 or above kLeadMax is not noted. The clock may jump between two calls.
void NoteLead(v1::LearnedLead& learned, absl::Time begin, absl::Duration took);

// The weighted 95 % quantile of what bursts took, but at most kOutlierFactor times the longest that
// a burst and a half (or half of all weight, if that is less) took at least. `prior` is an older
// half of a burst, so it fades. e.g. six bursts of 10 s, one of 60 s: 15 s; a second one of 60 s:
// 60 s.
absl::Duration LeadFrom(const v1::LearnedLead& learned, absl::Duration prior);

// Of what daemons recorded before they knew bursts: values, oldest first, each a burst of its own.
v1::LearnedLead LearnedFrom(
    const google::protobuf::RepeatedPtrField<google::protobuf::Duration>& values);

inline constexpr absl::Duration kBurst = absl::Minutes(1);  // Begin within it of the first.
inline constexpr int kBurstsMax = 16;                       // Newest ones are kept.
inline constexpr int kBurstValuesMax = 8;                   // Of one burst.
inline constexpr double kBurstsHalfLife = 4;
inline constexpr absl::Duration kTimeHalfLife = absl::Hours(14 * 24);  // Also the longest gap.
inline constexpr double kOutlierWeight = 1.5;
inline constexpr double kOutlierFactor = 1.5;
inline constexpr absl::Duration kLeadMax = absl::Hours(24);

}  // namespace shadow
