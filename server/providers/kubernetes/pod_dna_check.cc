// CheckPodDna: what a pod cannot do, by its field.
#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/core/text.h"
#include "server/providers/kubernetes/pod_spec.h"
#include "server/providers/process_credentials.h"

namespace shadow {
namespace {

constexpr int64_t kUserMax = 2'147'483'647;  // Of a pod.
constexpr int kPassesFrom = 200;             // Of a kubelet's probe.
constexpr int kPassesBelow = 400;

// Keeps the first refusal.
class Refusals {
 public:
  // A pod cannot do it.
  void Cannot(bool refused, const std::string& field, const std::string& problem) {
    if (refused && status_.ok()) {
      status_ = FieldError(field, problem, absl::StatusCode::kFailedPrecondition);
    }
  }
  // It means nothing.
  void Wrong(bool refused, const std::string& field, const std::string& problem) {
    if (refused && status_.ok()) status_ = FieldError(field, problem);
  }
  const absl::Status& status() const { return status_; }

 private:
  absl::Status status_;
};

void CheckSystem(const v1::Dna& dna, Refusals& check) {
  const v1::OperatingSystem& system = dna.operating_system();
  check.Cannot(system.image().empty(), "dna.operating_system.image",
               "is unset; a pod needs one, with its image_digest");
  check.Cannot(system.image_digest().empty(), "dna.operating_system.image",
               "has no image_digest, so it would not be one image for ever");
  check.Cannot(system.image().find('@') != std::string::npos, "dna.operating_system.image",
               "has a digest of its own; wanted in image_digest");
  check.Cannot(!system.root_directory().empty(), "dna.operating_system.root_directory",
               "is set; a pod has the root of its image");
  check.Cannot(!system.root_hash().empty(), "dna.operating_system.root_hash",
               "is set; the digest of an image is what a cluster checks");
  check.Cannot(!system.id().empty(), "dna.operating_system.id",
               "is set; a pod is not looked into, and its image_digest says it");
  check.Cannot(!system.version_id().empty(), "dna.operating_system.version_id",
               "is set; a pod is not looked into, and its image_digest says it");
  check.Cannot(!dna.software().empty(), "dna.software[0]",
               "is set; a pod is not looked into, and its image_digest says what is installed");
}

bool IsAtOrBelow(const std::string& path, const std::string& top) {
  return path == top || top == "/" || (path.starts_with(top) && path[top.size()] == '/');
}

void CheckPodPaths(const v1::Dna& dna, Refusals& check) {
  const v1::Security& security = dna.security();
  const bool strict = security.protect_system() == v1::Security::STRICT;
  check.Cannot(security.protect_system() == v1::Security::USR ||
                   security.protect_system() == v1::Security::FULL,
               "dna.security.protect_system", "is USR or FULL; a pod can only do STRICT");
  for (int i = 0; i < security.read_only_paths_size(); ++i) {
    const std::string& path = security.read_only_paths(i);
    const std::string field = absl::StrCat("dna.security.read_only_paths[", i, "]");
    check.Cannot(!strict, field, "is set; a pod has its root read-only by STRICT, or not at all");
    for (const v1::DataSet& data : dna.data_sets()) {
      const std::string& at = data.mount_path().empty() ? data.source() : data.mount_path();
      check.Cannot(!data.read_only() && (IsAtOrBelow(path, at) || IsAtOrBelow(at, path)), field,
                   absl::StrCat("overlaps the writable data set ", data.name()));
    }
    check.Cannot(
        security.private_tmp() && (IsAtOrBelow(path, "/tmp") || IsAtOrBelow(path, "/var/tmp") ||
                                   IsAtOrBelow("/tmp", path) || IsAtOrBelow("/var/tmp", path)),
        field, "overlaps a private /tmp or /var/tmp, which can be written");
  }
  for (int i = 0; i < dna.data_sets_size(); ++i) {
    const v1::DataSet& data = dna.data_sets(i);
    const std::string& at = data.mount_path().empty() ? data.source() : data.mount_path();
    // Kubernetes refuses it too.
    check.Wrong(at.find(':') != std::string::npos,
                absl::StrCat("dna.data_sets[", i, "].mount_path"), "has a \":\"");
    check.Wrong(security.private_tmp() && (at == "/tmp" || at == "/var/tmp"),
                absl::StrCat("dna.data_sets[", i, "].mount_path"), "is that of private_tmp too");
  }
}

void CheckUser(const v1::Security& security, Refusals& check) {
  int64_t user = 0;
  if (!security.user().empty()) {
    const bool number = std::all_of(security.user().begin(), security.user().end(), IsDigit) &&
                        absl::SimpleAtoi(security.user(), &user) && user <= kUserMax;
    check.Cannot(!number, "dna.security.user",
                 "is no number; a cluster does not know the users of an image");
  }
  std::set<std::string> seen;
  for (int i = 0; i < security.capabilities_size(); ++i) {
    const std::string& name = security.capabilities(i);
    const std::string field = absl::StrCat("dna.security.capabilities[", i, "]");
    check.Wrong(!CapabilityNumber(name).has_value(), field, "is not a capability of Linux");
    check.Wrong(!seen.insert(name).second, field, "is there twice");
    // It would have to be handed on to a program of another user.
    check.Cannot(user != 0, field, "is kept by user 0 alone in a pod; wanted none, or no user");
  }
}

void CheckPodSecurity(const v1::Security& security, Refusals& check) {
  CheckUser(security, check);
  check.Cannot(security.dynamic_user(), "dna.security.dynamic_user",
               "is set; a cluster makes no users");
  check.Cannot(!security.system_call_filter().empty(), "dna.security.system_call_filter",
               "is set; a pod has the filter of its container runtime");
  check.Cannot(!security.restrict_address_families().empty(),
               "dna.security.restrict_address_families", "is set; a pod may use any");
  for (int i = 0; i < security.secrets_size(); ++i) {
    check.Cannot(security.secrets(i).secret_name().empty(),
                 absl::StrCat("dna.security.secrets[", i, "].source_file"),
                 "is a file of a host; a pod has secret_name and secret_key");
  }
}

void CheckResources(const v1::Resources& resources, Refusals& check) {
  check.Cannot(resources.has_tasks_max(), "dna.resources.tasks_max",
               "is set; only a node's kubelet limits them");
  check.Cannot(resources.has_open_files_max(), "dna.resources.open_files_max",
               "is set; only a node's container runtime limits them");
  check.Cannot(resources.has_cpu_weight(), "dna.resources.cpu_weight",
               "is set; of a pod, its share follows from cpu_millis");
  check.Cannot(resources.has_memory_high_bytes(), "dna.resources.memory_high_bytes",
               "is set; a pod has memory_max_bytes alone");
}

void CheckNetwork(const v1::Network& network, Refusals& check) {
  constexpr int kPortLeast = 1024;
  constexpr int kPortMost = 65535;
  check.Wrong(network.has_port_min() != network.has_port_max(),
              network.has_port_min() ? "dna.network.port_max" : "dna.network.port_min",
              "is unset; port_min and port_max are set both or not at all");
  const auto in = [](int port) { return port >= kPortLeast && port <= kPortMost; };
  check.Wrong(network.has_port_min() && !in(network.port_min()), "dna.network.port_min",
              "is not within 1024 to 65535");
  check.Wrong(network.has_port_max() && !in(network.port_max()), "dna.network.port_max",
              "is not within 1024 to 65535");
  check.Wrong(network.has_port_max() && network.port_max() < network.port_min(),
              "dna.network.port_max", "is below port_min");
  check.Cannot(!network.connections().empty(), "dna.network.connections[0]",
               "is set; the connections of a pod are not seen from outside");
}

void CheckProcess(const v1::Process& process, Refusals& check) {
  check.Cannot(!process.stop_signal().empty() && process.stop_signal() != "SIGTERM",
               "dna.process.stop_signal", "is not SIGTERM, which a pod is stopped by");
  check.Cannot(process.resume_hook().has_signal(), "dna.process.resume_hook.signal",
               "is set; nobody can signal the process of a pod, and http can be asked for");
  const v1::HttpCheck& http = process.ready_check().http();
  check.Cannot(http.has_expected_status() &&
                   (http.expected_status() < kPassesFrom || http.expected_status() >= kPassesBelow),
               "dna.process.ready_check.http.expected_status",
               "is not within 200 to 399, which are ready to a kubelet");
}

}  // namespace

absl::Status CheckPodDna(const v1::Dna& dna) {
  Refusals check;
  CheckSystem(dna, check);
  CheckPodPaths(dna, check);
  CheckPodSecurity(dna.security(), check);
  CheckResources(dna.resources(), check);
  CheckNetwork(dna.network(), check);
  CheckProcess(dna.process(), check);
  return check.status();
}

}  // namespace shadow
