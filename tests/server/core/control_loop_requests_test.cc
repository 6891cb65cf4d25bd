// Requests: repeated, conflicting and bad ones.
#include <catch2/catch.hpp>
#include <limits>
#include <map>

#include "server/core/error.h"
#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

using S = v1::ShadowPool;

// A pool "web" without a base, and a suspended shadow of one instance.
void PrepareShadow(Simulation& simulation) {
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(0)).ok());
  REQUIRE(simulation.Call(CreateShadow(50)).ok());
  REQUIRE(simulation.RunUntil([&] { return ShadowIs(simulation, S::SUSPENDED); }, kLimit));
}

// Everything that the store would give to the next daemon.
std::string Kept(const Simulation& simulation) {
  return simulation.store().Contents().DebugString();
}

struct BadRequest {
  std::string what;
  Request request;
  absl::StatusCode code;
  std::string field;  // Empty: the error names none.
};

template <typename R>
R With(R request, const std::function<void(R&)>& change) {
  change(request);
  return request;
}

std::vector<BadRequest> BadPools() {
  using R = v1::CreatePoolRequest;
  const auto pool = [](const std::function<void(v1::Pool&)>& change) {
    R request = CreatePool(1);
    request.mutable_pool()->set_name("pools/other");
    request.mutable_pool()->mutable_balancer()->mutable_haproxy()->set_backend("other");
    change(*request.mutable_pool());
    return request;
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  return {
      {"pool name", pool([](v1::Pool& p) { p.set_name("Web"); }), kInvalid, "pool.name"},
      {"unknown DNA", pool([](v1::Pool& p) { p.set_dna("dnas/none"); }),
       absl::StatusCode::kNotFound, "pool.dna"},
      {"unknown revision", pool([](v1::Pool& p) { p.set_dna("dnas/web@000000000000"); }),
       absl::StatusCode::kNotFound, "pool.dna"},
      {"no capacity", pool([](v1::Pool& p) { p.set_instance_capacity(0); }), kInvalid,
       "pool.instance_capacity"},
      {"minimum above every maximum", pool([](v1::Pool& p) {
         p.mutable_policy()->add_overrides()->set_min_shadow_instances(101);
       }),
       kInvalid, "pool.policy.overrides[0].min_shadow_instances"},
      {"pool exists", CreatePool(1), absl::StatusCode::kAlreadyExists, ""},
      {"DNA exists", CreateDna(), absl::StatusCode::kAlreadyExists, ""},
      {"step of a pool with history",
       With<v1::UpdatePoolRequest>({},
                                   [](auto& r) {
                                     *r.mutable_pool() = CreatePool(0).pool();
                                     *r.mutable_pool()->mutable_step() = ToProto(absl::Minutes(5));
                                   }),
       absl::StatusCode::kFailedPrecondition, "pool.step"},
      {"mask",
       With<v1::UpdatePoolRequest>({},
                                   [](auto& r) {
                                     *r.mutable_pool() = CreatePool(0).pool();
                                     r.mutable_update_mask()->add_paths("colour");
                                   }),
       kInvalid, "update_mask"},
      {"mask with what the daemon sets",
       With<v1::UpdatePoolRequest>({},
                                   [](auto& r) {
                                     *r.mutable_pool() = CreatePool(0).pool();
                                     r.mutable_update_mask()->add_paths("instance_capacity");
                                     r.mutable_update_mask()->add_paths("state");
                                   }),
       kInvalid, "update_mask"},
      {"the same of a DNA",
       With<v1::UpdateDnaRequest>({},
                                  [](auto& r) {
                                    *r.mutable_dna() = CreateDna().dna();
                                    r.mutable_update_mask()->add_paths("revisions");
                                  }),
       kInvalid, "update_mask"},
      {"DNA in use", With<v1::DeleteDnaRequest>({}, [](auto& r) { r.set_name("dnas/web"); }),
       absl::StatusCode::kFailedPrecondition, ""},
      {"no such pool", With<v1::DeletePoolRequest>({}, [](auto& r) { r.set_name("pools/none"); }),
       absl::StatusCode::kNotFound, ""},
  };
}

std::vector<BadRequest> BadShadows(const std::string& name) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  v1::CreateShadowPoolRequest with_hold = CreateShadow(1);
  *with_hold.mutable_hold_duration() = ToProto(-absl::Seconds(1));
  v1::ActivateShadowPoolRequest no_level;
  no_level.set_name(name);
  v1::ActivateShadowPoolRequest stale = Activate(name, 100);
  stale.set_etag("none");
  v1::UpdateShadowPoolRequest size;
  size.mutable_shadow_pool()->set_name(name);
  size.mutable_shadow_pool()->set_target_instances(101);
  v1::ActivateShadowPoolRequest id = Activate(name, 100);
  id.set_request_id("a b");
  return {
      {"level 101", Activate(name, 101), kInvalid, "activation_level"},
      {"level -1", Activate(name, -1), kInvalid, "activation_level"},
      {"no level", no_level, kInvalid, "activation_level"},
      {"malformed name", Activate("web", 1), kInvalid, "name"},
      {"no such shadow", Activate("pools/web/shadowPools/none", 1), absl::StatusCode::kNotFound,
       ""},
      {"etag", stale, absl::StatusCode::kAborted, ""},
      {"request id", id, kInvalid, "request_id"},
      {"size", size, kInvalid, "shadow_pool.target_instances"},
      {"increase", CreateShadow(std::numeric_limits<double>::quiet_NaN()), kInvalid,
       "predicted_demand_increase"},
      {"negative increase", CreateShadow(-1), kInvalid, "predicted_demand_increase"},
      {"negative hold", with_hold, kInvalid, "hold_duration"},
      {"second shadow", CreateShadow(1), absl::StatusCode::kAlreadyExists, ""},
      {"delete of none", DeleteShadow("pools/web/shadowPools/none"), absl::StatusCode::kNotFound,
       ""},
      {"release of none",
       With<v1::ReleaseHoldRequest>({}, [](auto& r) { r.set_name("pools/none"); }),
       absl::StatusCode::kNotFound, ""},
  };
}

