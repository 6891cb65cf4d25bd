#include "server/providers/kubernetes/pod_spec.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "server/core/time_proto.h"
#include "server/providers/kubernetes/pod_names.h"

namespace shadow {
namespace {

constexpr int kDefaultPort = 20000;  // The first of those that an instance of a host gets.
constexpr int kGraceDefaultSeconds = 10;
constexpr int kProbeFailures = 3;

// Compares each pair of a path and a digest, as DataSet.sha256 has it. Needs a shell, find, sort,
// xargs, sed and sha256sum in the image.
constexpr char kCheckScript[] = R"(set -eu
while [ $# -gt 0 ]; do
  if [ -d "$1" ]; then
    got=$(cd "$1" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum |
          sed 's|  \./|  |' | sha256sum)
  else
    got=$(sha256sum < "$1")
  fi
  if [ "${got%% *}" != "$2" ]; then
    echo "data set $1 has the SHA-256 ${got%% *}; wanted $2" >&2
    exit 1
  fi
  shift 2
done)";

int WholeSeconds(absl::Duration duration, int least) {
  return std::max(least,
                  static_cast<int>(absl::ToInt64Seconds(absl::Ceil(duration, absl::Seconds(1)))));
}

std::string Image(const v1::OperatingSystem& system) {
  return absl::StrCat(system.image(), "@", system.image_digest());
}

Json EnvironmentOf(const InstanceSpec& instance) {
  const v1::Dna& dna = instance.dna->dna;
  Json all = Json::array();
  const auto add = [&all](const std::string& name, const std::string& value) {
    all.push_back({{"name", name}, {"value", WithoutReferences(value)}});
  };
  add("SHADOWD_POOL", instance.pool);
  add("SHADOWD_SHADOW", instance.shadow);
  add("SHADOWD_INSTANCE", instance.id);
  add("PORT", absl::StrCat(PodPort(dna)));
  std::map<std::string, std::string> sorted(dna.process().environment().begin(),
                                            dna.process().environment().end());
  for (const auto& [name, value] : sorted) add(name, value);
  for (const v1::Secret& secret : dna.security().secrets()) {
    const Json reference = {{"name", secret.secret_name()}, {"key", secret.secret_key()}};
    all.push_back(
        {{"name", secret.environment_variable()}, {"valueFrom", {{"secretKeyRef", reference}}}});
  }
  return all;
}

std::string VolumeOf(int data_set) { return absl::StrCat("data-", data_set); }

Json MountsOf(const v1::Dna& dna, bool read_only) {
  Json mounts = Json::array();
  for (int i = 0; i < dna.data_sets_size(); ++i) {
    const v1::DataSet& data = dna.data_sets(i);
    Json mount = {{"name", VolumeOf(i)},
                  {"mountPath", data.mount_path().empty() ? data.source() : data.mount_path()}};
    if (!data.volume_claim().empty() && data.source() != "/") {
      mount["subPath"] = std::string(absl::StripPrefix(data.source(), "/"));
    }
    if (data.read_only() || read_only) mount["readOnly"] = true;
    mounts.push_back(std::move(mount));
  }
  if (dna.security().private_tmp() && !read_only) {
    mounts.push_back({{"name", "tmp"}, {"mountPath", "/tmp"}});
    mounts.push_back({{"name", "var-tmp"}, {"mountPath", "/var/tmp"}});
  }
  return mounts;
}

Json ResourcesOf(const v1::Resources& resources) {
  Json amounts = Json::object();
  if (resources.has_cpu_millis()) amounts["cpu"] = MillisQuantity(resources.cpu_millis());
  if (resources.has_memory_max_bytes()) {
    amounts["memory"] = absl::StrCat(resources.memory_max_bytes());
  }
  if (amounts.empty()) return Json::object();
  return {{"requests", amounts}, {"limits", amounts}};
}

Json SecurityOf(const v1::Security& security) {
  Json capabilities = {{"drop", {"ALL"}}};
  for (const std::string& name : security.capabilities()) {
    capabilities["add"].push_back(std::string(absl::StripPrefix(name, "CAP_")));
  }
  Json context = {{"privileged", false}, {"capabilities", std::move(capabilities)}};
  if (security.no_new_privileges()) context["allowPrivilegeEscalation"] = false;
  if (security.protect_system() == v1::Security::STRICT) context["readOnlyRootFilesystem"] = true;
  if (!security.user().empty()) {
    const int64_t user = std::stoll(security.user());
    context["runAsUser"] = user;
    if (user != 0) context["runAsNonRoot"] = true;
  }
  return context;
}

// Services go by it; the daemon's own check is exact.
Json ProbeOf(const v1::Dna& dna) {
  const v1::ReadyCheck& check = dna.process().ready_check();
  if (check.has_none()) return nullptr;
  Json probe = {{"periodSeconds", 1}, {"timeoutSeconds", 1}, {"failureThreshold", kProbeFailures}};
  if (check.has_interval()) {
    probe["periodSeconds"] = WholeSeconds(FromProto(check.interval()), 1);
  }
  if (check.has_timeout()) probe["timeoutSeconds"] = WholeSeconds(FromProto(check.timeout()), 1);
  if (check.has_http()) {
    probe["httpGet"] = {{"path", check.http().path()}, {"port", PodPort(dna)}};
  } else {
    probe["tcpSocket"] = {{"port", PodPort(dna)}};
  }
  return probe;
}

// `over` counts; objects are joined, lists of named things by their names.
void Lay(const Json& over, Json& under) {
  if (over.is_object() && under.is_object()) {
    for (const auto& [key, value] : over.items()) {
      if (under.contains(key)) {
        Lay(value, under[key]);
      } else {
        under[key] = value;
      }
    }
    return;
  }
  const auto named = [](const Json& list) {
    return list.is_array() && !list.empty() && list[0].is_object() && list[0].contains("name");
  };
  if (!named(over) || !named(under)) {
    under = over;
    return;
  }
  for (const Json& one : over) {
    const auto same = std::find_if(under.begin(), under.end(), [&one](const Json& other) {
      return other.is_object() && other.value("name", Json()) == one["name"];
    });
    // A mount has a name for its volume alone: there may be several.
    if (same == under.end() || one.contains("mountPath")) {
      under.push_back(one);
    } else {
      *same = one;
    }
  }
}

Json LabelsOf(const InstanceSpec& instance, const PodOrigin& origin) {
  Json labels = {{kManagedByLabel, kManagedBy},
                 {kProviderLabel, origin.tag},
                 {kStoreLabel, LabelValue(origin.store_id)},
                 {kPoolLabel, LabelValue(instance.pool)},
                 {kInstanceLabel, instance.id},
                 {kStateLabel, kStateRunning}};
  if (!instance.shadow.empty()) labels[kShadowLabel] = LabelValue(instance.shadow);
  return labels;
}

// What a template says beside the pods' own matters: neither whose pods they are, nor which
// ReplicaSet may take them, nor that they serve.
Json LabelsOfTemplate(const Json& from) {
  Json kept = Json::object();
  if (!from.contains("metadata") || !from["metadata"].is_object()) return kept;
  const Json labels = from["metadata"].value("labels", Json::object());
  if (!labels.is_object()) return kept;
  for (const auto& [key, value] : labels.items()) {
    if (key == "pod-template-hash" || key.starts_with(kOwnLabels)) continue;
    kept[key] = value;
  }
  return kept;
}

}  // namespace

int PodPort(const v1::Dna& dna) {
  return dna.network().has_port_min() ? dna.network().port_min() : kDefaultPort;
}

std::string MillisQuantity(int64_t millis) { return absl::StrCat(millis, "m"); }

std::string WithoutReferences(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    plain += text[i];
    const bool special = i + 1 < text.size() && (text[i + 1] == '$' || text[i + 1] == '(');
    if (text[i] == '$' && special) plain += '$';
  }
  return plain;
}

