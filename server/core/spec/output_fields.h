// Which fields of a resource are the daemon's to set: by their number, so that a new one cannot be
// forgotten.
#pragma once

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace shadow {

// Of the fields of Dna and Pool themselves: those numbered 20 and above.
bool IsOutputOnly(const google::protobuf::FieldDescriptor& field);

// `resource`: a Dna or a Pool.
void ClearOutputOnly(google::protobuf::Message& resource);

// Those of `from` instead of those of `to`, a message of the same type.
void CopyOutputOnly(const google::protobuf::Message& from, google::protobuf::Message& to);

}  // namespace shadow
