#include "server/providers/kubernetes/kubernetes_provider.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/providers/kubernetes/pod_names.h"
#include "server/providers/kubernetes/pod_spec.h"
#include "server/providers/kubernetes/pod_verify.h"

namespace shadow {
namespace {

constexpr absl::Duration kCallTime = absl::Milliseconds(1800);
constexpr absl::Duration kFeaturesTime = absl::Milliseconds(400);  // Of each of two requests.
constexpr absl::Duration kResizeWait = absl::Milliseconds(800);
constexpr int kConflictTries = 3;
constexpr int kForcedGraceSeconds = 1;
// A node that has not ended a pod by then is gone; its object is removed without it.
constexpr absl::Duration kNodePatience = absl::Seconds(30);
constexpr size_t kKilledMax = 10'000;

absl::Status PodGone(const std::string& id) {
  return absl::NotFoundError(absl::StrCat("instance ", id, " is gone"));
}

// What says nothing of the instance is tried again.
absl::Status Passing(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kAborted:
      return absl::UnavailableError(status.message());
    default:
      return status;
  }
}

Json PodPatch(const PodView& pod, Json metadata) {
  metadata["uid"] = pod.uid;  // Of no other pod that has its name.
  return {{"metadata", std::move(metadata)}};
}

}  // namespace

class KubernetesProvider::Call {
 public:
  explicit Call(Cluster& cluster)
      : cluster_(cluster), deadline_(cluster.clock().Now().mono + kCallTime) {}

  absl::Duration left() const {
    return std::max(deadline_ - cluster_.clock().Now().mono, absl::Milliseconds(1));
  }
  absl::Duration deadline() const { return deadline_; }

  // A conflict is tried again at once.
  absl::StatusOr<Json> operator()(ApiRequest request) {
    for (int tries = 1;; ++tries) {
      request.timeout = left();
      auto answer = cluster_.client().Call(request);
      if (!absl::IsAborted(answer.status()) || tries == kConflictTries) return answer;
    }
  }

 private:
  Cluster& cluster_;
  const absl::Duration deadline_;
};

KubernetesProvider::KubernetesProvider(std::shared_ptr<Cluster> cluster, Options options)
    : cluster_(std::move(cluster)), options_(std::move(options)) {}

KubernetesProvider::~KubernetesProvider() { cluster_->pods().Listen(nullptr); }

void KubernetesProvider::Listen(const std::function<void(std::string_view id)>& on_change) {
  cluster_->pods().Listen(on_change);
}

absl::Status KubernetesProvider::Supports(const CompiledDna& dna) { return CheckPodDna(dna.dna); }

std::vector<absl::Status> KubernetesProvider::Apply(std::span<const InstanceOp> operations) {
  std::vector<absl::Status> done;
  done.reserve(operations.size());
  for (const InstanceOp& operation : operations) done.push_back(Carry(operation));
  return done;
}

absl::Status KubernetesProvider::Carry(const InstanceOp& operation) {
  Call call(*cluster_);
  switch (operation.kind) {
    case InstanceOp::Kind::kCreate:
      return Create(operation.instance, call);
    case InstanceOp::Kind::kSuspend:
      return Passing(Suspend(operation.instance, call));
    case InstanceOp::Kind::kResume:
      return Passing(Resume(operation.instance, call));
    case InstanceOp::Kind::kDestroy:
      return Passing(Destroy(operation.instance, /*force=*/false, call));
    case InstanceOp::Kind::kKill:
      return Passing(Destroy(operation.instance, /*force=*/true, call));
  }
  return absl::InternalError("no such operation");
}

absl::StatusOr<std::shared_ptr<const PodView>> KubernetesProvider::Find(const std::string& id,
                                                                        Call& call) {
  auto known = cluster_->pods().Find(id);
  if (!known.ok() || *known != nullptr) return known;
  // The watch may be late.
  const auto answer = call({.path = cluster_->PodPath(PodName(cluster_->tag(), id))});
  if (absl::IsNotFound(answer.status())) return nullptr;
  if (!answer.ok()) return answer.status();
  auto pod = ReadPod(*answer);
  if (!pod.ok() || pod->id != id || pod->labels[kProviderLabel] != cluster_->tag()) {
    return absl::FailedPreconditionError(
        absl::StrCat("pod ", PodName(cluster_->tag(), id), " is somebody else's"));
  }
  cluster_->pods().Note(*answer);
  return std::make_shared<const PodView>(*std::move(pod));
}

absl::StatusOr<std::shared_ptr<const PodView>> KubernetesProvider::FindLiving(const std::string& id,
                                                                              Call& call) {
  auto pod = Find(id, call);
  if (!pod.ok()) return pod;
  const bool living =
      *pod != nullptr && (*pod)->life != Life::kExited && (*pod)->life != Life::kStopping;
  return living ? pod : PodGone(id);
}

