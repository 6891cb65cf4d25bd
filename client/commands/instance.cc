// shadowctl instance ... and logs: single instances by hand, and what they wrote.
#include <array>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "client/command.h"
#include "client/commands/documents.h"
#include "client/commands/instance_name.h"
#include "client/errors.h"
#include "client/formats/table_of.h"
#include "client/names.h"
#include "client/output/columns.h"
#include "client/show.h"
#include "client/text.h"
#include "client/wait.h"

namespace shadow {
namespace {

using Stub = v1::InstanceService::Stub;
using I = v1::Instance;

absl::StatusOr<I> GetInstance(Session& session, const std::string& name) {
  v1::GetInstanceRequest request;
  request.set_name(name);
  return session.Call(session.instances(), &Stub::GetInstance, request);
}

// Until another one has taken its place.
absl::Status WaitUntilReplaced(Session& session, const std::string& name) {
  return WaitUntilSettled(session, [&]() -> absl::StatusOr<Progress> {
    const absl::StatusOr<I> instance = GetInstance(session, name);
    if (absl::IsNotFound(instance.status())) return Progress{.settled = true, .text = name};
    if (!instance.ok()) return instance.status();
    return Progress{.text = absl::StrCat(name, " is ", I::State_Name(instance->state()),
                                         ", another one is to take its place")};
  });
}

// Sends a mutation and prints `text` of what it answers.
template <typename Request>
absl::StatusOr<I> MutateInstance(Session& session,
                                 grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                              I*)) {
  const absl::StatusOr<std::string> name = ResolveInstance(session, session.arguments().name);
  if (!name.ok()) return name.status();
  Request request;
  request.set_name(*name);
  session.Prepare(request);
  return session.Call(session.instances(), method, request);
}

absl::Status Restart(Session& session) {
  const auto instance = MutateInstance(session, &Stub::RestartInstance);
  if (!instance.ok()) return instance.status();
  const bool wait = session.arguments().wait && !session.arguments().dry_run;
  if (wait) {
    if (absl::Status replaced = WaitUntilReplaced(session, instance->name()); !replaced.ok()) {
      return replaced;
    }
  }
  const char* verb = wait ? " restarted" : " is being restarted: another one takes its place";
  session.Print(*instance, absl::StrCat(instance->name(), verb, DryRunNote(session), "\n"));
  return absl::OkStatus();
}

absl::Status Cordon(Session& session) {
  const auto instance = MutateInstance(session, &Stub::CordonInstance);
  if (!instance.ok()) return instance.status();
  session.Print(*instance, absl::StrCat(instance->name(), " cordoned", DryRunNote(session), "\n"));
  return absl::OkStatus();
}

absl::Status Uncordon(Session& session) {
  const auto instance = MutateInstance(session, &Stub::UncordonInstance);
  if (!instance.ok()) return instance.status();
  session.Print(*instance,
                absl::StrCat(instance->name(), " uncordoned", DryRunNote(session), "\n"));
  return absl::OkStatus();
}

bool HasInstance(const v1::Event& event) { return event.has_instance(); }
const I& InstanceOf(const v1::Event& event) { return event.instance(); }

absl::Status Get(Session& session) {
  const absl::StatusOr<std::string> name = ResolveInstance(session, session.arguments().name);
  if (!name.ok()) return name.status();
  return Show(session, Shown<I, I>{.name_prefix = *name,
                                   .name = *name,
                                   .in_event = HasInstance,
                                   .of_event = InstanceOf,
                                   .fetch = [&] { return GetInstance(session, *name); },
                                   .items = OnlyItem<I>,
                                   .table =
                                       [&](const auto& instances) {
                                         return TableOf(session, InstanceColumns(), instances);
                                       }});
}

// Writes what an instance wrote: as it is into a pipe; to a terminal only what cannot steer it, a
// line at a time.
class LogWriter {
 public:
  explicit LogWriter(Console& console) : console_(console) {}

