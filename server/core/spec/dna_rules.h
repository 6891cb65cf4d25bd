// The parts of CompileDna (spec.h) that are about the running process. Private to spec_dna.cc.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <cstddef>
#include <string>

#include "server/core/spec.h"
#include "server/core/spec/field_checker.h"

namespace shadow::dna_rules {

inline constexpr int kEntriesMax = 64;  // Software, data sets, connections, secrets, paths.
inline constexpr size_t kShortTextMaxBytes = 128;

// "dna.data_sets[2].name" is At("dna.data_sets", 2, ".name").
std::string At(const char* list, int index, const char* field = "");

// A command without a shell: 1 to 256 entries, 64 KiB together, the first one an absolute path.
void CheckArgv(const std::string& field,
               const google::protobuf::RepeatedPtrField<std::string>& argv, FieldChecker& check);

// The name of an environment variable that shadowd does not set itself.
void CheckVariable(const std::string& field, const std::string& key, FieldChecker& check);

void CheckNetwork(const v1::Network& network, FieldChecker& check);

// Check the field of `compiled.dna` and set what is compiled from it.
void CompileProcess(CompiledDna& compiled, FieldChecker& check);
void CompileWarmUp(CompiledDna& compiled, FieldChecker& check);

}  // namespace shadow::dna_rules
