// CompilePool: every field of a pool, with the defaults of pool.proto.
#include <google/protobuf/duration.pb.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/names.h"
#include "server/core/spec.h"
#include "server/core/spec/field_checker.h"
#include "server/core/spec/kinds.h"
#include "server/core/spec/output_fields.h"
#include "server/core/spec/policy_rules.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

constexpr int64_t kPoolMaxBytes = 64 * 1024;
constexpr size_t kUnitMaxBytes = 64;
constexpr int kUsageSourcesMax = 8;
constexpr int kSeasonsMax = 3;
constexpr int64_t kSeasonMinSteps = 2;
constexpr int64_t kSeasonMaxSteps = 604'800;  // A week of seconds.
constexpr int kDemandEventsMax = 366;
constexpr size_t kZoneMaxBytes = 64;
constexpr size_t kDescriptionMaxBytes = 256;
constexpr double kMultiplierMax = 1e6;
constexpr double kDemandMax = 1e15;
constexpr FieldChecker::Limits kManagedInstances = {.min = 0, .max = 1000};

void CheckNames(v1::Pool& pool, FieldChecker& check) {
  check.Add(ParsePoolName(pool.name(), "pool.name").status());
  check.Add(ParseDnaName(pool.dna(), "pool.dna").status());
  if (!pool.demand_unit().empty())
    check.Text("pool.demand_unit", pool.demand_unit(), kUnitMaxBytes);
}

void CompileProviderOf(CompiledPool& compiled, FieldChecker& check) {
  v1::Provider& provider = *compiled.pool.mutable_provider();
  if (provider.kind_case() == v1::Provider::KIND_NOT_SET) provider = DefaultProvider()->spec;
  KindOf(provider).compile("pool.provider", provider, check);
  compiled.provider = CompileProvider(provider);
}

void CompileBalancer(CompiledPool& compiled, FieldChecker& check) {
  v1::Balancer& balancer = *compiled.pool.mutable_balancer();
  if (balancer.kind_case() == v1::Balancer::KIND_NOT_SET) balancer.mutable_none();
  const BalancerKind& kind = KindOf(balancer);
  kind.compile("pool.balancer", balancer, check);
  if (balancer.has_service() && !compiled.pool.provider().has_kubernetes()) {
    check.Fail("pool.balancer.service",
               "is for pods; wanted another balancer, or provider kubernetes");
  }
  compiled.has_balancer = kind.told;
}

void CompileUsageSources(CompiledPool& compiled, FieldChecker& check) {
  constexpr char kField[] = "pool.usage_sources";
  v1::Pool& pool = compiled.pool;
  check.Count(kField, pool.usage_sources_size(), kUsageSourcesMax);
  for (int i = 0; check.ok() && i < pool.usage_sources_size(); ++i) {
    const std::string field = absl::StrCat(kField, "[", i, "]");
    v1::UsageSource& source = *pool.mutable_usage_sources(i);
    if (source.kind_case() == v1::UsageSource::KIND_NOT_SET) {
      check.Fail(field, "has neither pushed, haproxy, prometheus nor cgroup");
      return;
    }
    const UsageKind& kind = KindOf(source);
    if (kind.polled && std::exchange(compiled.polls_usage, true)) {
      check.Fail(
          field,
          "is a second source that is read; wanted one, which may add up frontends, backends "
          "or series");
    }
    kind.compile(field, source, check);
    if (source.has_cgroup() && source.cgroup().path().empty() && !pool.provider().has_systemd()) {
      check.Fail(absl::StrCat(field, ".cgroup.path"),
                 "is missing; the default is the slice of a pool whose provider is systemd");
    }
  }
}

void CompileSeason(const std::string& field, const google::protobuf::Duration& season,
                   CompiledPool& compiled, FieldChecker& check) {
  const absl::Duration length = check.Duration(
      field, season,
      {.min = kSeasonMinSteps * compiled.step, .max = kSeasonMaxSteps * compiled.step});
  if (length % compiled.step != absl::ZeroDuration()) {
    check.Fail(field, absl::StrCat(absl::FormatDuration(length), " is not a multiple of the step, ",
                                   absl::FormatDuration(compiled.step)));
  }
  if (!compiled.season_lengths.empty() && length <= compiled.season_lengths.back()) {
    check.Fail(field, absl::StrCat(absl::FormatDuration(length),
                                   " is not longer than the one "
                                   "before it, ",
                                   absl::FormatDuration(compiled.season_lengths.back())));
  }
  compiled.season_lengths.push_back(length);
}

