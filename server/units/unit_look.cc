#include "server/units/unit_look.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/units/bus.h"
#include "server/units/unit_name.h"

namespace shadow {
namespace {

// One property of a unit, and where it goes.
struct Question {
  const char* interface;
  const char* property;
  char type;  // Of D-Bus: 's', 'u' or 'i'.
  std::string UnitView::*text = nullptr;
  int UnitView::*number = nullptr;
};

constexpr Question kOfRunning[] = {
    {kSystemdUnit, "SubState", 's', &UnitView::sub_state, nullptr},
    {kSystemdUnit, "FreezerState", 's', &UnitView::freezer_state, nullptr},
    {kSystemdService, "MainPID", 'u', nullptr, &UnitView::main_pid},
};

constexpr Question kOfAny[] = {
    {kSystemdUnit, "ActiveState", 's', &UnitView::active_state, nullptr},
    {kSystemdUnit, "SubState", 's', &UnitView::sub_state, nullptr},
    {kSystemdUnit, "FreezerState", 's', &UnitView::freezer_state, nullptr},
    {kSystemdService, "MainPID", 'u', nullptr, &UnitView::main_pid},
    {kSystemdService, "Result", 's', &UnitView::result, nullptr},
    {kSystemdService, "ExecMainCode", 'i', nullptr, &UnitView::exec_main_code},
    {kSystemdService, "ExecMainStatus", 'i', nullptr, &UnitView::exec_main_status},
    {kSystemdService, "ControlGroup", 's', &UnitView::control_group, nullptr},
};

// Questions that are on their way together: a manager that is asked one by one answers no faster.
class Round {
 public:
  Round(sd_bus* bus, const UnitQuery& query, const Clock& clock)
      : bus_(bus), query_(query), clock_(clock) {}

  void Ask(UnitView& view, std::span<const Question> questions) {
    const std::string path = UnitPath(UnitName(query_.prefix, view.id));
    for (const Question& question : questions) {
      auto asked = std::make_unique<Asked>(
          Asked{.round = this, .view = &view, .question = question, .slot = nullptr});
      sd_bus_slot* slot = nullptr;
      const int result = sd_bus_call_method_async(
          bus_, &slot, kSystemd, path.c_str(), "org.freedesktop.DBus.Properties", "Get", OnAnswer,
          asked.get(), "ss", question.interface, question.property);
      if (result < 0) return Fail(BusStatus(result, "a unit cannot be looked at"));
      asked->slot.reset(slot);
      ++waiting_;
      asked_.push_back(std::move(asked));
    }
  }

  // Until all are answered.
  absl::Status Await() {
    while (waiting_ > 0 && status_.ok()) {
      const int done = sd_bus_process(bus_, nullptr);
      if (done < 0) return BusStatus(done, "units cannot be looked at");
      if (done > 0) continue;
      const absl::Duration left = query_.deadline - clock_.Now().mono;
      if (left <= absl::ZeroDuration()) {
        return absl::UnavailableError("the service manager has not answered in time");
      }
      const int waited = sd_bus_wait(bus_, static_cast<uint64_t>(absl::ToInt64Microseconds(left)));
      if (waited < 0 && waited != -EINTR) return BusStatus(waited, "units cannot be looked at");
    }
    return status_;
  }

 private:
  struct Asked {
    Round* round;
    UnitView* view;
    Question question;
    BusSlot slot;
  };

  void Fail(const absl::Status& status) {
    if (status_.ok()) status_ = status;
  }

  static int OnAnswer(sd_bus_message* reply, void* data, sd_bus_error* /*error*/) {
    const auto& asked = *static_cast<const Asked*>(data);
    --asked.round->waiting_;
    if (const sd_bus_error* error = sd_bus_message_get_error(reply); error != nullptr) {
      asked.round->Fail(BusStatus(*error, 0, "a unit cannot be looked at"));
      return 0;
    }
    int read = 0;
    if (asked.question.text != nullptr) {
      const char* text = nullptr;
      read = sd_bus_message_read(reply, "v", "s", &text);
      if (read >= 0) asked.view->*asked.question.text = text;
    } else {
      int32_t number = 0;  // A pid or a status: both forms are small.
      const char type[] = {asked.question.type, '\0'};
      read = sd_bus_message_read(reply, "v", type, &number);
      if (read >= 0) asked.view->*asked.question.number = number;
    }
    if (read < 0) asked.round->Fail(BusStatus(read, asked.question.property));
    return 0;
  }

