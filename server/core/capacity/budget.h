// Who gets how many instances where there are not enough for all. Pure.
#pragma once

#include <span>
#include <vector>

namespace shadow {

// One pool's claim. What it has by a person's hand, and its base, are not claimed: they have it.
struct BudgetClaim {
  int priority = 0;  // The higher goes first.
  int wanted = 0;    // Instances.
  int needed = 0;    // Of those, the first that actual demand needs now.
  // What the first, second, ... of them is worth: the share of steps that would be missed without
  // it. Never rising; those beyond its end are worth nothing.
  std::vector<double> worth;
};

// Instances by claim, `total` of them at most (below 0 counts as 0): first what is needed now, then
// what is kept ready; each by priority, within a priority one after the other to whoever it is
// worth most to, the earlier claim of equal ones.
// e.g. total 3; wanted 2 and 2, worth {.9, .2} and {.5, .4}: 1 and 2.
std::vector<int> ShareBudget(std::span<const BudgetClaim> claims, int total);

}  // namespace shadow
