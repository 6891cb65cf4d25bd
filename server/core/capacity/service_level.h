// Keeps one asked service level: which price of a miss has given it, and may be given now.
#pragma once

#include "forecast/saved_bytes.h"
#include "server/core/capacity/policy_bank.h"

namespace shadow {

// Source of error budgets: B. Beyer et al., Site Reliability Engineering (2016), ch. 3; of steering
// by the realised rate: I. Gibbs, E. Candes, Adaptive Conformal Inference Under Distribution Shift,
// NeurIPS (2021). Not thread-safe.
class ServiceLevel {
 public:
  // `level` in (0, 1): the share of steps that are to be covered. `day_steps` >= 1.
  ServiceLevel(double level, int day_steps);

  // Misses from the next step on count against the budget.
  void Start() { started_ = true; }

  // A step is over. The budget: allowed misses less those suffered, half-life 30 days.
  void Count(bool missed);
  double budget() const { return budget_; }

  // The first of the bank's first `policies`, whose prices of a miss ascend, that misses no more
  // than is allowed now, or the last:
  //   allowed = a exp(clip(budget / room, -ln 3, ln 2)), a = 1 - level
  //   room = max(400 a, 40 - 400 a) steps while there is budget left, max(600 a, 12) when it is
  //   overdrawn
  // e.g. level .99, budget -12: .01 / e = .00368.
  size_t Choose(const PolicyBank& bank, size_t policies) const;
  double AllowedMissRate() const;

  void Save(SavedWriter& writer) const;
  bool Restore(SavedReader& reader);  // False: not from Save.

 private:
  double level_;
  double fade_;
  double budget_ = 0;  // Steps.
  bool started_ = false;
};

}  // namespace shadow
