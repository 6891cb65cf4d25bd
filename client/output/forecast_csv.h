// A forecast as CSV, for spreadsheets and scripts.
#pragma once

#include <string>

#include "shadow/v1/usage.pb.h"

namespace shadow {

// Header `timestamp,history,q0.05,...`; history rows first, then one row a forecast step.
std::string ForecastCsv(const v1::Forecast& forecast);

}  // namespace shadow
