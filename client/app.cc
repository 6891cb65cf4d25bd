#include "client/app.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <memory>
#include <sstream>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/arguments.h"
#include "client/command.h"
#include "client/commands/name_hint.h"
#include "client/connection/endpoint.h"
#include "client/errors.h"
#include "client/formats/completion.h"
#include "client/input/command_options.h"
#include "client/input/mistakes.h"
#include "client/input/output_flag.h"
#include "client/session.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr char kFooter[] =
    "Names are short (web, web/r0123456789ab) or full (pools/web, dnas/web).\n"
    "Exit codes: 0 done, 1 failed, 2 usage or bad input, 3 not found, 4 not allowed,\n"
    "5 conflict, 6 unavailable or too late, 130 interrupted.\n\n"
    "Examples:\n"
    "  shadowctl apply -f web.yaml --wait\n"
    "  shadowctl pool list\n"
    "  shadowctl forecast web\n"
    "  shadowctl simulate web --service-level 0.95 --service-level 0.99\n"
    "  shadowctl shadow create web --increase 120 --wait\n"
    "  shadowctl shadow activate web --level 50 --wait\n"
    "  shadowctl why web";

constexpr char kCompletionGroup[] = "completion";

struct GroupText {
  const char* name;
  const char* summary;
};

constexpr GroupText kGroups[] = {
    {"dna", "Definitions of instances"},
    {"pool", "Pools of instances of one service"},
    {"shadow", "Shadow pools, by hand"},
    {"instance", "Single instances, by hand"},
    {"rollout", "A pool's way to another DNA revision"},
    {"usage", "Demand"},
    {"context", "Daemons by name, in ~/.config/shadowctl.yaml"},
    {"haproxy", "A HAProxy on this host"},
    {"describe", "Everything about one resource"},
    {kCompletionGroup, "Scripts that complete commands and flags in a shell"},
};

std::vector<Command> AllCommands() {
  std::vector<Command> commands;
  for (const std::span<const Command> part :
       {DnaCommands(), PoolCommands(), ShadowCommands(), InstanceCommands(), RolloutCommands(),
        TopCommands(), DemandCommands(), ForecastCommands(), SimulateCommands(), DescribeCommands(),
        ServerCommands(), ContextCommands(), HaproxyCommands()}) {
    commands.insert(commands.end(), part.begin(), part.end());
  }
  return commands;
}

// "wanted a number, found "abc"". CLI11 itself takes an empty text, such as an unset variable of a
// script, for 0, and does not say what it wanted.
void AddGlobalFlags(CLI::App& root, Arguments& arguments) {
  root.add_option("--address", arguments.address,
                  absl::StrCat("Of the daemon: unix:PATH, or dns:HOST:PORT with --cert, --key, "
                               "--ca; default $SHADOWD_ADDRESS, the current context, or ",
                               std::string(kDefaultAddress)));
  const auto file = [&root](const char* flag, std::string& value, const char* text) {
    root.add_option(flag, value, text)->type_name("FILE");
  };
  file("--cert", arguments.cert, "Client certificate (PEM), for dns:HOST:PORT");
  file("--key", arguments.key, "Its private key (PEM)");
  file("--ca", arguments.ca, "Authorities that the daemon's certificate may be of (PEM)");
  root.add_option("--server-name", arguments.server_name,
                  "In the daemon's certificate, where it is not the HOST")
      ->type_name("NAME");
  root.add_option("--context", arguments.context,
                  "A daemon by its name (shadowctl context); default $SHADOWCTL_CONTEXT")
      ->type_name("NAME")
      ->check(Utf8());
  root.add_option_function<std::string>(
          "-o,--output", [&arguments](const std::string& text) { SetOutput(text, arguments); },
          "table (default; a forecast is plotted), wide, json, yaml, name or jsonpath=TEMPLATE; "
          "csv "
          "or svg for a forecast")
      ->check(CLI::Validator([](const std::string& text) { return OutputMistake(text); }, ""))
      ->type_name("FORMAT");
  root.add_flag("--watch", arguments.watch,
                "get, list, events: follow changes; with -o json one line each");
  root.add_flag("--wait", arguments.wait, "Mutations: until the daemon has carried it out");
  root.add_flag("--dry-run", arguments.dry_run, "Mutations: check everything, change nothing");
  root.add_option("--request-id", arguments.request_id,
                  "Mutations: makes a retry safe; the same id gets the first answer again")
      ->check(Utf8());
  root.add_option("--timeout", arguments.timeout,
                  "Of a call (default 10s), or with --wait of the wait (default 5m)")
      ->type_name("DURATION");
}

