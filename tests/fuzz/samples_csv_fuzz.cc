// CSV files of samples, and what other systems export.
#include "client/import/import.h"
#include "client/input/samples_csv.h"
#include "tests/fuzz/input.h"

namespace shadow {

void Fuzz(std::string_view bytes) {
  ParseSamplesCsv(bytes, "file").status().IgnoreError();
  ImportSamples(bytes, "file", {}).status().IgnoreError();
}

}  // namespace shadow