Json MakeContainer(const InstanceSpec& instance) {
  const v1::Dna& dna = instance.dna->dna;
  const v1::Process& process = dna.process();
  Json command = Json::array();
  for (const std::string& argument : process.argv()) {
    command.push_back(WithoutReferences(
        absl::StrReplaceAll(argument, {{"$(PORT)", absl::StrCat(PodPort(dna))}})));
  }
  Json container = {
      {"image", Image(dna.operating_system())},
      {"imagePullPolicy", "IfNotPresent"},
      {"command", std::move(command)},
      {"workingDir", process.working_directory().empty() ? "/" : process.working_directory()},
      {"env", EnvironmentOf(instance)},
      {"resources", ResourcesOf(dna.resources())},
      {"securityContext", SecurityOf(dna.security())},
      {"ports", {{{"name", kPortName}, {"containerPort", PodPort(dna)}, {"protocol", "TCP"}}}},
      // Its last words may hold what its variables do.
      {"terminationMessagePolicy",
       dna.security().secrets().empty() ? "FallbackToLogsOnError" : "File"}};
  if (Json mounts = MountsOf(dna, false); !mounts.empty()) {
    container["volumeMounts"] = std::move(mounts);
  }
  if (Json probe = ProbeOf(dna); !probe.is_null()) container["readinessProbe"] = std::move(probe);
  return container;
}

