// A forecast of four steps of a minute, with a history of four of which the third is missing.
#pragma once

#include "shadow/v1/usage.pb.h"

namespace shadow {

inline v1::Forecast SomeForecast() {
  v1::Forecast forecast;
  for (const double quantile : {0.05, 0.5, 0.95}) forecast.add_quantiles(quantile);
  forecast.mutable_step()->set_seconds(60);
  forecast.set_trust(v1::TOO_LITTLE_DATA);
  forecast.set_trust_reason("3 steps");
  const double history[] = {10, 20, 0};
  const int at[] = {0, 1, 3};
  for (int i = 0; i < 3; ++i) {
    v1::Sample& sample = *forecast.add_history();
    sample.mutable_time()->set_seconds(60 * at[i]);
    sample.set_value(history[i]);
  }
  for (int i = 0; i < 4; ++i) {
    v1::Forecast::Point& point = *forecast.add_points();
    point.mutable_time()->set_seconds(60 * (4 + i));
    for (const double value : {5.0, 15.0, 35.0}) point.add_values(value);
  }
  return forecast;
}

}  // namespace shadow
