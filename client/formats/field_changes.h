// Two messages of one type, compared field by field.
#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace shadow {

// A line for each value that differs, with the path of its field: "~ policy.headroom: 1.1 -> 1.2",
// "- process.argv[2]: -v", "+ process.environment.A: \"1\"". Empty: none does. Values are written
// as YamlText does; list items are compared by their place.
std::string FieldChanges(const google::protobuf::Message& before,
                         const google::protobuf::Message& after);

}  // namespace shadow
