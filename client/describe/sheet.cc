#include "client/describe/sheet.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/describe/latest_events.h"
#include "client/errors.h"
#include "client/formats/table_of.h"
#include "client/names.h"
#include "client/output/columns.h"
#include "client/output/table.h"
#include "client/proto_time.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr int kEventsShown = 10;
constexpr int kSectionMargin = 2;  // Columns.

constexpr std::array<Column<v1::Condition>, 5> kConditionColumns = {{
    {"TYPE", Cells::kText,
     [](const v1::Condition& condition, absl::Time) { return condition.type(); }},
    {"STATUS", Cells::kText,
     [](const v1::Condition& condition, absl::Time) {
       return v1::Condition::Status_Name(condition.status());
     }},
    {"SINCE", Cells::kText,
     [](const v1::Condition& condition, absl::Time now) {
       return condition.has_since_time() ? ShortDuration(now - FromProto(condition.since_time()))
                                         : std::string();
     }},
    {"REASON", Cells::kText,
     [](const v1::Condition& condition, absl::Time) { return condition.reason(); }},
    {"MESSAGE", Cells::kText,
     [](const v1::Condition& condition, absl::Time) { return condition.message(); }},
}};

constexpr std::array<Column<v1::Event>, 4> kRecentColumns = {{
    {"AGE", Cells::kText,
     [](const v1::Event& event, absl::Time now) {
       return ShortDuration(now - FromProto(event.time()));
     }},
    {"KIND", Cells::kText,
     [](const v1::Event& event, absl::Time) { return v1::Event::Kind_Name(event.kind()); }},
    {"NAME", Cells::kText,
     [](const v1::Event& event, absl::Time) { return ShortName(event.name()); }},
    {"MESSAGE", Cells::kText,
     [](const v1::Event& event, absl::Time) {
       return event.message().empty() && event.has_decision() ? event.decision().explanation()
                                                              : event.message();
     }},
}};

struct Failure {
  absl::Time time;
  std::string name;
  std::string reason;
};

}  // namespace

std::string LabelledLines(const std::vector<std::pair<std::string, std::string>>& lines) {
  std::size_t width = 0;
  for (const auto& [label, value] : lines) {
    if (!value.empty()) width = std::max(width, label.size());
  }
  std::string text;
  for (const auto& [label, value] : lines) {
    if (value.empty()) continue;
    absl::StrAppend(&text, label, ":", std::string(width - label.size() + 2, ' '),
                    PrintableText(value), "\n");
  }
  return text;
}

std::string Section(const std::string& title, const std::string& body) {
  if (body.empty()) return absl::StrCat(title, ":  none\n");
  std::string text = absl::StrCat(title, ":\n");
  const std::vector<std::string> lines = absl::StrSplit(body, '\n');
  for (const std::string& line : lines) {
    if (!line.empty()) absl::StrAppend(&text, "  ", line, "\n");
  }
  return text;
}

std::string ConditionTable(Session& session, const Conditions& conditions) {
  if (conditions.empty()) return "";
  const std::vector<v1::Condition> all(conditions.begin(), conditions.end());
  return TableOf(session, std::span<const Column<v1::Condition>>(kConditionColumns), all,
                 kSectionMargin);
}

std::string RecentEvents(Session& session, const std::string& name,
                         std::vector<v1::Event>& events) {
  const auto latest =
      ListLatestEvents(session, {.name_prefix = name, .count = kEventsShown, .since = {}});
  if (!latest.ok()) return absl::StrCat("unknown: ", ErrorLine(latest.status()), "\n");
  events.assign(latest->list.events().begin(), latest->list.events().end());
  if (events.empty()) return "";
  return TableOf(session, std::span<const Column<v1::Event>>(kRecentColumns), events,
                 kSectionMargin);
}

std::string LastFailure(const std::vector<v1::Instance>& instances,
                        const std::vector<v1::Event>& events, absl::Time now) {
  std::optional<Failure> last;
  const auto look = [&](const v1::Instance& instance) {
    if (instance.state() != v1::Instance::FAILED) return;
    const absl::Time time = FromProto(instance.state_time());
    if (last && time < last->time) return;
    last = {.time = time, .name = ShortName(instance.name()), .reason = instance.reason()};
  };
  for (const v1::Event& event : events) {
    if (event.has_instance()) look(event.instance());
  }
  for (const v1::Instance& instance : instances) look(instance);
  if (!last) return "";
  return absl::StrCat(last->name, ", ", ShortDuration(now - last->time),
                      " ago: ", last->reason.empty() ? "no reason was given" : last->reason);
}

std::string InstanceCounts(const std::vector<v1::Instance>& instances) {
  std::map<v1::Instance::State, int> counts;
  for (const v1::Instance& instance : instances) ++counts[instance.state()];
  std::string text;
  for (const auto& [state, count] : counts) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", count, " ", v1::Instance::State_Name(state));
  }
  return text;
}

std::string Ago(bool known, const google::protobuf::Timestamp& time, absl::Time now) {
  return known ? absl::StrCat(ShortDuration(now - FromProto(time)), " ago") : "";
}

}  // namespace shadow
