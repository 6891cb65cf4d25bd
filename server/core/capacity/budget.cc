#include "server/core/capacity/budget.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <queue>
#include <tuple>

#include "server/core/check.h"

namespace shadow {

std::vector<int> ShareBudget(std::span<const BudgetClaim> claims, int total) {
  std::vector<int> shares(claims.size());
  // Needed, priority, worth of the next instance, and minus its index: the greatest is served.
  using Next = std::tuple<bool, int, double, ptrdiff_t>;
  std::priority_queue<Next> queue;
  const auto claim_next = [&](size_t i) {
    const BudgetClaim& claim = claims[i];
    const auto have = static_cast<size_t>(shares[i]);
    if (shares[i] >= claim.wanted) return;
    const double worth = have < claim.worth.size() ? claim.worth[have] : 0;
    queue.emplace(shares[i] < claim.needed, claim.priority, worth, -static_cast<ptrdiff_t>(i));
  };
  for (size_t i = 0; i < claims.size(); ++i) claim_next(i);
  for (int left = std::max(0, total); left > 0 && !queue.empty(); --left) {
    const auto i = static_cast<size_t>(-std::get<3>(queue.top()));
    queue.pop();
    ++shares[i];
    claim_next(i);
  }
  CHECK(std::accumulate(shares.begin(), shares.end(), 0) <= std::max(0, total));
  return shares;
}

}  // namespace shadow
