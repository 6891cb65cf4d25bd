#include "client/input/yaml_message.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/timestamp.pb.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/input/yaml_scalar.h"
#include "client/text.h"

namespace shadow {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr std::size_t kSuggestionDistanceMax = 3;
constexpr std::size_t kKeyBytesMax = 128;

const FieldDescriptor* FindField(const Descriptor& type, const std::string& key) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* field = type.field(i);
    if (field->name() == key || field->json_name() == key) return field;
  }
  return nullptr;
}

// Levenshtein distance; both are short.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row[b.size()];
}

std::string Suggestion(const Descriptor& type, const std::string& key) {
  std::string best;
  std::size_t distance = kSuggestionDistanceMax + 1;
  for (int i = 0; i < type.field_count(); ++i) {
    for (const std::string& name : {type.field(i)->name(), type.field(i)->json_name()}) {
      const std::size_t here = EditDistance(key, name);
      if (here < distance) {
        distance = here;
        best = name;
      }
    }
  }
  return best.empty() ? "" : absl::StrCat("; did you mean \"", best, "\"?");
}

bool IsOurTag(const std::string& tag) {
  // Plain, quoted, or one of YAML's own types; anything else would be silently misread.
  static const std::set<std::string_view> kTags = {"",
                                                   "?",
                                                   "!",
                                                   "tag:yaml.org,2002:str",
                                                   "tag:yaml.org,2002:int",
                                                   "tag:yaml.org,2002:float",
                                                   "tag:yaml.org,2002:bool",
                                                   "tag:yaml.org,2002:null",
                                                   "tag:yaml.org,2002:map",
                                                   "tag:yaml.org,2002:seq"};
  return kTags.contains(tag);
}

const char* KindOf(const YAML::Node& node) {
  if (node.IsMap()) return "a map";
  if (node.IsSequence()) return "a list";
  return node.IsNull() ? "nothing" : "a single value";
}

// A message that is one of several kinds, and nothing beside.
bool IsChoice(const Descriptor& type) {
  return type.real_oneof_decl_count() == 1 &&
         type.oneof_decl(0)->field_count() == type.field_count();
}

}  // namespace

absl::Status YamlReader::Error(const YAML::Mark& mark, const std::string& path,
                               const std::string& problem) const {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": ", source_, " line ", mark.line + 1, ": ", problem));
}

absl::Status YamlReader::Visit(const YAML::Node& node, const std::string& path) {
  if (++nodes_ > kYamlNodesMax) {
    return Error(node.Mark(), path,
                 absl::StrCat("the file has more than ", kYamlNodesMax,
                              " values, aliases counted each time"));
  }
  if (depth_ > kYamlDepthMax) {
    return Error(node.Mark(), path, absl::StrCat("nested deeper than ", kYamlDepthMax));
  }
  if (!IsOurTag(node.Tag())) {
    return Error(node.Mark(), path,
                 absl::StrCat("the tag ", PrintableText(node.Tag()), " is not supported"));
  }
  return absl::OkStatus();
}

absl::Status YamlReader::Fill(const YAML::Node& node, const std::string& path, Message& message) {
  if (absl::Status visited = Visit(node, path); !visited.ok()) return visited;
  if (!node.IsMap()) {
    return Error(node.Mark(), path, absl::StrCat("wanted a map of fields, found ", KindOf(node)));
  }
  const Descriptor& type = *message.GetDescriptor();
  std::set<const FieldDescriptor*> seen;
  for (const auto& entry : node) {
    const YAML::Mark mark = entry.first.Mark();
    if (!entry.first.IsScalar() || entry.first.Scalar().size() > kKeyBytesMax) {
      return Error(mark, path, "wanted the name of a field as key");
    }
    const std::string key = PrintableText(entry.first.Scalar());
    const std::string field_path = absl::StrCat(path, ".", key);
    const FieldDescriptor* field = FindField(type, key);
    if (field == nullptr) {
      return Error(mark, field_path,
                   absl::StrCat("unknown key \"", key, "\"", Suggestion(type, key)));
    }
    if (!seen.insert(field).second) {
      return Error(mark, field_path, absl::StrCat("the key \"", key, "\" is there twice"));
    }
    const auto* oneof = field->real_containing_oneof();
    if (oneof != nullptr && message.GetReflection()->HasOneof(message, oneof)) {
      const auto* other = message.GetReflection()->GetOneofFieldDescriptor(message, oneof);
      return Error(
          mark, field_path,
          absl::StrCat("only one of \"", other->name(), "\" and \"", key, "\" may be set"));
    }
    if (entry.second.IsNull()) {  // Unset.
      // `pushed:` alone looks like a choice, but choosing takes a value.
      const bool choice = oneof != nullptr && field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
      if (choice) return Error(mark, field_path, "wanted a map of fields, found nothing; write {}");
      continue;
    }
    absl::Status set = SetField(entry.second, field_path, *field, message);
    if (!set.ok()) return set;
  }
  return absl::OkStatus();
}

