// What a request to simulate or evaluate asks for, checked, with every default filled in. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/simulation/demand_series.h"
#include "server/core/simulation/limits.h"
#include "server/core/simulation/replay.h"
#include "shadow/v1/simulation_service.pb.h"

namespace shadow::simulation {

inline constexpr int kVariantsMax = 16;
inline constexpr int kPlotPointsMax = 2000;
inline constexpr int kPlotPointsDefault = 200;

// One policy to replay.
struct Variant {
  std::string label;
  v1::Pool spec;  // ReplaySpec.
};

struct CompiledReplay {
  DemandSeries series;
  Leads leads;
  HostLimits host;
  size_t first_scored = 0;
  std::vector<Variant> variants;  // At least one.
  size_t shown = 0;  // The first of `variants`; what follows is only weighed, to recommend one.
  std::optional<v1::Prices> prices;
  int plot_points = kPlotPointsDefault;
};

// The pool's step, or the least multiple of it in whose steps kSeasonsMax of its shortest seasons
// fit into a replay. e.g. 1 s with a season of 24 h -> 54 s.
absl::Duration GridOf(const v1::Pool& pool);
inline constexpr int kSeasonsMax = 35;

// The grid of a replay: the request's, or the pool's (GridOf), or that of the request's samples if
// they are further apart. kInvalidArgument, a FieldError of "step": not whole seconds of 1 s to 1
// h.
absl::StatusOr<absl::Duration> StepOf(const v1::SimulateRequest& request, const v1::Pool& pool);

// `series`: the demand, on the grid of StepOf. `pool`: as it is shown. kInvalidArgument, a
// FieldError of the request's fields. kFailedPrecondition, reason NO_HISTORY: too little demand.
absl::StatusOr<CompiledReplay> CompileSimulation(const v1::SimulateRequest& request,
                                                 const v1::Pool& pool, DemandSeries series);

// kFailedPrecondition, reason NO_HISTORY: `span` of demand is less than an evaluation needs.
absl::Status CheckEvaluable(const v1::Pool& pool, absl::Duration span);

// The same; the first variant is the policy carried out with a forecast, a second one, if there is
// one, what its present policy does.
absl::StatusOr<CompiledReplay> CompileEvaluation(const v1::EvaluatePoolRequest& request,
                                                 const v1::Pool& pool, DemandSeries series);

}  // namespace shadow::simulation
