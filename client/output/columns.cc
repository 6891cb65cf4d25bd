#include "client/output/columns.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/names.h"
#include "client/output/conditions.h"
#include "client/output/outcomes.h"
#include "client/proto_time.h"
#include "client/text.h"

namespace shadow {
namespace {

std::string Age(const google::protobuf::Timestamp& since, bool known, absl::Time now) {
  return known ? ShortDuration(now - FromProto(since)) : "";
}

std::string Base(const v1::Pool& pool) {
  switch (pool.base_case()) {
    case v1::Pool::kManagedInstances:
      return absl::StrCat(pool.serving_base_instances(), "/", pool.managed_instances());
    case v1::Pool::kExternalCapacity:
      return absl::StrCat("external ", NumberText(pool.external_capacity()));
    case v1::Pool::BASE_NOT_SET:
      return "";
  }
  return "";
}

std::string ModeText(const v1::Pool& pool) {
  const v1::Policy::Mode mode = pool.policy().mode();
  return mode == v1::Policy::MODE_UNSPECIFIED ? "OBSERVE" : v1::Policy::Mode_Name(mode);
}

std::string PoolState(const v1::Pool& pool) {
  const bool starting = pool.state() == v1::Pool::READY && pool.reconciling();
  return starting ? "RECONCILING" : v1::Pool::State_Name(pool.state());
}

std::string EventText(const v1::Event& event) {
  const std::string& message = event.message();
  if (!message.empty() || event.resource_case() != v1::Event::kDecision) return message;
  return event.decision().explanation();
}

// What needs attention: the first condition that does, otherwise the last failure of an instance.
std::string PoolProblem(const PoolRow& row) {
  const std::string condition = ProblemCell(row.pool.conditions());
  if (row.failure.empty()) return condition;
  return condition.empty() ? row.failure : absl::StrCat(condition, ", ", row.failure);
}

constexpr std::array<Column<v1::Dna>, 5> kDnaColumns = {{
    {"NAME", Cells::kText, [](const v1::Dna& dna, absl::Time) { return ShortName(dna.name()); }},
    {"REVISION", Cells::kText, [](const v1::Dna& dna, absl::Time) { return dna.revision(); }},
    {"REVISIONS", Cells::kNumber,
     [](const v1::Dna& dna, absl::Time) { return absl::StrCat(dna.revisions_size()); }},
    {"AGE", Cells::kText,
     [](const v1::Dna& dna, absl::Time now) {
       return Age(dna.update_time(), dna.has_update_time(), now);
     }},
    {"COMMAND", Cells::kText,
     [](const v1::Dna& dna, absl::Time) { return absl::StrJoin(dna.process().argv(), " "); }},
}};

constexpr std::array<Column<PoolRow>, 11> kPoolColumns = {{
    {"NAME", Cells::kText,
     [](const PoolRow& row, absl::Time) { return ShortName(row.pool.name()); }},
    {"STATE", Cells::kState, [](const PoolRow& row, absl::Time) { return PoolState(row.pool); }},
    {"MODE", Cells::kText, [](const PoolRow& row, absl::Time) { return ModeText(row.pool); }},
    {"READY", Cells::kText, [](const PoolRow& row, absl::Time) { return Base(row.pool); }},
    {"SHADOW", Cells::kText, [](const PoolRow& row, absl::Time) { return row.shadow; }},
    {"FAILED", Cells::kNumber,
     [](const PoolRow& row, absl::Time) {
       return row.failed ? absl::StrCat(*row.failed) : std::string();
     }},
    {"DEMAND", Cells::kText, [](const PoolRow& row, absl::Time) { return row.demand; }},
    {"SCORE", Cells::kText, [](const PoolRow& row, absl::Time) { return ScoreCell(row.pool); }},
    {"AGE", Cells::kText,
     [](const PoolRow& row, absl::Time now) {
       return Age(row.pool.create_time(), row.pool.has_create_time(), now);
     }},
    {"DNA", Cells::kText,
     [](const PoolRow& row, absl::Time) {
       const v1::Pool& pool = row.pool;
       return ShortName(pool.dna_revision().empty() ? pool.dna() : pool.dna_revision());
     },
     ColumnIn::kWide},
    {"PROBLEM", Cells::kText, [](const PoolRow& row, absl::Time) { return PoolProblem(row); }},
}};

constexpr std::array<Column<v1::ShadowPool>, 11> kShadowColumns = {{
    {"NAME", Cells::kText,
     [](const v1::ShadowPool& shadow, absl::Time) { return ShortName(shadow.name()); }},
    {"STATE", Cells::kState,
     [](const v1::ShadowPool& shadow, absl::Time) {
       return v1::ShadowPool::State_Name(shadow.state());
     }},
    {"READY", Cells::kNumber,
     [](const v1::ShadowPool& shadow, absl::Time) {
       return absl::StrCat(shadow.serving_instances() + shadow.suspended_instances(), "/",
                           shadow.target_instances());
     }},
    {"LEVEL", Cells::kNumber,
     [](const v1::ShadowPool& shadow, absl::Time) {
       return absl::StrCat(shadow.target_activation_level(), "%");
     }},
    {"SERVING", Cells::kNumber,
     [](const v1::ShadowPool& shadow, absl::Time) {
       return absl::StrCat(shadow.serving_instances());
     }},
    {"SUSPENDED", Cells::kNumber,
     [](const v1::ShadowPool& shadow, absl::Time) {
       return absl::StrCat(shadow.suspended_instances());
     },
     ColumnIn::kWide},
    {"FAILED", Cells::kNumber,
     [](const v1::ShadowPool& shadow, absl::Time) {
       return absl::StrCat(shadow.failed_instances());
     }},
    {"AGE", Cells::kText,
     [](const v1::ShadowPool& shadow, absl::Time now) {
       return Age(shadow.create_time(), shadow.has_create_time(), now);
     }},
    {"HOLD", Cells::kText,
     [](const v1::ShadowPool& shadow, absl::Time now) {
       const absl::Time until = FromProto(shadow.hold_until_time());
       return shadow.has_hold_until_time() && until > now ? ShortDuration(until - now) : "";
     }},
    {"DNA", Cells::kText,
     [](const v1::ShadowPool& shadow, absl::Time) { return ShortName(shadow.dna_revision()); },
     ColumnIn::kWide},
    {"REASON", Cells::kText,
     [](const v1::ShadowPool& shadow, absl::Time) { return shadow.failure_reason(); }},
}};

// What a person has asked for comes before what it says of itself.
std::string InstanceReason(const v1::Instance& instance) {
  const char* by_hand = instance.cordoned()     ? "cordoned"
                        : instance.restarting() ? "restarting"
                                                : "";
  if (*by_hand == '\0' || instance.reason().empty()) {
    return absl::StrCat(by_hand, instance.reason());
  }
  return absl::StrCat(by_hand, ": ", instance.reason());
}

constexpr std::array<Column<v1::Instance>, 10> kInstanceColumns = {{
    {"NAME", Cells::kText,
     [](const v1::Instance& instance, absl::Time) { return ShortName(instance.name()); }},
    {"ROLE", Cells::kText,
     [](const v1::Instance& instance, absl::Time) {
       return v1::Instance::Role_Name(instance.role());
     }},
    {"STATE", Cells::kState,
     [](const v1::Instance& instance, absl::Time) {
       return v1::Instance::State_Name(instance.state());
     }},
    {"ADDRESS", Cells::kText,
     [](const v1::Instance& instance, absl::Time) { return instance.address(); }},
    {"WEIGHT", Cells::kNumber,
     [](const v1::Instance& instance, absl::Time) {
       return absl::StrCat(instance.weight_percent(), "%");
     }},
    {"AGE", Cells::kText,
     [](const v1::Instance& instance, absl::Time now) {
       return Age(instance.create_time(), instance.has_create_time(), now);
     }},
    {"HANDLE", Cells::kText,
     [](const v1::Instance& instance, absl::Time) { return instance.handle(); }, ColumnIn::kWide},
    {"DNA", Cells::kText,
     [](const v1::Instance& instance, absl::Time) { return ShortName(instance.dna_revision()); },
     ColumnIn::kWide},
    {"CHECKED", Cells::kText,
     [](const v1::Instance& instance, absl::Time now) {
       return Age(instance.check_time(), instance.has_check_time(), now);
     },
     ColumnIn::kWide},
    {"REASON", Cells::kText,
     [](const v1::Instance& instance, absl::Time) { return InstanceReason(instance); }},
}};

constexpr std::array<Column<v1::Decision>, 9> kDecisionColumns = {{
    {"ID", Cells::kNumber,
     [](const v1::Decision& decision, absl::Time) { return absl::StrCat(decision.id()); }},
    {"TIME", Cells::kText,
     [](const v1::Decision& decision, absl::Time) { return TimeText(FromProto(decision.time())); }},
    {"KIND", Cells::kText,
     [](const v1::Decision& decision, absl::Time) {
       return v1::Decision::Kind_Name(decision.kind());
     }},
    {"DEMAND", Cells::kNumber,
     [](const v1::Decision& decision, absl::Time) {
       const v1::Usage& usage = decision.inputs().usage();
       return usage.has_demand() ? NumberText(usage.demand()) : "";
     }},
    {"NEED", Cells::kNumber,
     [](const v1::Decision& decision, absl::Time) { return NumberText(decision.ready_need()); }},
    {"INSTANCES", Cells::kNumber,
     [](const v1::Decision& decision, absl::Time) {
       return absl::StrCat(decision.target_instances());
     }},
    {"LEVEL", Cells::kNumber,
     [](const v1::Decision& decision, absl::Time) {
       return absl::StrCat(decision.target_activation_level(), "%");
     }},
    {"ACTED", Cells::kText,
     [](const v1::Decision& decision, absl::Time) {
       return std::string(decision.acted() ? "yes" : "no");
     }},
    {"REASONS", Cells::kText,
     [](const v1::Decision& decision, absl::Time) { return ReasonsText(decision); }},
}};

constexpr std::array<Column<v1::Event>, 5> kEventColumns = {{
    {"REVISION", Cells::kNumber,
     [](const v1::Event& event, absl::Time) { return absl::StrCat(event.revision()); }},
    {"TIME", Cells::kText,
     [](const v1::Event& event, absl::Time) { return TimeText(FromProto(event.time())); }},
    {"KIND", Cells::kText,
     [](const v1::Event& event, absl::Time) { return v1::Event::Kind_Name(event.kind()); }},
    {"NAME", Cells::kText, [](const v1::Event& event, absl::Time) { return event.name(); }},
    {"MESSAGE", Cells::kText, [](const v1::Event& event, absl::Time) { return EventText(event); }},
}};

}  // namespace

std::span<const Column<v1::Dna>> DnaColumns() { return kDnaColumns; }
std::span<const Column<PoolRow>> PoolColumns() { return kPoolColumns; }
std::span<const Column<v1::ShadowPool>> ShadowColumns() { return kShadowColumns; }
std::span<const Column<v1::Instance>> InstanceColumns() { return kInstanceColumns; }
std::span<const Column<v1::Decision>> DecisionColumns() { return kDecisionColumns; }
std::span<const Column<v1::Event>> EventColumns() { return kEventColumns; }

std::string ReasonsText(const v1::Decision& decision) {
  std::string text;
  for (const int reason : decision.reasons()) {
    if (!text.empty()) text += ", ";
    text += v1::Decision::Reason_IsValid(reason)
                ? v1::Decision::Reason_Name(static_cast<v1::Decision::Reason>(reason))
                : absl::StrCat("reason ", reason);
  }
  return text;
}

}  // namespace shadow
