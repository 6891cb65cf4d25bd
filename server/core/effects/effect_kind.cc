#include "server/core/effects/effect_kind.h"

#include <cstddef>
#include <iterator>

namespace shadow {
namespace {

using K = EffectKind;

struct Row {
  EffectKind kind;
  std::string_view name;
  Seam seam;
};

constexpr Row kRows[] = {
    {K::kCreate, "create", Seam::kProvider},
    {K::kAwaitReady, "await ready", Seam::kProber},
    {K::kVerify, "verify", Seam::kProvider},
    {K::kSuspend, "suspend", Seam::kProvider},
    {K::kResume, "resume", Seam::kProvider},
    {K::kWarmUp, "warm up", Seam::kProber},
    {K::kDestroy, "destroy", Seam::kProvider},
    {K::kKill, "kill", Seam::kProvider},
    {K::kAssign, "assign to the balancer", Seam::kBalancer},
    {K::kListInstances, "list instances", Seam::kProvider},
    {K::kViewBalancer, "look at the balancer", Seam::kBalancer},
    {K::kReadUsage, "read usage", Seam::kUsageSource},
    {K::kScore, "score", Seam::kNone},
    {K::kFit, "fit", Seam::kNone},
    {K::kLearn, "learn", Seam::kNone},
};

// Each kind has its row, in the order of the enum.
constexpr bool KindsInOrder() {
  for (size_t i = 0; i < std::size(kRows); ++i) {
    if (static_cast<size_t>(kRows[i].kind) != i) return false;
  }
  return std::size(kRows) == static_cast<size_t>(K::kLearn) + 1;
}
static_assert(KindsInOrder());

}  // namespace

std::string_view KindName(K kind) { return kRows[static_cast<size_t>(kind)].name; }

Seam SeamOf(K kind) { return kRows[static_cast<size_t>(kind)].seam; }

}  // namespace shadow
