// Replays in words and tables.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "shadow/v1/pool.pb.h"
#include "shadow/v1/simulation_service.pb.h"

namespace shadow {

// What was replayed, and a row for each policy and each alternative.
std::string SimulationText(const v1::SimulateResponse& response, const std::string& pool,
                           bool colour);

// "recommended: service level 0.98, ..." with what it was chosen from; empty without one.
std::string RecommendationText(const v1::SimulateResponse& response);

// What AUTOMATIC would have meant, the same table, and the misses.
std::string EvaluationText(const v1::EvaluatePoolResponse& response, const std::string& pool,
                           bool colour);

// The running score of a pool in OBSERVE, or why it has none, and how to see more; empty in other
// modes.
std::string ScoreText(const v1::Pool& pool, absl::Time now);

// The same in a few words: "99.31%, base 71.00%", or "not yet".
std::string ScoreCell(const v1::Pool& pool);

}  // namespace shadow
