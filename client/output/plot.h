// A forecast as a picture for the terminal.
#pragma once

#include <string>

#include "client/output/forecast_chart.h"
#include "shadow/v1/usage.pb.h"

namespace shadow {

struct PlotOptions {
  std::string title;    // First line; made printable.
  int columns = 80;     // Of the whole picture, at least 40.
  int rows = 12;        // Of the plot itself, at least 2.
  bool blocks = false;  // Block characters (UTF-8); otherwise ASCII.
  bool colour = false;  // Median and band by escape codes; otherwise none at all.
  PictureClock clock = {};
  PoolLines lines = {};  // Of a forecast.
};

// History (bars), median and band, from zero up, with the lines of the pool: the base all the time,
// what is ready now and the service level from now on. An axis with times of `clock` and a mark at
// the present, a legend and the forecaster's verdict on itself. Missing history is a gap, zero is a
// lowest mark. Every line is ended. Steps that do not fit share a column: means, and the widest of
// the bands.
std::string PlotForecast(const v1::Forecast& forecast, const PlotOptions& options);

}  // namespace shadow