// What is to be changed, and to what.
void AddCommand(CLI::App& root, const Command& command, Arguments& arguments,
                const Command** chosen) {
  CLI::App* parent = &root;
  if (*command.group != '\0') parent = root.get_subcommand(command.group);
  CLI::App* app = parent->add_subcommand(command.name, command.summary);
  app->fallthrough();
  AddCommandOptions(*app, command, arguments);
  app->footer(absl::StrCat("Example: shadowctl ", command.example,
                           "\nThe global flags (`shadowctl --help`) may stand here too."));
  app->callback([chosen, &command] { *chosen = &command; });
}

bool CallsDaemon(const Command& command) {
  const std::string_view group = command.group;
  return group != "context" && group != "haproxy";
}

// A global flag that means nothing to the command is a mistake, not something to ignore.
absl::Status CheckGlobalFlags(const Command& command, const Arguments& arguments) {
  const bool calls = CallsDaemon(command);
  const std::string full =
      absl::StrCat(command.group, *command.group == '\0' ? "" : " ", command.name);
  const struct {
    const char* flag;
    bool given;
    Takes takes;
  } flags[] = {{"--watch", arguments.watch, kTakesWatch},
               {"--wait", arguments.wait, kTakesWait},
               {"--dry-run", arguments.dry_run, kTakesDryRun},
               {"--request-id", !arguments.request_id.empty(), kTakesRequestId},
               {"--output json", arguments.output == Output::kJson && !calls, kTakesChart},
               {"--output csv", arguments.output == Output::kCsv, kTakesChart},
               {"--output svg", arguments.output == Output::kSvg, kTakesChart},
               {"--output wide", arguments.output == Output::kWide, kTakesFormats},
               {"--output yaml", arguments.output == Output::kYaml, kTakesFormats},
               {"--output jsonpath", arguments.output == Output::kJsonPath, kTakesFormats},
               {"--output name", arguments.output == Output::kName, kTakesNames}};
  for (const auto& flag : flags) {
    if (flag.given && (command.takes & flag.takes) == 0) {
      return BadField(flag.flag, absl::StrCat("means nothing to `shadowctl ", full, "`"));
    }
  }
  const bool followed = arguments.output == Output::kTable || arguments.output == Output::kWide ||
                        arguments.output == Output::kJson;
  if (arguments.watch && !followed) return BadField("--watch", "goes with tables and -o json");
  return absl::OkStatus();
}

absl::Status RunCommand(const Command& command, Arguments arguments, Console& console) {
  if (absl::Status flags = CheckGlobalFlags(command, arguments); !flags.ok()) return flags;
  absl::StatusOr<Endpoint> endpoint = NoEndpoint();
  if (CallsDaemon(command)) endpoint = ResolveEndpoint(arguments, console);
  if (!endpoint.ok()) return endpoint.status();
  absl::StatusOr<std::unique_ptr<Session>> session =
      Session::Create(console, std::move(arguments), *std::move(endpoint));
  if (!session.ok()) return session.status();
  return WithNameHint(**session, command, command.run(**session));
}

// The exit code of --help, --version or a usage error.
int ExitOfParse(const CLI::App& root, const CLI::ParseError& error, Console& console) {
  std::ostringstream out;
  std::ostringstream ignored;
  if (root.exit(error, out, ignored) == 0) {
    console.out << out.str();
    return 0;
  }
  console.err << ErrorLine(absl::InvalidArgumentError(ParseMistake(root, error)))
              << "\nRun `shadowctl --help`, or --help after a command.\n";
  return kExitUsage;
}

}  // namespace

int RunShadowctl(std::vector<std::string> arguments, Console& console) {
  const std::vector<Command> commands = AllCommands();
  const Command* chosen = nullptr;
  Arguments parsed;
  CLI::App root("shadowctl: shadow pools, ready before the demand is", "shadowctl");
  root.require_subcommand(1);
  root.set_version_flag("--version", "shadowctl " SHADOWD_VERSION);
  root.footer(kFooter);
  AddGlobalFlags(root, parsed);
  for (const GroupText& group : kGroups) {
    root.add_subcommand(group.name, group.summary)->require_subcommand(1)->fallthrough();
  }
  for (const Command& command : commands) AddCommand(root, command, parsed, &chosen);

  std::reverse(arguments.begin(), arguments.end());  // As CLI11 wants them.
  try {
    root.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    return ExitOfParse(root, error, console);
  }
  if (chosen == nullptr) return kExitUsage;  // Not reached: a command is required.
  if (std::string_view(chosen->group) == kCompletionGroup) {
    console.out << CompletionScript(root, chosen->name) << std::flush;
    return console.out ? 0 : ExitCode(absl::DataLossError("writing to stdout failed"));
  }
  absl::Status status = RunCommand(*chosen, std::move(parsed), console);
  console.out.flush();
  if (status.ok() && !console.out) status = absl::DataLossError("writing to stdout failed");
  if (!status.ok() && !IsDiffers(status)) console.err << ErrorLine(status) << '\n';
  return ExitCode(status);
}

}  // namespace shadow
