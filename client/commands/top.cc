// shadowctl top: the pools at a glance, again and again on a terminal.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/command.h"
#include "client/formats/table_of.h"
#include "client/names.h"
#include "client/output/conditions.h"
#include "client/proto_time.h"
#include "client/session.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr char kHomeAndClear[] = "\x1b[H\x1b[2J\x1b[3J";
constexpr absl::Duration kTopInterval = absl::Seconds(2);
constexpr std::size_t kForecastPoolsMax = 50;  // Each costs a call; in longer lists they lack.
constexpr double kTopQuantile = 0.95;

// A pool with the sums over its shadow pools; unset: unknown.
struct TopRow {
  v1::Pool pool;
  int shadow_target = 0;
  int shadow_ready = 0;
  int serving = 0;
  int level = 0;  // Of the shadow pool of its revision.
  std::optional<double> demand;
  std::optional<double> forecast;  // The most in the time that an instance takes to be made.
};

std::string Quantity(const std::optional<double>& number) {
  return number ? NumberText(*number) : std::string();
}

constexpr std::array<Column<TopRow>, 9> kTopColumns = {{
    {"NAME", Cells::kText,
     [](const TopRow& row, absl::Time) { return ShortName(row.pool.name()); }},
    {"DEMAND", Cells::kNumber, [](const TopRow& row, absl::Time) { return Quantity(row.demand); }},
    {"P95 SOON", Cells::kNumber,
     [](const TopRow& row, absl::Time) { return Quantity(row.forecast); }},
    {"UNIT", Cells::kText, [](const TopRow& row, absl::Time) { return row.pool.demand_unit(); }},
    {"SERVING", Cells::kNumber,
     [](const TopRow& row, absl::Time) {
       return absl::StrCat(row.pool.serving_base_instances() + row.serving);
     }},
    {"CARRIES", Cells::kNumber,
     [](const TopRow& row, absl::Time) {
       const double base = row.pool.has_external_capacity()
                               ? row.pool.external_capacity()
                               : row.pool.serving_base_instances() * row.pool.instance_capacity();
       return NumberText(base + row.serving * row.pool.instance_capacity());
     }},
    {"SHADOW", Cells::kText,
     [](const TopRow& row, absl::Time) {
       if (row.shadow_target == 0) return std::string();
       return absl::StrCat(row.shadow_ready, "/", row.shadow_target, " ready");
     }},
    {"LEVEL", Cells::kNumber,
     [](const TopRow& row, absl::Time) {
       return row.shadow_target == 0 ? std::string() : absl::StrCat(row.level, "%");
     }},
    {"PROBLEM", Cells::kText,
     [](const TopRow& row, absl::Time) { return ProblemCell(row.pool.conditions()); }},
}};

// Leaves both unset where they cannot be had.
void AddForecast(Session& session, TopRow& row) {
  v1::GetForecastRequest request;
  request.set_pool(row.pool.name());
  *request.mutable_horizon() =
      ToProto(std::max(FromProto(row.pool.step()), FromProto(row.pool.provisioning_lead())));
  request.add_quantiles(kTopQuantile);
  request.set_history_steps(1);
  const absl::StatusOr<v1::Forecast> forecast =
      session.Call(session.usage(), &v1::UsageService::Stub::GetForecast, request);
  if (!forecast.ok()) return;
  if (!forecast->history().empty()) row.demand = forecast->history().rbegin()->value();
  for (const v1::Forecast::Point& point : forecast->points()) {
    for (const double value : point.values()) {
      row.forecast = std::max(row.forecast.value_or(value), value);
    }
  }
}

absl::StatusOr<std::vector<TopRow>> LookAtPools(Session& session) {
  const std::string& only = session.arguments().name;
  v1::ListPoolsResponse pools;
  if (only.empty()) {
    auto list = session.CallPages(session.pools(), &v1::PoolService::Stub::ListPools,
                                  v1::ListPoolsRequest(), &v1::ListPoolsResponse::mutable_pools, 0);
    if (!list.ok()) return list.status();
    pools = *std::move(list);
  } else {
    v1::GetPoolRequest request;
    request.set_name(FullPoolName(only));
    auto pool = session.Call(session.pools(), &v1::PoolService::Stub::GetPool, request);
    if (!pool.ok()) return pool.status();
    *pools.add_pools() = *std::move(pool);
  }
  v1::ListShadowPoolsRequest request;
  request.set_parent(only.empty() ? "pools/-" : FullPoolName(only));
  const auto shadows =
      session.CallPages(session.shadows(), &v1::ShadowPoolService::Stub::ListShadowPools, request,
                        &v1::ListShadowPoolsResponse::mutable_shadow_pools, 0);
  if (!shadows.ok()) return shadows.status();
  std::map<std::string, TopRow> rows;
  for (const v1::Pool& pool : pools.pools()) rows[pool.name()].pool = pool;
  for (const v1::ShadowPool& shadow : shadows->shadow_pools()) {
    const auto row = rows.find(PoolOf(shadow.name()));
    if (row == rows.end()) continue;  // It has come meanwhile.
    row->second.shadow_target += shadow.target_instances();
    row->second.shadow_ready += shadow.serving_instances() + shadow.suspended_instances();
    row->second.serving += shadow.serving_instances();
    if (shadow.dna_revision() == row->second.pool.dna_revision()) {
      row->second.level = shadow.target_activation_level();
    }
  }
  std::vector<TopRow> all;
  for (auto& [name, row] : rows) {
    if (rows.size() <= kForecastPoolsMax) AddForecast(session, row);
    all.push_back(std::move(row));
  }
  return all;
}

// Once; on a terminal until it is interrupted, or the daemon says that it cannot be.
absl::Status Top(Session& session) {
  Console& console = session.console();
  while (true) {
    const absl::StatusOr<std::vector<TopRow>> rows = LookAtPools(session);
    const bool away = absl::IsUnavailable(rows.status()) || absl::IsDeadlineExceeded(rows.status());
    if (!rows.ok() && (!away || !console.out_is_terminal)) return rows.status();
    if (console.out_is_terminal) {
      console.out << kHomeAndClear << TimeText(console.now()) << ", every "
                  << ShortDuration(kTopInterval) << "\n\n";
    }
    if (rows.ok()) {
      console.out << TableOf<TopRow>(session, kTopColumns, *rows);
    } else {
      console.out << PrintableText(std::string(rows.status().message())) << '\n';
    }
    console.out << std::flush;
    if (!console.out_is_terminal || !console.out) return absl::OkStatus();
    console.sleep(kTopInterval);
  }
}

constexpr std::array<Command, 1> kCommands = {{
    {"", "top", "[POOL]", "Show demand, forecast and capacity of all pools, refreshed", "top",
     kTakesNothing, Top},
}};

}  // namespace

std::span<const Command> TopCommands() { return kCommands; }

}  // namespace shadow