  void Write(std::string_view data) {
    if (!console_.out_is_terminal) {
      console_.out << data << std::flush;
      return;
    }
    line_ += data;
    for (std::size_t end = 0; (end = line_.find('\n')) != std::string::npos;) {
      console_.out << PrintableText(line_.substr(0, end)) << '\n';
      line_.erase(0, end + 1);
    }
    if (line_.size() > kLineBytesMax) Finish();
    console_.out << std::flush;
  }

  // The last line, which may lack its end.
  void Finish() {
    if (!line_.empty()) console_.out << PrintableText(line_) << '\n';
    line_.clear();
  }

 private:
  static constexpr std::size_t kLineBytesMax = 64 << 10;

  Console& console_;
  std::string line_;
};

absl::Status Logs(Session& session) {
  const Arguments& arguments = session.arguments();
  if (arguments.follow && arguments.previous) {
    return BadField("--follow", "with --previous there is nothing to follow: it has ended");
  }
  const absl::StatusOr<std::string> name = ResolveInstance(session, arguments.name);
  if (!name.ok()) return name.status();
  v1::StreamInstanceLogRequest request;
  request.set_name(*name);
  request.set_follow(arguments.follow);
  request.set_previous(arguments.previous);
  if (arguments.tail) request.set_tail_lines(*arguments.tail);
  grpc::ClientContext context;
  if (!arguments.follow) Session::SetDeadline(context, session.call_timeout());
  const auto reader = session.instances().StreamInstanceLog(&context, request);
  LogWriter writer(session.console());
  v1::InstanceLogChunk chunk;
  while (reader->Read(&chunk)) {
    if (!chunk.name().empty() && chunk.name() != *name) {
      session.console().err << "of " << PrintableText(chunk.name()) << ", which has ended\n";
    }
    if (chunk.gap()) session.console().err << "a part is missing: the log was shortened\n";
    writer.Write(chunk.data());
  }
  writer.Finish();
  return session.FromRpc(reader->Finish());
}

constexpr std::uint32_t kTakesNoWait = kTakesDryRun | kTakesRequestId | kTakesShown;

constexpr std::array<Command, 5> kCommands = {{
    {"", "logs", "INSTANCE", "Print what an instance wrote to its output",
     "logs web/i4 -f --tail 20", kTakesLog, Logs},
    {"instance", "get", "NAME", "Show one instance", "instance get web/i4",
     kTakesWatch | kTakesShown, Get},
    {"instance", "restart", "NAME", "Replace an instance; it serves until another one does",
     "instance restart web/i4 --wait", kTakesMutation, Restart},
    {"instance", "cordon", "NAME", "Take an instance out of traffic, and let it run",
     "instance cordon web/i4", kTakesNoWait, Cordon},
    {"instance", "uncordon", "NAME", "Give a cordoned instance back to its pool",
     "instance uncordon web/i4", kTakesNoWait, Uncordon},
}};

}  // namespace

absl::StatusOr<std::string> ResolveInstance(Session& session, const std::string& name) {
  if (name.find("/instances/") != std::string::npos) return name;
  if (std::string full = FullInstanceName(name); !full.empty()) return full;
  const std::size_t slash = name.find('/');
  if (slash == std::string::npos || name.find('/', slash + 1) != std::string::npos) return name;
  v1::ListInstancesRequest request;
  request.set_parent(PoolOf(name));
  const auto list =
      session.CallPages(session.shadows(), &v1::ShadowPoolService::Stub::ListInstances, request,
                        &v1::ListInstancesResponse::mutable_instances, 0);
  if (!list.ok()) return list.status();
  const std::string by_id = absl::StrCat("/instances/", name.substr(slash + 1));
  for (const I& instance : list->instances()) {
    if (instance.name().ends_with(by_id)) return instance.name();
  }
  return absl::StrCat(PoolOf(name), by_id);  // Of the base; it may have ended.
}

std::span<const Command> InstanceCommands() { return kCommands; }

}  // namespace shadow