std::vector<BadRequest> BadUsage(absl::Time now) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  v1::ReportUsageBatchRequest order = Report(now, 1);
  *order.add_samples() = Report(now - absl::Seconds(1), 1).samples(0);
  v1::ReportUsageBatchRequest timeless = Report(now, 1);
  timeless.mutable_samples(0)->clear_time();
  v1::GetForecastRequest steps;
  steps.set_pool("pools/web");
  steps.set_history_steps(-1);
  v1::AnalyzePoolUsageRequest none;
  none.set_pool("pools/none");
  return {
      {"NaN", Report(now, std::numeric_limits<double>::quiet_NaN()), kInvalid, "samples[0].value"},
      {"infinite", Report(now, std::numeric_limits<double>::infinity()), kInvalid,
       "samples[0].value"},
      {"negative", Report(now, -1), kInvalid, "samples[0].value"},
      {"out of order", order, kInvalid, "samples[1].time"},
      {"no time", timeless, kInvalid, "samples[0].time"},
      {"future", Report(now + absl::Hours(1), 1), kInvalid, "samples[0].time"},
      {"history", steps, kInvalid, "history_steps"},
      {"no such pool", none, absl::StatusCode::kNotFound, ""},
  };
}

void CheckRefused(Simulation& simulation, const std::vector<BadRequest>& requests) {
  for (const BadRequest& bad : requests) {
    INFO(bad.what);
    const std::string before = Kept(simulation);
    const Answer answer = simulation.Call(bad.request);
    INFO(answer.status().ToString());
    CHECK(answer.status().code() == bad.code);
    CHECK(ErrorField(answer.status()) == bad.field);
    CHECK(Kept(simulation) == before);
  }
}

}  // namespace

