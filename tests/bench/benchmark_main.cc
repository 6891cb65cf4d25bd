#include <benchmark/benchmark.h>

#include "server/memory.h"

int main(int argc, char** argv) {
  shadow::KeepFreedMemory();  // As the daemon does.
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
