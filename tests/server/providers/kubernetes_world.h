// The Kubernetes provider to be tested: over pods in memory, behind an API server of tests/fakes.
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <utility>

#include "server/core/clock.h"
#include "server/providers/kubernetes/kubernetes_provider.h"
#include "server/providers/kubernetes/pod_names.h"
#include "tests/fakes/kubernetes/fake_api_server.h"
#include "tests/fakes/kubernetes/fake_pods.h"
#include "tests/fakes/test_dna.h"

namespace shadow {

inline CompiledDna PodDna() {
  CompiledDna dna = TestDna();
  dna.dna.mutable_operating_system()->set_image("registry.example/web");
  dna.dna.mutable_operating_system()->set_image_digest("sha256:" + std::string(64, 'a'));
  return dna;
}

class KubernetesWorld {
 public:
  static constexpr bool kTells = true;
  static constexpr char kEndReason[] = "exit status 3; last output: last words";

  KubernetesWorld() { Reopen(); }

  KubernetesProvider& provider() { return *provider_; }
  KubernetesProvider& Reopen() {
    provider_.reset();
    v1::Provider spec;
    *spec.mutable_kubernetes() = server_.Spec();
    if (change_spec) change_spec(*spec.mutable_kubernetes());
    const auto compiled = CompileProvider(spec);
    const auto place = FindApiPlace(spec.kubernetes(), EnvironmentVariable);
    REQUIRE(place.ok());
    cluster_ = std::make_shared<Cluster>(*place, "store", *compiled, clock_);
    provider_ = std::make_unique<KubernetesProvider>(
        cluster_, KubernetesProvider::Options{.store_id = "store", .epoch = Epoch()});
    return *provider_;
  }
  std::string Epoch() const { return "store/" + std::to_string(epoch); }

  static CompiledDna Dna() { return PodDna(); }
  static CompiledDna LimitedDna() {
    CompiledDna dna = Dna();
    dna.dna.mutable_security()->set_no_new_privileges(true);
    dna.dna.mutable_resources()->set_memory_max_bytes(64 << 20);
    dna.dna.mutable_resources()->set_cpu_millis(500);
    return dna;
  }
  CompiledDna StubbornDna() {
    pods_.SetStubborn(true);
    return Dna();
  }
  void AwaitStubborn(const InstanceSpec& /*instance*/) const {}
  CompiledDna ScarceDna() {
    pods_.SetQuota(1);
    return Dna();
  }
  void End(const InstanceSpec& instance) { pods_.End(NameOf(instance.id), 3); }

  std::string NameOf(const std::string& id) const { return PodName(cluster_->tag(), id); }
  FakePods& pods() { return pods_; }
  FakeApiServer& server() { return server_; }
  const std::shared_ptr<Cluster>& cluster() const { return cluster_; }
  SystemClock& clock() { return clock_; }

  int epoch = 1;  // Of the store; counts from the next Reopen on.
  std::function<void(v1::KubernetesProvider& spec)> change_spec;  // The same.

 private:
  SystemClock clock_;
  FakePods pods_;
  FakeApiServer server_{pods_};
  std::shared_ptr<Cluster> cluster_;
  std::unique_ptr<KubernetesProvider> provider_;
};

}  // namespace shadow
