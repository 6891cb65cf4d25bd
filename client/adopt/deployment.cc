#include "client/adopt/deployment.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/adopt/cluster_objects.h"
#include "client/adopt/pod_quantity.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr char kContainer[] = "spec.template.spec.containers[0]";

absl::Status CannotAdopt(const std::string& field, const std::string& problem) {
  return absl::FailedPreconditionError(absl::StrCat(kContainer, ".", field, ": ", problem));
}

// Carries the first container over, field by field.
class Adoption {
 public:
  Adoption(const ClusterObjects& objects, const Json& deployment)
      : objects_(objects),
        deployment_(deployment),
        spec_(FieldAt(deployment, {"spec", "template", "spec"})) {}

  absl::StatusOr<AdoptedDeployment> Run() {
    const auto containers = ListAt(spec_, {"containers"});
    if (containers.empty()) return absl::FailedPreconditionError("the Deployment has no container");
    container_ = containers.front();
    for (const auto step :
         {&Adoption::Image, &Adoption::Ports, &Adoption::Environment, &Adoption::Command,
          &Adoption::Ready, &Adoption::Resources, &Adoption::Security}) {
      if (absl::Status status = (this->*step)(); !status.ok()) return status;
    }
    Pool();
    Traffic();
    return std::move(adopted_);
  }

 private:
  v1::Dna& dna() { return adopted_.dna; }
  void Note(const std::string& text) { adopted_.notes.push_back(PrintableText(text)); }

  absl::Status Image() {
    const std::string image = TextAt(container_, {"image"});
    const std::size_t at = image.find('@');
    dna().mutable_operating_system()->set_image(image.substr(0, at));
    if (at != std::string::npos) {
      dna().mutable_operating_system()->set_image_digest(image.substr(at + 1));
      return absl::OkStatus();
    }
    absl::StatusOr<std::string> digest = objects_.RunningDigest(deployment_);
    if (!digest.ok()) return digest.status();
    dna().mutable_operating_system()->set_image_digest(*std::move(digest));
    return absl::OkStatus();
  }

  // A number, or the name of a port of the container.
  std::optional<int> PortOf(const Json& port) const {
    if (port.is_number_integer()) return port.get<int>();
    for (const Json& one : ListAt(container_, {"ports"})) {
      const Json& number = FieldAt(one, {"containerPort"});
      if (port.is_string() && TextAt(one, {"name"}) == port.get<std::string>() &&
          number.is_number_integer()) {
        return number.get<int>();
      }
    }
    return std::nullopt;
  }

  // The port of the readiness probe; without a probe, the first port.
  absl::Status Ports() {
    const Json& probe = FieldAt(container_, {"readinessProbe"});
    auto port = PortOf(FieldAt(probe, {"httpGet", "port"}));
    if (!port) port = PortOf(FieldAt(probe, {"tcpSocket", "port"}));
    const auto ports = ListAt(container_, {"ports"});
    if (!port && !ports.empty()) port = PortOf(FieldAt(ports.front(), {"containerPort"}));
    if (!port) return CannotAdopt("ports", "is empty; an instance listens on one");
    dna().mutable_network()->set_port_min(*port);
    dna().mutable_network()->set_port_max(*port);
    variables_["PORT"] = absl::StrCat(*port);
    return absl::OkStatus();
  }

