// The table from DNA fields to a pod (README.md of this folder has it in words). Pure, any thread.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/core/ports.h"
#include "shadow/v1/dna.pb.h"

namespace shadow {

using Json = nlohmann::json;

// OK: every field can be enforced. Otherwise a FieldError for the first that cannot:
// kFailedPrecondition, or kInvalidArgument of a value that has no meaning.
absl::Status CheckPodDna(const v1::Dna& dna);

// What all pods of one provider have.
struct PodOrigin {
  std::string tag;  // ProviderTag
  std::string store_id;
  std::string epoch;
};

// The container of the DNA is named so, if there is no template.
inline constexpr char kContainerName[] = "instance";
// The init container that compares data sets with their digests.
inline constexpr char kCheckName[] = "shadow-check-data";

// The pod of `instance`, whose DNA CheckPodDna has found good. `from`: the pod template of a
// Deployment, whose first container becomes that of the DNA; null: none. kFailedPrecondition: it
// has no container.
absl::StatusOr<Json> MakePod(const InstanceSpec& instance, const PodOrigin& origin,
                             const Json* from);

// The container of the DNA alone: what MakePod asks for, without its name.
Json MakeContainer(const InstanceSpec& instance);

// Of a DNA: what its pod's `spec` has beside containers, and the volumes of its data sets.
Json MakePodSpec(const v1::Dna& dna);

// The init container for the digests of data sets; null: there are none.
Json MakeDataCheck(const v1::Dna& dna);

int PodPort(const v1::Dna& dna);

// "1500m"
std::string MillisQuantity(int64_t millis);

// As Kubernetes reads commands and values of variables: "$(NAME)" is a reference there.
std::string WithoutReferences(std::string_view text);

}  // namespace shadow
