// A forecast as a picture for the terminal.
#pragma once

#include <string>

#include "shadow/v1/usage.pb.h"

namespace shadow {

struct PlotOptions {
  std::string title;    // First line; made printable.
  int columns = 80;     // Of the whole picture, at least 40.
  int rows = 12;        // Of the plot itself, at least 2.
  bool blocks = false;  // Block characters; otherwise ASCII.
};

// History (bars, at most as many steps as the forecast has), the median (the quantile nearest 0.5)
// and the band from the lowest to the highest quantile, from zero up; an axis with times in UTC, a
// legend and the forecaster's verdict on itself. Missing history is a gap, zero is a lowest mark.
// Every line is ended. Steps that do not fit share a column: means, and the widest of the bands.
std::string PlotForecast(const v1::Forecast& forecast, const PlotOptions& options);

}  // namespace shadow
