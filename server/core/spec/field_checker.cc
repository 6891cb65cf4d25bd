#include "server/core/spec/field_checker.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/core/names.h"
#include "server/core/text.h"

namespace shadow {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr size_t kQuotedMaxBytes = 64;
constexpr size_t kPathMaxBytes = 4095;      // PATH_MAX without its NUL.
constexpr size_t kHttpPathMaxBytes = 2048;  // What servers commonly take.
constexpr size_t kSha256Digits = 64;

// The bytes of the UTF-8 character at the front of `text` (RFC 3629: shortest form, no surrogates,
// at most U+10FFFF), and its code point; 0 bytes: there is none.
size_t DecodeCharacter(std::string_view text, uint32_t& code_point) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) {
    code_point = lead;
    return 1;
  }
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  code_point = lead & (0x7FU >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code_point = (code_point << 6) | (byte(i) & 0x3FU);
  }
  const bool shortest = length == 2 || code_point >= (length == 3 ? 0x800U : 0x10000U);
  const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
  return shortest && !surrogate && code_point <= 0x10FFFF ? length : 0;
}

bool IsControl(uint32_t code_point) {
  return code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0);
}

bool IsGraphic(char c) { return c > ' ' && c < 0x7F; }

}  // namespace

std::string Quoted(std::string_view text) {
  const bool cut = text.size() > kQuotedMaxBytes;
  return absl::StrCat("\"", absl::CEscape(Absl(text.substr(0, kQuotedMaxBytes))),
                      cut ? "...\"" : "\"");
}

void FieldChecker::Fail(std::string_view field, std::string_view problem) {
  if (ok()) status_ = FieldError(field, problem);
}

void FieldChecker::Add(const absl::Status& status) {
  if (ok()) status_ = status;
}

void FieldChecker::StringField(const std::string& field, std::string_view value) {
  for (size_t at = 0; ok() && at < value.size();) {
    uint32_t code_point = 0;
    const size_t length = DecodeCharacter(value.substr(at), code_point);
    if (length == 0) {
      Fail(field, absl::StrCat(Quoted(value), " is not UTF-8 at byte ", at));
    } else if (IsControl(code_point)) {
      Fail(field, absl::StrCat(Quoted(value), " has a control character at byte ", at));
    }
    at += length;
  }
}

void FieldChecker::OneField(const Message& message, const FieldDescriptor& field, int index,
                            const std::string& path) {
  const auto* reflection = message.GetReflection();
  const bool repeated = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return WellFormed(repeated ? reflection->GetRepeatedMessage(message, &field, index)
                                 : reflection->GetMessage(message, &field),
                        path);
    case FieldDescriptor::CPPTYPE_STRING:
      return StringField(path, repeated ? reflection->GetRepeatedString(message, &field, index)
                                        : reflection->GetString(message, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      if (!std::isfinite(repeated ? reflection->GetRepeatedDouble(message, &field, index)
                                  : reflection->GetDouble(message, &field))) {
        Fail(path, "is not a finite number");
      }
      return;
    case FieldDescriptor::CPPTYPE_ENUM: {
      const int number = repeated ? reflection->GetRepeatedEnumValue(message, &field, index)
                                  : reflection->GetEnumValue(message, &field);
      if (field.enum_type()->FindValueByNumber(number) == nullptr) {
        Fail(path, absl::StrCat(number, " is not a known value of ", field.enum_type()->name()));
      }
      return;
    }
    default:
      return;
  }
}

void FieldChecker::WellFormed(const Message& message, const std::string& path) {
  const auto* reflection = message.GetReflection();
  if (!reflection->GetUnknownFields(message).empty()) {
    return Fail(path, "has a field that this version does not know");
  }
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string field_path = absl::StrCat(path, ".", field->name());
    const int count = field->is_repeated() ? reflection->FieldSize(message, field) : 1;
    for (int i = 0; ok() && i < count; ++i) {
      // A map has no order: its entries are named by the map's own path.
      const bool indexed = field->is_repeated() && !field->is_map();
      OneField(message, *field, i, indexed ? absl::StrCat(field_path, "[", i, "]") : field_path);
    }
  }
}

