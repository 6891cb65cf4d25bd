// The latest forecast errors at one lead, in order, for empirical quantiles.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace shadow {

// Errors of the last `span` steps, of every `stride`-th step only. Not thread-safe.
// Memory: at most 8 bytes x span / stride.
class ResidualWindow {
 public:
  ResidualWindow(int64_t span, int64_t stride);

  // Whether the error of step `index` is kept at all.
  bool Takes(int64_t index) const { return index % stride_ == 0; }

  // The error (actual - forecast, or NaN: none) of a step that it takes; replaces the one of `span`
  // steps before. O(log n) and one move of the sorted array.
  void Put(int64_t index, double residual);

  // Forgets all, and takes the errors that `residual_of(index)` gives for the last `span` steps up
  // to and including `last`.
  template <typename ResidualOf>
  void Rebuild(int64_t last, const ResidualOf& residual_of) {
    Clear();
    for (int64_t index = last - span() + 1; index <= last; ++index) {
      if (Takes(index)) ring_[Slot(index)] = Narrow(residual_of(index));
    }
    SortRing();
  }

  int64_t count() const { return static_cast<int64_t>(sorted_.size()); }
  int64_t span() const { return static_cast<int64_t>(ring_.size()) * stride_; }

  // The order statistic at position (n + 1) x probability, interpolated, and never beyond the least
  // and the greatest: of the errors 1, 2, 3, 4 the 0.5 quantile is 2.5, the 0.9 quantile 4. 0: no
  // errors. Source: Weibull's plotting position, type 6 of Hyndman and Fan, Sample Quantiles in
  // Statistical Packages, 1996.
  double Quantile(double probability) const;

 private:
  static float Narrow(double residual);
  size_t Slot(int64_t index) const;
  void Clear();
  void SortRing();

  int64_t stride_;
  std::vector<float> ring_;    // By (index / stride) modulo its size; NaN: none.
  std::vector<float> sorted_;  // The same without NaN, ascending.
};

}  // namespace shadow
