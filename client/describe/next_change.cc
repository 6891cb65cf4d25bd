#include "client/describe/next_change.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/names.h"
#include "client/proto_time.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr double kServiceLevelDefault = 0.99;  // As of pool.proto.

struct Change {
  absl::Time time;
  std::string text;
};

// Collects what lies ahead of `now`.
class Changes {
 public:
  explicit Changes(absl::Time now) : now_(now) {}

  void AtOnce(std::string text) { all_.push_back({now_, std::move(text)}); }
  void At(bool known, const google::protobuf::Timestamp& time, std::string text) {
    if (known && FromProto(time) > now_) all_.push_back({FromProto(time), std::move(text)});
  }

  std::string Lines() {
    std::stable_sort(all_.begin(), all_.end(),
                     [](const Change& a, const Change& b) { return a.time < b.time; });
    std::string lines;
    for (const Change& change : all_) {
      const std::string when =
          change.time > now_ ? absl::StrCat("in ", ShortDuration(change.time - now_)) : "now";
      absl::StrAppend(&lines, when, ": ", PrintableText(change.text), "\n");
    }
    return lines;
  }

 private:
  absl::Time now_;
  std::vector<Change> all_;
};

std::string Quoted(const std::string& description) {
  return description.empty() ? "without a description" : absl::StrCat("\"", description, "\"");
}

void AddBase(const v1::Pool& pool, Changes& changes) {
  if (pool.state() == v1::Pool::DELETING) {
    changes.AtOnce("the pool is being deleted");
  } else if (pool.reconciling() && pool.has_managed_instances()) {
    changes.AtOnce(absl::StrCat("the base is on its way: ", pool.serving_base_instances(), " of ",
                                CountText(pool.managed_instances(), "instance"), " serve"));
  }
  changes.At(pool.has_hold_until_time(), pool.hold_until_time(),
             "the hold ends; shadow pools are created again");
}

void AddShadow(const v1::ShadowPool& shadow, Changes& changes) {
  const std::string name = ShortName(shadow.name());
  if (shadow.reconciling()) {
    changes.AtOnce(absl::StrCat(name, " is ", v1::ShadowPool::State_Name(shadow.state()), ": ",
                                shadow.serving_instances() + shadow.suspended_instances(), " of ",
                                CountText(shadow.target_instances(), "shadow instance"), " ready, ",
                                shadow.serving_instances(), " serve, level ",
                                shadow.target_activation_level(), "%"));
  }
  changes.At(shadow.has_hold_until_time(), shadow.hold_until_time(),
             absl::StrCat("the hold of ", name, " ends; the daemon decides again"));
}

void AddCalendar(const v1::Pool& pool, Changes& changes) {
  for (const v1::DemandEvent& event : pool.demand_events()) {
    const std::string what = absl::StrCat("demand event ", Quoted(event.description()));
    const std::string effect = event.has_multiplier()
                                   ? absl::StrCat("demand x ", NumberText(event.multiplier()))
                                   : absl::StrCat("demand ", NumberText(event.demand()));
    changes.At(event.has_start_time(), event.start_time(), absl::StrCat(what, " begins: ", effect));
    changes.At(event.has_end_time(), event.end_time(), absl::StrCat(what, " ends"));
  }
  for (const v1::BoundsOverride& bounds : pool.policy().overrides()) {
    const std::string what = absl::StrCat("override ", Quoted(bounds.description()));
    changes.At(bounds.has_start_time(), bounds.start_time(), absl::StrCat(what, " begins"));
    changes.At(bounds.has_end_time(), bounds.end_time(), absl::StrCat(what, " ends"));
  }
}

double BaseCapacity(const v1::Pool& pool) {
  return pool.has_managed_instances() ? pool.managed_instances() * pool.instance_capacity()
                                      : pool.external_capacity();
}

// When what is there or ordered is no longer enough. A pool without a forecast has no such time.
void AddForecast(Session& session, const PlannedAt& planned, Changes& changes) {
  const v1::Pool& pool = planned.pool;
  const double level =
      pool.policy().has_service_level() ? pool.policy().service_level() : kServiceLevelDefault;
  double ready = BaseCapacity(pool);
  for (const v1::ShadowPool& shadow : planned.shadows) {
    ready += shadow.target_instances() * pool.instance_capacity();
  }
  v1::GetForecastRequest request;
  request.set_pool(pool.name());
  request.add_quantiles(level);
  const absl::StatusOr<v1::Forecast> forecast =
      session.Call(session.usage(), &v1::UsageService::Stub::GetForecast, request);
  if (!forecast.ok() || forecast->trust() != v1::TRUSTED) return;
  for (const v1::Forecast::Point& point : forecast->points()) {
    if (point.values().empty() || point.values(0) <= ready) continue;
    changes.At(true, point.time(),
               absl::StrCat("the forecast passes the ", NumberText(ready),
                            pool.demand_unit().empty() ? "" : " ", pool.demand_unit(),
                            " that are ready: ", NumberText(point.values(0)), " at quantile ",
                            NumberText(level)));
    return;
  }
}

}  // namespace

std::string PlannedChanges(Session& session, const PlannedAt& planned) {
  Changes changes(session.console().now());
  AddBase(planned.pool, changes);
  for (const v1::ShadowPool& shadow : planned.shadows) AddShadow(shadow, changes);
  AddCalendar(planned.pool, changes);
  AddForecast(session, planned, changes);
  return changes.Lines();
}

}  // namespace shadow
