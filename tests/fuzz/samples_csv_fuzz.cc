// CSV files of samples.
#include "client/input/samples_csv.h"
#include "tests/fuzz/input.h"

namespace shadow {

void Fuzz(std::string_view bytes) { ParseSamplesCsv(bytes, "file").status().IgnoreError(); }

}  // namespace shadow
