// The cheapest number of instances for a step whose need is only known as a distribution.
#pragma once

#include <array>
#include <span>

#include "forecast/need/need_distribution.h"

namespace shadow {

// What things cost, in the cost of one instance that is kept for one step without need: that is 1.
struct CapacityPrices {
  double shortage = 0;  // Of one instance that is missing for one step.
  double miss = 0;      // Of a step in which any is missing.
  double launch = 0;    // Of one instance more than there were wanted before.
};

// The newsvendor's problem on whole instances. Source: K. Arrow, T. Harris, J. Marschak, Optimal
// Inventory Policy, Econometrica 19 (1951); the fixed price of a miss is what a service level asks
// for.
class StepCosts {
 public:
  // `mass`: P(need in cell), by cell of NeedScale; all of a cell's needs count as its highest.
  explicit StepCosts(std::span<const float> mass);

  // The count r that makes this least, the lower of equal ones:
  //   E(r - need)+ + shortage E(need - r)+ + miss P(need > r) + launch (r - wanted)+
  // e.g. needs 0, 1, 2 with probabilities .5, .3, .2, shortage 2, all else 0: r = 0, 1, 2 cost 1.4,
  // .9, 1.3, so 1; with a miss at 3: 2.9, 1.5, 1.3, so 2; and with a launch at 1, wanted 1: 1.5,
  // 2.3 for r = 1, 2, so 1.
  // `lowest`: where the search begins, when it is known that this is no less; a count of a cell.
  int Cheapest(const CapacityPrices& prices, int wanted, int lowest = 0) const;

 private:
  int cells_;
  // By cell, were its highest need the count.
  std::array<float, NeedDistribution::kCellsMax> idle_;
  std::array<float, NeedDistribution::kCellsMax> shortage_;
  std::array<float, NeedDistribution::kCellsMax> miss_;
};

}  // namespace shadow
