// What runs on a host of Linux, compared with the DNA it was cloned from. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/core/spec.h"

namespace shadow {

// What is true of a running instance, to be compared with its DNA. A field that the DNA does not
// speak of may be left empty.
struct Facts {
  struct DataSetFact {
    std::string sha256;  // As DataSet.sha256 is defined; or, if unreadable, empty with `error` set.
    std::string error;
    bool writable = false;  // By the instance's user.
  };
  std::string os_id;
  std::string os_version_id;
  std::map<std::string, std::string>
      software_output;  // By Software.name: first 4 KiB, stdout and stderr.
  std::map<std::string, DataSetFact> data_sets;  // By DataSet.name.
  int64_t uid = -1;
  // What Security.user (unset: the daemon's own user) is on the instance's host; -1: no such user.
  int64_t wanted_uid = -1;
  std::set<std::string> capabilities;  // Effective, as "CAP_...".
  bool no_new_privileges = false;
  // At least so much is read-only. Not told apart: filters of system calls and of address families.
  v1::Security::ProtectSystem protect_system = v1::Security::PROTECT_SYSTEM_UNSPECIFIED;
  bool private_tmp = false;
  bool filters_system_calls = false;
  // Of Security.read_only_paths, those the instance can write.
  std::set<std::string> writable_paths;
  // By Secret.environment_variable: those it has an older content of.
  std::set<std::string> changed_secrets;
  std::set<std::string> connections;  // Established, remote ends: "10.0.0.1:5432", "[::1]:5432".
  std::map<std::string, int64_t> limits;  // "memory_max_bytes", "tasks_max", ... as enforced now.
};

// One sentence for each field in which `facts` differ from `dna`, in the order of the DNA's fields;
// empty: the instance is what its DNA says. Each names the field, what was wanted and what was
// found, e.g. "dna.data_sets[catalog].sha256: wanted 12ab..., found 34cd...". Text from the host is
// shortened and made printable ASCII, so a sentence may go into any output; no secret is ever among
// `facts`. Never a difference: no_new_privileges where the DNA does not ask for it.
std::vector<std::string> Differences(const CompiledDna& dna, const Facts& facts);

// The same of the connections alone.
std::vector<std::string> MissingConnections(const CompiledDna& dna, const Facts& facts);

// True if `version` stands in `output` as a word of its own: "3.11" is in "Python 3.11" and in
// "python-3.11.", but not in "3.11.2", "13.11", "3.11-rc1" or "v3.11".
bool HasWholeWord(std::string_view output, std::string_view version);

// "10.0.0.1:5432" or "[::1]:5432", as Facts::connections has it. The host is taken as it is
// spelled.
std::string RemoteEnd(const std::string& host, int port);

}  // namespace shadow
