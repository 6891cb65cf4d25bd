#include "server/providers/kubernetes/pod_verify.h"

#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/providers/kubernetes/api_errors.h"
#include "server/providers/kubernetes/pod_names.h"
#include "server/providers/kubernetes/pod_spec.h"
#include "server/providers/kubernetes/pod_view.h"
#include "server/providers/kubernetes/quantity.h"

namespace shadow {
namespace {

constexpr size_t kShownMaxBytes = 100;

std::string ShownJson(const Json* value) {
  if (value == nullptr || value->is_null()) return "nothing";
  return Printable(value->dump(-1, ' ', false, Json::error_handler_t::replace), kShownMaxBytes);
}

// Whether an API server, which leaves out what is empty or false, would show `wanted` so.
bool Same(const Json& wanted, const Json* found) {
  if (found == nullptr || found->is_null()) {
    return wanted.is_null() || wanted == false || (wanted.is_structured() && wanted.empty()) ||
           (wanted.is_string() && wanted.get<std::string>().empty());
  }
  return wanted == *found;
}

// All that is wanted is there; more may be.
bool Holds(const Json& wanted, const Json* found) {
  if (!wanted.is_object() || found == nullptr || !found->is_object()) return Same(wanted, found);
  for (const auto& [key, value] : wanted.items()) {
    if (!Holds(value, found->contains(key) ? &(*found)[key] : nullptr)) return false;
  }
  return true;
}

class PodComparison {
 public:
  PodComparison(const InstanceSpec& instance, const Json& pod, const PodExpectation& expectation)
      : dna_(instance.dna->dna),
        pod_(pod),
        expectation_(expectation),
        wanted_(MakeContainer(instance)) {}

  Provider::Differences Run() {
    const Json* const containers = Below(pod_, {"spec", "containers"});
    const std::string name = TextBelow(pod_, {"metadata", "annotations", kContainerAnnotation});
    const Json* const ours = containers == nullptr ? nullptr : NamedIn(*containers, name);
    if (ours == nullptr) {
      Add("process", "a container", nullptr);
      return std::move(found_);
    }
    ours_ = ours;
    CompareImage(name);
    Compare("process.argv", "command");
    Absent("process.argv", "args");
    Compare("process.working_directory", "workingDir");
    CompareEnvironment();
    CompareResources();
    CompareSecurity();
    CompareProbe();
    CompareVolumes();
    ComparePod();
    return std::move(found_);
  }

 private:
  void Add(const std::string& field, const std::string& wanted, const Json* found) {
    found_.push_back(absl::StrCat("dna.", field, ": wanted ", Printable(wanted, kShownMaxBytes),
                                  ", found ", ShownJson(found)));
  }
  const Json* At(const char* key) const { return Below(*ours_, {key}); }

  void Compare(const std::string& field, const char* key) {
    if (!Same(wanted_[key], At(key))) Add(field, ShownJson(&wanted_[key]), At(key));
  }
  void Part(const std::string& field, const char* key) {
    if (!Holds(wanted_[key], At(key))) Add(field, ShownJson(&wanted_[key]), At(key));
  }
  void Absent(const std::string& field, const char* key) {
    const Json* const found = At(key);
    if (found != nullptr && !found->empty()) Add(field, "no " + std::string(key), found);
  }

  void CompareImage(const std::string& name) {
    Compare("operating_system.image", "image");
    const Json* const statuses = Below(pod_, {"status", "containerStatuses"});
    const Json* const status = statuses == nullptr ? nullptr : NamedIn(*statuses, name);
    const std::string id = status == nullptr ? "" : TextBelow(*status, {"imageID"});
    // A runtime may name the image by an id of its own instead, which says nothing.
    const size_t at = id.find('@');
    if (at == std::string::npos || id.substr(at + 1) == dna_.operating_system().image_digest()) {
      return;
    }
    const Json digest = id.substr(at + 1);
    Add("operating_system.image_digest", dna_.operating_system().image_digest(), &digest);
  }

  // Values are not shown: they may be somebody's secrets.
  void CompareEnvironment() {
    std::map<std::string, const Json*> left;
    if (const Json* const all = At("env"); all != nullptr && all->is_array()) {
      for (const Json& one : *all) left[TextBelow(one, {"name"})] = &one;
    }
    for (const Json& wanted : wanted_["env"]) {
      const std::string name = wanted["name"].get<std::string>();
      const auto one = left.find(name);
      const bool same = one != left.end() && SameVariable(wanted, *one->second);
      if (one != left.end()) left.erase(one);
      if (!same) {
        found_.push_back(
            absl::StrCat("dna.process.environment[", name, "]: differs or is missing"));
      }
    }
    if (expectation_.templated) return;
    for (const auto& [name, variable] : left) {
      found_.push_back(absl::StrCat("dna.process.environment[", Printable(name, kShownMaxBytes),
                                    "]: wanted nothing, found a value"));
    }
    Absent("process.environment", "envFrom");
  }
  static bool SameVariable(const Json& wanted, const Json& found) {
    if (wanted.contains("value")) {
      return TextBelow(found, {"value"}) == wanted["value"].get<std::string>() &&
             !found.contains("valueFrom");
    }
    return found.contains("valueFrom") && Holds(wanted["valueFrom"], &found["valueFrom"]);
  }

