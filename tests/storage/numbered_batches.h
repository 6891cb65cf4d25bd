// Batches that are easy to find again: each has a number, and its part in every table.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <set>
#include <string>

#include "tests/storage/temp_directory.h"

namespace shadow {

// Of a store whose disk fails: it answers at once, where the daemon's would try again for a while.
inline Store::Options Impatient() {
  Store::Options options;
  options.boot_id = "boot";
  options.error_patience = absl::ZeroDuration();
  return options;
}

inline v1::WriteBatch NumberedBatch(int64_t number) {
  v1::WriteBatch batch;
  AddEvent(batch, number, "pools/web");
  AddDecision(batch, number, "pools/web");
  AddPool(batch, "pools/p" + std::to_string(number));
  batch.add_requests()->set_request_id(std::to_string(number));
  batch.add_samples()->set_pool("pools/web");
  AddSample(*batch.mutable_samples(0), number, static_cast<double>(number));
  return batch;
}

// The numbers of the batches that `store` has, in full: the test fails for half a one. Samples may
// be there without the rest, for they are written first.
inline std::set<int64_t> NumbersIn(Store& store) {
  const auto events = store.ReadEvents(0, "", 1'000'000);
  INFO(events.status());
  REQUIRE(events.ok());
  std::set<int64_t> numbers;
  for (const v1::Event& event : *events) numbers.insert(event.revision());
  const auto contents = store.Load();
  INFO(contents.status());
  REQUIRE(contents.ok());
  std::set<int64_t> pools;
  for (const v1::PoolRecord& record : contents->pools()) {
    pools.insert(std::stoll(record.pool().name().substr(7)));
  }
  CHECK(pools == numbers);
  std::set<int64_t> requests;
  for (const v1::RequestRecord& record : contents->requests()) {
    requests.insert(std::stoll(record.request_id()));
  }
  CHECK(requests == numbers);
  const auto decisions = store.ReadDecisions("pools/web", 0, 1'000'000);
  REQUIRE(decisions.ok());
  CHECK(decisions->size() == numbers.size());
  const auto samples = store.ReadSamples("pools/web", absl::InfinitePast(), absl::InfiniteFuture(),
                                         absl::ZeroDuration(), 1'000'000);
  INFO(samples.status());
  REQUIRE(samples.ok());
  std::set<int64_t> times;
  for (const v1::Sample& sample : *samples) {
    times.insert(sample.time().seconds());
    CHECK(sample.value() == static_cast<double>(sample.time().seconds()));
  }
  CHECK(std::includes(times.begin(), times.end(), numbers.begin(), numbers.end()));
  return numbers;
}

}  // namespace shadow
