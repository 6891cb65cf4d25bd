#include "client/formats/field_changes.h"

#include <google/protobuf/descriptor.h>

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/formats/yaml_text.h"
#include "client/text.h"

namespace shadow {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Paths and values, in the order of the fields.
using Values = std::vector<std::pair<std::string, std::string>>;

void AddValues(const Message& message, const std::string& path, Values& values);

bool IsOneValue(const FieldDescriptor& field) {
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return true;
  const std::string& type = field.message_type()->full_name();
  return type == "google.protobuf.Duration" || type == "google.protobuf.Timestamp";
}

void AddList(const Message& message, const FieldDescriptor& field, const std::string& path,
             Values& values) {
  const auto* reflection = message.GetReflection();
  for (int i = 0; i < reflection->FieldSize(message, &field); ++i) {
    const std::string item = absl::StrCat(path, "[", i, "]");
    if (IsOneValue(field)) {
      values.emplace_back(item, YamlScalar(message, field, i));
    } else {
      AddValues(reflection->GetRepeatedMessage(message, &field, i), item, values);
    }
  }
}

void AddMap(const Message& message, const FieldDescriptor& field, const std::string& path,
            Values& values) {
  const auto* reflection = message.GetReflection();
  std::map<std::string, std::string> entries;
  for (int i = 0; i < reflection->FieldSize(message, &field); ++i) {
    const Message& entry = reflection->GetRepeatedMessage(message, &field, i);
    const auto* type = entry.GetDescriptor();
    const std::string key = entry.GetReflection()->GetString(entry, type->map_key());
    entries[key] = YamlScalar(entry, *type->map_value());
  }
  for (const auto& [key, value] : entries) {
    values.emplace_back(absl::StrCat(path, ".", PrintableText(key)), value);
  }
}

void AddValues(const Message& message, const std::string& path, Values& values) {
  const auto* type = message.GetDescriptor();
  const auto* reflection = message.GetReflection();
  const std::size_t before = values.size();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor& field = *type->field(i);
    const std::string inner = absl::StrCat(path, path.empty() ? "" : ".", field.name());
    if (field.is_map()) {
      AddMap(message, field, inner, values);
    } else if (field.is_repeated()) {
      AddList(message, field, inner, values);
    } else if (reflection->HasField(message, &field)) {
      if (IsOneValue(field)) {
        values.emplace_back(inner, YamlScalar(message, field));
      } else {
        AddValues(reflection->GetMessage(message, &field), inner, values);
      }
    }
  }
  if (values.size() == before && !path.empty()) values.emplace_back(path, "{}");
}

}  // namespace

std::string FieldChanges(const Message& before, const Message& after) {
  Values old_values;
  Values new_values;
  AddValues(before, "", old_values);
  AddValues(after, "", new_values);
  std::map<std::string, std::string> left(new_values.begin(), new_values.end());
  std::string lines;
  for (const auto& [path, value] : old_values) {
    const auto found = left.find(path);
    if (found == left.end()) {
      absl::StrAppend(&lines, "- ", path, ": ", value, "\n");
    } else {
      if (found->second != value) {
        absl::StrAppend(&lines, "~ ", path, ": ", value, " -> ", found->second, "\n");
      }
      left.erase(found);
    }
  }
  for (const auto& [path, value] : new_values) {
    if (left.contains(path)) absl::StrAppend(&lines, "+ ", path, ": ", value, "\n");
  }
  return lines;
}

}  // namespace shadow
