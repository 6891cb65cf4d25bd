#include "client/output/json.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/time_util.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace shadow {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::util::TimeUtil;
using Json = nlohmann::ordered_json;

constexpr int kIndent = 2;
constexpr int kSingular = -1;  // Index of a field that is not repeated.

Json ToJson(const Message& message);

Json NumberJson(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
  return number;
}

Json EnumJson(const FieldDescriptor& field, int number) {
  const auto* value = field.enum_type()->FindValueByNumber(number);
  if (value == nullptr) return number;  // Of a newer daemon.
  return value->name();
}

// One value of `field`: the element `index` of a repeated field, or the value (kSingular).
Json ValueJson(const Message& message, const FieldDescriptor& field, int index) {
  const Reflection& reflection = *message.GetReflection();
  const bool one = index == kSingular;
  const auto get = [&](auto single, auto repeated) {
    return one ? (reflection.*single)(message, &field)
               : (reflection.*repeated)(message, &field, index);
  };
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return get(&Reflection::GetInt32, &Reflection::GetRepeatedInt32);
    case FieldDescriptor::CPPTYPE_UINT32:
      return get(&Reflection::GetUInt32, &Reflection::GetRepeatedUInt32);
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(get(&Reflection::GetInt64, &Reflection::GetRepeatedInt64));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(get(&Reflection::GetUInt64, &Reflection::GetRepeatedUInt64));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return NumberJson(get(&Reflection::GetDouble, &Reflection::GetRepeatedDouble));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return NumberJson(get(&Reflection::GetFloat, &Reflection::GetRepeatedFloat));
    case FieldDescriptor::CPPTYPE_BOOL:
      return get(&Reflection::GetBool, &Reflection::GetRepeatedBool);
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumJson(field, get(&Reflection::GetEnumValue, &Reflection::GetRepeatedEnumValue));
    case FieldDescriptor::CPPTYPE_STRING:
      return get(&Reflection::GetString, &Reflection::GetRepeatedString);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ToJson(one ? reflection.GetMessage(message, &field)
                        : reflection.GetRepeatedMessage(message, &field, index));
  }
  return nullptr;
}

// Keys of our maps are strings.
Json MapJson(const Message& message, const FieldDescriptor& field) {
  Json map = Json::object();
  const Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
    const Descriptor& type = *entry.GetDescriptor();
    const std::string key = entry.GetReflection()->GetString(entry, type.map_key());
    map[key] = ValueJson(entry, *type.map_value(), kSingular);
  }
  return map;
}

Json ToJson(const Message& message) {
  if (const auto* duration = dynamic_cast<const google::protobuf::Duration*>(&message)) {
    return TimeUtil::ToString(*duration);
  }
  if (const auto* timestamp = dynamic_cast<const google::protobuf::Timestamp*>(&message)) {
    return TimeUtil::ToString(*timestamp);
  }
  Json object = Json::object();
  const Descriptor& type = *message.GetDescriptor();
  const Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.is_map()) {
      object[field.json_name()] = MapJson(message, field);
    } else if (field.is_repeated()) {
      Json list = Json::array();
      for (int k = 0; k < reflection.FieldSize(message, &field); ++k) {
        list.push_back(ValueJson(message, field, k));
      }
      object[field.json_name()] = std::move(list);
    } else if (!field.has_presence() || reflection.HasField(message, &field)) {
      object[field.json_name()] = ValueJson(message, field, kSingular);
    } else if (field.name() == "hold_until_time") {
      object[field.json_name()] = nullptr;
    }
  }
  return object;
}

// nlohmann escapes C0 only. DEL and C1 (U+0080 to U+009F: bytes C2 80 to C2 9F) occur only inside
// strings, so that they can be escaped in the finished text.
std::string EscapeTerminalControls(const std::string& json) {
  std::string escaped;
  escaped.reserve(json.size());
  for (std::size_t i = 0; i < json.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(json[i]);
    const std::uint8_t next = i + 1 < json.size() ? static_cast<std::uint8_t>(json[i + 1]) : 0;
    if (byte == 0x7F) {
      escaped += "\\u007f";
    } else if (byte == 0xC2 && next >= 0x80 && next <= 0x9F) {
      absl::StrAppendFormat(&escaped, "\\u%04x", next);
      ++i;
    } else {
      escaped += json[i];
    }
  }
  return escaped;
}

}  // namespace

std::string JsonText(const Message& message, JsonStyle style) {
  Json json = ToJson(message);
  if (style.deleted) json["deleted"] = true;
  const int indent = style.layout == JsonLayout::kLine ? -1 : kIndent;
  return EscapeTerminalControls(json.dump(indent, ' ', false, Json::error_handler_t::replace));
}

std::string JsonString(const std::string& text) {
  return EscapeTerminalControls(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace shadow
