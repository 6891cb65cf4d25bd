#include <filesystem>
#include <future>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "storage/sqlite.h"
#include "tests/bench/daemon_benches.h"
#include "tests/bench/learned/learned_state.h"

namespace shadow::bench {
namespace {

constexpr absl::Duration kStep = absl::Minutes(5);
constexpr absl::Duration kAskInterval = absl::Milliseconds(10);

// Pools of which both a level and a size were decided after `begin`, on disk. Asked of the store:
// the API is there later.
int64_t Decided(const std::string& state_dir, absl::Time begin) {
  const auto store =
      storage::Connection::Open(state_dir + "/state.db", storage::Connection::Access::kReadOnly);
  if (!store.ok()) return 0;
  const auto pools = (*store)->QueryInteger(
      absl::StrCat("SELECT count(*) FROM (SELECT pool FROM decisions WHERE time_ns >= ",
                   absl::ToUnixNanos(begin), " GROUP BY pool HAVING count(*) >= 2)"));
  return pools.ok() ? *pools : 0;
}

// From its start to the first SIZE decision of the last pool, seconds, over `directory` as it is.
double RestartSeconds(BenchDaemon& daemon, const std::string& directory, int pools) {
  daemon.Kill();
  std::filesystem::remove_all(daemon.state_dir());
  std::filesystem::copy(directory, daemon.state_dir(), std::filesystem::copy_options::recursive);
  const absl::Time begin = absl::Now();
  auto decided = std::async(std::launch::async, [&] {
    const bool all = PollUntil(absl::Minutes(2), [&] {
      absl::SleepFor(kAskInterval);
      return Decided(daemon.state_dir(), begin) == pools;
    });
    return all ? absl::ToDoubleSeconds(absl::Now() - begin) : -1;
  });
  daemon.Start();
  const double seconds = decided.get();
  if (seconds < 0) throw std::runtime_error("not all pools were decided for");
  return seconds;
}

}  // namespace

std::vector<Row> MeasureRestart(const Amount& amount) {
  BenchDaemon daemon;
  daemon.arguments = {"--recover=adopt-copy"};  // Each restart is over a copy of what was made.
  const std::string killed = daemon.directory() + "/killed";
  const std::string saved = daemon.directory() + "/saved";
  const absl::Duration since = absl::Floor(absl::Now() - absl::UnixEpoch(), kStep);
  MakeLearnedStates({.pools = amount.pools, .until = absl::UnixEpoch() + since}, killed, saved);
  const std::string what = absl::StrCat("restart to SIZE of all of ", amount.pools, " pools: ");
  std::vector<Row> rows;
  const auto measure = [&](const std::string& name, const std::string& directory) {
    std::vector<double> seconds;
    for (int i = 0; i < amount.restarts; ++i) {
      seconds.push_back(RestartSeconds(daemon, directory, amount.pools));
    }
    rows.push_back(RowOf(what + name, "s", seconds, "<= 5"));
  };
  measure("ended by SIGTERM", saved);
  measure("killed", killed);
  return rows;
}

}  // namespace shadow::bench
