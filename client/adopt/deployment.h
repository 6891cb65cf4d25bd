// A Deployment of Kubernetes as a DNA and a pool. Pure, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "shadow/v1/dna.pb.h"
#include "shadow/v1/pool.pb.h"

namespace shadow {

struct AdoptedDeployment {
  v1::Dna dna;
  v1::Pool pool;  // In OBSERVE; its base is what is ready of the Deployment, and not managed.
  std::vector<std::string> notes;  // What is other than it was, or is left to do; a sentence each.
};

// Deployment `name` of `text`: the JSON of `kubectl get deployments,pods,services -o json`, with
// its pods where its image has no digest. What a DNA does not have comes from its pod template,
// which the pool names.
// kInvalidArgument: `text` is no such JSON. kNotFound: it has no such Deployment.
// kFailedPrecondition: the Deployment has what an instance cannot do; names its field.
absl::StatusOr<AdoptedDeployment> AdoptDeployment(std::string_view text, std::string_view name);

}  // namespace shadow