TEST_CASE("a bad request is refused with its code and field, and changes nothing") {
  Simulation simulation;
  PrepareShadow(simulation);
  CheckRefused(simulation, BadPools());
  CheckRefused(simulation, BadShadows(OnlyShadow(simulation)->name()));
  CheckRefused(simulation, BadUsage(simulation.now().wall));
}

TEST_CASE("a pool with an active shadow is not deleted") {
  Simulation simulation;
  PrepareShadow(simulation);
  v1::DeletePoolRequest request;
  request.set_name("pools/web");
  REQUIRE(simulation.Call(Activate(OnlyShadow(simulation)->name(), 100)).ok());
  CheckRefused(simulation, {{"active", request, absl::StatusCode::kFailedPrecondition, ""}});
  REQUIRE(simulation.Call(Activate(OnlyShadow(simulation)->name(), 0)).ok());
  REQUIRE(simulation.RunUntil([&] { return ShadowIs(simulation, S::SUSPENDED); }, kLimit));
  REQUIRE(simulation.Call(request).ok());
  CHECK(simulation.RunUntil([&] { return simulation.world().pools.empty(); }, kLimit));
  CHECK(simulation.provider.Lives().empty());
}

TEST_CASE("a request id gives the first answer again, also to the next daemon") {
  Simulation simulation;
  PrepareShadow(simulation);
  v1::ActivateShadowPoolRequest request = Activate(OnlyShadow(simulation)->name(), 100);
  request.set_request_id("once");
  const Answer first = simulation.Call(request);
  REQUIRE(first.ok());
  simulation.Run(absl::Seconds(10));
  const std::string before = Kept(simulation);
  const Answer second = simulation.Call(request);
  REQUIRE(second.ok());
  CHECK((*second)->DebugString() == (*first)->DebugString());
  CHECK(Kept(simulation) == before);

  simulation.KillAfter(simulation.inputs() + 1, Simulation::UnderWay::kDone);
  simulation.Run(absl::Seconds(10));
  REQUIRE(simulation.starts() == 2);
  const Answer third = simulation.Call(request);
  REQUIRE(third.ok());
  CHECK((*third)->DebugString() == (*first)->DebugString());

  request.set_activation_level(50);
  const Answer other = simulation.Call(request);
  CHECK(absl::IsAlreadyExists(other.status()));
  CHECK(ErrorField(other.status()) == "request_id");
}

TEST_CASE("validate_only answers and changes nothing") {
  Simulation simulation;
  PrepareShadow(simulation);
  const std::string name = OnlyShadow(simulation)->name();
  v1::ActivateShadowPoolRequest activate = Activate(name, 100);
  activate.set_validate_only(true);
  activate.set_request_id("dry");
  v1::DeleteShadowPoolRequest remove = DeleteShadow(name);
  remove.set_validate_only(true);
  v1::CreatePoolRequest pool = CreatePool(3);
  pool.mutable_pool()->set_name("pools/other");
  pool.mutable_pool()->mutable_balancer()->mutable_haproxy()->set_backend("other");
  pool.set_validate_only(true);
  v1::ReportUsageBatchRequest report = Report(simulation.now().wall, 5);
  report.set_validate_only(true);
  v1::AnalyzePoolUsageRequest analyze;
  analyze.set_pool("pools/web");
  analyze.set_validate_only(true);
  for (const Request& request : std::vector<Request>{activate, remove, pool, report, analyze}) {
    const std::string before = Kept(simulation);
    CHECK(simulation.Call(request).ok());
    CHECK(Kept(simulation) == before);
  }
  CHECK(simulation.store().samples().empty());
  activate.set_validate_only(false);
  CHECK(simulation.Call(activate).ok());
}

