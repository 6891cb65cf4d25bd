#include "client/input/command_options.h"

#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/text.h"

namespace shadow {
namespace {

std::string Wanted(const char* what, const std::string& text) {
  return absl::StrCat("wanted ", what, ", found ",
                      text.empty() ? "nothing" : absl::StrCat("\"", PrintableText(text), "\""));
}

CLI::Validator Number() {
  return {[](const std::string& text) {
            double number = 0;
            return absl::SimpleAtod(text, &number) ? std::string() : Wanted("a number", text);
          },
          ""};
}

// One that fits into `Integer`.
template <typename Integer>
CLI::Validator Whole() {
  return {[](const std::string& text) {
            Integer number = 0;
            return absl::SimpleAtoi(text, &number) ? std::string() : Wanted("a whole number", text);
          },
          ""};
}

void AddTargetOptions(CLI::App& app, const Command& command, Arguments& arguments) {
  const auto takes = [&](std::uint32_t what) { return (command.takes & what) != 0; };
  if (takes(kTakesFile)) {
    app.add_option("-f,--file", arguments.file,
                   takes(kTakesImport) ? "What was exported, `-`: standard input"
                                       : "YAML or JSON file, `-`: standard input")
        ->required()
        ->type_name("FILE");
  }
  if (takes(kTakesIncrease)) {
    app.add_option("--increase", arguments.increase,
                   "Expected above the last actual demand, in demand units")
        ->check(Number())
        ->required();
  }
  if (takes(kTakesLevel)) {
    app.add_option("--level", arguments.level, "Percent of the instances that are to serve")
        ->check(Whole<std::int32_t>())
        ->required();
  }
  if (takes(kTakesInstances)) {
    app.add_option("--instances", arguments.instances, "How many it is to have")
        ->check(Whole<std::int32_t>())
        ->required();
  }
  if (takes(kTakesStateDump)) {
    app.add_option("--socket", arguments.socket, "Its `stats socket`, of any level")
        ->required()
        ->type_name("PATH");
    app.add_option("--file", arguments.state_file,
                   "Its `server-state-file`; replaced as a whole, or not at all")
        ->required()
        ->type_name("FILE");
  }
  if (takes(kTakesHold)) {
    app.add_option("--hold", arguments.hold,
                   "How long the loop leaves it alone: 30m, 1h (default), 0: not at all")
        ->type_name("DURATION");
  }
}

// Which demand, decisions or events, and how much of them.
void AddImportOptions(CLI::App& app, const Command& command, Arguments& arguments) {
  if ((command.takes & kTakesImport) == 0) return;
  app.add_option("--time-column", arguments.time_column,
                 "Name or number of the column with the times; default: the one that has them")
      ->type_name("COLUMN");
  app.add_option("--value-column", arguments.value_column,
                 "Name or number of the column with the values, of a series in JSON, or of a "
                 "statistic; default: the only one")
      ->type_name("COLUMN");
  app.add_option("--time-zone", arguments.time_zone,
                 "Of times that say no zone, e.g. Europe/Berlin")
      ->type_name("ZONE");
  app.add_option("--scale", arguments.scale,
                 "Multiplies each value: 0.00333333 makes requests per 5 minutes requests/s")
      ->check(Number());
  app.add_option("--overlap", arguments.overlap,
                 "Also takes history from before the pool's oldest sample; samples between that "
                 "and its newest are left out (skip) or refused (fail)")
      ->check(CLI::IsMember({"skip", "fail"}))
      ->type_name("skip|fail");
}

void AddRangeOptions(CLI::App& app, const Command& command, Arguments& arguments) {
  const auto takes = [&](std::uint32_t what) { return (command.takes & what) != 0; };
  if (takes(kTakesSamples)) {
    app.add_option("--csv", arguments.csv,
                   "File with the header `timestamp,value`; ISO 8601 or Unix seconds; an empty "
                   "value is missing; `-`: standard input")
        ->type_name("FILE");
    app.add_option("--overlap", arguments.overlap,
                   "Of --csv: also takes history from before the pool's oldest sample; samples "
                   "between that and its newest are left out (skip) or refused (fail)")
        ->check(CLI::IsMember({"skip", "fail"}))
        ->type_name("skip|fail");
    app.add_option("--value", arguments.value, "One sample")->check(Number());
    app.add_option("--time", arguments.time, "Of --value; default: now")->type_name("TIME");
  }
  if (takes(kTakesHorizon)) {
    app.add_option("--horizon", arguments.horizon,
                   "How far ahead, e.g. 6h; default: one season; at most two of the longest")
        ->type_name("DURATION");
  }
  if (takes(kTakesHistory)) {
    app.add_option("--history", arguments.history_steps,
                   "Steps of history to show with it; default: of a picture as many as are "
                   "forecast, else 0")
        ->check(Whole<std::int32_t>());
  }
  if (takes(kTakesChart)) {
    app.add_option("--save", arguments.save,
                   "Write it to this file instead of standard output; .csv, .json or .svg says "
                   "the format, unless -o does")
        ->type_name("FILE");
  }
  if (takes(kTakesSince)) {
    app.add_option("--since", arguments.since,
                   "Only of this last time, e.g. 10m, or after this revision; with --watch the "
                   "default is now")
        ->type_name("DURATION|REVISION");
  }
  if (takes(kTakesLimit)) {
    app.add_option("--limit", arguments.limit, "At most so many")
        ->check(CLI::Range(1, std::numeric_limits<std::int32_t>::max()));
  }
}

// Which log, and which revision.
void AddInstanceOptions(CLI::App& app, const Command& command, Arguments& arguments) {
  if ((command.takes & kTakesLog) != 0) {
    app.add_flag("-f,--follow", arguments.follow, "Go on with what is written from now on");
    app.add_flag("--previous", arguments.previous,
                 "Of the instance of the same base or shadow pool that ended last");
    app.add_option("--tail", arguments.tail, "Only so many of the last lines")
        ->check(Whole<std::int32_t>())
        ->check(CLI::Range(0, std::numeric_limits<std::int32_t>::max()))
        ->type_name("LINES");
  }
  if ((command.takes & kTakesRevision) != 0) {
    app.add_option("--to-revision", arguments.to_revision,
                   "Of the pool's DNA, as `rollout history` lists it; default: the one before")
        ->check(Utf8())
        ->type_name("REVISION");
  }
}

// What is to be replayed, and how it is priced.
void AddReplayOptions(CLI::App& app, const Command& command, Arguments& arguments) {
  const auto takes = [&](std::uint32_t what) { return (command.takes & what) != 0; };
  const auto duration = [&](const char* flag, std::string& text, const char* what) {
    app.add_option(flag, text, what)->type_name("DURATION");
  };
  if (takes(kTakesReplay)) {
    app.add_option("--csv", arguments.csv,
                   "Demand to replay instead of what is recorded: `timestamp,value`; `-`: standard "
                   "input")
        ->type_name("FILE");
    app.add_option("--service-level", arguments.service_levels,
                   "The pool's policy at this service level; several are compared")
        ->check(Number())
        ->type_name("LEVEL");
    app.add_option("--policy", arguments.policies,
                   "YAML or JSON file with the fields of a policy; several are compared")
        ->type_name("FILE");
    duration("--warmup", arguments.warm_up,
             "First part that is learned from and not scored; default: 5 of the shortest seasons");
    duration("--step", arguments.step, "Grid of the replay; default: the pool's");
    duration("--lead", arguments.lead,
             "How long an instance takes until it waits suspended; default: as learned");
  }
  if (takes(kTakesPrices)) {
    CLI::Option* idle =
        app.add_option("--idle-cost", arguments.idle_cost,
                       "Of an instance without work, an hour; default of both: those of the policy")
            ->check(Number());
    CLI::Option* shortage = app.add_option("--shortage-cost", arguments.shortage_cost,
                                           "Of an instance missing, an hour")
                                ->check(Number());
    idle->needs(shortage);
    shortage->needs(idle);
  }
  if (takes(kTakesLast)) {
    duration("--last", arguments.last, "How much of the past is scored; default 7d");
  }
}

void AddPositional(CLI::App& app, const Command& command, Arguments& arguments) {
  std::string label = command.positional;
  if (label.empty()) return;
  const bool optional = label.front() == '[';
  if (optional) label = label.substr(1, label.size() - 2);
  app.add_option(label, arguments.name)->check(Utf8())->required(!optional);
}

// Its group must be there; `chosen` is set by the parse.

}  // namespace

CLI::Validator Utf8() {
  return {[](const std::string& text) {
            return IsValidUtf8(text)
                       ? std::string()
                       : absl::StrCat("\"", PrintableText(text), "\" is not valid UTF-8");
          },
          ""};
}

void AddCommandOptions(CLI::App& app, const Command& command, Arguments& arguments) {
  AddPositional(app, command, arguments);
  AddTargetOptions(app, command, arguments);
  AddImportOptions(app, command, arguments);
  AddRangeOptions(app, command, arguments);
  AddReplayOptions(app, command, arguments);
  AddInstanceOptions(app, command, arguments);
}

}  // namespace shadow
