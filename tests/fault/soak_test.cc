// A daemon that works for half an hour does not grow.
#include <cstdio>
#include <numeric>
#include <sstream>

#include "tests/fakes/random_seed.h"
#include "tests/fault/changer.h"
#include "tests/fault/world_tally.h"

namespace shadow {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(5);

// Of the daemon, at one moment.
struct Reading {
  double hours = 0;  // Since the first one.
  double rss_mib = 0;
  double descriptors = 0;
  double threads = 0;
  double wal_mib = 0;  // Both.
  double log_mib = 0;
};

double StatusField(pid_t pid, const std::string& field) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with(field + ":")) return std::stod(line.substr(field.size() + 1));
  }
  return 0;
}

double Mib(const std::string& path) {
  std::error_code missing;
  const auto bytes = std::filesystem::file_size(path, missing);
  return missing ? 0 : static_cast<double>(bytes) / (1 << 20);
}

Reading Read(const DaemonProcess& daemon, absl::Time begin) {
  const std::string descriptors = "/proc/" + std::to_string(daemon.pid()) + "/fd";
  return {.hours = absl::ToDoubleHours(absl::Now() - begin),
          .rss_mib = StatusField(daemon.pid(), "VmRSS") / 1024,
          .descriptors = static_cast<double>(
              std::distance(std::filesystem::directory_iterator(descriptors), {})),
          .threads = StatusField(daemon.pid(), "Threads"),
          .wal_mib = Mib(daemon.state_dir() + "/state.db-wal") +
                     Mib(daemon.state_dir() + "/metrics.db-wal"),
          .log_mib = Mib(daemon.directory() + "/shadowd.log")};
}

// Of a line through the readings, by least squares; per hour.
double Slope(const std::vector<Reading>& readings, double Reading::*value) {
  double sum_x = 0;
  double sum_y = 0;
  for (const Reading& reading : readings) {
    sum_x += reading.hours;
    sum_y += reading.*value;
  }
  const auto n = static_cast<double>(readings.size());
  double covariance = 0;
  double variance = 0;
  for (const Reading& reading : readings) {
    const double x = reading.hours - sum_x / n;
    covariance += x * (reading.*value - sum_y / n);
    variance += x * x;
  }
  return variance > 0 ? covariance / variance : 0;
}

// Of 30 minutes, or as many as SHADOWD_SOAK_MINUTES says.
absl::Duration Length() {
  const char* given = std::getenv("SHADOWD_SOAK_MINUTES");
  return absl::Minutes(given != nullptr ? std::max(1, std::atoi(given)) : 30);
}

void Soak(ShadowWorld& world, uint64_t seed, std::vector<Reading>& readings, Tally& tally) {
  DaemonProcess& daemon = world.daemon();
  DnaChanges dnas(seed, world.DnaSpec());
  ShadowChanges shadows(seed, world);
  SampleChanges samples(seed, daemon);
  const Changer dna_changer(dnas, daemon, std::chrono::milliseconds(200));
  const Changer shadow_changer(shadows, daemon, std::chrono::milliseconds(2000));
  const Changer sample_changer(samples, daemon, std::chrono::milliseconds(50));
  const absl::Time begin = absl::Now();
  while (absl::Now() - begin < Length()) {
    PollUntil(kInterval, [] { return false; });
    readings.push_back(Read(daemon, begin));
  }
  for (const Changes* changes : {static_cast<Changes*>(&dnas), static_cast<Changes*>(&shadows),
                                 static_cast<Changes*>(&samples)}) {
    tally.Try(changes->tried());
  }
}

TEST_CASE("half an hour of work makes no daemon grow", "[.long]") {
  Tally tally("soak", "changes");
  ShadowWorld world({.base_instances = 2}, false);
  REQUIRE(world.daemon().Terminate() == 0);
  std::ofstream(world.daemon().directory() + "/shadowd.textproto") << "log_level: \"info\"\n";
  world.daemon().Start();
  world.CreateDna();
  world.CreatePool();
  world.WaitForBase();
  HttpLoad load(world.Load());
  std::vector<Reading> readings;
  Soak(world, RandomSeed(), readings, tally);
  CountFailures(load, tally);

  readings.erase(readings.begin(), readings.begin() + std::ssize(readings) / 3);  // It warms up.
  struct Limit {
    const char* what;
    double Reading::*value;
    double per_hour_max;
  };
  const Limit limits[] = {
      {"resident memory, MiB", &Reading::rss_mib, 20},
      {"descriptors", &Reading::descriptors, 6},
      {"threads", &Reading::threads, 6},
      {"WAL, MiB", &Reading::wal_mib, 64},
      {"log, MiB", &Reading::log_mib, 60},
  };
  for (const Limit& limit : limits) {
    const double slope = Slope(readings, limit.value);
    std::printf("%s: %.2f at the end, %+.2f an hour (at most %.0f)\n", limit.what,
                readings.back().*limit.value, slope, limit.per_hour_max);
    INFO(limit.what);
    CHECK(slope <= limit.per_hour_max);
    tally.Leak(slope <= limit.per_hour_max ? 0 : 1);
  }
  CHECK(readings.back().wal_mib < 40);
  FinishRow(world, tally);
}

}  // namespace
}  // namespace shadow
