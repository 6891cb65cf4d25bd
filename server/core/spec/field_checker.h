// The rules that specs are checked by: in this folder, in names.cc, and by providers, of the part
// of a DNA whose meaning is theirs.
#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/message.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace shadow {

// `text` in quotes for an error message: escaped to printable ASCII, and cut after 64 bytes.
std::string Quoted(std::string_view text);

// Keeps the first problem that is found, as a FieldError; every later check is a no-op then. Values
// are borrowed for the call only.
class FieldChecker {
 public:
  struct Limits {
    int64_t min = 0;
    int64_t max = 0;
  };
  struct RealLimits {
    double min = 0;
    double max = 0;
  };
  struct DurationLimits {
    absl::Duration min;
    absl::Duration max;
  };

  bool ok() const { return status_.ok(); }
  const absl::Status& status() const { return status_; }
  void Fail(std::string_view field, std::string_view problem);
  // The same for the result of another check.
  void Add(const absl::Status& status);

  // Walks the whole message: every string is valid UTF-8 without control characters, every double
  // is finite, every enum value is known, and there are no unknown fields. `path` is the message's
  // own.
  void WellFormed(const google::protobuf::Message& message, const std::string& path);

  // Not empty, and at most `max_bytes`.
  void Text(std::string_view field, std::string_view value, size_t max_bytes);
  // The same, and printable ASCII without spaces.
  void Word(std::string_view field, std::string_view value, size_t max_bytes);
  // A foreign name (names.h).
  void Foreign(std::string_view field, std::string_view value);
  // Absolute and clean: no empty, "." or ".." part, no "/" at its end.
  void Path(std::string_view field, std::string_view value);
  // Of an HTTP request: begins with "/", printable ASCII without spaces.
  void HttpPath(std::string_view field, std::string_view value);
  // 64 lower-case hex digits after `prefix`.
  void Sha256(std::string_view field, std::string_view value, std::string_view prefix);
  void Range(std::string_view field, int64_t value, Limits limits);
  void Real(std::string_view field, double value, RealLimits limits);
  void Count(std::string_view field, int64_t count, int64_t max);
  // A duration within `limits`; its value (zero after a failure).
  absl::Duration Duration(std::string_view field, const google::protobuf::Duration& value,
                          DurationLimits limits);

 private:
  void StringField(const std::string& field, std::string_view value);
  void OneField(const google::protobuf::Message& message,
                const google::protobuf::FieldDescriptor& field, int index, const std::string& path);

  absl::Status status_;
};

}  // namespace shadow
