// VERIFYING: what runs, compared with the DNA it was cloned from. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/core/ports.h"
#include "server/core/spec.h"

namespace shadow {

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
