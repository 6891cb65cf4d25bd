#include "server/core/spec/canonical.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/message.h>
#include <openssl/evp.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/core/names.h"
#include "server/core/spec.h"
#include "server/core/spec/output_fields.h"

namespace shadow {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// std::map orders std::string by bytes: std::char_traits<char> compares them as unsigned.
using SortedMembers = std::map<std::string, std::string>;

std::string MessageJson(const Message& message);

// Bytes above 0x7F are UTF-8 and stay as they are.
std::string StringJson(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&json, "\\u%04x", static_cast<unsigned>(c));
    } else {
      json += c;
    }
  }
  return json += '"';
}

std::string ObjectJson(const SortedMembers& members) {
  std::string json = "{";
  for (const auto& [key, member] : members) {
    absl::StrAppend(&json, json.size() > 1 ? "," : "", StringJson(key), ":", member);
  }
  return json += '}';
}

// Seconds with as many decimals as are needed: 1.5 s is "1.5s", 2 s is "2s", -1 ns is
// "-0.000000001s".
std::string DurationJson(const google::protobuf::Duration& duration) {
  const bool negative = duration.seconds() < 0 || duration.nanos() < 0;
  std::string seconds = absl::StrCat(duration.seconds());
  std::string nanos = absl::StrFormat(
      "%09d", duration.nanos() < 0 ? -int64_t{duration.nanos()} : int64_t{duration.nanos()});
  nanos.erase(nanos.find_last_not_of('0') + 1);
  if (negative && duration.seconds() == 0) seconds = "-0";
  return absl::StrCat("\"", seconds, nanos.empty() ? "" : ".", nanos, "s\"");
}

std::string DoubleJson(double value) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  return {digits.data(), end};
}

// One value of a field; `index` only where it is repeated.
std::string ValueJson(const Message& message, const FieldDescriptor& field, int index) {
  const auto* reflection = message.GetReflection();
  const bool repeated = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return MessageJson(repeated ? reflection->GetRepeatedMessage(message, &field, index)
                                  : reflection->GetMessage(message, &field));
    case FieldDescriptor::CPPTYPE_STRING:
      return StringJson(repeated ? reflection->GetRepeatedString(message, &field, index)
                                 : reflection->GetString(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return (repeated ? reflection->GetRepeatedBool(message, &field, index)
                       : reflection->GetBool(message, &field))
                 ? "true"
                 : "false";
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(repeated ? reflection->GetRepeatedInt32(message, &field, index)
                                   : reflection->GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(repeated ? reflection->GetRepeatedInt64(message, &field, index)
                                   : reflection->GetInt64(message, &field));
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat(repeated ? reflection->GetRepeatedUInt32(message, &field, index)
                                   : reflection->GetUInt32(message, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(repeated ? reflection->GetRepeatedUInt64(message, &field, index)
                                   : reflection->GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_ENUM:
      return StringJson((repeated ? reflection->GetRepeatedEnum(message, &field, index)
                                  : reflection->GetEnum(message, &field))
                            ->name());
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return DoubleJson(repeated ? reflection->GetRepeatedDouble(message, &field, index)
                                 : reflection->GetDouble(message, &field));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return DoubleJson(double{repeated ? reflection->GetRepeatedFloat(message, &field, index)
                                        : reflection->GetFloat(message, &field)});
  }
  return "null";
}

// Entries of a string-keyed map as an object.
std::string MapJson(const Message& message, const FieldDescriptor& field) {
  const auto* reflection = message.GetReflection();
  SortedMembers members;
  for (int i = 0; i < reflection->FieldSize(message, &field); ++i) {
    const Message& entry = reflection->GetRepeatedMessage(message, &field, i);
    const auto* key = entry.GetDescriptor()->map_key();
    const auto* value = entry.GetDescriptor()->map_value();
    members[entry.GetReflection()->GetString(entry, key)] = ValueJson(entry, *value, 0);
  }
  return ObjectJson(members);
}

std::string FieldJson(const Message& message, const FieldDescriptor& field) {
  if (field.is_map()) return MapJson(message, field);
  if (!field.is_repeated()) return ValueJson(message, field, 0);
  std::string json = "[";
  for (int i = 0; i < message.GetReflection()->FieldSize(message, &field); ++i) {
    absl::StrAppend(&json, i > 0 ? "," : "", ValueJson(message, field, i));
  }
  return json += ']';
}

std::vector<const FieldDescriptor*> SetFields(const Message& message) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  return fields;
}

std::string MessageJson(const Message& message) {
  if (message.GetDescriptor() == google::protobuf::Duration::descriptor()) {
    return DurationJson(static_cast<const google::protobuf::Duration&>(message));
  }
  SortedMembers members;
  for (const FieldDescriptor* field : SetFields(message)) {
    members[field->json_name()] = FieldJson(message, *field);
  }
  return ObjectJson(members);
}

}  // namespace

std::string CanonicalJson(const v1::Dna& dna) {
  SortedMembers members;
  for (const FieldDescriptor* field : SetFields(dna)) {
    if (field->number() != v1::Dna::kNameFieldNumber && !IsOutputOnly(*field)) {
      members[field->json_name()] = FieldJson(dna, *field);
    }
  }
  return ObjectJson(members);
}

std::string Sha256Hex(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int digest_bytes = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &digest_bytes, EVP_sha256(), nullptr) !=
      1) {
    std::abort();  // Only without SHA-256 in OpenSSL: nothing could be addressed then.
  }
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), digest_bytes));
}

std::string RevisionOf(const v1::Dna& dna) {
  return Sha256Hex(CanonicalJson(dna)).substr(0, kRevisionDigits);
}

}  // namespace shadow
