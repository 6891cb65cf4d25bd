// A replay as a picture for the terminal: demand against what was ready and what served.
#pragma once

#include <string>

#include "client/output/plot.h"
#include "shadow/v1/simulation_service.pb.h"

namespace shadow {

// The points of `outcome`, one a column, from zero up: demand as bars, above it what served and
// what was ready; demand that nothing was ready for stands out. Of points that share a column, the
// one with the least to spare; `!` below the axis marks each column with a miss. Every line is
// ended; empty without points.
std::string PlotReplay(const v1::Outcome& outcome, const PlotOptions& options);

// The columns of such a picture that `columns` leave for points.
int ReplayPlotPoints(int columns);

}  // namespace shadow
