// Samples of one pool in few bytes, without loss.
//
//   1 byte    1: the version of this format
//   varint    number of samples
//   1 byte    exponent e of the unit of the times, 10^e ns
//   varint    first time in units, zigzag
//   deltas    of the distances between times: a step that stays the same is a run of zeros
//   1 byte    decimals d of the values, or 255
//   values    d: the first as value * 10^d, zigzag varint, then deltas to the one before
//             255: each as XOR with the one before, without its zero bytes: 1 byte with the number
//             of leading zero bytes (high half) and of bytes that follow (low half), then those
//   4 bytes   FNV-1a of all the bytes before, little-endian
//
// Deltas are zigzag varints; a 0 is followed by the number of further zeros as a varint.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/samples/timed_value.h"

namespace shadow::storage {

// No chunk has more; it bounds what damaged bytes can make a reader do.
inline constexpr size_t kEncodedSamplesMax = 1024;

// `samples`: 1 to kEncodedSamplesMax, by ascending and distinct times, values finite.
std::string EncodeSamples(std::span<const TimedValue> samples);

// Exactly what was encoded, to the bit. kDataLoss: `bytes` are not what EncodeSamples returned.
absl::StatusOr<std::vector<TimedValue>> DecodeSamples(std::string_view bytes);

}  // namespace shadow::storage
