#include "forecast/steps/cell_path.h"

#include <algorithm>
#include <cmath>

namespace shadow {

CellPlace CellPlaceAt(double cells_ahead) {
  const double from_middle = cells_ahead + 0.5;
  const double lead = std::floor(from_middle);
  return {.lead = static_cast<int64_t>(lead), .share = from_middle - lead};
}

std::vector<int> LeadsOf(std::span<const CellPlace> places) {
  std::vector<int> leads;
  for (const CellPlace& place : places) {
    leads.push_back(static_cast<int>(std::max<int64_t>(place.lead, 1)));
    leads.push_back(static_cast<int>(std::max<int64_t>(place.lead + 1, 1)));
  }
  std::sort(leads.begin(), leads.end());
  leads.erase(std::unique(leads.begin(), leads.end()), leads.end());
  return leads;
}

double CellPath::Cell(int64_t lead, size_t column) const {
  if (lead < 1 && !std::isnan(known_)) return known_;
  lead = std::max<int64_t>(lead, 1);
  const bool near = leads_[at_] <= lead;
  if (!near) at_ = 0;
  while (leads_[at_] < lead) ++at_;
  return rows_[at_][column];
}

}  // namespace shadow
