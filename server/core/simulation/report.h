// From replays to the answers of SimulationService. Pure.
#pragma once

#include <span>

#include "server/core/simulation/compiled_replay.h"
#include "server/core/simulation/replay.h"

namespace shadow::simulation {

inline constexpr int kMissesMax = 100;

// `replayed`: one for each variant of the replay.
v1::SimulateResponse ReportSimulation(const CompiledReplay& replay,
                                      std::span<const Replayed> replayed);
v1::EvaluatePoolResponse ReportEvaluation(const CompiledReplay& replay,
                                          std::span<const Replayed> replayed,
                                          v1::Policy::Mode mode);

// The same in short, but when it was scored.
v1::ObserveScore ScoreFrom(const v1::EvaluatePoolResponse& evaluation);

// `points` of the steps at most, spread evenly: each the one of its share of the steps that has the
// least to spare, ready beyond need. `begin`: start of the first of `tallies`. Steps without a
// sample are left out.
void AddPoints(std::span<const StepTally> tallies, std::span<const double> demand,
               const v1::Pool& spec, absl::Time begin, int points, v1::Outcome& outcome);

}  // namespace shadow::simulation
