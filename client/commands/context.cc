#include <array>
#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/command.h"
#include "client/connection/contexts.h"
#include "client/connection/endpoint.h"
#include "client/errors.h"
#include "client/output/table.h"
#include "client/session.h"
#include "client/text.h"

namespace shadow {
namespace {

const std::string& PathOf(Session& session) { return session.console().contexts_path; }

// Of a file that the context is to find from wherever shadowctl is run.
std::string Absolute(const std::string& path) {
  return path.empty() ? path : std::filesystem::absolute(path).lexically_normal().string();
}

void Override(const std::string& flag, std::string& value) {
  if (!flag.empty()) value = flag;
}

absl::Status ListContexts(Session& session) {
  const auto contexts = ReadContexts(PathOf(session));
  if (!contexts.ok()) return contexts.status();
  const std::vector<TableColumn> columns = {{"CURRENT"}, {"NAME"}, {"ADDRESS"}, {"CERT"}};
  std::vector<TableRow> rows;
  for (const Context& context : contexts->contexts) {
    rows.push_back({context.name == contexts->current ? "*" : " ", context.name,
                    context.target.address, context.target.cert});
  }
  session.console().out << RenderTable(columns, rows, session.console().colour);
  return absl::OkStatus();
}

absl::Status ShowContext(Session& session) {
  const auto contexts = ReadContexts(PathOf(session));
  if (!contexts.ok()) return contexts.status();
  const std::string& asked = session.arguments().name;
  const std::string name = asked.empty() ? contexts->current : asked;
  if (name.empty()) return absl::NotFoundError("no context is current");
  const Context* context = contexts->Find(name);
  if (context == nullptr) return UnknownContext(*contexts, name, "NAME");
  const std::pair<const char*, const std::string&> fields[] = {
      {"name         ", context->name},        {"address      ", context->target.address},
      {"cert         ", context->target.cert}, {"key          ", context->target.key},
      {"ca           ", context->target.ca},   {"server-name  ", context->target.server_name}};
  for (const auto& [label, value] : fields) {
    if (!value.empty()) session.console().out << label << PrintableText(value) << '\n';
  }
  return absl::OkStatus();
}

absl::Status UseContext(Session& session) {
  auto contexts = ReadContexts(PathOf(session));
  if (!contexts.ok()) return contexts.status();
  const std::string& name = session.arguments().name;
  if (contexts->Find(name) == nullptr) return UnknownContext(*contexts, name, "NAME");
  contexts->current = name;
  const absl::Status written = WriteContexts(*contexts, PathOf(session));
  if (written.ok()) session.console().out << PrintableText(name) << " is the current context\n";
  return written;
}

absl::Status SetContext(Session& session) {
  const Arguments& arguments = session.arguments();
  if (arguments.name.empty()) return BadField("NAME", "is empty");
  auto contexts = ReadContexts(PathOf(session));
  if (!contexts.ok()) return contexts.status();
  Context* context = contexts->Find(arguments.name);
  const bool is_new = context == nullptr;
  if (is_new) context = &contexts->contexts.emplace_back(Context{arguments.name, {}});
  Target& target = context->target;
  Override(arguments.address, target.address);
  Override(Absolute(arguments.cert), target.cert);
  Override(Absolute(arguments.key), target.key);
  Override(Absolute(arguments.ca), target.ca);
  Override(arguments.server_name, target.server_name);
  if (absl::Status address = CheckAddress(target.address, "--address"); !address.ok()) {
    return address;
  }
  if (contexts->current.empty()) contexts->current = arguments.name;
  const bool is_current = contexts->current == arguments.name;
  const absl::Status written = WriteContexts(*contexts, PathOf(session));
  if (!written.ok()) return written;
  session.console().out << PrintableText(arguments.name) << (is_new ? " added" : " changed")
                        << (is_current ? "; it is the current context\n" : "\n");
  return absl::OkStatus();
}

absl::Status DeleteContext(Session& session) {
  auto contexts = ReadContexts(PathOf(session));
  if (!contexts.ok()) return contexts.status();
  const std::string name = session.arguments().name;
  if (contexts->Find(name) == nullptr) return UnknownContext(*contexts, name, "NAME");
  std::erase_if(contexts->contexts, [&](const Context& context) { return context.name == name; });
  const bool was_current = contexts->current == name;
  if (was_current) contexts->current.clear();
  const absl::Status written = WriteContexts(*contexts, PathOf(session));
  if (!written.ok()) return written;
  session.console().out << PrintableText(name)
                        << (was_current ? " deleted; no context is current\n" : " deleted\n");
  return absl::OkStatus();
}

constexpr std::array<Command, 5> kCommands = {{
    {"context", "list", "", "List the daemons that shadowctl knows by name", "context list",
     kTakesNothing, ListContexts},
    {"context", "show", "[NAME]", "Show one context, or the current one", "context show prod",
     kTakesNothing, ShowContext},
    {"context", "use", "NAME", "Make a context the current one", "context use prod", kTakesNothing,
     UseContext},
    {"context", "set", "NAME", "Add or change a context, with --address, --cert, --key, --ca",
     "context set prod --address dns:shadow.example:7443 --cert ops.pem --key ops.key --ca ca.pem",
     kTakesNothing, SetContext},
    {"context", "delete", "NAME", "Forget a context", "context delete prod", kTakesNothing,
     DeleteContext},
}};

}  // namespace

std::span<const Command> ContextCommands() { return kCommands; }

}  // namespace shadow