  sd_bus* bus_;
  const UnitQuery& query_;
  const Clock& clock_;
  std::vector<std::unique_ptr<Asked>> asked_;
  int waiting_ = 0;
  absl::Status status_;
};

// What one list says of each of them: its tags and its states.
absl::StatusOr<std::vector<UnitView>> ReadList(sd_bus* bus, const UnitQuery& query,
                                               const Clock& clock) {
  const std::string pattern = UnitName(query.prefix, query.id.empty() ? "*" : query.id);
  auto call = ManagerCall(bus, "ListUnitsByPatterns");
  if (!call.ok()) return call.status();
  const int added = sd_bus_message_append(call->get(), "asas", 0, 1, pattern.c_str());
  if (added < 0) return BusStatus(added, "units cannot be listed");
  const auto reply =
      Ask(bus, call->get(), query.deadline - clock.Now().mono, "units cannot be listed");
  if (!reply.ok()) return reply.status();
  std::vector<UnitView> views;
  int read = sd_bus_message_enter_container(reply->get(), 'a', "(ssssssouso)");
  while (read > 0) {
    const char *name, *description, *load, *active, *sub, *following, *path, *job_type, *job_path;
    uint32_t job = 0;
    read = sd_bus_message_read(reply->get(), "(ssssssouso)", &name, &description, &load, &active,
                               &sub, &following, &path, &job, &job_type, &job_path);
    if (read <= 0) break;
    const std::string id = UnitId(query.prefix, name);
    auto view = ParseUnitDescription(description, id, query.store_id);
    const std::string_view state = active;
    if (id.empty() || !view.has_value() || state == "inactive") continue;
    view->active_state = active;
    view->sub_state = sub;
    views.push_back(*std::move(view));
  }
  if (read < 0) return BusStatus(read, "units cannot be listed");
  return views;
}

}  // namespace

absl::StatusOr<std::vector<UnitView>> LookAtUnits(sd_bus* bus, const UnitQuery& query,
                                                  const Clock& clock) {
  auto views = ReadList(bus, query, clock);
  if (!views.ok()) return views;
  const auto runs = [](const UnitView& view) {
    return view.active_state == "active" && view.sub_state == "running";
  };
  std::set<std::string> running;
  Round first(bus, query, clock);
  for (UnitView& view : *views) {
    const bool brief = query.id.empty() && runs(view);
    if (brief) running.insert(view.id);
    first.Ask(view, brief ? std::span<const Question>(kOfRunning) : kOfAny);
  }
  if (absl::Status status = first.Await(); !status.ok()) return status;
  Round second(bus, query, clock);
  for (UnitView& view : *views) {
    if (running.contains(view.id) && !runs(view)) second.Ask(view, kOfAny);
  }
  if (absl::Status status = second.Await(); !status.ok()) return status;
  std::erase_if(*views, [](const UnitView& view) { return view.active_state == "inactive"; });
  return views;
}

absl::StatusOr<std::string> ReadProperty(sd_bus* bus, const std::string& path,
                                         const char* interface, const char* property) {
  sd_bus_error error{};
  char* text = nullptr;
  const int result =
      sd_bus_get_property_string(bus, kSystemd, path.c_str(), interface, property, &error, &text);
  const std::unique_ptr<char, decltype(&free)> owner(text, free);
  const absl::Status status = result < 0
                                  ? BusStatus(error, result, absl::StrCat("cannot read ", property))
                                  : absl::OkStatus();
  sd_bus_error_free(&error);
  if (!status.ok()) return status;
  return std::string(text);
}

std::vector<std::string> MissingControllers(sd_bus* bus) {
  const auto group = ReadProperty(bus, kSystemdPath, kSystemdManager, "ControlGroup");
  if (!group.ok()) return {};
  std::ifstream file(absl::StrCat(CgroupPath(*group), "/cgroup.controllers"));
  if (!file) return {};
  const std::set<std::string> given{std::istream_iterator<std::string>(file), {}};
  std::vector<std::string> missing;
  for (const char* const wanted : {"cpu", "memory", "pids"}) {
    if (!given.contains(wanted)) missing.emplace_back(wanted);
  }
  return missing;
}

std::string CgroupPath(const std::string& control_group) {
  return absl::StrCat("/sys/fs/cgroup", control_group);
}

}  // namespace shadow
