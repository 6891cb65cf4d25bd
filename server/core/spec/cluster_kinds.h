// The kinds of a Kubernetes cluster: how their specs are checked. Private to kinds.cc.
#pragma once

#include <string>

#include "server/core/spec/field_checker.h"
#include "shadow/v1/pool.pb.h"

namespace shadow {

// As ProviderKind and BalancerKind have them (kinds.h).
void CompileKubernetesProvider(const std::string& field, v1::Provider& spec, FieldChecker& check);
void CompileServiceBalancer(const std::string& field, v1::Balancer& spec, FieldChecker& check);

// "shop", or "shop#0123456789ab" with the hash of what else is set. Also of a spec whose defaults
// are not filled in.
std::string KubernetesPlace(const v1::Provider& spec);

}  // namespace shadow
