// The commands of shadowctl as a table: what each is called, takes and does.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"

namespace shadow {

class Session;

// What a command takes beside its positional argument; a bit set.
enum Takes : std::uint32_t {
  kTakesNothing = 0,
  kTakesFile = 1U << 0U,       // -f FILE, required.
  kTakesIncrease = 1U << 1U,   // --increase X, required.
  kTakesLevel = 1U << 2U,      // --level N, required.
  kTakesInstances = 1U << 3U,  // --instances N, required.
  kTakesHold = 1U << 4U,       // --hold DURATION
  kTakesSamples = 1U << 5U,    // --csv FILE [--overlap O], or --value V [--time T]
  kTakesHorizon = 1U << 6U,    // --horizon D
  kTakesHistory = 1U << 7U,    // --history STEPS
  kTakesSince = 1U << 8U,      // --since DURATION|REVISION
  kTakesLimit = 1U << 9U,      // --limit N
  kTakesChart = 1U << 10U,     // -o csv, -o svg, --save FILE
  // Global flags, which are usage errors where they mean nothing:
  kTakesWatch = 1U << 11U,      // --watch
  kTakesWait = 1U << 12U,       // --wait
  kTakesDryRun = 1U << 13U,     // --dry-run
  kTakesRequestId = 1U << 14U,  // --request-id ID
  // Of replays:
  kTakesReplay = 1U << 15U,  // --csv, --service-level, --policy, --warmup, --step, --lead
  kTakesPrices = 1U << 16U,  // --idle-cost X --shortage-cost Y
  kTakesLast = 1U << 17U,    // --last D
  // Of what is printed:
  kTakesFormats = 1U << 18U,  // -o wide, yaml, jsonpath=...
  kTakesNames = 1U << 19U,    // -o name
  // Of HAProxy:
  kTakesStateDump = 1U << 20U,  // --socket PATH --file FILE, both required.
  kTakesImport = 1U << 21U,     // --time-column, --value-column, --time-zone, --scale, --overlap
  kTakesLog = 1U << 22U,        // -f, --previous, --tail N
  kTakesRevision = 1U << 23U,   // --to-revision R
};

inline constexpr std::uint32_t kTakesShown = kTakesFormats | kTakesNames;
inline constexpr std::uint32_t kTakesMutation =
    kTakesWait | kTakesDryRun | kTakesRequestId | kTakesShown;

struct Command {
  const char* group;       // "shadow"; empty: the command stands alone.
  const char* name;        // "create"
  const char* positional;  // "POOL", "[POOL]" if it may be left out, empty: none.
  const char* summary;
  const char* example;  // Arguments after `shadowctl`.
  std::uint32_t takes;  // Of Takes.
  absl::Status (*run)(Session& session);
};

// One folder entry each: client/commands/*.cc.
std::span<const Command> DnaCommands();
std::span<const Command> PoolCommands();
std::span<const Command> ShadowCommands();
std::span<const Command> InstanceCommands();  // logs, instance
std::span<const Command> RolloutCommands();
std::span<const Command> TopCommands();
std::span<const Command> DemandCommands();  // usage, decisions, why, pool analyze
std::span<const Command> ForecastCommands();
std::span<const Command> SimulateCommands();  // simulate, pool evaluate
std::span<const Command> DescribeCommands();
std::span<const Command> ServerCommands();   // apply, backup, events, status
std::span<const Command> ContextCommands();  // They call no daemon.
std::span<const Command> HaproxyCommands();  // Nor do these.

}  // namespace shadow
