// What libFuzzer calls, and how a target sees its bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace shadow {

// Each target defines this. It takes any bytes, and does not throw, crash or leak.
void Fuzz(std::string_view bytes);

}  // namespace shadow

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  shadow::Fuzz({reinterpret_cast<const char*>(data), size});
  return 0;
}
