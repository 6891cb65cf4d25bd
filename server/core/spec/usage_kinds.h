// The kinds of usage source beside HAProxy's: how their specs are checked. Private to kinds.cc.
#pragma once

#include <string>

#include "server/core/spec/field_checker.h"
#include "shadow/v1/pool.pb.h"

namespace shadow {

// As UsageKind has them (kinds.h).
void CompilePrometheusUsage(const std::string& field, v1::UsageSource& spec, FieldChecker& check);
void CompileCgroupUsage(const std::string& field, v1::UsageSource& spec, FieldChecker& check);

}  // namespace shadow
