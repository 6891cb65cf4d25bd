// CgroupUsage on files as the kernel writes them, and where it finds a pool's slice.
#include "server/usage/cgroup_usage.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <string>

#include "server/core/time_proto.h"
#include "server/usage/pool_slice.h"
#include "tests/fakes/manual_clock.h"
#include "tests/server/usage/cgroup_files.h"

namespace shadow {
namespace {

class CgroupBench {
 public:
  explicit CgroupBench(v1::CgroupUsage::Metric metric) : source(metric, files.path(), clock) {}

  absl::StatusOr<UsageReading> Read() {
    return source.Read("pools/web", clock.Now().wall - absl::Seconds(1));
  }
  // Of a reading that has one.
  double Value() {
    const auto reading = Read();
    INFO(reading.status());
    REQUIRE(reading.ok());
    REQUIRE(reading->samples.size() == 1);
    CHECK(FromProto(reading->samples[0].time()) == clock.Now().wall);
    return reading->samples[0].value();
  }
  bool Unknown() {
    const auto reading = Read();
    return reading.ok() && reading->samples.empty();
  }

  CgroupFiles files;
  ManualClock clock;
  CgroupUsage source;
};

TEST_CASE("CPU is the cores in use from one read to the next") {
  CgroupBench bench(v1::CgroupUsage::CPU);
  bench.files.WriteCpu(4'000'000);
  CHECK(bench.Unknown());
  bench.clock.Advance(absl::Seconds(2.5));
  bench.files.WriteCpu(9'000'000);
  CHECK(bench.Value() == 2);
  bench.clock.Advance(absl::Milliseconds(50));
  CHECK(bench.Unknown());  // Too soon for a rate.
  bench.clock.Advance(absl::Seconds(1));
  CHECK(bench.Value() == 0);  // Known, and none.
}

TEST_CASE("a cgroup that was replaced, or whose count fell, is unknown once") {
  CgroupBench bench(v1::CgroupUsage::CPU);
  bench.files.WriteCpu(4'000'000);
  CHECK(bench.Unknown());
  bench.clock.Advance(absl::Seconds(1));
  bench.files.WriteCpu(1'000'000);
  CHECK(bench.Unknown());
  bench.clock.Advance(absl::Seconds(1));
  bench.files.Replace();
  bench.files.WriteCpu(2'000'000);  // Of another, although it is more.
  CHECK(bench.Unknown());
  bench.clock.Advance(absl::Seconds(1));
  bench.files.WriteCpu(2'500'000);
  CHECK(bench.Value() == 0.5);
}

TEST_CASE("memory is taken as it is, and pressure as percent of the time") {
  CgroupBench memory(v1::CgroupUsage::MEMORY);
  memory.files.Write("memory.current", "209715200\n");
  CHECK(memory.Value() == 209715200);
  for (const auto& [metric, file] : {std::pair(v1::CgroupUsage::CPU_PRESSURE, "cpu.pressure"),
                                     std::pair(v1::CgroupUsage::MEMORY_PRESSURE, "memory.pressure"),
                                     std::pair(v1::CgroupUsage::IO_PRESSURE, "io.pressure")}) {
    INFO(file);
    CgroupBench bench(metric);
    bench.files.WritePressure(file, 1'000'000);
    CHECK(bench.Unknown());
    bench.clock.Advance(absl::Seconds(2));
    bench.files.WritePressure(file, 1'500'000);
    CHECK(bench.Value() == 25);
    bench.clock.Advance(absl::Seconds(1));
    bench.files.WritePressure(file, 2'500'900);  // Two clocks.
    CHECK(bench.Value() == 100);
  }
}

TEST_CASE("what is missing or not understood is an error that names the file") {
  CgroupBench bench(v1::CgroupUsage::CPU);
  const auto no_file = bench.Read();
  CHECK(no_file.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK_THAT(std::string(no_file.status().message()),
             Catch::Contains(bench.files.path() + "/cpu.stat"));
  for (const char* text : {"", "usage_usec\n", "usage_usec x\n", "usage_usec -1\n", "user_usec 1\n",
                           "usage_usec_more 1\n"}) {
    INFO(text);
    bench.files.Write("cpu.stat", text);
    CHECK(absl::IsInternal(bench.Read().status()));
  }
  CgroupBench pressure(v1::CgroupUsage::CPU_PRESSURE);
  for (const char* text : {"full avg10=0.00 total=1\n", "some avg10=0.00\n", "some\n"}) {
    INFO(text);
    pressure.files.Write("cpu.pressure", text);
    CHECK(absl::IsInternal(pressure.Read().status()));
  }
  bench.files.Remove();
  CHECK(bench.Read().status().code() == absl::StatusCode::kFailedPrecondition);
  const CgroupFiles fifo;  // Nobody will ever write into it.
  REQUIRE(mkfifo((fifo.path() + "/memory.current").c_str(), 0600) == 0);
  CgroupUsage waits(v1::CgroupUsage::MEMORY, fifo.path(), bench.clock);
  CHECK(waits.Read("pools/web", absl::InfinitePast()).status().code() ==
        absl::StatusCode::kFailedPrecondition);
  CgroupUsage none(v1::CgroupUsage::CPU, "", bench.clock);
  CHECK_FALSE(none.Read("pools/web", absl::InfinitePast()).ok());
}

TEST_CASE("the slice of a pool's units is found at either manager") {
  v1::Pool pool;
  pool.set_name("pools/web-2");
  CHECK(PoolSliceDirectory(pool, "", 0).empty());
  pool.mutable_provider()->mutable_systemd()->set_manager(v1::SystemdProvider::SYSTEM);
  CHECK(PoolSliceDirectory(pool, "", 0) == "/sys/fs/cgroup/shadow.slice/shadow-web\\x2d2.slice");
  pool.mutable_provider()->mutable_systemd()->set_manager(v1::SystemdProvider::USER);
  pool.mutable_provider()->mutable_systemd()->set_slice("apps-shadow.slice");
  const std::string below = "/apps.slice/apps-shadow.slice/apps-shadow-web\\x2d2.slice";
  CHECK(PoolSliceDirectory(pool, "/system.slice/shadowd.service", 1000) ==
        "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service" + below);
  CHECK(PoolSliceDirectory(pool, "/lxc/u/user@1000.service/app.slice/shadowd.service", 1000) ==
        "/sys/fs/cgroup/lxc/u/user@1000.service" + below);
}

}  // namespace
}  // namespace shadow
