// YAML nodes into protobuf messages, by the messages' own descriptors.
#pragma once

#include <google/protobuf/message.h>
#include <yaml-cpp/yaml.h>

#include <cstddef>
#include <string>

#include "absl/status/status.h"

namespace shadow {

// Bounds of one file: nesting, and nodes visited (an alias counts as often as it is used).
inline constexpr int kYamlDepthMax = 32;
inline constexpr std::size_t kYamlNodesMax = 100'000;

// Fills a message from a document. One document after the other; not thread-safe.
class YamlReader {
 public:
  // `source` names the file in messages.
  explicit YamlReader(std::string source) : source_(std::move(source)) {}

  // From now on a time must say its zone, as it would be taken for one of `time_zone`, which is not
  // UTC. Empty: one that says none is UTC.
  void WantZones(std::string time_zone) { time_zone_ = std::move(time_zone); }

  // Keys are the fields' proto or JSON names. Durations: "300s", "5m", "1h", "1d", "100ms", 0;
  // times: ISO 8601; enums by name; booleans true and false only; numbers also quoted; null: unset.
  // kInvalidArgument: "<path>: <source> line N: ..." on an unknown or doubled key, a second member
  // of a oneof, a value of the wrong kind or range, and on a file beyond the bounds above.
  absl::Status Fill(const YAML::Node& node, const std::string& path,
                    google::protobuf::Message& message);

  absl::Status Error(const YAML::Mark& mark, const std::string& path,
                     const std::string& problem) const;

 private:
  // The node may be looked at: it is within the bounds and has no foreign tag.
  absl::Status Visit(const YAML::Node& node, const std::string& path);
  absl::Status SetField(const YAML::Node& node, const std::string& path,
                        const google::protobuf::FieldDescriptor& field,
                        google::protobuf::Message& message);
  absl::Status SetMap(const YAML::Node& node, const std::string& path,
                      const google::protobuf::FieldDescriptor& field,
                      google::protobuf::Message& message);
  absl::Status SetList(const YAML::Node& node, const std::string& path,
                       const google::protobuf::FieldDescriptor& field,
                       google::protobuf::Message& message);
  // Sets a singular field, or adds to a repeated one.
  absl::Status SetValue(const YAML::Node& node, const std::string& path,
                        const google::protobuf::FieldDescriptor& field,
                        google::protobuf::Message& message);
  // `provider: process`: the kind with its defaults.
  absl::Status Choose(const YAML::Node& node, const std::string& path,
                      google::protobuf::Message& message);
  absl::Status FillSubmessage(const YAML::Node& node, const std::string& path,
                              google::protobuf::Message& message);

  std::string source_;
  std::string time_zone_;
  int depth_ = 0;
  std::size_t nodes_ = 0;
};

}  // namespace shadow
