#include "server/core/leads/learned_lead.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "server/core/time_proto.h"

namespace shadow {
namespace {

using Burst = v1::LearnedLead::Burst;

constexpr double kPriorWeight = 0.5;  // Of a burst.
constexpr double kShare = 0.05;       // Beyond the quantile.
constexpr double kRounding = 1e-9;    // Shares of a burst add up to it but for this.

struct Weighted {
  absl::Duration took;
  double weight;
};

bool Holds(const Burst& burst, absl::Time begin) {
  return burst.has_begin_time() &&
         absl::AbsDuration(begin - FromProto(burst.begin_time())) < kBurst;
}

// Keeps it sorted. One that is full first loses every second value; the longest stays.
void Insert(Burst& burst, absl::Duration took) {
  std::vector<absl::Duration> values = {took};
  for (const auto& value : burst.took()) values.push_back(FromProto(value));
  std::sort(values.begin(), values.end());
  const size_t stride = values.size() > kBurstValuesMax ? 2 : 1;
  burst.clear_took();
  for (size_t i = (values.size() - 1) % stride; i < values.size(); i += stride) {
    *burst.add_took() = ToProto(values[i]);
  }
}

// From one burst to the next; a clock that jumped makes it no longer than kTimeHalfLife.
absl::Duration Gap(const Burst& from, const Burst& to) {
  if (!from.has_begin_time() || !to.has_begin_time()) return absl::ZeroDuration();
  return std::clamp(FromProto(to.begin_time()) - FromProto(from.begin_time()), absl::ZeroDuration(),
                    kTimeHalfLife);
}

double Halved(double half_lives) { return std::exp2(-half_lives); }

// Longest first. Ages count from the newest burst, so a pool that rests keeps what it has learned.
std::vector<Weighted> Weigh(const v1::LearnedLead& learned, absl::Duration prior) {
  std::vector<Weighted> values;
  double age = 0;  // Half-lives.
  for (int i = learned.bursts_size() - 1; i >= 0; --i) {
    const Burst& burst = learned.bursts(i);
    const double weight = Halved(age) / std::max(1, burst.took_size());
    for (const auto& took : burst.took()) values.push_back({FromProto(took), weight});
    age += 1 / kBurstsHalfLife;
    if (i > 0) age += absl::FDivDuration(Gap(learned.bursts(i - 1), burst), kTimeHalfLife);
  }
  values.push_back({prior, kPriorWeight * Halved(learned.bursts_size() / kBurstsHalfLife)});
  std::stable_sort(values.begin(), values.end(),
                   [](const Weighted& a, const Weighted& b) { return a.took > b.took; });
  return values;
}

// The longest that more than `weight` took at least. `values`: not empty, longest first.
absl::Duration LongestOf(const std::vector<Weighted>& values, double weight) {
  double sum = 0;
  for (const Weighted& value : values) {
    sum += value.weight;
    if (sum > weight + kRounding) return value.took;
  }
  return values.back().took;
}

}  // namespace

void NoteLead(v1::LearnedLead& learned, absl::Time begin, absl::Duration took) {
  if (took < absl::ZeroDuration() || took > kLeadMax) return;
  auto& bursts = *learned.mutable_bursts();
  const auto burst = std::find_if(bursts.rbegin(), bursts.rend(),
                                  [&](const Burst& known) { return Holds(known, begin); });
  if (burst != bursts.rend()) {
    Insert(*burst, took);
    return;
  }
  if (bursts.size() >= kBurstsMax) bursts.DeleteSubrange(0, bursts.size() - kBurstsMax + 1);
  Burst& added = *bursts.Add();
  *added.mutable_begin_time() = ToProto(begin);
  Insert(added, took);
}

absl::Duration LeadFrom(const v1::LearnedLead& learned, absl::Duration prior) {
  const std::vector<Weighted> values = Weigh(learned, prior);
  double all = 0;
  for (const Weighted& value : values) all += value.weight;
  const absl::Duration usual = LongestOf(values, std::min(kOutlierWeight, all / 2));
  return std::min(LongestOf(values, kShare * all), usual * kOutlierFactor);
}

v1::LearnedLead LearnedFrom(
    const google::protobuf::RepeatedPtrField<google::protobuf::Duration>& values) {
  v1::LearnedLead learned;
  for (int i = std::max(0, values.size() - kBurstsMax); i < values.size(); ++i) {
    *learned.add_bursts()->add_took() = values[i];
  }
  return learned;
}

}  // namespace shadow
