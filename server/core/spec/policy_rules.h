// The part of CompilePool (spec.h) that is about the policy. Private to spec_pool.cc.
#pragma once

#include "server/core/spec.h"
#include "server/core/spec/field_checker.h"

namespace shadow::policy_rules {

// Checks `compiled.pool.policy`, fills in its defaults, and sets what is compiled from it. `step`
// and `instance_capacity` must be compiled already.
void CompilePolicy(CompiledPool& compiled, FieldChecker& check);

}  // namespace shadow::policy_rules
