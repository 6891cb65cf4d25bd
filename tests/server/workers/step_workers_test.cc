#include "server/workers/step_workers.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <latch>
#include <vector>

namespace shadow {

TEST_CASE("every part runs once, however many threads there are") {
  for (const unsigned threads : {1U, 2U, 5U}) {
    StepWorkers workers(threads);
    CHECK(workers.threads() == threads);
    for (size_t count = 0; count < 300; ++count) {
      std::vector<int> runs(count);  // Each part has its own.
      workers.Run(count, [&](size_t part) { ++runs[part]; });
      CHECK(runs == std::vector<int>(count, 1));
    }
  }
}

TEST_CASE("parts run side by side, the caller's among them") {
  StepWorkers workers(3);
  std::latch all(3);  // Nobody gets past it alone.
  std::atomic<int> ended = 0;
  workers.Run(3, [&](size_t) {
    all.arrive_and_wait();
    ++ended;
  });
  CHECK(ended == 3);
}

TEST_CASE("what the parts have written is there when the run is over") {
  StepWorkers workers(4);
  std::vector<size_t> written(1000);
  for (size_t run = 1; run <= 200; ++run) {
    workers.Run(written.size(), [&](size_t part) { written[part] = part * run; });
    size_t wrong = 0;
    for (size_t part = 0; part < written.size(); ++part) wrong += written[part] != part * run;
    CHECK(wrong == 0);
  }
}

TEST_CASE("there is a thread at least, and a bound on them") {
  CHECK(StepWorkers(0).threads() == 1);
  CHECK(StepWorkers(1000).threads() == StepWorkers::kThreadsMax);
}

}  // namespace shadow
