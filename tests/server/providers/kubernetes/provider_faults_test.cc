// What a cluster does to a provider: it forgets, is busy, breaks off, and others write too.
#include <catch2/catch.hpp>
#include <string>

#include "absl/strings/match.h"
#include "server/core/error.h"
#include "tests/server/providers/kubernetes_world.h"
#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

using OpKind = InstanceOp::Kind;

std::string LabelOf(KubernetesWorld& world, const std::string& label) {
  const auto pods = world.pods().Pods();
  REQUIRE(pods.size() == 1);
  return pods[0]["metadata"]["labels"].value(label, "");
}

// One that runs.
InstanceSpec Running(KubernetesWorld& world, const CompiledDna& dna = PodDna()) {
  const InstanceSpec instance = TestInstance("a1", dna);
  REQUIRE(world.provider().ApplyOne(OpKind::kCreate, instance).ok());
  REQUIRE(Becomes(world.provider(), instance, Life::kRunning));
  return instance;
}

bool ListBecomes(KubernetesWorld& world, bool good) {
  return PollUntil(kPatience, [&] { return world.provider().List().ok() == good; });
}

TEST_CASE("a pod says itself whether it is suspended") {
  KubernetesWorld world;
  const InstanceSpec instance = Running(world);
  CHECK(LabelOf(world, kStateLabel) == "running");
  REQUIRE(Suspend(world.provider(), instance).ok());
  CHECK(LabelOf(world, kStateLabel) == "suspended");
  REQUIRE(Resume(world.provider(), instance).ok());
  CHECK(LabelOf(world, kStateLabel) == "running");
}

TEST_CASE("a suspended pod has the least CPU where the cluster can resize") {
  KubernetesWorld world;
  const bool resizes = GENERATE(true, false);
  world.pods().SetResizes(resizes);
  const InstanceSpec instance = Running(world, KubernetesWorld::LimitedDna());
  const auto cpu = [&] {
    return world.pods().Pods()[0]["spec"]["containers"][0]["resources"]["limits"]["cpu"];
  };
  CHECK(cpu() == "500m");
  REQUIRE(Suspend(world.provider(), instance).ok());
  CHECK(cpu() == (resizes ? "10m" : "500m"));
  CHECK(Verified(world.provider(), instance) == Provider::Differences{});
  REQUIRE(Resume(world.provider(), instance).ok());
  CHECK(cpu() == "500m");
  CHECK(Verified(world.provider(), instance) == Provider::Differences{});
  const auto all = world.provider().List();
  REQUIRE(all.ok());
  REQUIRE(all->size() == 1);
  REQUIRE(all->front().missing_controllers.has_value());
  CHECK(all->front().missing_controllers->empty() == resizes);
}

