// One scalar of a YAML file into one protobuf field.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "absl/status/status.h"

namespace shadow {

// Sets singular `field` of `message`, or adds to it if it is repeated; not for message fields.
// kInvalidArgument: only what was found and what was wanted, without a place.
absl::Status SetScalar(const std::string& text, const google::protobuf::FieldDescriptor& field,
                       google::protobuf::Message& message);

// A google.protobuf.Duration or Timestamp. kInvalidArgument as above; kUnimplemented: another type.
absl::Status SetTime(const std::string& text, google::protobuf::Message& message);

}  // namespace shadow
