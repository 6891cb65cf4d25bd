// Files of DNAs and pools: YAML or JSON (which is YAML), several documents separated by `---`.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstddef>
#include <istream>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "shadow/v1/dna.pb.h"
#include "shadow/v1/pool.pb.h"

namespace shadow {

inline constexpr std::size_t kManifestBytesMax = std::size_t{4} << 20U;
inline constexpr std::size_t kDocumentsMax = 1000;

using Manifest = std::variant<v1::Dna, v1::Pool>;

// What the documents may be. With a kind that is known, `name` may be short.
enum class ManifestKind { kDnaOrPool, kDna, kPool };

// The documents of `text` in order; empty ones are skipped, but one must be there. A document is a
// DNA if its name begins with dnas/, a pool if with pools/. `source` is the file's name for
// messages. kInvalidArgument: "<field path>: <source> line N: ..." with what was wanted.
absl::StatusOr<std::vector<Manifest>> ParseManifests(std::string_view text, std::string_view source,
                                                     ManifestKind kind);

// All documents of `text`. kInvalidArgument: "SOURCE: line N: ..." where it is not YAML.
absl::StatusOr<std::vector<YAML::Node>> LoadDocuments(std::string_view text,
                                                      const std::string& source);

// The one document of `text` as the fields of a policy. Errors as ParseManifests.
absl::StatusOr<v1::Policy> ParsePolicy(std::string_view text, std::string_view source);

// All of file `path`, or of `standard_input` for "-". kInvalidArgument for `field`: it cannot be
// read, or holds more than `bytes_max`.
absl::StatusOr<std::string> ReadInput(const std::string& path, std::istream& standard_input,
                                      std::size_t bytes_max, std::string_view field);

}  // namespace shadow
