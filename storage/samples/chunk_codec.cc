#include "storage/samples/chunk_codec.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"

namespace shadow::storage {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kXored = 255;
constexpr size_t kChecksumBytes = 4;
constexpr int64_t kExactIntegerMax = int64_t{1} << 53;
constexpr std::array<double, 7> kPowers = {1, 10, 100, 1e3, 1e4, 1e5, 1e6};
constexpr std::array<uint8_t, 4> kUnitExponents = {9, 6, 3, 0};

int64_t UnitNanos(uint8_t exponent) {
  int64_t unit = 1;
  for (int i = 0; i < exponent; ++i) unit *= 10;
  return unit;
}

// Differences wrap around, so that every pair of times has one.
uint64_t ZigZag(uint64_t difference) { return (difference << 1) ^ (0 - (difference >> 63)); }
uint64_t UnZigZag(uint64_t coded) { return (coded >> 1) ^ (0 - (coded & 1)); }

uint32_t Checksum(std::string_view bytes) {
  uint32_t hash = 2166136261U;
  for (const char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 16777619U;
  return hash;
}

void PutByte(std::string& out, uint8_t byte) { out.push_back(static_cast<char>(byte)); }

void PutVarint(std::string& out, uint64_t number) {
  for (; number >= 0x80; number >>= 7) PutByte(out, static_cast<uint8_t>(number | 0x80));
  PutByte(out, static_cast<uint8_t>(number));
}

// The deltas of one sequence; call End after the last.
class DeltaEncoder {
 public:
  explicit DeltaEncoder(std::string& out) : out_(out) {}

  void Put(uint64_t difference) {
    if (difference == 0) {
      ++zeros_;
      return;
    }
    End();
    PutVarint(out_, ZigZag(difference));
  }

  void End() {
    if (zeros_ == 0) return;
    PutVarint(out_, 0);
    PutVarint(out_, zeros_ - 1);
    zeros_ = 0;
  }

 private:
  std::string& out_;
  uint64_t zeros_ = 0;
};

// Nothing once the bytes have ended or make no sense.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : rest_(bytes) {}

  std::optional<uint8_t> Byte() {
    if (rest_.empty()) return std::nullopt;
    const auto byte = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }

  std::optional<uint64_t> Varint() {
    uint64_t number = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const std::optional<uint8_t> byte = Byte();
      if (!byte) return std::nullopt;
      number |= static_cast<uint64_t>(*byte & 0x7f) << shift;
      if (*byte < 0x80) return number;
    }
    return std::nullopt;
  }

  std::optional<uint64_t> Difference() {
    if (zeros_ > 0) {
      --zeros_;
      return 0;
    }
    const std::optional<uint64_t> coded = Varint();
    if (!coded || *coded != 0) return coded ? std::optional(UnZigZag(*coded)) : std::nullopt;
    const std::optional<uint64_t> further = Varint();
    if (!further) return std::nullopt;
    zeros_ = *further;
    return 0;
  }

  // Whether a sequence ends here, and not within a run.
  bool RunEnded() const { return zeros_ == 0; }
  bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  uint64_t zeros_ = 0;
};

uint8_t UnitExponentOf(std::span<const TimedValue> samples) {
  for (const uint8_t exponent : kUnitExponents) {
    const int64_t unit = UnitNanos(exponent);
    bool exact = true;
    for (const TimedValue& sample : samples) exact = exact && sample.time_ns % unit == 0;
    if (exact) return exponent;
  }
  return 0;
}

// The value as an integer of `power` parts, if that is lossless. -0 has none.
std::optional<int64_t> Scaled(double value, double power) {
  const double scaled = std::round(value * power);
  if (!(std::abs(scaled) <= static_cast<double>(kExactIntegerMax))) return std::nullopt;
  const auto integer = static_cast<int64_t>(scaled);
  const double back = static_cast<double>(integer) / power;
  if (std::bit_cast<uint64_t>(back) != std::bit_cast<uint64_t>(value)) return std::nullopt;
  return integer;
}

// The smallest number of decimals that all values have, or kXored.
uint8_t DecimalsOf(std::span<const TimedValue> samples) {
  for (size_t decimals = 0; decimals < kPowers.size(); ++decimals) {
    bool exact = true;
    for (size_t i = 0; exact && i < samples.size(); ++i) {
      exact = Scaled(samples[i].value, kPowers[decimals]).has_value();
    }
    if (exact) return static_cast<uint8_t>(decimals);
  }
  return kXored;
}

void EncodeTimes(std::span<const TimedValue> samples, std::string& out) {
  const uint8_t exponent = UnitExponentOf(samples);
  const int64_t unit = UnitNanos(exponent);
  PutByte(out, exponent);
  auto last = static_cast<uint64_t>(samples.front().time_ns / unit);
  uint64_t step = 0;
  PutVarint(out, ZigZag(last));
  DeltaEncoder deltas(out);
  for (const TimedValue& sample : samples.subspan(1)) {
    const auto time = static_cast<uint64_t>(sample.time_ns / unit);
    deltas.Put(time - last - step);
    step = time - last;
    last = time;
  }
  deltas.End();
}

