#include "storage/samples/chunk_codec.h"

#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>

namespace shadow::storage {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kNow = 1'790'000'000 * kSecond;

// `value(i)` each `step_ns`.
std::vector<TimedValue> Regular(size_t count, int64_t step_ns,
                                const std::function<double(size_t)>& value) {
  std::vector<TimedValue> samples(count);
  for (size_t i = 0; i < count; ++i) {
    samples[i] = {kNow + static_cast<int64_t>(i) * step_ns, value(i)};
  }
  return samples;
}

void RequireRoundTrip(const std::vector<TimedValue>& samples) {
  const auto decoded = DecodeSamples(EncodeSamples(samples));
  REQUIRE(decoded.ok());
  REQUIRE(decoded->size() == samples.size());
  bool same = true;
  for (size_t i = 0; i < samples.size(); ++i) {
    same =
        same && (*decoded)[i].time_ns == samples[i].time_ns &&
        std::bit_cast<uint64_t>((*decoded)[i].value) == std::bit_cast<uint64_t>(samples[i].value);
  }
  CHECK(same);
}

// Any finite double, all exponents alike; or a friendly number.
double AnyValue(std::mt19937_64& random) {
  switch (random() % 4) {
    case 0:
      return static_cast<double>(random() % 1000);
    case 1:
      return static_cast<double>(random() % 100'000) / 100;
    case 2:
      return -static_cast<double>(random() >> (random() % 64));
    default:
      break;
  }
  const auto value = std::bit_cast<double>(random());
  return std::isfinite(value) ? value : 0;
}

std::vector<TimedValue> AnySamples(std::mt19937_64& random) {
  std::vector<TimedValue> samples(1 + random() % 400);
  const int64_t units[] = {1, 1000, 1'000'000, kSecond, 60 * kSecond};
  const int64_t unit = units[random() % 5];
  int64_t time = (static_cast<int64_t>(random() % 4'000'000'000) - 2'000'000'000) * kSecond;
  const bool regular = random() % 2 == 0;
  const bool one_kind = random() % 2 == 0;
  for (TimedValue& sample : samples) {
    time += regular ? unit : unit * static_cast<int64_t>(1 + random() % 5000);
    sample = {time, one_kind ? static_cast<double>(random() % 1000) / 10 : AnyValue(random)};
  }
  return samples;
}

TEST_CASE("every finite double and every time come back to the bit") {
  using Limits = std::numeric_limits<double>;
  const double values[] = {0.0,
                           -0.0,
                           1,
                           -1,
                           0.1,
                           1e-6,
                           1e-7,
                           9007199254740992.0,
                           9007199254740993.0,
                           -9007199254740994.0,
                           1e300,
                           Limits::max(),
                           Limits::lowest(),
                           Limits::min(),
                           Limits::denorm_min(),
                           -Limits::denorm_min()};
  std::vector<TimedValue> all;
  for (const double value : values) {
    RequireRoundTrip({{kNow, value}});
    RequireRoundTrip({{-1, value}, {0, 7}, {1, value}});
    all.push_back({kNow + std::ssize(all) * 17, value});
  }
  RequireRoundTrip(all);
  using Times = std::numeric_limits<int64_t>;
  RequireRoundTrip({{Times::min(), 1}, {Times::max(), 2}});
  RequireRoundTrip({{Times::min(), 1}, {Times::min() + 1, 2}, {0, 3}, {Times::max(), 4}});
}

TEST_CASE("random samples come back to the bit") {
  std::mt19937_64 random(1);
  for (int i = 0; i < 1000; ++i) RequireRoundTrip(AnySamples(random));
}

TEST_CASE("samples at equal steps cost what their values cost") {
  std::mt19937_64 random(2);
  const auto bytes_per_sample = [](const std::vector<TimedValue>& samples) {
    return static_cast<double>(EncodeSamples(samples).size()) / static_cast<double>(samples.size());
  };
  CHECK(bytes_per_sample(Regular(240, kSecond, [](size_t) { return 0.0; })) < 0.2);
  CHECK(bytes_per_sample(Regular(240, 60 * kSecond, [&](size_t) {
          return static_cast<double>(100 + random() % 50);
        })) < 1.4);
  CHECK(bytes_per_sample(Regular(240, 60 * kSecond, [&](size_t) {
          return static_cast<double>(10'000 + random() % 5000) / 100;
        })) < 2.2);
  // Noise in every bit: the double, and a byte.
  CHECK(bytes_per_sample(Regular(240, 60 * kSecond, [&](size_t) {
          return 150 + std::sin(static_cast<double>(random() % 9973));
        })) < 8.5);
}

// The checksum, so that what is behind it is put to the test too.
std::string WithChecksum(std::string bytes) {
  uint32_t hash = 2166136261U;
  for (const char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 16777619U;
  for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(hash >> (8 * i)));
  return bytes;
}

TEST_CASE("damaged bytes are found, and never more than refused") {
  std::mt19937_64 random(3);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = EncodeSamples(AnySamples(random));
    const size_t at = random() % bytes.size();
    switch (random() % 3) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
        break;
      case 1:
        bytes.resize(at);
        break;
      default:
        bytes.insert(at, 1, static_cast<char>(random()));
    }
    CHECK(DecodeSamples(bytes).status().code() == absl::StatusCode::kDataLoss);
    if (bytes.size() < 4) continue;
    // With a checksum that fits it may pass for other samples; then these are well-formed.
    const auto decoded = DecodeSamples(WithChecksum(bytes.substr(0, bytes.size() - 4)));
    if (!decoded.ok()) continue;
    REQUIRE(decoded->size() <= kEncodedSamplesMax);
    for (size_t k = 1; k < decoded->size(); ++k) {
      REQUIRE((*decoded)[k - 1].time_ns < (*decoded)[k].time_ns);
    }
  }
  CHECK(!DecodeSamples("").ok());
  CHECK(!DecodeSamples(WithChecksum("")).ok());
}

}  // namespace
}  // namespace shadow::storage
