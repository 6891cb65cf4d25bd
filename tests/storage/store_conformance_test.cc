// The contract of the store. The image of it that simulations use passes the same cases.
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "tests/fakes/store_image.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

class SqliteWorld {
 public:
  void Commit(const v1::WriteBatch& batch) { REQUIRE(CommitAndWait(*store_, batch).ok()); }
  void Restart() {
    store_.reset();
    store_ = OpenStore(directory_.path());
  }
  v1::StoreContents Load() { return store_->Load().value(); }
  std::vector<v1::Sample> Samples(const std::string& pool, absl::Time after, absl::Time until,
                                  int64_t limit) {
    return store_->ReadSamples(pool, after, until, absl::ZeroDuration(), limit).value();
  }
  std::vector<v1::Event> Events() { return store_->ReadEvents(0, "", 100).value(); }

 private:
  const TempDirectory directory_;
  std::unique_ptr<Store> store_ = OpenStore(directory_.path());
};

class ImageWorld {
 public:
  void Commit(const v1::WriteBatch& batch) { image_.Apply(batch); }
  void Restart() {}
  v1::StoreContents Load() { return image_.Contents(); }
  std::vector<v1::Sample> Samples(const std::string& pool, absl::Time after, absl::Time until,
                                  int64_t limit) {
    return image_.ReadSamples(pool, after, until, limit);
  }
  std::vector<v1::Event> Events() { return image_.events(); }

 private:
  StoreImage image_;
};

// A new store is one more here.
using StoreWorlds = std::tuple<ImageWorld, SqliteWorld>;

template <typename World>
std::vector<v1::Sample> AllSamples(World& world, const std::string& pool) {
  return world.Samples(pool, absl::InfinitePast(), absl::InfiniteFuture(), 100);
}

template <typename World>
std::vector<std::string> PoolNames(World& world) {
  std::vector<std::string> names;
  const v1::StoreContents contents = world.Load();
  for (const v1::PoolRecord& record : contents.pools()) names.push_back(record.pool().name());
  return names;
}

void AddDna(v1::WriteBatch& batch, const std::string& revision) {
  v1::Dna* dna = batch.add_put_dnas()->mutable_dna();
  dna->set_name("dnas/web");
  dna->set_revision(revision);
}

TEMPLATE_LIST_TEST_CASE("a put adds a record or replaces it, and each kind has its order", "",
                        StoreWorlds) {
  TestType world;
  v1::WriteBatch first;
  for (const char* name : {"pools/web2", "pools/web", "pools/db"}) AddPool(first, name);
  for (const char* revision : {"00000000000b", "00000000000a"}) AddDna(first, revision);
  for (const char* id : {"i2", "i10", "i1"}) {
    first.add_put_instances()->mutable_instance()->set_name(std::string("pools/web/instances/") +
                                                            id);
  }
  world.Commit(first);
  v1::PoolRecord changed;
  changed.mutable_pool()->set_name("pools/web");
  changed.mutable_pool()->set_demand_unit("other");
  v1::WriteBatch second;
  AddPool(second, changed);
  AddPool(second, "pools/a");
  world.Commit(second);
  world.Restart();

  CHECK(PoolNames(world) ==
        std::vector<std::string>{"pools/web2", "pools/web", "pools/db", "pools/a"});
  const v1::StoreContents contents = world.Load();
  CHECK(contents.pools(1).pool().demand_unit() == "other");
  REQUIRE(contents.dnas_size() == 2);
  CHECK(contents.dnas(0).dna().revision() == "00000000000b");
  REQUIRE(contents.instances_size() == 3);
  CHECK(contents.instances(1).instance().name() == "pools/web/instances/i10");
}

TEMPLATE_LIST_TEST_CASE("an erasure removes that name only, and wins over a put of its batch", "",
                        StoreWorlds) {
  TestType world;
  v1::WriteBatch first;
  for (const char* name : {"pools/web", "pools/web2", "pools/db"}) AddPool(first, name);
  for (const char* revision : {"00000000000b", "00000000000a"}) AddDna(first, revision);
  first.add_put_shadows()->mutable_shadow()->set_name("pools/web2/shadowPools/r1");
  for (const char* pool : {"pools/web", "pools/web2"}) {
    first.add_put_forecasters()->set_pool(pool);
  }
  world.Commit(first);
  v1::WriteBatch second;
  AddPool(second, "pools/db");
  for (const char* name : {"pools/db", "pools/web", "pools/never-there", "dnas/web@00000000000b"}) {
    second.add_erase(name);
  }
  world.Commit(second);
  world.Restart();
  CHECK(PoolNames(world) == std::vector<std::string>{"pools/web2"});
  const v1::StoreContents contents = world.Load();
  REQUIRE(contents.dnas_size() == 1);
  CHECK(contents.dnas(0).dna().revision() == "00000000000a");
  CHECK(contents.shadows_size() == 1);
  REQUIRE(contents.forecasters_size() == 1);  // The one of the pool went with it.
  CHECK(contents.forecasters(0).pool() == "pools/web2");

  v1::WriteBatch third;
  AddPool(third, "pools/web");
  world.Commit(third);
  CHECK(PoolNames(world) == std::vector<std::string>{"pools/web2", "pools/web"});
}