  // `text` as Kubernetes reads it: "$(NAME)" of a variable before it, "$$" for "$".
  absl::StatusOr<std::string> Expanded(const std::string& text, const std::string& field) const {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char next = i + 1 < text.size() ? text[i + 1] : '\0';
      const std::size_t end = next == '(' ? text.find(')', i) : std::string::npos;
      if (text[i] != '$' || (next != '$' && end == std::string::npos)) {
        plain += text[i];
      } else if (next == '$') {
        plain += text[i++];
      } else {
        const std::string name = text.substr(i + 2, end - i - 2);
        const auto variable = variables_.find(name);
        if (variable == variables_.end()) {
          return CannotAdopt(
              field, absl::StrCat("refers to $(", name, "), whose value is not in the Deployment"));
        }
        plain += variable->second;
        i = end;
      }
    }
    return plain;
  }

  absl::Status Environment() {
    std::vector<std::string> left;
    int index = 0;
    for (const Json& one : ListAt(container_, {"env"})) {
      const std::string field = absl::StrCat("env[", index++, "]");
      const std::string name = TextAt(one, {"name"});
      if (one.contains("valueFrom")) {
        variables_.erase(name);
        if (!AddSecret(name, FieldAt(one, {"valueFrom", "secretKeyRef"}))) left.push_back(name);
        continue;
      }
      const auto value = Expanded(TextAt(one, {"value"}), field);
      if (!value.ok()) return value.status();
      if (name == "PORT") {
        if (*value == variables_["PORT"]) continue;  // shadowd sets it too.
        return CannotAdopt(field, "is PORT with another value than the port");
      }
      variables_[name] = *value;
      (*dna().mutable_process()->mutable_environment())[name] = *value;
    }
    if (!left.empty()) {
      Note(absl::StrCat("The template sets ", absl::StrJoin(left, ", "), ", not the DNA."));
    }
    return absl::OkStatus();
  }

  bool AddSecret(const std::string& name, const Json& reference) {
    if (!reference.is_object() || FieldAt(reference, {"optional"}) == true) return false;
    v1::Secret& secret = *dna().mutable_security()->add_secrets();
    secret.set_environment_variable(name);
    secret.set_secret_name(TextAt(reference, {"name"}));
    secret.set_secret_key(TextAt(reference, {"key"}));
    return true;
  }

  absl::Status Command() {
    if (ListAt(container_, {"command"}).empty()) {
      return CannotAdopt("command",
                         "is unset; what the image starts stands in the image alone, and a DNA "
                         "says it");
    }
    for (const char* const field : {"command", "args"}) {
      for (const Json& word : ListAt(container_, {field})) {
        if (!word.is_string()) return CannotAdopt(field, "has what is no text");
        const auto argument = Expanded(word.get<std::string>(), field);
        if (!argument.ok()) return argument.status();
        dna().mutable_process()->add_argv(*argument);
      }
    }
    if (!dna().process().argv(0).starts_with('/')) {
      return CannotAdopt("command[0]", "is no absolute path, which a DNA needs");
    }
    const std::string directory = TextAt(container_, {"workingDir"});
    dna().mutable_process()->set_working_directory(directory);
    if (directory.empty()) {
      Note("The working directory is / and not the image's; set it if the program needs it.");
    }
    return absl::OkStatus();
  }

  absl::Status Ready() {
    constexpr int64_t kGraceDefault = 30;  // Of Kubernetes.
    const Json& grace = FieldAt(spec_, {"terminationGracePeriodSeconds"});
    dna().mutable_process()->mutable_stop_timeout()->set_seconds(
        grace.is_number_integer() ? grace.get<int64_t>() : kGraceDefault);
    const Json& probe = FieldAt(container_, {"readinessProbe"});
    if (!probe.is_object()) return absl::OkStatus();
    const Json& get = FieldAt(probe, {"httpGet"});
    if (!get.is_object()) {
      if (probe.contains("tcpSocket")) return absl::OkStatus();
      return CannotAdopt("readinessProbe", "is neither httpGet nor tcpSocket");
    }
    if (get.contains("host") || get.contains("httpHeaders") || TextAt(get, {"scheme"}) == "HTTPS") {
      return CannotAdopt("readinessProbe.httpGet", "has a host, headers or HTTPS");
    }
    const std::string path = TextAt(get, {"path"});
    v1::ReadyCheck& check = *dna().mutable_process()->mutable_ready_check();
    check.mutable_http()->set_path(path.empty() ? "/" : path);
    const Json& timeout = FieldAt(probe, {"timeoutSeconds"});
    if (timeout.is_number_integer()) check.mutable_timeout()->set_seconds(timeout.get<int64_t>());
    return absl::OkStatus();
  }

  // Only limits: a request alone would become a limit that the container does not have.
  absl::Status Resources() {
    const Json& limits = FieldAt(container_, {"resources", "limits"});
    const Json& requests = FieldAt(container_, {"resources", "requests"});
    for (const char* const name : {"cpu", "memory"}) {
      const std::string text = TextAt(limits, {name});
      if (text.empty()) continue;
      const auto millis = PodQuantityMillis(text);
      if (!millis) return CannotAdopt(absl::StrCat("resources.limits.", name), "is no quantity");
      if (std::string_view(name) == "cpu") {
        dna().mutable_resources()->set_cpu_millis(*millis);
      } else {
        dna().mutable_resources()->set_memory_max_bytes(*millis / 1000);
      }
      if (PodQuantityMillis(TextAt(requests, {name})).value_or(*millis) != *millis) {
        Note(absl::StrCat("The request of ", name, " becomes its limit, ", text, "."));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Security() {
    const Json& context = FieldAt(container_, {"securityContext"});
    if (FieldAt(context, {"privileged"}) == true) {
      return CannotAdopt("securityContext.privileged", "is set; an instance has no such rights");
    }
    v1::Security& security = *dna().mutable_security();
    const Json& own_user = FieldAt(context, {"runAsUser"});
    const Json& user =
        own_user.is_null() ? FieldAt(spec_, {"securityContext", "runAsUser"}) : own_user;
    if (user.is_number_integer()) security.set_user(absl::StrCat(user.get<int64_t>()));
    security.set_no_new_privileges(FieldAt(context, {"allowPrivilegeEscalation"}) == false);
    if (FieldAt(context, {"readOnlyRootFilesystem"}) == true) {
      security.set_protect_system(v1::Security::STRICT);
    }
    for (const Json& one : ListAt(context, {"capabilities", "add"})) {
      if (!one.is_string()) continue;
      security.add_capabilities(absl::StrCat("CAP_", one.get<std::string>()));
    }
    const auto dropped = ListAt(context, {"capabilities", "drop"});
    if (std::find(dropped.begin(), dropped.end(), "ALL") == dropped.end()) {
      Note("Instances have no capabilities but those of the DNA; now they have the runtime's.");
    }
    return absl::OkStatus();
  }

  void Pool() {
    const std::string name = TextAt(deployment_, {"metadata", "name"});
    dna().set_name(absl::StrCat("dnas/", name));
    v1::Pool& pool = adopted_.pool;
    pool.set_name(absl::StrCat("pools/", name));
    pool.set_dna(dna().name());
    v1::KubernetesProvider& provider = *pool.mutable_provider()->mutable_kubernetes();
    provider.set_namespace_(TextAt(deployment_, {"metadata", "namespace"}));
    provider.set_template_deployment(name);
    pool.mutable_balancer()->mutable_service();
    pool.add_usage_sources()->mutable_pushed();
    pool.set_demand_unit("instances");
    pool.set_instance_capacity(1);
    const Json& ready = FieldAt(deployment_, {"status", "readyReplicas"});
    pool.set_external_capacity(ready.is_number_integer() ? ready.get<double>() : 0);
    pool.mutable_policy()->set_mode(v1::Policy::OBSERVE);
    Note(
        "Demand is counted in instances: set demand_unit, instance_capacity and external_capacity "
        "to what one pod carries, and a usage source that reads it.");
  }

  // Instances have the labels of the template, suspended or not.
  void Traffic() {
    const auto services = objects_.ServicesOf(deployment_);
    const std::string which =
        services.empty() ? "Each Service of these pods" : absl::StrCat("Service ", services[0]);
    if (services.empty() && objects_.has_services()) return;
    Note(absl::StrCat(which,
                      " would send traffic to suspended instances too. Before AUTOMATIC, add the "
                      "label shadow.dev/role: active to the Deployment's template, and then to the "
                      "Service's selector."));
    for (std::size_t i = 1; i < services.size(); ++i) {
      Note(absl::StrCat("The same holds for Service ", services[i], "."));
    }
  }

  const ClusterObjects& objects_;
  const Json& deployment_;
  const Json& spec_;  // Of its pods.
  Json container_;
  std::map<std::string, std::string> variables_;  // Whose values are known.
  AdoptedDeployment adopted_;
};

}  // namespace

absl::StatusOr<AdoptedDeployment> AdoptDeployment(std::string_view text, std::string_view name) {
  const absl::StatusOr<ClusterObjects> objects = ClusterObjects::Parse(text);
  if (!objects.ok()) return objects.status();
  const absl::StatusOr<Json> deployment = objects->Deployment(name);
  if (!deployment.ok()) return deployment.status();
  return Adoption(*objects, *deployment).Run();
}

}  // namespace shadow