absl::Status YamlReader::SetField(const YAML::Node& node, const std::string& path,
                                  const FieldDescriptor& field, Message& message) {
  if (field.is_map()) return SetMap(node, path, field, message);
  if (field.is_repeated()) return SetList(node, path, field, message);
  return SetValue(node, path, field, message);
}

absl::Status YamlReader::SetMap(const YAML::Node& node, const std::string& path,
                                const FieldDescriptor& field, Message& message) {
  if (absl::Status visited = Visit(node, path); !visited.ok()) return visited;
  if (!node.IsMap()) {
    return Error(node.Mark(), path, absl::StrCat("wanted a map, found ", KindOf(node)));
  }
  std::set<std::string> seen;
  for (const auto& entry : node) {
    const YAML::Mark mark = entry.first.Mark();
    if (!entry.first.IsScalar()) return Error(mark, path, "wanted a text as key");
    const std::string& key = entry.first.Scalar();
    const std::string entry_path = absl::StrCat(path, ".", PrintableText(key));
    if (!seen.insert(key).second) {
      return Error(mark, entry_path,
                   absl::StrCat("the key \"", PrintableText(key), "\" is there twice"));
    }
    Message& added = *message.GetReflection()->AddMessage(&message, &field);
    const Descriptor& type = *added.GetDescriptor();
    if (absl::Status set = SetScalar(key, *type.map_key(), added); !set.ok()) {
      return Error(mark, entry_path, std::string(set.message()));
    }
    if (absl::Status set = SetValue(entry.second, entry_path, *type.map_value(), added);
        !set.ok()) {
      return set;
    }
  }
  return absl::OkStatus();
}

absl::Status YamlReader::SetList(const YAML::Node& node, const std::string& path,
                                 const FieldDescriptor& field, Message& message) {
  if (absl::Status visited = Visit(node, path); !visited.ok()) return visited;
  if (!node.IsSequence()) {
    return Error(node.Mark(), path, absl::StrCat("wanted a list, found ", KindOf(node)));
  }
  for (std::size_t i = 0; i < node.size(); ++i) {
    absl::Status set = SetValue(node[i], absl::StrCat(path, "[", i, "]"), field, message);
    if (!set.ok()) return set;
  }
  return absl::OkStatus();
}

absl::Status YamlReader::SetValue(const YAML::Node& node, const std::string& path,
                                  const FieldDescriptor& field, Message& message) {
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    const auto& reflection = *message.GetReflection();
    Message* inner = field.is_repeated() ? reflection.AddMessage(&message, &field)
                                         : reflection.MutableMessage(&message, &field);
    return FillSubmessage(node, path, *inner);
  }
  if (absl::Status visited = Visit(node, path); !visited.ok()) return visited;
  if (!node.IsScalar()) {
    return Error(node.Mark(), path, absl::StrCat("wanted a single value, found ", KindOf(node)));
  }
  const absl::Status set = SetScalar(node.Scalar(), field, message);
  return set.ok() ? set : Error(node.Mark(), path, std::string(set.message()));
}

absl::Status YamlReader::Choose(const YAML::Node& node, const std::string& path, Message& message) {
  const Descriptor& type = *message.GetDescriptor();
  const FieldDescriptor* kind = FindField(type, node.Scalar());
  if (kind == nullptr || kind->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
    std::vector<std::string> known(static_cast<std::size_t>(type.field_count()));
    for (int i = 0; i < type.field_count(); ++i) {
      known[static_cast<std::size_t>(i)] = type.field(i)->name();
    }
    return Error(node.Mark(), path,
                 absl::StrCat("\"", PrintableText(node.Scalar()),
                              "\" is not known; known: ", absl::StrJoin(known, ", ")));
  }
  message.GetReflection()->MutableMessage(&message, kind);
  return absl::OkStatus();
}

absl::Status YamlReader::FillSubmessage(const YAML::Node& node, const std::string& path,
                                        Message& message) {
  if (node.IsScalar()) {
    if (absl::Status visited = Visit(node, path); !visited.ok()) return visited;
    const absl::Status set = SetTime(node.Scalar(), message);
    const bool time = message.GetDescriptor() == google::protobuf::Timestamp::descriptor();
    if (set.ok() && time && !time_zone_.empty() && LacksZone(node.Scalar())) {
      return Error(node.Mark(), path, ZoneWanted(time_zone_));
    }
    if (set.ok()) return set;
    if (!absl::IsUnimplemented(set)) {
      return Error(node.Mark(), path, std::string(set.message()));
    }
    if (IsChoice(*message.GetDescriptor())) return Choose(node, path, message);
  } else if (absl::Status set = SetTime("0", message); set.ok()) {
    return Error(node.Mark(), path, absl::StrCat("wanted a single value, found ", KindOf(node)));
  }
  ++depth_;
  absl::Status filled = Fill(node, path, message);
  --depth_;
  return filled;
}

}  // namespace shadow
