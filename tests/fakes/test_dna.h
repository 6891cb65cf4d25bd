// Small DNAs for tests, compiled by hand.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/core/ports.h"
#include "server/core/spec.h"

namespace shadow {

// A DNA that runs `argv`, with short timeouts; no checks, no warm-up.
inline CompiledDna TestDna(const std::vector<std::string>& argv = {"/bin/sleep", "1000"}) {
  CompiledDna dna;
  dna.dna.set_name("dnas/web");
  dna.dna.set_revision("0123456789ab");
  for (const std::string& argument : argv) dna.dna.mutable_process()->add_argv(argument);
  dna.revision_name = "dnas/web@0123456789ab";
  dna.start_timeout = absl::Seconds(60);
  dna.stop_timeout = absl::Seconds(10);
  dna.ready_interval = absl::Milliseconds(100);
  dna.ready_timeout = absl::Seconds(1);
  dna.warm_up_timeout = absl::Seconds(10);
  return dna;
}

// A member of the shadow pool "r0123456789ab" of pool "web".
inline InstanceSpec TestInstance(const std::string& id, CompiledDna dna = TestDna()) {
  return {.id = id,
          .name = "pools/web/instances/" + id,
          .pool = "web",
          .shadow = "r0123456789ab",
          .dna = std::make_shared<const CompiledDna>(std::move(dna))};
}

}  // namespace shadow
