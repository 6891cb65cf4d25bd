// Definitions of pools and DNAs that are kept beside the records of instances: any bytes behind a
// checksum that fits. What is taken back of them is stored, and must load.
#include <cstdlib>
#include <string>

#include "absl/strings/str_format.h"
#include "server/core/adoption/adoption.h"
#include "server/core/loop/control_loop.h"
#include "storage/definitions/definition_files.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/messages.h"

namespace shadow {
namespace {

std::string WithHeader(std::string_view body) {
  uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
  for (const char byte : body) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3U;
  return absl::StrFormat("shadowd-definition 1 %016x\n", hash) + std::string(body);
}

void AddPool(std::string_view body, v1::Definitions& kept) {
  v1::Pool pool;
  if (!ParseMessage(body, pool) || pool.name().size() < 6) return;
  const auto parsed =
      ParseDefinition(pool.name().substr(6) + ".pool", WithHeader(pool.SerializeAsString()));
  if (parsed.ok()) kept.MergeFrom(*parsed);
}

// With the revision of its content, or almost none would be taken.
void AddDna(std::string_view body, v1::Definitions& kept) {
  v1::Dna dna;
  if (!ParseMessage(body, dna) || dna.name().size() < 5) return;
  const auto compiled = CompileDna(dna);
  if (compiled.ok()) dna.set_revision(compiled->dna.revision());
  const auto parsed = ParseDefinition(dna.name().substr(5) + "@" + dna.revision() + ".dna",
                                      WithHeader(dna.SerializeAsString()));
  if (parsed.ok()) kept.MergeFrom(*parsed);
}

void TakeBack(const v1::Definitions& kept) {
  const absl::Time now = absl::FromUnixSeconds(1'700'006'400);
  const Revival revival = Revive(kept, now);
  v1::StoreContents contents;
  ApplyAdoption(Adopt({}, "process", {}, {}, now, revival).batch, contents);
  ControlLoop loop({});
  const Instant start{.wall = now, .mono = absl::Hours(1)};
  if (!loop.Load(contents, start).ok()) abort();
  loop.Recover(start);
}

}  // namespace

// The messages one after the other, each in as many bytes as the two before it say.
void Fuzz(std::string_view bytes) {
  v1::Definitions kept;
  while (bytes.size() >= 2) {
    const auto byte = [&bytes](size_t at) { return static_cast<uint8_t>(bytes[at]); };
    const std::string_view body = bytes.substr(2, byte(0) + size_t{256} * byte(1));
    bytes.remove_prefix(2 + body.size());
    AddPool(body, kept);
    AddDna(body, kept);
  }
  TakeBack(kept);
}

}  // namespace shadow