TEST_CASE("a pod whose demotion keeps its CPU is not resized") {
  KubernetesWorld world;
  world.change_spec = [](v1::KubernetesProvider& spec) {
    spec.set_demotion(v1::KubernetesProvider::KEEP);
  };
  world.Reopen();
  const InstanceSpec instance = Running(world, KubernetesWorld::LimitedDna());
  REQUIRE(Suspend(world.provider(), instance).ok());
  CHECK(world.pods().Pods()[0]["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "500m");
}

TEST_CASE("a pod that its node does not give its CPU back yet is not resumed, nor failed") {
  KubernetesWorld world;
  const InstanceSpec instance = Running(world, KubernetesWorld::LimitedDna());
  REQUIRE(Suspend(world.provider(), instance).ok());
  world.pods().SetDefers(true);
  const absl::Status resumed = Resume(world.provider(), instance);
  CHECK(absl::IsResourceExhausted(resumed));
  CHECK(absl::StrContains(resumed.message(), "Deferred"));
  CHECK(LabelOf(world, kStateLabel) == "suspended");
  world.pods().Change(world.NameOf("a1"), [](Json& pod) {
    pod["status"]["conditions"].erase(1);
    pod["status"]["containerStatuses"][0]["resources"]["requests"]["cpu"] = "500m";
  });
  CHECK(Resume(world.provider(), instance).ok());
  CHECK(LabelOf(world, kStateLabel) == "running");
}

TEST_CASE("an answer that is lost doubles no pod") {
  KubernetesWorld world;
  REQUIRE(ListBecomes(world, true));
  world.server().SetCut(true);
  const InstanceSpec instance = TestInstance("a1", PodDna());
  CHECK_FALSE(world.provider().ApplyOne(OpKind::kCreate, instance).ok());
  world.server().SetCut(false);
  CHECK(world.provider().ApplyOne(OpKind::kCreate, instance).ok());
  CHECK(world.pods().Pods().size() == 1);
  CHECK(Becomes(world.provider(), instance, Life::kRunning));
}

TEST_CASE("a cluster that is busy, or written by others too, fails no instance") {
  KubernetesWorld world;
  const InstanceSpec instance = Running(world);
  const FakePods::Answer conflict = FakePods::Refusal(409, "Conflict", "the object was modified");
  world.server().Fail(conflict, 2);
  CHECK(Suspend(world.provider(), instance).ok());
  world.server().Fail(conflict, 100);
  CHECK(absl::IsUnavailable(Resume(world.provider(), instance)));
  world.server().Fail(FakePods::Refusal(403, "Forbidden", "not allowed to"), 100);
  CHECK(absl::IsUnavailable(Resume(world.provider(), instance)));
  FakePods::Answer busy = FakePods::Refusal(429, "TooManyRequests", "later");
  busy.headers = "Retry-After: 1\r\n";
  world.server().Fail(busy, 1);
  CHECK(Resume(world.provider(), instance).ok());
  busy.headers = "Retry-After: 5\r\n";
  world.server().Fail(busy, 1);
  CHECK(absl::IsResourceExhausted(Suspend(world.provider(), instance)));
}

TEST_CASE("a pod that the cluster does not admit fails with its words, and nothing is left") {
  KubernetesWorld world;
  REQUIRE(ListBecomes(world, true));
  world.pods().SetAdmission([](Json& pod) { pod = nullptr; });
  const InstanceSpec instance = TestInstance("a1", PodDna());
  const absl::Status refused = world.provider().ApplyOne(OpKind::kCreate, instance);
  CHECK(absl::IsFailedPrecondition(refused));
  CHECK(absl::StrContains(refused.message(), "no.example"));
  CHECK(Look(world.provider(), instance).life == Life::kAbsent);
}

TEST_CASE("a webhook that changes a pod makes it differ from its DNA") {
  KubernetesWorld world;
  world.pods().SetAdmission(
      [](Json& pod) { pod["spec"]["containers"][0]["image"] = "registry.example/other"; });
  const InstanceSpec instance = Running(world);
  const auto found = Verified(world.provider(), instance);
  REQUIRE(found.has_value());
  REQUIRE(found->size() == 1);
  CHECK(absl::StrContains((*found)[0], "dna.operating_system.image"));
}

TEST_CASE("a watch that breaks, or is forgotten, misses nothing") {
  KubernetesWorld world;
  const InstanceSpec instance = Running(world);
  const auto seen_at = [&](bool ready) {
    return PollUntil(kPatience, [&] {
      const auto pod = world.cluster()->pods().Find("a1");
      return pod.ok() && *pod != nullptr && (*pod)->ready == ready;
    });
  };
  bool ready = true;
  for (int round = 0; round < 3; ++round) {
    const int watches = world.server().watches();
    world.server().BreakWatches();
    ready = !ready;
    world.pods().SetReady(world.NameOf("a1"), ready);
    if (round == 1) world.pods().Forget();
    CHECK(seen_at(ready));
    CHECK(PollUntil(kPatience, [&] { return world.server().watches() > watches; }));
  }
  world.pods().Erase(world.NameOf("a1"));
  CHECK(Becomes(world.provider(), instance, Life::kAbsent));
}

TEST_CASE("a pod that went while nobody watched is gone after the next list") {
  KubernetesWorld world;
  const InstanceSpec instance = Running(world);
  world.server().Stop();
  world.pods().Erase(world.NameOf("a1"));
  world.pods().Forget();
  world.server().Start();
  CHECK(Becomes(world.provider(), instance, Life::kAbsent));
}

TEST_CASE("an API server that is gone is an error, never an empty list") {
  KubernetesWorld world;
  const InstanceSpec instance = Running(world);
  world.server().Stop();
  CHECK(ListBecomes(world, false));
  CHECK_FALSE(world.provider().Inspect(instance).ok());
  world.server().Start();
  CHECK(ListBecomes(world, true));
  CHECK(Look(world.provider(), instance).life == Life::kRunning);
}

TEST_CASE("nothing is known of a cluster that has never answered") {
  KubernetesWorld world;
  world.server().Stop();
  world.Reopen();
  const absl::Duration begun = world.clock().Now().mono;
  CHECK(absl::IsUnavailable(world.provider().List().status()));
  CHECK(world.clock().Now().mono - begun < absl::Seconds(2));
}

TEST_CASE("looks at a cluster cost no requests") {
  KubernetesWorld world;
  const InstanceSpec instance = Running(world);
  REQUIRE(world.provider().List().ok());
  const int before = world.server().requests();
  for (int i = 0; i < 100; ++i) {
    REQUIRE(world.provider().List().ok());
    REQUIRE(world.provider().Inspect(instance).ok());
  }
  CHECK(world.server().requests() == before);
}

TEST_CASE("pods of another store or provider are not seen, nor ended") {
  KubernetesWorld world;
  const InstanceSpec instance = Running(world);
  world.pods().Change(world.NameOf("a1"),
                      [](Json& pod) { pod["metadata"]["labels"][kProviderLabel] = "somebody"; });
  world.Reopen();
  REQUIRE(ListBecomes(world, true));
  CHECK(world.provider().List()->empty());
  CHECK_FALSE(Kill(world.provider(), instance).ok());
  CHECK_FALSE(world.provider().ApplyOne(OpKind::kCreate, instance).ok());
  CHECK(world.pods().Pods().size() == 1);
}

TEST_CASE("another pod that has the name of one is neither changed nor ended") {
  KubernetesWorld world;
  const InstanceSpec instance = Running(world);
  const auto version = [&] { return world.pods().Pods()[0]["metadata"]["resourceVersion"]; };
  world.pods().Replace(world.NameOf("a1"));  // Before a watch has told.
  const Json before = version();
  CHECK(absl::IsNotFound(Suspend(world.provider(), instance)));
  CHECK_FALSE(Destroy(world.provider(), instance).ok());
  CHECK(version() == before);
}

TEST_CASE("a pod with copied labels is not taken for the one whose labels they are") {
  KubernetesWorld world;
  const InstanceSpec instance = Running(world);
  const std::string address = Look(world.provider(), instance).address;
  REQUIRE(Create(world.provider(), TestInstance("b1", PodDna())).ok());
  REQUIRE(PollUntil(kPatience, [&] { return world.provider().List()->size() == 2; }));
  world.pods().Change(world.NameOf("b1"),
                      [](Json& pod) { pod["metadata"]["labels"][kInstanceLabel] = "a1"; });
  const auto sees_one = [&] {
    return PollUntil(kPatience, [&] {
      const auto all = world.provider().List();
      return all.ok() && all->size() == 1 && all->front().id == "a1" &&
             all->front().address == address;
    });
  };
  CHECK(sees_one());
  world.Reopen();
  CHECK(sees_one());
  REQUIRE(Destroy(world.provider(), instance).ok());
  CHECK(PollUntil(kPatience, [&] {
    const auto pods = world.pods().Pods();
    return pods.size() == 1 && pods[0]["metadata"]["name"] == world.NameOf("b1");
  }));
}

TEST_CASE("a list comes in pages") {
  KubernetesWorld world;
  constexpr int kPods = 600;
  for (int i = 0; i < kPods; ++i) {
    REQUIRE(Create(world.provider(), TestInstance("p" + std::to_string(i), PodDna())).ok());
  }
  world.Reopen();
  REQUIRE(ListBecomes(world, true));
  CHECK(world.provider().List()->size() == kPods);
}

TEST_CASE("a pod is made over the template of a Deployment") {
  KubernetesWorld world;
  world.change_spec = [](v1::KubernetesProvider& spec) { spec.set_template_deployment("web"); };
  world.Reopen();
  REQUIRE(ListBecomes(world, true));
  const InstanceSpec instance = TestInstance("a1", PodDna());
  const absl::Status missing = Create(world.provider(), instance);
  CHECK(absl::IsFailedPrecondition(missing));
  CHECK(ErrorField(missing) == "pool.provider.kubernetes.template_deployment");
  world.pods().SetTemplate(
      Json::parse(R"({"spec":{"containers":[{"name":"main","env":[{"name":"Z","value":"1"}]}]}})"));
  REQUIRE(Create(world.provider(), instance).ok());
  REQUIRE(Becomes(world.provider(), instance, Life::kRunning));
  CHECK(Verified(world.provider(), instance) == Provider::Differences{});
}

TEST_CASE("hostile pods of a list are left out, and the others are seen") {
  KubernetesWorld world;
  Running(world);
  for (const char* id : {"b1", "b2", "b3"}) {
    REQUIRE(Create(world.provider(), TestInstance(id, PodDna())).ok());
  }
  world.pods().Change(world.NameOf("b1"),
                      [](Json& pod) { pod["metadata"]["labels"][kInstanceLabel] = "../../x"; });
  world.pods().Change(world.NameOf("b2"), [](Json& pod) {
    pod["status"] = {{"podIP", "evil host/"}, {"phase", {1, 2}}, {"conditions", "x"}};
  });
  world.pods().Change(world.NameOf("b3"), [](Json& pod) {
    pod["status"] = {{"phase", "Failed"}, {"message", "\x1b[2Jhi\n" + std::string(9000, 'x')}};
  });
  world.Reopen();
  REQUIRE(ListBecomes(world, true));
  const auto all = world.provider().List();
  REQUIRE(all->size() == 3);
  for (const Observation& seen : *all) {
    CHECK(seen.id != "b1");
    if (seen.id == "b2") CHECK(seen.life == Life::kStarting);
    if (seen.id == "b3") {
      CHECK(seen.life == Life::kExited);
      CHECK(seen.exit_reason.size() <= 300);
      CHECK(seen.exit_reason.find('\x1b') == std::string::npos);
    }
  }
}

}  // namespace
}  // namespace shadow
