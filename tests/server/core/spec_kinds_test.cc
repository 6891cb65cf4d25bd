#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "server/core/error.h"
#include "server/core/spec/kinds.h"
#include "tests/fakes/all_kinds.h"

namespace shadow {
namespace {

TEST_CASE("every kind that a pool may name has its row") {
  for (const v1::Provider& spec : AllKinds<v1::Provider>()) {
    const ProviderKind& kind = KindOf(spec);
    CHECK(kind.kind == spec.kind_case());
    CHECK(kind.traits.poll_interval > absl::ZeroDuration());
    CHECK(kind.traits.list_interval > absl::ZeroDuration());
    CHECK(kind.traits.call_time > absl::ZeroDuration());
    CHECK(kind.traits.operations_per_call >= 1);
  }
  for (const v1::Balancer& spec : AllKinds<v1::Balancer>()) {
    CHECK(KindOf(spec).kind == spec.kind_case());
  }
  for (const v1::UsageSource& spec : AllKinds<v1::UsageSource>()) {
    CHECK(KindOf(spec).kind == spec.kind_case());
  }
}

TEST_CASE("providers of different kinds are different ones, and those of one spec the same") {
  std::set<std::string> keys;
  for (const v1::Provider& spec : AllKinds<v1::Provider>()) {
    CHECK(keys.insert(CompileProvider(spec)->key).second);
    CHECK(CompileProvider(spec)->key == CompileProvider(spec)->key);
  }
  CHECK(keys.contains(DefaultProvider()->key));
}

TEST_CASE("the slice of units of the host is not for a pool to say") {
  const auto problem = [](v1::SystemdProvider::Manager manager, const std::string& slice) {
    v1::Provider spec;
    spec.mutable_systemd()->set_manager(manager);
    spec.mutable_systemd()->set_slice(slice);
    FieldChecker check;
    KindOf(spec).compile("pool.provider", spec, check);
    return ErrorField(check.status());
  };
  CHECK(problem(v1::SystemdProvider::USER, "apps.slice").empty());
  CHECK(problem(v1::SystemdProvider::SYSTEM, "").empty());
  CHECK(problem(v1::SystemdProvider::SYSTEM, "apps.slice") == "pool.provider.systemd.slice");
  CHECK(problem(v1::SystemdProvider::USER, "apps") == "pool.provider.systemd.slice");
}

TEST_CASE("balancers of different kinds take nothing from each other") {
  for (const v1::Balancer& mine : AllKinds<v1::Balancer>()) {
    for (const v1::Balancer& other : AllKinds<v1::Balancer>()) {
      if (mine.kind_case() == other.kind_case()) continue;
      CHECK(CheckNoConflict(mine, other, "pools/other").ok());
    }
  }
  v1::Balancer none;
  none.mutable_none();
  CHECK(CheckNoConflict(none, none, "pools/other").ok());
}

}  // namespace
}  // namespace shadow