absl::Status KubernetesProvider::Create(const InstanceSpec& instance, Call& call) {
  if (absl::Status status = CheckPodDna(instance.dna->dna); !status.ok()) return status;
  // The list tells of what is there; a name that is taken, of what the list did not.
  const auto known = cluster_->pods().Find(instance.id);
  if (!known.ok()) return known.status();
  if (*known != nullptr) return absl::OkStatus();
  Json from;
  const std::string& deployment = cluster_->spec().template_deployment();
  if (!deployment.empty()) {
    const auto answer = call({.path = absl::StrCat("/apis/apps/v1/namespaces/", cluster_->space(),
                                                   "/deployments/", deployment)});
    if (absl::IsNotFound(answer.status())) {
      return FieldError("pool.provider.kubernetes.template_deployment", "is not there",
                        absl::StatusCode::kFailedPrecondition);
    }
    if (!answer.ok()) return Passing(answer.status());
    const Json* const found = Below(*answer, {"spec", "template"});
    if (found != nullptr) from = *found;
  }
  const auto pod = MakePod(
      instance, {.tag = cluster_->tag(), .store_id = options_.store_id, .epoch = options_.epoch},
      deployment.empty() ? nullptr : &from);
  if (!pod.ok()) return pod.status();
  const auto made = call({.method = "POST",
                          .path = absl::StrCat("/api/v1/namespaces/", cluster_->space(), "/pods"),
                          .body = *pod});
  if (made.ok()) {
    cluster_->pods().Note(*made);
    return absl::OkStatus();
  }
  if (absl::IsAlreadyExists(made.status())) {
    const auto found = Find(instance.id, call);
    if (!found.ok()) return Passing(found.status());
    return *found != nullptr ? absl::OkStatus() : absl::UnavailableError("its pod was just gone");
  }
  // By its rights, its policies or a webhook; the pod will not be better in a moment.
  if (absl::IsPermissionDenied(made.status()) || absl::IsInvalidArgument(made.status())) {
    return absl::FailedPreconditionError(made.status().message());
  }
  return Passing(made.status());
}

absl::Status KubernetesProvider::SetState(const PodView& pod, const char* state, Call& call) {
  const auto found = pod.labels.find(kStateLabel);
  if (found != pod.labels.end() && found->second == state) return absl::OkStatus();
  const auto answer = call({.method = "PATCH",
                            .path = cluster_->PodPath(pod.name),
                            .body = PodPatch(pod, {{"labels", {{kStateLabel, state}}}}),
                            .content_type = kMergePatch});
  if (answer.ok()) cluster_->pods().Note(*answer);
  // Another pod has its name: its uid is another one, which an API server takes for a change.
  return absl::IsInvalidArgument(answer.status()) ? PodGone(pod.id) : answer.status();
}

std::optional<int64_t> KubernetesProvider::SuspendedCpu(const v1::Dna& dna) const {
  const v1::KubernetesProvider& spec = cluster_->spec();
  if (spec.demotion() != v1::KubernetesProvider::RESIZE || !dna.resources().has_cpu_millis() ||
      dna.resources().cpu_millis() <= spec.suspended_cpu_millis()) {
    return std::nullopt;
  }
  return spec.suspended_cpu_millis();
}

absl::Status KubernetesProvider::Resize(const PodView& pod, int64_t millis, Call& call) {
  const Json cpu = {{"cpu", MillisQuantity(millis)}};
  const Json container = {{"name", pod.container},
                          {"resources", {{"requests", cpu}, {"limits", cpu}}}};
  Json patch = PodPatch(pod, Json::object());
  patch["spec"]["containers"] = Json::array({container});
  const auto answer = call({.method = "PATCH",
                            .path = cluster_->PodPath(pod.name, "/resize"),
                            .body = patch,
                            .content_type = kStrategicPatch});
  if (answer.ok()) cluster_->pods().Note(*answer);
  return answer.status();
}

absl::Status KubernetesProvider::Suspend(const InstanceSpec& instance, Call& call) {
  const auto pod = FindLiving(instance.id, call);
  if (!pod.ok()) return pod.status();
  if (absl::Status status = SetState(**pod, kStateSuspended, call); !status.ok()) return status;
  const auto cpu = instance.dna == nullptr ? std::nullopt : SuspendedCpu(instance.dna->dna);
  if (!cpu.has_value() || (*pod)->wanted_cpu_millis == *cpu) return absl::OkStatus();
  const auto features = cluster_->Features(call.left());
  if (!features.ok()) return features.status();
  if (!features->resizes) return absl::OkStatus();
  const absl::Status resized = Resize(**pod, *cpu, call);
  // A pod of a static policy, or on an old node, keeps its CPU.
  return absl::IsInvalidArgument(resized) ? absl::OkStatus() : resized;
}