void FieldChecker::Text(std::string_view field, std::string_view value, size_t max_bytes) {
  if (value.empty()) return Fail(field, "is empty; it is needed");
  if (value.size() > max_bytes) {
    Fail(field, absl::StrCat("has ", value.size(), " bytes; at most ", max_bytes, " are allowed"));
  }
}

void FieldChecker::Word(std::string_view field, std::string_view value, size_t max_bytes) {
  Text(field, value, max_bytes);
  if (!std::all_of(value.begin(), value.end(), IsGraphic)) {
    Fail(field, absl::StrCat(Quoted(value), " is not printable ASCII without spaces"));
  }
}

void FieldChecker::Foreign(std::string_view field, std::string_view value) {
  if (!IsForeignName(value)) {
    Fail(field, absl::StrCat(Quoted(value), " does not match [A-Za-z0-9_.:-]{1,127}"));
  }
}

void FieldChecker::Path(std::string_view field, std::string_view value) {
  Text(field, value, kPathMaxBytes);
  if (!ok() || value == "/") return;
  if (value.front() != '/') {
    return Fail(field, absl::StrCat(Quoted(value), " is not an absolute path"));
  }
  for (size_t at = 0; at < value.size();) {
    const size_t end = std::min(value.find('/', at + 1), value.size());
    const std::string_view part = value.substr(at + 1, end - at - 1);
    if (part.empty() || part == "." || part == "..") {
      return Fail(field, absl::StrCat(Quoted(value), " is not a clean path: it has the part ",
                                      Quoted(part)));
    }
    at = end;
  }
}

void FieldChecker::HttpPath(std::string_view field, std::string_view value) {
  Word(field, value, kHttpPathMaxBytes);
  if (ok() && value.front() != '/') {
    Fail(field, absl::StrCat(Quoted(value), " does not begin with \"/\""));
  }
}

void FieldChecker::Sha256(std::string_view field, std::string_view value, std::string_view prefix) {
  const std::string_view digits = value.substr(std::min(prefix.size(), value.size()));
  const bool hex =
      digits.size() == kSha256Digits && std::all_of(digits.begin(), digits.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
      });
  if (!hex || value.substr(0, prefix.size()) != prefix) {
    Fail(field, absl::StrCat(Quoted(value), " is not ", prefix.empty() ? "" : Quoted(prefix),
                             prefix.empty() ? "" : " and ", "64 lower-case hex digits"));
  }
}

void FieldChecker::Range(std::string_view field, int64_t value, Limits limits) {
  if (value >= limits.min && value <= limits.max) return;
  Fail(field, absl::StrCat(value, " is not in ", limits.min, " to ", limits.max));
}

void FieldChecker::Real(std::string_view field, double value, RealLimits limits) {
  if (value >= limits.min && value <= limits.max) return;  // Not so for NaN.
  Fail(field, absl::StrCat(value, " is not in ", limits.min, " to ", limits.max));
}

void FieldChecker::Count(std::string_view field, int64_t count, int64_t max) {
  if (count > max) Fail(field, absl::StrCat("has ", count, " entries; at most ", max, " fit"));
}

absl::Duration FieldChecker::Duration(std::string_view field,
                                      const google::protobuf::Duration& value,
                                      DurationLimits limits) {
  constexpr int64_t kSecondsMax = 315'576'000'000;  // google/protobuf/duration.proto
  constexpr int32_t kNanosMax = 999'999'999;
  const bool opposed =
      (value.seconds() > 0 && value.nanos() < 0) || (value.seconds() < 0 && value.nanos() > 0);
  if (opposed || value.seconds() < -kSecondsMax || value.seconds() > kSecondsMax ||
      value.nanos() < -kNanosMax || value.nanos() > kNanosMax) {
    Fail(field, absl::StrCat(value.seconds(), " s and ", value.nanos(),
                             " ns do not make a valid duration"));
    return absl::ZeroDuration();
  }
  const absl::Duration duration = absl::Seconds(value.seconds()) + absl::Nanoseconds(value.nanos());
  if (duration < limits.min || duration > limits.max) {
    Fail(field,
         absl::StrCat(absl::FormatDuration(duration), " is not in ",
                      absl::FormatDuration(limits.min), " to ", absl::FormatDuration(limits.max)));
    return absl::ZeroDuration();
  }
  return duration;
}

}  // namespace shadow
