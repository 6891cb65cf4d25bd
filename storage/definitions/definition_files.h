// What pools and DNAs are, a second time, in files beside the records of their instances: so that a
// person can have instances adopted whose state.db is lost (`--recover=adopt`).
//
//   DIR/definitions/web.pool               the spec of a pool, as it was last changed
//   DIR/definitions/web@0123456789ab.dna   a revision of a DNA
//
// Each has one line, "shadowd-definition 1 CHECKSUM", and then the message. It is written under
// another name, and renamed: a reader sees the old one or the new one. They say no more than
// state.db, and only the daemon's user may read them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "shadow/v1/record.pb.h"

namespace shadow {

// Of a file: v1::Definitions with the one message that it holds. kDataLoss: it is damaged, or is
// not the file of what it holds.
absl::StatusOr<v1::Definitions> ParseDefinition(std::string_view file_name, std::string_view bytes);

// One thread. Nothing else writes there.
class DefinitionFiles {
 public:
  explicit DefinitionFiles(const std::string& state_dir) : directory_(state_dir + "/definitions") {}

  // What is to be kept, and what no longer. Only noted.
  void Add(const v1::WriteBatch& batch);

  // Writes what was noted, durably: files that differ, or are too many. After an error it is still
  // noted. kResourceExhausted: the disk is full.
  absl::Status Write();

  // Writes `definitions`, and removes all others.
  absl::Status Replace(const v1::Definitions& definitions);

  struct Kept {
    v1::Definitions definitions;
    std::vector<std::string> damaged;  // For people: which file, and why it does not count.
  };
  // Complete or an error; both empty where there is no directory.
  absl::StatusOr<Kept> Read() const;

 private:
  void AddDna(const v1::Dna& dna);
  void AddPool(const v1::Pool& spec);
  absl::StatusOr<std::vector<std::string>> Names() const;

  const std::string directory_;
  std::map<std::string, std::optional<std::string>> noted_;  // By file name; unset: removed.
};

}  // namespace shadow