absl::Status KubernetesProvider::Resume(const InstanceSpec& instance, Call& call) {
  const auto pod = FindLiving(instance.id, call);
  if (!pod.ok()) return pod.status();
  const int64_t cpu = instance.dna->dna.resources().cpu_millis();
  const bool small = SuspendedCpu(instance.dna->dna).has_value() &&
                     (*pod)->wanted_cpu_millis.has_value() && *(*pod)->wanted_cpu_millis != cpu;
  if (small) {
    if (absl::Status status = Resize(**pod, cpu, call); !status.ok()) {
      return absl::IsInvalidArgument(status) ? absl::FailedPreconditionError(status.message())
                                             : status;
    }
  }
  if (SuspendedCpu(instance.dna->dna).has_value()) {
    // Its node says when it has it; one that does not say is taken at its word.
    std::string pending;
    const auto has_it = [&](const PodView* now) {
      pending = now == nullptr ? "" : now->resize_pending;
      return now == nullptr || !now->cpu_millis.has_value() || *now->cpu_millis >= cpu;
    };
    const absl::Duration until =
        std::min(call.deadline(), cluster_->clock().Now().mono + kResizeWait);
    if (!cluster_->pods().Await(instance.id, until, has_it)) {
      return pending.empty() ? absl::UnavailableError("its node has not given it its CPU back yet")
                             : absl::ResourceExhaustedError(absl::StrCat(
                                   "its node does not give it its CPU back: ", pending));
    }
  }
  return SetState(**pod, kStateRunning, call);
}

bool KubernetesProvider::IsHopeless(const std::string& id) {
  const absl::Duration now = cluster_->clock().Now().mono;
  const std::lock_guard lock(mutex_);
  if (killed_.size() > kKilledMax) killed_.clear();
  return now - killed_.try_emplace(id, now).first->second > kNodePatience;
}

absl::Status KubernetesProvider::Destroy(const InstanceSpec& instance, bool force, Call& call) {
  const auto pod = Find(instance.id, call);
  if (!pod.ok()) return pod.status();
  if (*pod == nullptr) {
    const std::lock_guard lock(mutex_);
    killed_.erase(instance.id);
    return absl::OkStatus();
  }
  if (!force && (*pod)->deleting) return absl::OkStatus();
  Json options = {
      {"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"preconditions", {{"uid", (*pod)->uid}}}};
  if (force) options["gracePeriodSeconds"] = IsHopeless(instance.id) ? 0 : kForcedGraceSeconds;
  const auto answer = call(
      {.method = "DELETE", .path = cluster_->PodPath((*pod)->name), .body = std::move(options)});
  if (absl::IsNotFound(answer.status())) return absl::OkStatus();
  if (answer.ok()) cluster_->pods().Note(*answer);
  return answer.status();
}

absl::StatusOr<Observation> KubernetesProvider::Inspect(const InstanceSpec& instance) {
  const auto pod = cluster_->pods().Find(instance.id);
  if (!pod.ok()) return pod.status();
  if (*pod != nullptr) return ObservationOf(**pod);
  Observation nothing;
  nothing.id = instance.id;
  return nothing;
}

absl::StatusOr<std::optional<Provider::Differences>> KubernetesProvider::Verify(
    const InstanceSpec& instance, Part part) {
  Call call(*cluster_);
  const auto pod = FindLiving(instance.id, call);
  if (!pod.ok()) return pod.status();
  if (part == Part::kConnections) return Differences{};  // A DNA with any is refused.
  const auto now = call({.path = cluster_->PodPath((*pod)->name)});
  if (absl::IsNotFound(now.status())) return PodGone(instance.id);
  if (!now.ok()) return Passing(now.status());
  PodExpectation expectation{.templated = !cluster_->spec().template_deployment().empty(),
                             .suspended_cpu_millis = std::nullopt};
  if ((*pod)->suspended) expectation.suspended_cpu_millis = SuspendedCpu(instance.dna->dna);
  return PodDifferences(instance, *now, expectation);
}

absl::StatusOr<std::vector<Observation>> KubernetesProvider::List() {
  const auto pods = cluster_->pods().All();
  if (!pods.ok()) return pods.status();
  std::vector<std::string> missing;
  const auto features = cluster_->Features(kFeaturesTime);
  if (features.ok() && !features->resizes &&
      cluster_->spec().demotion() == v1::KubernetesProvider::RESIZE) {
    missing.emplace_back("resize");
  }
  std::vector<Observation> all;
  all.reserve(pods->size());
  for (const auto& [id, pod] : *pods) {
    all.push_back(ObservationOf(*pod));
    if (features.ok()) all.back().missing_controllers = missing;
  }
  return all;
}

}  // namespace shadow
