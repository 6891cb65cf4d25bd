#include "client/connection/contexts.h"

#include <fcntl.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/errors.h"
#include "client/input/manifest.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;

struct Field {
  const char* key;
  std::string Target::*value;
  bool is_file;
};
constexpr Field kFields[] = {{"address", &Target::address, false},
                             {"cert", &Target::cert, true},
                             {"key", &Target::key, true},
                             {"ca", &Target::ca, true},
                             {"server-name", &Target::server_name, false}};

absl::Status Wrong(const std::string& path, const YAML::Node& node, std::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": line ", node.Mark().line + 1, ": ", std::string(why)));
}

absl::Status ReadField(const std::string& path, const std::string& key, const YAML::Node& node,
                       Context& context) {
  if (!node.IsScalar()) return Wrong(path, node, absl::StrCat(key, ": wanted a text"));
  if (key == "name") {
    context.name = node.Scalar();
    return absl::OkStatus();
  }
  for (const Field& field : kFields) {
    if (key != field.key) continue;
    std::string& value = context.target.*field.value;
    value = node.Scalar();
    if (field.is_file && !value.empty()) {
      value = (std::filesystem::path(path).parent_path() / value).string();
    }
    return absl::OkStatus();
  }
  return Wrong(path, node,
               absl::StrCat("\"", PrintableText(key),
                            "\" is none of name, address, cert, key, ca and server-name"));
}

absl::Status ReadContext(const std::string& path, const YAML::Node& node, Contexts& contexts) {
  if (!node.IsMap()) return Wrong(path, node, "contexts: wanted a name, an address, ...");
  Context context;
  for (const auto& entry : node) {
    const absl::Status read = ReadField(path, entry.first.as<std::string>(), entry.second, context);
    if (!read.ok()) return read;
  }
  if (context.name.empty()) return Wrong(path, node, "this context has no name");
  if (contexts.Find(context.name) != nullptr) {
    return Wrong(path, node,
                 absl::StrCat("there are two contexts \"", PrintableText(context.name), "\""));
  }
  contexts.contexts.push_back(std::move(context));
  return absl::OkStatus();
}

absl::Status ReadEntry(const std::string& path, const std::string& key, const YAML::Node& node,
                       Contexts& contexts) {
  if (key == "current-context") {
    if (node.IsNull()) return absl::OkStatus();
    if (!node.IsScalar()) return Wrong(path, node, "current-context: wanted a name");
    contexts.current = node.Scalar();
    return absl::OkStatus();
  }
  if (key != "contexts") {
    return Wrong(
        path, node,
        absl::StrCat("\"", PrintableText(key), "\" is neither contexts nor current-context"));
  }
  if (node.IsNull()) return absl::OkStatus();
  if (!node.IsSequence()) return Wrong(path, node, "contexts: wanted a list");
  for (const YAML::Node& context : node) {
    if (absl::Status read = ReadContext(path, context, contexts); !read.ok()) return read;
  }
  return absl::OkStatus();
}

std::string TextOf(const Contexts& contexts) {
  YAML::Emitter yaml;
  yaml << YAML::BeginMap;
  if (!contexts.current.empty()) {
    yaml << YAML::Key << "current-context" << YAML::Value << contexts.current;
  }
  yaml << YAML::Key << "contexts" << YAML::Value << YAML::BeginSeq;
  for (const Context& context : contexts.contexts) {
    yaml << YAML::BeginMap << YAML::Key << "name" << YAML::Value << context.name;
    for (const Field& field : kFields) {
      const std::string& value = context.target.*field.value;
      if (!value.empty()) yaml << YAML::Key << field.key << YAML::Value << value;
    }
    yaml << YAML::EndMap;
  }
  yaml << YAML::EndSeq << YAML::EndMap;
  return std::string(yaml.c_str()) + "\n";
}

bool WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return fsync(fd) == 0;
}

}  // namespace

const Context* Contexts::Find(std::string_view name) const {
  const auto found = std::find_if(contexts.begin(), contexts.end(),
                                  [&](const Context& context) { return context.name == name; });
  return found == contexts.end() ? nullptr : &*found;
}

Context* Contexts::Find(std::string_view name) {
  return const_cast<Context*>(std::as_const(*this).Find(name));
}

absl::StatusOr<Contexts> ReadContexts(const std::string& path) {
  Contexts contexts;
  std::error_code error;
  if (path.empty() || !std::filesystem::exists(path, error)) return contexts;
  const auto text = ReadInput(path, std::cin, kFileBytesMax, "contexts");
  if (!text.ok()) return text.status();
  if (text->find_first_not_of(" \t\r\n") == std::string::npos) return contexts;
  const auto documents = LoadDocuments(*text, path);
  if (!documents.ok()) return documents.status();
  try {
    for (const YAML::Node& document : *documents) {
      if (document.IsNull()) continue;
      if (!document.IsMap()) return Wrong(path, document, "wanted contexts and current-context");
      for (const auto& entry : document) {
        const absl::Status read =
            ReadEntry(path, entry.first.as<std::string>(), entry.second, contexts);
        if (!read.ok()) return read;
      }
    }
  } catch (const YAML::Exception& e) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": line ", e.mark.line + 1, ": ", e.msg));
  }
  return contexts;
}

absl::Status WriteContexts(const Contexts& contexts, const std::string& path) {
  if (path.empty()) {
    return absl::UnavailableError("neither $XDG_CONFIG_HOME nor $HOME says where contexts are");
  }
  std::error_code ignored;  // What follows fails then too, and says why.
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  std::string part = path + ".XXXXXX";
  const int fd = mkostemp(part.data(), O_CLOEXEC);
  const bool written = fd >= 0 && WriteAll(fd, TextOf(contexts));
  int error = errno;
  if (fd >= 0) close(fd);
  if (written && rename(part.c_str(), path.c_str()) == 0) return absl::OkStatus();
  if (written) error = errno;
  if (fd >= 0) unlink(part.c_str());
  return absl::UnavailableError(absl::StrCat("cannot write ", path, ": ", std::strerror(error)));
}

absl::Status UnknownContext(const Contexts& contexts, std::string_view name,
                            std::string_view source) {
  std::string names;
  for (const Context& context : contexts.contexts) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", PrintableText(context.name));
  }
  return BadField(source, absl::StrCat("there is no context \"", PrintableText(name), "\"; ",
                                       names.empty() ? "make one with `shadowctl context set`"
                                                     : "wanted one of " + names));
}

}  // namespace shadow