TEMPLATE_LIST_TEST_CASE("a request id has the answer that came last", "", StoreWorlds) {
  TestType world;
  for (const char* response : {"first", "second"}) {
    v1::WriteBatch batch;
    batch.add_requests()->set_request_id("r-1");
    batch.mutable_requests(0)->set_response(response);
    world.Commit(batch);
  }
  v1::WriteBatch other;
  other.add_requests()->set_request_id("r-2");
  other.add_erase("r-1");  // No resource.
  world.Commit(other);
  world.Restart();
  const v1::StoreContents contents = world.Load();
  REQUIRE(contents.requests_size() == 2);
  CHECK(contents.requests(0).request_id() == "r-1");
  CHECK(contents.requests(0).response() == "second");
}

TEMPLATE_LIST_TEST_CASE("samples are read after one time up to another, the oldest first", "",
                        StoreWorlds) {
  TestType world;
  v1::WriteBatch batch;
  for (const char* pool : {"pools/a", "pools/b"}) {
    v1::SampleBatch* samples = batch.add_samples();
    samples->set_pool(pool);
    for (const int64_t second : {3, -2, 5, 0, 1, 4, -1, 2}) AddSample(*samples, second, 1);
  }
  world.Commit(batch);
  world.Restart();
  const auto seconds = [&](absl::Time after, absl::Time until, int64_t limit) {
    std::vector<int64_t> found;
    for (const v1::Sample& sample : world.Samples("pools/a", after, until, limit)) {
      found.push_back(sample.time().seconds());
    }
    return found;
  };
  const absl::Time epoch = absl::UnixEpoch();
  CHECK(seconds(epoch, epoch + absl::Seconds(3), 100) == std::vector<int64_t>{1, 2, 3});
  CHECK(seconds(epoch, absl::InfiniteFuture(), 2) == std::vector<int64_t>{1, 2});
  CHECK(seconds(absl::InfinitePast(), epoch, 100) == std::vector<int64_t>{-2, -1, 0});
  CHECK(AllSamples(world, "pools/c").empty());
}

TEMPLATE_LIST_TEST_CASE("of one time the sample that came last stays", "", StoreWorlds) {
  TestType world;
  v1::WriteBatch batch;
  batch.add_samples()->set_pool("pools/a");
  AddSample(*batch.mutable_samples(0), 5, 1);
  AddSample(*batch.mutable_samples(0), 6, 1);
  AddSample(*batch.mutable_samples(0), 5, 2);
  world.Commit(batch);
  REQUIRE(AllSamples(world, "pools/a").size() == 2);
  CHECK(AllSamples(world, "pools/a")[0].value() == 2);
  v1::WriteBatch again;
  again.add_samples()->set_pool("pools/a");
  AddSample(*again.mutable_samples(0), 5, 7.5);
  world.Commit(again);
  REQUIRE(AllSamples(world, "pools/a").size() == 2);
  CHECK(AllSamples(world, "pools/a")[0].value() == 7.5);
}

TEMPLATE_LIST_TEST_CASE("a pool that is made again has none of the samples of the one before", "",
                        StoreWorlds) {
  TestType world;
  v1::WriteBatch first;
  for (const char* pool : {"pools/web", "pools/db"}) {
    first.add_samples()->set_pool(pool);
    AddSample(*first.mutable_samples(first.samples_size() - 1), 1, 5);
  }
  world.Commit(first);
  v1::WriteBatch second;
  second.add_erase("pools/web");
  world.Commit(second);
  CHECK(AllSamples(world, "pools/web").empty());
  CHECK(AllSamples(world, "pools/db").size() == 1);

  v1::WriteBatch third;
  third.add_samples()->set_pool("pools/web");
  AddSample(*third.mutable_samples(0), 2, 7);
  world.Commit(third);
  REQUIRE(AllSamples(world, "pools/web").size() == 1);
  CHECK(AllSamples(world, "pools/web")[0].value() == 7);
}

TEMPLATE_LIST_TEST_CASE("events are read in their order, and the newest numbers are known", "",
                        StoreWorlds) {
  TestType world;
  CHECK(world.Load().last_revision() == 0);
  CHECK(world.Load().last_decision_id() == 0);
  for (const int64_t revision : {4, 7}) {
    v1::WriteBatch batch;
    AddEvent(batch, revision, "pools/web");
    AddDecision(batch, revision + 10, "pools/web");
    world.Commit(batch);
  }
  world.Restart();
  const std::vector<v1::Event> events = world.Events();
  REQUIRE(events.size() == 2);
  CHECK(events[0].revision() == 4);
  CHECK(events[1].revision() == 7);
  CHECK(world.Load().last_revision() == 7);
  CHECK(world.Load().last_decision_id() == 17);
}

}  // namespace
}  // namespace shadow
