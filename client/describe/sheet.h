// What `describe` prints: labelled lines and titled sections.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "client/output/conditions.h"
#include "client/session.h"

namespace shadow {

// "Name:   web" lines, values aligned and made printable; those with an empty value are left out.
std::string LabelledLines(const std::vector<std::pair<std::string, std::string>>& lines);

// "Title:\n" and `body`, of ended lines, two columns in; "Title:  none\n" for an empty body.
std::string Section(const std::string& title, const std::string& body);

// All of them as a table, also those that are TRUE; empty without any.
std::string ConditionTable(Session& session, const Conditions& conditions);

// The latest events of `name` and of what is below it as a table, newest last; or why there is
// none to see, in a line.
std::string RecentEvents(Session& session, const std::string& name, std::vector<v1::Event>& events);

// "web/r1/i1, 5m ago: exit 1": the newest failure of an instance that `instances` or `events` show;
// empty: none.
std::string LastFailure(const std::vector<v1::Instance>& instances,
                        const std::vector<v1::Event>& events, absl::Time now);

// "2 ACTIVE, 1 FAILED"; empty without any.
std::string InstanceCounts(const std::vector<v1::Instance>& instances);

// "5m ago"; empty: unknown.
std::string Ago(bool known, const google::protobuf::Timestamp& time, absl::Time now);

}  // namespace shadow
