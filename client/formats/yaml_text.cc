#include "client/formats/yaml_text.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/output/json.h"
#include "client/proto_time.h"
#include "client/text.h"

namespace shadow {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::util::TimeUtil;

constexpr int kYamlIndent = 2;
constexpr int kYamlSingular = -1;  // Index of a field that is not repeated.

bool IsPlain(const std::string& text) {
  constexpr std::array<std::string_view, 9> kWords = {"true", "false", "null", "yes", "no",
                                                      "on",   "off",   "y",    "n"};
  if (text.empty() ||
      (absl::ascii_isalpha(static_cast<unsigned char>(text.front())) == 0 && text.front() != '/')) {
    return false;
  }
  const bool safe = std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' ||
           c == '.' || c == '/' || c == '@' || c == '+';
  });
  const std::string lower = absl::AsciiStrToLower(text);
  return safe && std::find(kWords.begin(), kWords.end(), std::string_view(lower)) == kWords.end();
}

std::string TextYaml(const std::string& text) { return IsPlain(text) ? text : JsonString(text); }

// Shortest that is read as the same number.
std::string DoubleYaml(double number) {
  if (std::isnan(number)) return ".nan";
  if (std::isinf(number)) return number > 0 ? ".inf" : "-.inf";
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  return {digits.data(), end};
}

std::string EnumYaml(const FieldDescriptor& field, int number) {
  const auto* value = field.enum_type()->FindValueByNumber(number);
  return value == nullptr ? absl::StrCat(number) : TextYaml(value->name());  // "TRUE"
}

// One value that is no message.
std::string ValueYaml(const Message& message, const FieldDescriptor& field, int index) {
  const Reflection& reflection = *message.GetReflection();
  const auto get = [&](auto single, auto repeated) {
    return index == kYamlSingular ? (reflection.*single)(message, &field)
                                  : (reflection.*repeated)(message, &field, index);
  };
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(get(&Reflection::GetInt32, &Reflection::GetRepeatedInt32));
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat(get(&Reflection::GetUInt32, &Reflection::GetRepeatedUInt32));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(get(&Reflection::GetInt64, &Reflection::GetRepeatedInt64));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(get(&Reflection::GetUInt64, &Reflection::GetRepeatedUInt64));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return DoubleYaml(get(&Reflection::GetDouble, &Reflection::GetRepeatedDouble));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return DoubleYaml(get(&Reflection::GetFloat, &Reflection::GetRepeatedFloat));
    case FieldDescriptor::CPPTYPE_BOOL:
      return get(&Reflection::GetBool, &Reflection::GetRepeatedBool) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumYaml(field, get(&Reflection::GetEnumValue, &Reflection::GetRepeatedEnumValue));
    case FieldDescriptor::CPPTYPE_STRING:
      return TextYaml(get(&Reflection::GetString, &Reflection::GetRepeatedString));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return "";
  }
  return "";
}

// Of a message that is one value; empty: it has fields.
std::string TimeYaml(const Message& message) {
  if (const auto* duration = dynamic_cast<const google::protobuf::Duration*>(&message)) {
    return DurationText(FromProto(*duration));
  }
  if (const auto* timestamp = dynamic_cast<const google::protobuf::Timestamp*>(&message)) {
    return JsonString(TimeUtil::ToString(*timestamp));
  }
  return "";
}

std::string Fields(const Message& message, int indent);

const Message& MessageAt(const Message& message, const FieldDescriptor& field, int index) {
  const Reflection& reflection = *message.GetReflection();
  return index == kYamlSingular ? reflection.GetMessage(message, &field)
                                : reflection.GetRepeatedMessage(message, &field, index);
}

// What follows "key:": " value\n", or lines that are `indent` deep.
std::string AfterKey(const Message& message, const FieldDescriptor& field, int index, int indent) {
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
    return absl::StrCat(" ", ValueYaml(message, field, index), "\n");
  }
  const Message& inner = MessageAt(message, field, index);
  if (const std::string time = TimeYaml(inner); !time.empty()) return absl::StrCat(" ", time, "\n");
  const std::string fields = Fields(inner, indent);
  return fields.empty() ? " {}\n" : absl::StrCat("\n", fields);
}

// An element of a list behind its "- ".
std::string ListItem(const Message& message, const FieldDescriptor& field, int index, int indent) {
  const std::string dash = absl::StrCat(std::string(static_cast<std::size_t>(indent), ' '), "-");
  const std::string text = AfterKey(message, field, index, indent + kYamlIndent);
  if (text.front() != '\n') return absl::StrCat(dash, text);
  // The first field stands beside the dash.
  return absl::StrCat(dash, " ", text.substr(1 + static_cast<std::size_t>(indent + kYamlIndent)));
}

std::string MapEntries(const Message& message, const FieldDescriptor& field, int indent) {
  const Reflection& reflection = *message.GetReflection();
  std::map<std::string, std::string> entries;  // The order of a proto's map is nobody's.
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
    const Descriptor& type = *entry.GetDescriptor();
    entries[TextYaml(entry.GetReflection()->GetString(entry, type.map_key()))] =
        AfterKey(entry, *type.map_value(), kYamlSingular, indent + kYamlIndent);
  }
  std::string text;
  for (const auto& [key, value] : entries) {
    absl::StrAppend(&text, std::string(static_cast<std::size_t>(indent), ' '), key, ":", value);
  }
  return text;
}

std::string Fields(const Message& message, int indent) {
  std::string text;
  const Descriptor& type = *message.GetDescriptor();
  const Reflection& reflection = *message.GetReflection();
  const std::string margin(static_cast<std::size_t>(indent), ' ');
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const int size = field.is_repeated() ? reflection.FieldSize(message, &field) : 0;
    if (field.is_repeated() ? size == 0 : !reflection.HasField(message, &field)) continue;
    absl::StrAppend(&text, margin, field.name(), ":");
    if (field.is_map()) {
      absl::StrAppend(&text, "\n", MapEntries(message, field, indent + kYamlIndent));
    } else if (field.is_repeated()) {
      text += '\n';
      for (int k = 0; k < size; ++k) text += ListItem(message, field, k, indent + kYamlIndent);
    } else {
      text += AfterKey(message, field, kYamlSingular, indent + kYamlIndent);
    }
  }
  return text;
}

}  // namespace

std::string YamlText(const Message& message) {
  std::string text = Fields(message, 0);
  return text.empty() ? "{}\n" : text;
}

std::string YamlScalar(const Message& message, const FieldDescriptor& field, int index) {
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return ValueYaml(message, field, index);
  return TimeYaml(MessageAt(message, field, index));
}

}  // namespace shadow
