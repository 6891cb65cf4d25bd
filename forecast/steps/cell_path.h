// From the cells that are learned to the steps of a forecast.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace shadow {

// Places are counted in cells ahead: the cell of lead 1 is [0, 1), and its middle is 0.5. A value
// between the middles of two cells lies on the line between theirs: the mean of a cell around it.
// Worked: at place 0.75, a quarter from lead 1 to lead 2: 0.75 of the first, 0.25 of the second.
struct CellPlace {
  int64_t lead = 1;  // The cell whose middle is before it, or at it. Below 1: the last one known.
  double share = 0;  // Of the next one.
};
CellPlace CellPlaceAt(double cells_ahead);

// The leads, ascending from 1, that values at `places` need.
std::vector<int> LeadsOf(std::span<const CellPlace> places);

// Rows of cells as rows of places. `known`: the last known cell, which every column begins with;
// NaN: they begin with the first lead.
class CellPath {
 public:
  // One row a lead; both must outlive this. `leads` ascend and hold all that is asked for.
  CellPath(std::span<const int> leads, const std::vector<std::vector<double>>& rows, double known)
      : leads_(leads), rows_(rows), known_(known) {}

  double At(const CellPlace& place, size_t column) const {
    const double low = Cell(place.lead, column);
    return place.share == 0 ? low : low + place.share * (Cell(place.lead + 1, column) - low);
  }

 private:
  double Cell(int64_t lead, size_t column) const;

  std::span<const int> leads_;
  const std::vector<std::vector<double>>& rows_;
  double known_;
  mutable size_t at_ = 0;  // Where the last cell was found.
};

}  // namespace shadow