  void CompareSecurity() {
    Part("security", "securityContext");
    const Json wanted = wanted_["securityContext"]["capabilities"].value("add", Json::array());
    const Json* const more = Below(*ours_, {"securityContext", "capabilities", "add"});
    if (wanted.empty() && !Same(wanted, more)) Add("security.capabilities", "none", more);
    const Json* const user = Below(*ours_, {"securityContext", "runAsUser"});
    if (dna_.security().user().empty() && user != nullptr && !expectation_.templated) {
      Add("security.user", "that of the image", user);
    }
  }

  void CompareResources() {
    const v1::Resources& resources = dna_.resources();
    if (resources.has_cpu_millis()) {
      Amount("cpu_millis", "cpu", resources.cpu_millis(), expectation_.suspended_cpu_millis);
    }
    if (resources.has_memory_max_bytes()) {
      Amount("memory_max_bytes", "memory", resources.memory_max_bytes() * 1000, std::nullopt);
    }
  }
  void Amount(const std::string& field, const char* key, int64_t millis,
              std::optional<int64_t> also) {
    const auto found = ParseQuantityMillis(TextBelow(*ours_, {"resources", "limits", key}));
    if (found == millis || (also.has_value() && found == also)) return;
    Add("resources." + field, absl::StrCat("a limit of ", millis, " thousandths"),
        Below(*ours_, {"resources", "limits", key}));
  }

  void CompareProbe() {
    if (!wanted_.contains("readinessProbe")) {
      if (!expectation_.templated) Absent("process.ready_check", "readinessProbe");
      return;
    }
    Part("process.ready_check", "readinessProbe");
  }

  void CompareVolumes() {
    const Json mounts = wanted_.value("volumeMounts", Json::array());
    const Json spec = MakePodSpec(dna_);
    for (const Json& mount : mounts) {
      const Json* found = nullptr;
      if (const Json* const all = At("volumeMounts"); all != nullptr && all->is_array()) {
        for (const Json& one : *all) {
          if (TextBelow(one, {"mountPath"}) == mount["mountPath"]) found = &one;
        }
      }
      const Json* const volumes = Below(pod_, {"spec", "volumes"});
      const std::string name = mount["name"].get<std::string>();
      const Json* const volume = volumes == nullptr ? nullptr : NamedIn(*volumes, name);
      const std::string at = absl::StrCat("data_sets at ", mount["mountPath"].get<std::string>());
      // A mount that nobody wanted to be read-only is more than was asked for.
      const bool writable = !mount.contains("readOnly") && found != nullptr &&
                            !Same(false, Below(*found, {"readOnly"}));
      if (!Holds(mount, found) || writable) {
        Add(at, ShownJson(&mount), found);
      } else if (!Holds(*NamedIn(spec["volumes"], name), volume)) {
        Add(at, ShownJson(NamedIn(spec["volumes"], name)), volume);
      }
    }
  }

  void ComparePod() {
    const Json wanted = MakePodSpec(dna_);
    const Json* const spec = Below(pod_, {"spec"});
    const auto part = [&](const std::string& field, const char* key) {
      const Json* const found = Below(*spec, {key});
      if (!Holds(wanted[key], found)) Add(field, ShownJson(&wanted[key]), found);
    };
    part("process.stop_timeout", "terminationGracePeriodSeconds");
    part("process", "restartPolicy");
    if (!expectation_.templated) part("security", "securityContext");
    for (const char* const key : {"hostNetwork", "hostPID", "hostIPC"}) {
      if (Below(*spec, {key}) != nullptr && *Below(*spec, {key}) == true &&
          !expectation_.templated) {
        Add("security", "no " + std::string(key), Below(*spec, {key}));
      }
    }
    const Json check = MakeDataCheck(dna_);
    if (check.is_null()) return;
    const Json* const all = Below(*spec, {"initContainers"});
    const Json* const found = all == nullptr ? nullptr : NamedIn(*all, kCheckName);
    const Json* const command = found == nullptr ? nullptr : Below(*found, {"command"});
    if (!Same(check["command"], command)) Add("data_sets", "their digests compared", command);
  }

  const v1::Dna& dna_;
  const Json& pod_;
  const PodExpectation& expectation_;
  const Json wanted_;
  const Json* ours_ = nullptr;
  Provider::Differences found_;
};

}  // namespace

Provider::Differences PodDifferences(const InstanceSpec& instance, const Json& pod,
                                     const PodExpectation& expectation) {
  return PodComparison(instance, pod, expectation).Run();
}

}  // namespace shadow