void CompileGrid(CompiledPool& compiled, FieldChecker& check) {
  v1::Pool& pool = compiled.pool;
  if (!pool.has_step()) pool.mutable_step()->set_seconds(60);
  compiled.step =
      check.Duration("pool.step", pool.step(), {.min = absl::Seconds(1), .max = absl::Hours(1)});
  if (check.ok() && pool.step().nanos() != 0) {
    check.Fail("pool.step",
               absl::StrCat(absl::FormatDuration(compiled.step), " is not a whole second"));
  }
  if (pool.season_lengths().empty()) {  // A day and a week.
    pool.add_season_lengths()->set_seconds(absl::ToInt64Seconds(absl::Hours(24)));
    pool.add_season_lengths()->set_seconds(absl::ToInt64Seconds(absl::Hours(168)));
  }
  check.Count("pool.season_lengths", pool.season_lengths_size(), kSeasonsMax);
  for (int i = 0; check.ok() && i < pool.season_lengths_size(); ++i) {
    CompileSeason(absl::StrCat("pool.season_lengths[", i, "]"), pool.season_lengths(i), compiled,
                  check);
  }
}

void CompileTimeZone(CompiledPool& compiled, FieldChecker& check) {
  v1::Pool& pool = compiled.pool;
  if (pool.time_zone().empty()) pool.set_time_zone("UTC");
  check.Word("pool.time_zone", pool.time_zone(), kZoneMaxBytes);
  if (!check.ok() || absl::LoadTimeZone(pool.time_zone(), &compiled.time_zone)) return;
  check.Fail("pool.time_zone",
             absl::StrCat(Quoted(pool.time_zone()),
                          " is not in this host's time zone database; wanted e.g. "
                          "\"Europe/Berlin\""));
}

void CompileDemandEvent(const std::string& field, const v1::DemandEvent& event,
                        CompiledPool& compiled, FieldChecker& check) {
  Forecaster::Event known;
  known.start_time = FromProto(event.start_time());
  known.end_time = FromProto(event.end_time());
  if (!event.description().empty()) {
    check.Text(absl::StrCat(field, ".description"), event.description(), kDescriptionMaxBytes);
  }
  if (!event.has_start_time()) check.Fail(absl::StrCat(field, ".start_time"), "is missing");
  if (!event.has_end_time() || known.end_time <= known.start_time) {
    check.Fail(absl::StrCat(field, ".end_time"), "is missing or not after start_time");
  }
  switch (event.effect_case()) {
    case v1::DemandEvent::kMultiplier:
      check.Real(absl::StrCat(field, ".multiplier"), event.multiplier(),
                 {.min = std::numeric_limits<double>::min(), .max = kMultiplierMax});
      known.multiplier = event.multiplier();
      break;
    case v1::DemandEvent::kDemand:
      check.Real(absl::StrCat(field, ".demand"), event.demand(), {.min = 0, .max = kDemandMax});
      known.demand = event.demand();
      break;
    case v1::DemandEvent::EFFECT_NOT_SET:
      check.Fail(field, "has neither multiplier nor demand");
  }
  compiled.demand_events.push_back(known);
}

void CompileCalendar(CompiledPool& compiled, FieldChecker& check) {
  constexpr char kField[] = "pool.demand_events";
  CompileTimeZone(compiled, check);
  check.Count(kField, compiled.pool.demand_events_size(), kDemandEventsMax);
  for (int i = 0; check.ok() && i < compiled.pool.demand_events_size(); ++i) {
    CompileDemandEvent(absl::StrCat(kField, "[", i, "]"), compiled.pool.demand_events(i), compiled,
                       check);
  }
}

void CompileCapacity(CompiledPool& compiled, FieldChecker& check) {
  v1::Pool& pool = compiled.pool;
  if (pool.base_case() == v1::Pool::BASE_NOT_SET) pool.set_managed_instances(0);
  check.Real("pool.instance_capacity", pool.instance_capacity(),
             {.min = std::numeric_limits<double>::min(), .max = kDemandMax});
  if (pool.has_external_capacity()) {
    check.Real("pool.external_capacity", pool.external_capacity(), {.min = 0, .max = kDemandMax});
    compiled.base_capacity_per_spec = pool.external_capacity();
  } else {
    check.Range("pool.managed_instances", pool.managed_instances(), kManagedInstances);
    compiled.base_capacity_per_spec = pool.managed_instances() * pool.instance_capacity();
  }
}

}  // namespace

absl::StatusOr<CompiledPool> CompilePool(const v1::Pool& pool) {
  FieldChecker check;
  CompiledPool compiled;
  compiled.pool = pool;
  ClearOutputOnly(compiled.pool);
  const auto bytes = static_cast<int64_t>(compiled.pool.ByteSizeLong());
  if (bytes > kPoolMaxBytes) {
    check.Fail("pool", absl::StrCat("has ", bytes, " bytes; at most ", kPoolMaxBytes, " fit"));
  }
  if (check.ok()) check.WellFormed(compiled.pool, "pool");
  if (!check.ok()) return check.status();
  CheckNames(compiled.pool, check);
  CompileProviderOf(compiled, check);
  CompileBalancer(compiled, check);
  CompileUsageSources(compiled, check);
  CompileGrid(compiled, check);
  CompileCalendar(compiled, check);
  CompileCapacity(compiled, check);
  if (!check.ok()) return check.status();
  policy_rules::CompilePolicy(compiled, check);
  if (!check.ok()) return check.status();
  return compiled;
}

}  // namespace shadow