TEST_CASE("two pools do not share the slots of a backend") {
  Simulation simulation;
  PrepareShadow(simulation);
  v1::CreatePoolRequest other = CreatePool(1);
  other.mutable_pool()->set_name("pools/other");
  const Answer same = simulation.Call(other);
  CHECK(absl::IsFailedPrecondition(same.status()));
  CHECK(ErrorField(same.status()) == "pool.balancer.haproxy");
  v1::HaproxyBalancer& haproxy = *other.mutable_pool()->mutable_balancer()->mutable_haproxy();
  // The first has "slot": its "slot12" would be the 2nd of "slot1".
  for (const char* overlapping : {"slot1", "slot07", "slot"}) {
    INFO(overlapping);
    haproxy.set_slot_prefix(overlapping);
    const Answer answer = simulation.Call(other);
    CHECK(absl::IsFailedPrecondition(answer.status()));
    CHECK(ErrorField(answer.status()) == "pool.balancer.haproxy");
  }
  haproxy.set_slot_prefix("more");
  REQUIRE(simulation.Call(other).ok());
  v1::CreatePoolRequest third = CreatePool(1);
  third.mutable_pool()->set_name("pools/third");
  v1::HaproxyBalancer& more = *third.mutable_pool()->mutable_balancer()->mutable_haproxy();
  more.set_slot_prefix("mo");  // "more1" is not "mo" and a number.
  CHECK(simulation.Call(third).ok());
  third.mutable_pool()->set_name("pools/fourth");
  more.set_slot_prefix("slot1x");
  CHECK(simulation.Call(third).ok());
  third.mutable_pool()->set_name("pools/fifth");
  more.set_slot_prefix("slot1");
  more.set_backend("another");
  CHECK(simulation.Call(third).ok());
}

TEST_CASE("what validate_only would create is shown as it would be") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  v1::CreatePoolRequest pool = CreatePool(1);
  pool.set_validate_only(true);
  const Answer pool_preview = simulation.Call(pool);
  REQUIRE(pool_preview.ok());
  const auto& shown_pool = static_cast<const v1::Pool&>(**pool_preview);
  CHECK(shown_pool.state() == v1::Pool::READY);
  CHECK(!shown_pool.dna_revision().empty());

  REQUIRE(simulation.Call(CreatePool(1)).ok());
  v1::CreateShadowPoolRequest shadow = CreateShadow(100);
  shadow.set_validate_only(true);
  const Answer preview = simulation.Call(shadow);
  REQUIRE(preview.ok());
  const auto& shown = static_cast<const v1::ShadowPool&>(**preview);
  shadow.set_validate_only(false);
  REQUIRE(simulation.Call(shadow).ok());
  const v1::ShadowPool& made = *OnlyShadow(simulation);
  CHECK(shown.name() == made.name());
  CHECK(shown.state() == v1::ShadowPool::CREATING);
  CHECK(shown.target_instances() == made.target_instances());
  CHECK(shown.dna_revision() == made.dna_revision());
}

TEST_CASE("history that comes after the first reading of a usage source is told where it belongs") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  v1::CreatePoolRequest pool = CreatePool(1);
  auto& source = *pool.mutable_pool()->add_usage_sources()->mutable_haproxy();
  source.set_socket_path("/run/haproxy.sock");
  source.set_frontend("public");
  REQUIRE(simulation.Call(pool).ok());
  const absl::Time now = simulation.now().wall;
  REQUIRE(simulation.Call(Report(now, 5)).ok());
  const absl::Status late = simulation.Call(Report(now - absl::Hours(1), 5)).status();
  CHECK(absl::IsInvalidArgument(late));
  CHECK(ErrorField(late) == "samples[0].time");
  CHECK(std::string(late.message()).find("with an overlap of FAIL or SKIP") != std::string::npos);
}

TEST_CASE("an etag that is out of date aborts the change") {
  Simulation simulation;
  PrepareShadow(simulation);
  v1::ActivateShadowPoolRequest request = Activate(OnlyShadow(simulation)->name(), 100);
  request.set_etag(OnlyShadow(simulation)->etag());
  REQUIRE(simulation.Call(request).ok());
  request.set_activation_level(50);
  CHECK(absl::IsAborted(simulation.Call(request).status()));
  request.set_etag(OnlyShadow(simulation)->etag());
  CHECK(simulation.Call(request).ok());
}

}  // namespace shadow
