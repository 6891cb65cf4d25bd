// CompileDna: the fields of a DNA in the order of dna.proto, as far as their meaning is the same at
// every provider.
#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/core/names.h"
#include "server/core/spec.h"
#include "server/core/spec/canonical.h"
#include "server/core/spec/dna_rules.h"
#include "server/core/spec/field_checker.h"
#include "server/core/spec/output_fields.h"
#include "server/core/text.h"

namespace shadow {
namespace {

constexpr int64_t kDnaMaxBytes = 256 * 1024;
constexpr size_t kImageMaxBytes = 512;
constexpr int kWordsMax = 512;  // There are fewer system calls.
constexpr FieldChecker::Limits kCpuMillis = {.min = 1, .max = 1'024'000};
constexpr FieldChecker::Limits kCpuWeight = {.min = 1, .max = 10'000};
constexpr FieldChecker::Limits kMemoryBytes = {.min = int64_t{1} << 20, .max = int64_t{1} << 46};

using dna_rules::At;
using dna_rules::kEntriesMax;
using dna_rules::kShortTextMaxBytes;

// Lower-case letters, digits, ".", "_" and "-", as os-release(5) asks of ID and VERSION_ID.
void CheckOsRelease(const char* field, const std::string& value, FieldChecker& check) {
  if (value.empty()) return;
  check.Text(field, value, kShortTextMaxBytes);
  if (!std::all_of(value.begin(), value.end(), [](char c) {
        return IsLower(c) || IsDigit(c) || c == '.' || c == '_' || c == '-';
      })) {
    check.Fail(field, absl::StrCat(Quoted(value), " does not match [a-z0-9._-]+"));
  }
}

void CheckOperatingSystem(const v1::OperatingSystem& os, FieldChecker& check) {
  if (!os.root_directory().empty()) {
    check.Path("dna.operating_system.root_directory", os.root_directory());
  }
  if (!os.image().empty()) {
    check.Word("dna.operating_system.image", os.image(), kImageMaxBytes);
    if (!os.root_directory().empty()) {
      check.Fail("dna.operating_system.image", "is set beside root_directory; choose one");
    }
    check.Sha256("dna.operating_system.image_digest", os.image_digest(), "sha256:");
  } else if (!os.image_digest().empty()) {
    check.Fail("dna.operating_system.image_digest", "is set without an image");
  }
  if (!os.root_hash().empty()) {
    if (os.image().empty()) check.Fail("dna.operating_system.root_hash", "is set without an image");
    check.Sha256("dna.operating_system.root_hash", os.root_hash(), "");
  }
  CheckOsRelease("dna.operating_system.id", os.id(), check);
  CheckOsRelease("dna.operating_system.version_id", os.version_id(), check);
}

void CheckSoftware(const v1::Dna& dna, FieldChecker& check) {
  constexpr char kField[] = "dna.software";
  check.Count(kField, dna.software_size(), kEntriesMax);
  std::set<std::string> names;
  for (int i = 0; check.ok() && i < dna.software_size(); ++i) {
    const v1::Software& software = dna.software(i);
    check.Text(At(kField, i, ".name"), software.name(), kShortTextMaxBytes);
    if (!names.insert(software.name()).second) {
      check.Fail(At(kField, i, ".name"), absl::StrCat(Quoted(software.name()), " is there twice"));
    }
    check.Word(At(kField, i, ".version"), software.version(), kShortTextMaxBytes);
    dna_rules::CheckArgv(At(kField, i, ".verify_argv"), software.verify_argv(), check);
  }
}

void CheckDataSets(const v1::Dna& dna, FieldChecker& check) {
  constexpr char kField[] = "dna.data_sets";
  check.Count(kField, dna.data_sets_size(), kEntriesMax);
  std::set<std::string> names;
  std::set<std::string> places;
  for (int i = 0; check.ok() && i < dna.data_sets_size(); ++i) {
    const v1::DataSet& data = dna.data_sets(i);
    check.Foreign(At(kField, i, ".name"), data.name());
    if (!names.insert(data.name()).second) {
      check.Fail(At(kField, i, ".name"), absl::StrCat(Quoted(data.name()), " is there twice"));
    }
    check.Path(At(kField, i, ".source"), data.source());
    if (!data.mount_path().empty()) check.Path(At(kField, i, ".mount_path"), data.mount_path());
    const std::string& place = data.mount_path().empty() ? data.source() : data.mount_path();
    if (!places.insert(place).second) {
      check.Fail(At(kField, i, ".mount_path"),
                 absl::StrCat("another data set is at ", Quoted(place), " already"));
    }
    check.Sha256(At(kField, i, ".sha256"), data.sha256(), "");
    if (!data.volume_claim().empty()) {
      check.Word(At(kField, i, ".volume_claim"), data.volume_claim(), kShortTextMaxBytes);
    }
  }
}

// A file, or a Secret of a cluster.
void CheckSecretSource(int i, const v1::Secret& secret, FieldChecker& check) {
  constexpr char kField[] = "dna.security.secrets";
  if (secret.secret_name().empty() && secret.secret_key().empty()) {
    return check.Path(At(kField, i, ".source_file"), secret.source_file());
  }
  check.Word(At(kField, i, ".secret_name"), secret.secret_name(), kShortTextMaxBytes);
  check.Word(At(kField, i, ".secret_key"), secret.secret_key(), kShortTextMaxBytes);
  if (!secret.source_file().empty()) {
    check.Fail(At(kField, i, ".source_file"), "is set beside secret_name; choose one");
  }
}

void CheckSecrets(const v1::Dna& dna, FieldChecker& check) {
  constexpr char kField[] = "dna.security.secrets";
  const auto& secrets = dna.security().secrets();
  check.Count(kField, secrets.size(), kEntriesMax);
  std::set<std::string> variables;
  for (int i = 0; check.ok() && i < secrets.size(); ++i) {
    const std::string& variable = secrets[i].environment_variable();
    dna_rules::CheckVariable(At(kField, i, ".environment_variable"), variable, check);
    if (!variables.insert(variable).second || dna.process().environment().contains(variable)) {
      check.Fail(At(kField, i, ".environment_variable"),
                 absl::StrCat(Quoted(variable), " is set twice"));
    }
    CheckSecretSource(i, secrets[i], check);
  }
}

// Names that mean something to a kernel.
void CheckWords(const char* field, const google::protobuf::RepeatedPtrField<std::string>& words,
                FieldChecker& check) {
  check.Count(field, words.size(), kWordsMax);
  std::set<std::string> seen;
  for (int i = 0; check.ok() && i < words.size(); ++i) {
    check.Word(At(field, i), words[i], kShortTextMaxBytes);
    if (!seen.insert(words[i]).second) {
      check.Fail(At(field, i), absl::StrCat(Quoted(words[i]), " is there twice"));
    }
  }
}

void CheckSecurity(const v1::Dna& dna, FieldChecker& check) {
  const v1::Security& security = dna.security();
  check.Count("dna.security.read_only_paths", security.read_only_paths_size(), kEntriesMax);
  for (int i = 0; check.ok() && i < security.read_only_paths_size(); ++i) {
    check.Path(At("dna.security.read_only_paths", i), security.read_only_paths(i));
  }
  if (security.dynamic_user() && !security.user().empty()) {
    check.Fail("dna.security.dynamic_user", "is set beside user; choose one");
  }
  CheckWords("dna.security.system_call_filter", security.system_call_filter(), check);
  CheckWords("dna.security.restrict_address_families", security.restrict_address_families(), check);
  CheckSecrets(dna, check);
}

void CheckResources(const v1::Resources& resources, FieldChecker& check) {
  if (resources.has_cpu_millis()) {
    check.Range("dna.resources.cpu_millis", resources.cpu_millis(), kCpuMillis);
  }
  if (resources.has_memory_max_bytes()) {
    check.Range("dna.resources.memory_max_bytes", resources.memory_max_bytes(), kMemoryBytes);
  }
  if (resources.has_cpu_weight()) {
    check.Range("dna.resources.cpu_weight", resources.cpu_weight(), kCpuWeight);
  }
  if (resources.has_memory_high_bytes()) {
    check.Range("dna.resources.memory_high_bytes", resources.memory_high_bytes(), kMemoryBytes);
  }
}

void CheckName(const v1::Dna& dna, FieldChecker& check) {
  const auto name = ParseDnaName(dna.name(), "dna.name");
  if (!name.ok()) return check.Add(name.status());
  if (!name->revision.empty()) {
    check.Fail("dna.name", absl::StrCat(Quoted(dna.name()),
                                        " names a revision; revisions are made from the content"));
  }
}

}  // namespace

absl::StatusOr<CompiledDna> CompileDna(const v1::Dna& dna) {
  FieldChecker check;
  CompiledDna compiled;
  compiled.dna = dna;
  ClearOutputOnly(compiled.dna);
  const auto bytes = static_cast<int64_t>(compiled.dna.ByteSizeLong());
  if (bytes > kDnaMaxBytes) {
    check.Fail("dna", absl::StrCat("has ", bytes, " bytes; at most ", kDnaMaxBytes, " fit"));
  }
  if (check.ok()) check.WellFormed(compiled.dna, "dna");
  if (!check.ok()) return check.status();
  CheckName(compiled.dna, check);
  CheckOperatingSystem(compiled.dna.operating_system(), check);
  CheckSoftware(compiled.dna, check);
  CheckDataSets(compiled.dna, check);
  CheckSecurity(compiled.dna, check);
  CheckResources(compiled.dna.resources(), check);
  dna_rules::CheckNetwork(compiled.dna.network(), check);
  dna_rules::CompileProcess(compiled, check);
  dna_rules::CompileWarmUp(compiled, check);
  if (!check.ok()) return check.status();
  compiled.dna.set_revision(RevisionOf(compiled.dna));
  compiled.revision_name = absl::StrCat(compiled.dna.name(), "@", compiled.dna.revision());
  return compiled;
}

}  // namespace shadow
