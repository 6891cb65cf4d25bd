// What the commands of a scenario file do: a PlanningWorld, and words for its decisions.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/server/core/scenario/planning_world.h"
#include "tests/server/core/scenario/scenario_file.h"

namespace shadow {

// The commands; POOL is a short name, DURATION as in "1h30m".
//   daemon INSTANCES_MAX             First, if at all: how many instances there may be. Default
//   1000. pool POOL                        Creates it; the body is a text Pool, merged over
//                                    PlanningWorld::Pool.
//   demand POOL flat LOW | day LOW HIGH | week LOW HIGH [noise=N] [times=N] [plus=N]
//                                    The shape of its demand from now on: one sample a step.
//   demand POOL none                 No samples from now on.
//   history POOL DAYS                Imports days before the start, of this shape.
//   run DURATION [all]               Prints the decisions that would change a target; all: every
//                                    recorded one.
//   skip DURATION                    Runs and prints nothing.
//   state [POOL]                     What is wanted and what there is.
//   policy POOL                      The body is a text Policy, merged over the present one.
//   create POOL INCREASE [DURATION]  A shadow by hand, held for so long (default 1 h); likewise
//   resize POOL INSTANCES [DURATION]
//   activate POOL LEVEL [DURATION]
//   delete POOL [DURATION]
//   release POOL                     The hold.
//   balancer POOL ERRORS MS          Errors a second and response time at its balancer.
//   restart                          The daemon is killed at its next input, and starts again.
class Scenario {
 public:
  // What it prints, each line with its newline; a refusal is printed too. Throws
  // std::invalid_argument: no such command, or not so.
  std::string Run(const ScenarioCommand& command);

 private:
  std::string Daemon(const ScenarioCommand& command);
  std::string Pool(const ScenarioCommand& command);
  std::string Demand(const ScenarioCommand& command);
  std::string History(const ScenarioCommand& command);
  std::string RunFor(const ScenarioCommand& command);
  std::string Skip(const ScenarioCommand& command);
  std::string State(const ScenarioCommand& command);
  std::string Policy(const ScenarioCommand& command);
  std::string ByHand(const ScenarioCommand& command);
  std::string Balancer(const ScenarioCommand& command);
  std::string Restart(const ScenarioCommand& command);

  PlanningWorld& world();
  std::string Ask(const Request& request);
  std::string DecisionLine(const v1::Decision& decision);
  std::string StateLine(const std::string& id);

  std::unique_ptr<PlanningWorld> world_;  // Made when first needed.
  size_t printed_ = 0;                    // Of the recorded decisions.
};

}  // namespace shadow
