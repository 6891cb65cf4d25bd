#include "client/input/yaml_scalar.h"

#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/proto_time.h"
#include "client/text.h"

namespace shadow {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr std::size_t kShownMax = 60;  // Characters of a bad value in a message.

absl::Status Wanted(const std::string& text, std::string_view wanted) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", PrintableText(std::string_view(text).substr(0, kShownMax)), "\" is not ",
                   std::string(wanted)));
}

template <typename T>
using Setter = void (Reflection::*)(Message*, const FieldDescriptor*, T) const;

template <typename T>
absl::Status Store(T value, const FieldDescriptor& field, Message& message, Setter<T> set,
                   Setter<T> add) {
  (message.GetReflection()->*(field.is_repeated() ? add : set))(&message, &field, value);
  return absl::OkStatus();
}

absl::Status StoreText(const std::string& text, const FieldDescriptor& field, Message& message) {
  if (!IsValidUtf8(text)) return Wanted(text, "valid UTF-8");
  const Reflection& reflection = *message.GetReflection();
  if (field.is_repeated()) {
    reflection.AddString(&message, &field, text);
  } else {
    reflection.SetString(&message, &field, text);
  }
  return absl::OkStatus();
}

absl::Status StoreEnum(const std::string& text, const FieldDescriptor& field, Message& message) {
  const auto* value = field.enum_type()->FindValueByName(text);
  if (value == nullptr) {
    std::string names;
    for (int i = 0; i < field.enum_type()->value_count(); ++i) {
      if (field.enum_type()->value(i)->number() == 0) continue;  // ..._UNSPECIFIED
      absl::StrAppend(&names, names.empty() ? "" : ", ", field.enum_type()->value(i)->name());
    }
    return Wanted(text, "one of " + names);
  }
  const Reflection& reflection = *message.GetReflection();
  if (field.is_repeated()) {
    reflection.AddEnum(&message, &field, value);
  } else {
    reflection.SetEnum(&message, &field, value);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SetScalar(const std::string& text, const FieldDescriptor& field, Message& message) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: {
      std::int32_t value = 0;
      if (!absl::SimpleAtoi(text, &value)) return Wanted(text, "a whole number of 32 bits");
      return Store(value, field, message, &Reflection::SetInt32, &Reflection::AddInt32);
    }
    case FieldDescriptor::CPPTYPE_UINT32: {
      std::uint32_t value = 0;
      if (!absl::SimpleAtoi(text, &value)) return Wanted(text, "a whole number of at least 0");
      return Store(value, field, message, &Reflection::SetUInt32, &Reflection::AddUInt32);
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      std::int64_t value = 0;
      if (!absl::SimpleAtoi(text, &value)) return Wanted(text, "a whole number");
      return Store(value, field, message, &Reflection::SetInt64, &Reflection::AddInt64);
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      std::uint64_t value = 0;
      if (!absl::SimpleAtoi(text, &value)) return Wanted(text, "a whole number of at least 0");
      return Store(value, field, message, &Reflection::SetUInt64, &Reflection::AddUInt64);
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double value = 0;  // Not-a-number is for the daemon to refuse, in its own words.
      if (!absl::SimpleAtod(text, &value)) return Wanted(text, "a number");
      return Store(value, field, message, &Reflection::SetDouble, &Reflection::AddDouble);
    }
    case FieldDescriptor::CPPTYPE_FLOAT: {
      float value = 0;
      if (!absl::SimpleAtof(text, &value)) return Wanted(text, "a number");
      return Store(value, field, message, &Reflection::SetFloat, &Reflection::AddFloat);
    }
    case FieldDescriptor::CPPTYPE_BOOL: {
      if (text != "true" && text != "false") return Wanted(text, "true or false");
      return Store(text == "true", field, message, &Reflection::SetBool, &Reflection::AddBool);
    }
    case FieldDescriptor::CPPTYPE_ENUM:
      return StoreEnum(text, field, message);
    case FieldDescriptor::CPPTYPE_STRING:
      return StoreText(text, field, message);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return Wanted(text, "a map of fields");
  }
  return absl::InternalError("unknown type of field");
}

absl::Status SetTime(const std::string& text, Message& message) {
  if (auto* duration = dynamic_cast<google::protobuf::Duration*>(&message)) {
    const absl::StatusOr<absl::Duration> parsed = ParseDurationText(text);
    if (!parsed.ok()) return parsed.status();
    *duration = ToProto(*parsed);
    return absl::OkStatus();
  }
  if (auto* timestamp = dynamic_cast<google::protobuf::Timestamp*>(&message)) {
    const absl::StatusOr<absl::Time> parsed = ParseTimeText(text);
    if (!parsed.ok()) return parsed.status();
    *timestamp = ToProto(*parsed);
    return absl::OkStatus();
  }
  return absl::UnimplementedError("not a time");
}

}  // namespace shadow
