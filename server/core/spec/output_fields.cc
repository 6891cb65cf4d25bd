#include "server/core/spec/output_fields.h"

#include <memory>
#include <vector>

namespace shadow {
namespace {

constexpr int kFirstOutputOnly = 20;

void Clear(google::protobuf::Message& resource, bool output_only) {
  const google::protobuf::Reflection& reflection = *resource.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> set;
  reflection.ListFields(resource, &set);
  for (const google::protobuf::FieldDescriptor* field : set) {
    if (IsOutputOnly(*field) == output_only) reflection.ClearField(&resource, field);
  }
}

}  // namespace

bool IsOutputOnly(const google::protobuf::FieldDescriptor& field) {
  return field.number() >= kFirstOutputOnly;
}

void ClearOutputOnly(google::protobuf::Message& resource) { Clear(resource, true); }

void CopyOutputOnly(const google::protobuf::Message& from, google::protobuf::Message& to) {
  const std::unique_ptr<google::protobuf::Message> output(from.New());
  output->CopyFrom(from);
  Clear(*output, false);
  ClearOutputOnly(to);
  to.MergeFrom(*output);
}

}  // namespace shadow
