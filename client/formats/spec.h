// The part of a resource that people set.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

namespace shadow {

// DNAs and pools have their output-only fields at this number and above.
inline constexpr int kFirstOutputOnlyField = 20;

// `resource`, a DNA or a pool, without its output-only fields.
template <typename Resource>
Resource SpecOf(Resource resource) {
  const auto* type = resource.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    if (type->field(i)->number() < kFirstOutputOnlyField) continue;
    resource.GetReflection()->ClearField(&resource, type->field(i));
  }
  return resource;
}

}  // namespace shadow
