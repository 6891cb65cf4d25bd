// Specs of pools and DNAs, as text or as a message.
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <cstdlib>
#include <string>

#include "server/core/spec.h"
#include "tests/fuzz/input.h"

namespace shadow {
namespace {

// Nobody reads what is wrong with the text.
class Silent final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int, int, const std::string&) override {}
};

template <typename Message>
bool Parse(std::string_view bytes, Message& message) {
  const std::string text(bytes);
  Silent silent;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&silent);
  parser.SetRecursionLimit(50);
  if (parser.ParseFromString(text, &message)) return true;
  return message.ParseFromString(text);
}

// What was accepted is stored, and must be accepted by the next start.
void CompileAgain(const CompiledPool& compiled) {
  const auto again = CompilePool(compiled.pool);
  if (!again.ok() || again->pool.SerializeAsString() != compiled.pool.SerializeAsString()) abort();
  const absl::Time times[] = {absl::UnixEpoch(), absl::FromUnixSeconds(1'700'000'000)};
  for (const absl::Time time : times) {
    const Bounds bounds = BoundsAt(compiled, time, absl::Minutes(5));
    if (bounds.min_instances < 0 || bounds.min_instances > bounds.max_instances) abort();
  }
}

}  // namespace

void Fuzz(std::string_view bytes) {
  v1::Pool pool;
  if (Parse(bytes, pool)) {
    const auto compiled = CompilePool(pool);
    if (compiled.ok()) CompileAgain(*compiled);
  }
  v1::Dna dna;
  if (Parse(bytes, dna)) {
    const auto compiled = CompileDna(dna);
    if (compiled.ok()) {
      const auto again = CompileDna(compiled->dna);
      if (!again.ok() || again->revision_name != compiled->revision_name) abort();
    }
  }
}

}  // namespace shadow
