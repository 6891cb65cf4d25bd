#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include "server/memory.h"

int main(int argc, char** argv) {
  shadow::KeepFreedMemory();  // As the daemon does; it halves the time of forecast_test.
  return Catch::Session().run(argc, argv);
}
