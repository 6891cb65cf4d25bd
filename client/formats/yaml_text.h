// Messages as YAML that `shadowctl apply -f` takes.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

namespace shadow {

// One field a line or more, each line ended, with the names of the proto; fields that are not set,
// or have their default and no presence, are left out. Durations as "1h30m", times as ISO 8601.
// Texts are quoted unless they begin with a letter or "/" and cannot be taken for something else;
// what is not UTF-8 in them becomes U+FFFD. An empty message is "{}".
std::string YamlText(const google::protobuf::Message& message);

// One value, in one line, as YamlText writes it: of a singular field, or the element `index` of a
// repeated one. A message with fields is no such value.
std::string YamlScalar(const google::protobuf::Message& message,
                       const google::protobuf::FieldDescriptor& field, int index = -1);

}  // namespace shadow
