#include "server/providers/kubernetes/pod_view.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/core/names.h"
#include "server/core/text.h"
#include "server/providers/kubernetes/api_errors.h"
#include "server/providers/kubernetes/pod_names.h"
#include "server/providers/kubernetes/quantity.h"

namespace shadow {
namespace {

constexpr size_t kReasonMaxBytes = 300;
constexpr int kPodPortMax = 65535;

const Json* Condition(const Json& status, const std::string& type) {
  const Json* const all = Below(status, {"conditions"});
  if (all == nullptr || !all->is_array()) return nullptr;
  for (const Json& one : *all) {
    if (TextBelow(one, {"type"}) == type) return &one;
  }
  return nullptr;
}

bool IsTrue(const Json* condition) {
  return condition != nullptr && TextBelow(*condition, {"status"}) == "True";
}

std::optional<int64_t> CpuOf(const Json* container) {
  if (container == nullptr) return std::nullopt;
  const std::string cpu = TextBelow(*container, {"resources", "requests", "cpu"});
  return cpu.empty() ? std::nullopt : ParseQuantityMillis(cpu);
}

// The first of `statuses` that has ended badly, or that has ended at all.
std::string EndOfContainers(const Json* statuses) {
  if (statuses == nullptr || !statuses->is_array()) return "";
  std::string any;
  for (const Json& one : *statuses) {
    const Json* const end = Below(one, {"state", "terminated"});
    if (end == nullptr) continue;
    const Json* const code = Below(*end, {"exitCode"});
    const int64_t status = code != nullptr && code->is_number_integer() ? code->get<int64_t>() : 0;
    std::string said = absl::StrCat("exit status ", status);
    const std::string reason = TextBelow(*end, {"reason"});
    if (!reason.empty() && reason != "Error" && reason != "Completed") {
      absl::StrAppend(&said, " (", reason, ")");
    }
    const std::string words = TextBelow(*end, {"message"});
    if (!words.empty()) absl::StrAppend(&said, "; last output: ", words);
    if (status != 0) return said;
    if (any.empty()) any = said;
  }
  return any;
}

std::string ExitReason(const Json& status, const std::string& container) {
  std::string said = TextBelow(status, {"reason"});  // e.g. "Evicted"
  const std::string message = TextBelow(status, {"message"});
  if (!message.empty()) absl::StrAppend(&said, said.empty() ? "" : ": ", message);
  if (said.empty()) {
    const Json* const statuses = Below(status, {"containerStatuses"});
    const Json* const ours = statuses == nullptr ? nullptr : NamedIn(*statuses, container);
    if (ours != nullptr && Below(*ours, {"state", "terminated"}) != nullptr) {
      said = EndOfContainers(statuses->is_array() ? statuses : nullptr);
    }
  }
  if (said.empty() || said.starts_with("exit status 0")) {
    const std::string before = EndOfContainers(Below(status, {"initContainerStatuses"}));
    if (!before.empty() && !before.starts_with("exit status 0")) said = "init container: " + before;
  }
  return Printable(said.empty() ? std::string_view("its pod has ended") : std::string_view(said),
                   kReasonMaxBytes);
}

std::string ResizePending(const Json& status) {
  const Json* const pending = Condition(status, "PodResizePending");
  if (!IsTrue(pending)) return "";
  return Printable(
      absl::StrCat(TextBelow(*pending, {"reason"}), ": ", TextBelow(*pending, {"message"})),
      kReasonMaxBytes);
}

Life LifeOfPod(const PodView& pod, const std::string& phase) {
  if (pod.deleting) return Life::kStopping;
  if (phase == "Failed" || phase == "Succeeded") return Life::kExited;
  // A node that is gone makes it Unknown; it may well run.
  if (phase == "Pending" || phase.empty() || pod.address.empty()) return Life::kStarting;
  return pod.suspended ? Life::kSuspended : Life::kRunning;
}

std::string PodAddress(const std::string& ip, const std::string& port) {
  int number = 0;
  if (ip.empty() || !absl::SimpleAtoi(port, &number) || number < 1 || number > kPodPortMax)
    return "";
  const bool known = std::all_of(ip.begin(), ip.end(), [](char c) {
    return IsDigit(c) || (c >= 'a' && c <= 'f') || c == '.' || c == ':';
  });
  if (!known) return "";
  return ip.find(':') == std::string::npos ? absl::StrCat(ip, ":", number)
                                           : absl::StrCat("[", ip, "]:", number);
}

}  // namespace

const Json* Below(const Json& object, std::initializer_list<const char*> path) {
  const Json* at = &object;
  for (const char* const key : path) {
    if (!at->is_object()) return nullptr;
    const auto found = at->find(key);
    if (found == at->end()) return nullptr;
    at = &*found;
  }
  return at;
}

std::string TextBelow(const Json& object, std::initializer_list<const char*> path) {
  const Json* const found = Below(object, path);
  return found != nullptr && found->is_string() ? found->get<std::string>() : std::string();
}

const Json* NamedIn(const Json& list, const std::string& name) {
  if (!list.is_array()) return nullptr;
  for (const Json& one : list) {
    if (TextBelow(one, {"name"}) == name) return &one;
  }
  return nullptr;
}

absl::StatusOr<PodView> ReadPod(const Json& pod) {
  PodView view;
  view.name = TextBelow(pod, {"metadata", "name"});
  view.uid = TextBelow(pod, {"metadata", "uid"});
  const Json* const labels = Below(pod, {"metadata", "labels"});
  if (labels != nullptr && labels->is_object()) {
    for (const auto& [key, value] : labels->items()) {
      if (value.is_string()) view.labels[key] = value.get<std::string>();
    }
  }
  view.id = view.labels[kInstanceLabel];
  view.pool = view.labels[kPoolLabel];
  if (view.name.empty() || view.uid.empty() || !IsId(view.id) ||
      !absl::SimpleAtoi(TextBelow(pod, {"metadata", "resourceVersion"}), &view.version)) {
    return absl::InvalidArgumentError("this is no pod of an instance");
  }
  view.suspended = view.labels[kStateLabel] == kStateSuspended;
  view.epoch = TextBelow(pod, {"metadata", "annotations", kEpochAnnotation});
  view.container = TextBelow(pod, {"metadata", "annotations", kContainerAnnotation});
  view.deleting = !TextBelow(pod, {"metadata", "deletionTimestamp"}).empty();
  view.node = Printable(TextBelow(pod, {"spec", "nodeName"}), kReasonMaxBytes);
  view.address = PodAddress(TextBelow(pod, {"status", "podIP"}),
                            TextBelow(pod, {"metadata", "annotations", kPortAnnotation}));
  if (const Json* const containers = Below(pod, {"spec", "containers"})) {
    view.wanted_cpu_millis = CpuOf(NamedIn(*containers, view.container));
  }
  if (const Json* const status = Below(pod, {"status"})) {
    view.ready = IsTrue(Condition(*status, "Ready"));
    view.resize_pending = ResizePending(*status);
    if (const Json* const statuses = Below(*status, {"containerStatuses"})) {
      view.cpu_millis = CpuOf(NamedIn(*statuses, view.container));
    }
    view.life = LifeOfPod(view, TextBelow(*status, {"phase"}));
    if (view.life == Life::kExited) view.exit_reason = ExitReason(*status, view.container);
  } else {
    view.life = LifeOfPod(view, "");
  }
  return view;
}

Observation ObservationOf(const PodView& pod) {
  Observation seen;
  seen.id = pod.id;
  seen.epoch = pod.epoch;
  seen.life = pod.life;
  seen.address = pod.address;
  seen.handle = absl::StrCat("pod ", pod.name);
  seen.exit_reason = pod.exit_reason;
  return seen;
}

}  // namespace shadow
