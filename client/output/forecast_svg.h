// A forecast as an SVG picture, for reports and web pages.
#pragma once

#include <string>
#include <string_view>

#include "shadow/v1/usage.pb.h"

namespace shadow {

// A whole document (SVG 1.1, 960 x 420, white, no scripts, links or fonts of its own): history and
// median as steps, the band from the lowest to the highest quantile, from zero up; gaps where steps
// are missing; a dashed line where the forecast begins; the axes with `unit` (may be empty) and
// times in UTC; a legend and the forecaster's verdict on itself. The host's text is made printable
// and escaped.
std::string ForecastSvg(const v1::Forecast& forecast, std::string_view pool, std::string_view unit);

}  // namespace shadow
