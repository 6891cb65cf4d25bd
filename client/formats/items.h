// What a message lists, for formats that show one resource after the other.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string>
#include <vector>

namespace shadow {

// The field of a List response that has its items; nullptr: `message` is no list, but one resource.
const google::protobuf::FieldDescriptor* ListFieldOf(const google::protobuf::Message& message);

// The items of a list, or `message` itself. They live as long as it does.
std::vector<const google::protobuf::Message*> ItemsOf(const google::protobuf::Message& message);

// The resource's name; empty: it has none.
std::string NameFieldOf(const google::protobuf::Message& message);

}  // namespace shadow
