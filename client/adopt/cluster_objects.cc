#include "client/adopt/cluster_objects.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "client/errors.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr char kDigestMark[] = "@sha256:";
constexpr std::size_t kDigestDigits = 64;
constexpr char kWanted[] = "wanted what `kubectl get deployments,pods,services -o json` prints";

bool IsOfKind(const Json& object, std::string_view kind) {
  return TextAt(object, {"kind"}) == kind;
}

// The pod is of a ReplicaSet that the Deployment has made.
bool Owns(const Json& deployment, const Json& pod) {
  const std::string replica_set =
      absl::StrCat(TextAt(deployment, {"metadata", "name"}), "-",
                   TextAt(pod, {"metadata", "labels", "pod-template-hash"}));
  if (TextAt(pod, {"metadata", "namespace"}) != TextAt(deployment, {"metadata", "namespace"})) {
    return false;
  }
  const auto owners = ListAt(pod, {"metadata", "ownerReferences"});
  return std::any_of(owners.begin(), owners.end(), [&](const Json& owner) {
    return IsOfKind(owner, "ReplicaSet") && TextAt(owner, {"name"}) == replica_set;
  });
}

Json FirstContainer(const Json& spec) {
  const auto containers = ListAt(spec, {"containers"});
  return containers.empty() ? Json() : containers.front();
}

Json NamedIn(const std::vector<Json>& list, const std::string& name) {
  const auto found = std::find_if(
      list.begin(), list.end(), [&name](const Json& one) { return TextAt(one, {"name"}) == name; });
  return found == list.end() ? Json() : *found;
}

// Of "docker-pullable://example/web@sha256:..."; empty: what a node calls the image is no digest.
std::string DigestIn(const std::string& image_id) {
  const std::size_t at = image_id.find(kDigestMark);
  if (at == std::string::npos) return "";
  const std::string digest = image_id.substr(at + 1);
  return digest.size() == std::string("sha256:").size() + kDigestDigits ? digest : "";
}

}  // namespace

const Json& FieldAt(const Json& object, std::initializer_list<const char*> keys) {
  static const Json kNone;
  const Json* at = &object;
  for (const char* key : keys) {
    if (!at->is_object()) return kNone;
    const auto found = at->find(key);
    if (found == at->end()) return kNone;
    at = &*found;
  }
  return *at;
}

std::string TextAt(const Json& object, std::initializer_list<const char*> keys) {
  const Json& found = FieldAt(object, keys);
  return found.is_string() ? found.get<std::string>() : "";
}

std::vector<Json> ListAt(const Json& object, std::initializer_list<const char*> keys) {
  const Json& found = FieldAt(object, keys);
  return found.is_array() ? std::vector<Json>(found.begin(), found.end()) : std::vector<Json>();
}

absl::StatusOr<ClusterObjects> ClusterObjects::Parse(std::string_view text) {
  const Json document = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return BadField("--file", absl::StrCat("is no JSON; ", kWanted));
  ClusterObjects parsed;
  if (document.contains("items")) {
    parsed.objects_ = ListAt(document, {"items"});
  } else {
    parsed.objects_.push_back(document);
  }
  return parsed;
}

absl::StatusOr<Json> ClusterObjects::Deployment(std::string_view name) const {
  const Json* found = nullptr;
  for (const Json& one : objects_) {
    if (!IsOfKind(one, "Deployment") || TextAt(one, {"metadata", "name"}) != name) continue;
    if (found != nullptr) {
      return BadField("--file", absl::StrCat("has two Deployments ", PrintableText(name),
                                             "; wanted those of one namespace"));
    }
    found = &one;
  }
  if (found != nullptr) return *found;
  return absl::NotFoundError(
      absl::StrCat("--file: has no Deployment ", PrintableText(name), "; ", kWanted));
}

absl::StatusOr<std::string> ClusterObjects::RunningDigest(const Json& deployment) const {
  const Json wanted = FirstContainer(FieldAt(deployment, {"spec", "template", "spec"}));
  const std::string name = TextAt(wanted, {"name"});
  std::set<std::string> digests;
  for (const Json& pod : objects_) {
    if (!IsOfKind(pod, "Pod") || !Owns(deployment, pod)) continue;
    const Json runs = NamedIn(ListAt(pod, {"spec", "containers"}), name);
    if (TextAt(runs, {"image"}) != TextAt(wanted, {"image"})) continue;  // Of an older template.
    const Json status = NamedIn(ListAt(pod, {"status", "containerStatuses"}), name);
    if (std::string digest = DigestIn(TextAt(status, {"imageID"})); !digest.empty()) {
      digests.insert(std::move(digest));
    }
  }
  if (digests.size() == 1) return *digests.begin();
  const std::string image = PrintableText(TextAt(wanted, {"image"}));
  return absl::FailedPreconditionError(
      digests.empty()
          ? absl::StrCat("spec.template.spec.containers[0].image: ", image,
                         " has no digest, and no pod of the Deployment in the file says which one "
                         "it runs")
          : absl::StrCat("spec.template.spec.containers[0].image: the pods run ", digests.size(),
                         " images that are all called ", image, "; wanted one digest"));
}

std::vector<std::string> ClusterObjects::ServicesOf(const Json& deployment) const {
  const Json& labels = FieldAt(deployment, {"spec", "template", "metadata", "labels"});
  std::vector<std::string> names;
  for (const Json& service : objects_) {
    const Json& selector = FieldAt(service, {"spec", "selector"});
    if (!IsOfKind(service, "Service") || !selector.is_object() || selector.empty()) continue;
    if (TextAt(service, {"metadata", "namespace"}) != TextAt(deployment, {"metadata", "namespace"}))
      continue;
    const bool selects =
        std::all_of(selector.items().begin(), selector.items().end(), [&labels](const auto& item) {
          return FieldAt(labels, {item.key().c_str()}) == item.value();
        });
    if (selects) names.push_back(TextAt(service, {"metadata", "name"}));
  }
  return names;
}

bool ClusterObjects::has_services() const {
  return std::any_of(objects_.begin(), objects_.end(),
                     [](const Json& one) { return IsOfKind(one, "Service"); });
}

}  // namespace shadow
