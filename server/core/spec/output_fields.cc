#include "server/core/spec/output_fields.h"

#include <vector>

namespace shadow {
namespace {

constexpr int kFirstOutputOnly = 20;

}  // namespace

bool IsOutputOnly(const google::protobuf::FieldDescriptor& field) {
  return field.number() >= kFirstOutputOnly;
}

void ClearOutputOnly(google::protobuf::Message& resource) {
  const google::protobuf::Reflection& reflection = *resource.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> set;
  reflection.ListFields(resource, &set);
  for (const google::protobuf::FieldDescriptor* field : set) {
    if (IsOutputOnly(*field)) reflection.ClearField(&resource, field);
  }
}

}  // namespace shadow