Json MakeDataCheck(const v1::Dna& dna) {
  Json command = {"/bin/sh", "-c", WithoutReferences(kCheckScript), kCheckName};
  bool any = false;
  for (const v1::DataSet& data : dna.data_sets()) {
    if (data.sha256().empty()) continue;
    any = true;
    command.push_back(
        WithoutReferences(data.mount_path().empty() ? data.source() : data.mount_path()));
    command.push_back(data.sha256());
  }
  if (!any) return nullptr;
  return {{"name", kCheckName},
          {"image", Image(dna.operating_system())},
          {"imagePullPolicy", "IfNotPresent"},
          {"command", std::move(command)},
          {"resources", ResourcesOf(dna.resources())},
          {"securityContext", SecurityOf(dna.security())},
          {"terminationMessagePolicy", "FallbackToLogsOnError"},
          {"volumeMounts", MountsOf(dna, true)}};
}

Json MakePodSpec(const v1::Dna& dna) {
  Json spec = {
      {"restartPolicy", "Never"},  // One that ends has failed, and the daemon makes another.
      {"terminationGracePeriodSeconds",
       dna.process().has_stop_timeout() ? WholeSeconds(FromProto(dna.process().stop_timeout()), 1)
                                        : kGraceDefaultSeconds},
      {"enableServiceLinks", false},
      {"securityContext", {{"seccompProfile", {{"type", "RuntimeDefault"}}}}}};
  Json volumes = Json::array();
  for (int i = 0; i < dna.data_sets_size(); ++i) {
    const v1::DataSet& data = dna.data_sets(i);
    Json volume = {{"name", VolumeOf(i)}};
    if (data.volume_claim().empty()) {
      volume["hostPath"] = {{"path", data.source()}};
    } else {
      volume["persistentVolumeClaim"] = {{"claimName", data.volume_claim()}};
    }
    volumes.push_back(std::move(volume));
  }
  if (dna.security().private_tmp()) {
    volumes.push_back({{"name", "tmp"}, {"emptyDir", Json::object()}});
    volumes.push_back({{"name", "var-tmp"}, {"emptyDir", Json::object()}});
  }
  if (!volumes.empty()) spec["volumes"] = std::move(volumes);
  return spec;
}

absl::StatusOr<Json> MakePod(const InstanceSpec& instance, const PodOrigin& origin,
                             const Json* from) {
  const v1::Dna& dna = instance.dna->dna;
  Json container = MakeContainer(instance);
  Json labels = Json::object();
  Json annotations = Json::object();
  Json spec = Json::object();
  std::string name = kContainerName;
  if (from != nullptr) {
    spec = from->value("spec", Json::object());
    Json* const containers = spec.contains("containers") ? &spec["containers"] : nullptr;
    if (containers == nullptr || !containers->is_array() || containers->empty() ||
        !containers->front().is_object()) {
      return absl::FailedPreconditionError("the template has no container");
    }
    Json& first = containers->front();
    name = first.value("name", name);
    first.erase("args");
    first.erase("livenessProbe");  // A restart of its own would not be the instance any more.
    first.erase("startupProbe");
    first.erase("readinessProbe");
    Lay(container, first);
    labels = LabelsOfTemplate(*from);
    if (from->contains("metadata")) {
      annotations = (*from)["metadata"].value("annotations", Json::object());
    }
    Lay(MakePodSpec(dna), spec);
  } else {
    container["name"] = name;
    spec = MakePodSpec(dna);
    spec["automountServiceAccountToken"] = false;
    spec["containers"] = Json::array({std::move(container)});
  }
  if (Json check = MakeDataCheck(dna); !check.is_null()) {
    spec["initContainers"].push_back(std::move(check));
  }
  Lay(LabelsOf(instance, origin), labels);
  Lay({{kEpochAnnotation, origin.epoch},
       {kDnaAnnotation, instance.dna->revision_name},
       {kContainerAnnotation, name},
       {kPortAnnotation, absl::StrCat(PodPort(dna))}},
      annotations);
  return Json{{"apiVersion", "v1"},
              {"kind", "Pod"},
              {"metadata",
               {{"name", PodName(origin.tag, instance.id)},
                {"labels", std::move(labels)},
                {"annotations", std::move(annotations)}}},
              {"spec", std::move(spec)}};
}

}  // namespace shadow
