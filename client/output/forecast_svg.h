// A forecast as an SVG picture, for reports and web pages.
#pragma once

#include <string>
#include <string_view>

#include "client/output/forecast_chart.h"
#include "shadow/v1/usage.pb.h"

namespace shadow {

struct SvgOptions {
  std::string_view pool;
  std::string_view unit = {};  // Of demand; may be empty.
  PictureClock clock = {};
  PoolLines lines = {};
};

// A whole document (SVG 1.1, 960 x 420 or a little higher, white, no scripts, links or fonts of its
// own): history and median as steps, the band from the lowest to the highest quantile, from zero
// up; gaps where steps are missing; a dashed line at the present, where the forecast begins. The
// lines of the pool: its base all the time, what is ready now and the service level from now on.
// The axes with unit and times; a legend and the forecaster's verdict on itself. The host's text is
// made printable, escaped, and cut where it would leave the picture.
std::string ForecastSvg(const v1::Forecast& forecast, const SvgOptions& options);

}  // namespace shadow