void EncodeXored(std::span<const TimedValue> samples, std::string& out) {
  uint64_t last = 0;
  for (const TimedValue& sample : samples) {
    const auto bits = std::bit_cast<uint64_t>(sample.value);
    const uint64_t change = bits ^ last;
    last = bits;
    const int leading = std::countl_zero(change) / 8;
    const int trailing = change == 0 ? 0 : std::countr_zero(change) / 8;
    const int length = 8 - leading - trailing;
    PutByte(out, static_cast<uint8_t>(leading << 4 | length));
    for (int i = 0; i < length; ++i) {
      PutByte(out, static_cast<uint8_t>(change >> (8 * (trailing + i))));
    }
  }
}

void EncodeValues(std::span<const TimedValue> samples, std::string& out) {
  const uint8_t decimals = DecimalsOf(samples);
  PutByte(out, decimals);
  if (decimals == kXored) {
    EncodeXored(samples, out);
    return;
  }
  const double power = kPowers[decimals];
  auto last = static_cast<uint64_t>(*Scaled(samples.front().value, power));
  PutVarint(out, ZigZag(last));
  DeltaEncoder deltas(out);
  for (const TimedValue& sample : samples.subspan(1)) {
    const auto scaled = static_cast<uint64_t>(*Scaled(sample.value, power));
    deltas.Put(scaled - last);
    last = scaled;
  }
  deltas.End();
}

bool DecodeTimes(Bytes& bytes, std::vector<TimedValue>& samples) {
  const std::optional<uint8_t> exponent = bytes.Byte();
  const std::optional<uint64_t> first = bytes.Varint();
  if (!exponent || !first || *exponent > kUnitExponents.front()) return false;
  const int64_t unit = UnitNanos(*exponent);
  uint64_t time = UnZigZag(*first);
  uint64_t step = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (i > 0) {
      const std::optional<uint64_t> difference = bytes.Difference();
      if (!difference) return false;
      step += *difference;
      time += step;
    }
    const auto units = static_cast<int64_t>(time);
    if (__builtin_mul_overflow(units, unit, &samples[i].time_ns)) return false;
    if (i > 0 && samples[i].time_ns <= samples[i - 1].time_ns) return false;
  }
  return bytes.RunEnded();
}

bool DecodeXored(Bytes& bytes, std::vector<TimedValue>& samples) {
  uint64_t bits = 0;
  for (TimedValue& sample : samples) {
    const std::optional<uint8_t> halves = bytes.Byte();
    if (!halves) return false;
    const int length = *halves & 0xf;
    const int trailing = 8 - (*halves >> 4) - length;
    if (trailing < 0) return false;
    for (int i = 0; i < length; ++i) {
      const std::optional<uint8_t> byte = bytes.Byte();
      if (!byte) return false;
      bits ^= static_cast<uint64_t>(*byte) << (8 * (trailing + i));
    }
    sample.value = std::bit_cast<double>(bits);
    if (!std::isfinite(sample.value)) return false;
  }
  return true;
}

bool DecodeValues(Bytes& bytes, std::vector<TimedValue>& samples) {
  const std::optional<uint8_t> decimals = bytes.Byte();
  if (!decimals) return false;
  if (*decimals == kXored) return DecodeXored(bytes, samples);
  if (*decimals >= kPowers.size()) return false;
  const std::optional<uint64_t> first = bytes.Varint();
  if (!first) return false;
  uint64_t scaled = UnZigZag(*first);
  for (size_t i = 0; i < samples.size(); ++i) {
    if (i > 0) {
      const std::optional<uint64_t> difference = bytes.Difference();
      if (!difference) return false;
      scaled += *difference;
    }
    samples[i].value = static_cast<double>(static_cast<int64_t>(scaled)) / kPowers[*decimals];
  }
  return bytes.RunEnded();
}

}  // namespace

std::string EncodeSamples(std::span<const TimedValue> samples) {
  std::string out;
  PutByte(out, kVersion);
  PutVarint(out, samples.size());
  EncodeTimes(samples, out);
  EncodeValues(samples, out);
  const uint32_t checksum = Checksum(out);
  for (size_t i = 0; i < kChecksumBytes; ++i) {
    PutByte(out, static_cast<uint8_t>(checksum >> (8 * i)));
  }
  return out;
}

absl::StatusOr<std::vector<TimedValue>> DecodeSamples(std::string_view bytes) {
  if (bytes.size() < kChecksumBytes) return absl::DataLossError("too short");
  const std::string_view coded = bytes.substr(0, bytes.size() - kChecksumBytes);
  uint32_t checksum = 0;
  for (size_t i = 0; i < kChecksumBytes; ++i) {
    checksum |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[coded.size() + i])) << (8 * i);
  }
  if (checksum != Checksum(coded)) return absl::DataLossError("a wrong checksum");
  Bytes rest(coded);
  const std::optional<uint8_t> version = rest.Byte();
  if (version != kVersion) return absl::DataLossError("an unknown format");
  const std::optional<uint64_t> count = rest.Varint();
  if (!count || *count == 0 || *count > kEncodedSamplesMax) {
    return absl::DataLossError("an impossible number of samples");
  }
  std::vector<TimedValue> samples(*count);
  if (!DecodeTimes(rest, samples)) return absl::DataLossError("impossible times");
  if (!DecodeValues(rest, samples) || !rest.empty()) {
    return absl::DataLossError("impossible values");
  }
  return samples;
}

}  // namespace shadow::storage
