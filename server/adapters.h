// What the daemon reaches the world through: providers, the prober, and what makes balancers and
// usage sources. MakeAdapters (server/adapters.cc) fills it once. EffectRunner calls it and owns
// the adapters of each pool; recovery and DnaChecks call providers too.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "server/core/loop/learning/backfill.h"
#include "server/core/ports.h"
#include "server/core/spec.h"
#include "shadow/v1/pool.pb.h"

namespace shadow {

// The daemon's providers, one for each CompiledProvider::key. Each is made when it is first asked
// for, and kept until this is destroyed. Thread-safe.
class Providers {
 public:
  // Must not block: Get calls it under its mutex, also on the store writer's thread.
  using Make = std::function<absl::StatusOr<std::unique_ptr<Provider>>(const v1::Provider&)>;

  explicit Providers(Make make) : make_(std::move(make)) {}

  // Owned by this. An error of `make`: the next call tries again.
  absl::StatusOr<Provider*> Get(const CompiledProvider& provider);

  // From now on `hear` is told what each of them tells (Provider::Listen); it must not block. Null:
  // nobody is, as before the first call. When this returns, the one before is called no more.
  void Listen(std::function<void(std::string_view id)> hear);

 private:
  void Tell(std::string_view id);

  const Make make_;
  std::mutex hear_mutex_;  // Guards `hear_`.
  std::function<void(std::string_view)> hear_;
  std::mutex mutex_;                                       // Guards what follows.
  std::map<std::string, std::unique_ptr<Provider>> made_;  // By CompiledProvider::key.
};

// Outlives everything that calls it. Its functions may be called on any thread.
struct Adapters {
  std::unique_ptr<Providers> providers;
  std::unique_ptr<Prober> prober;
  // For one pool, compiled; the caller owns it. nullptr: pools of this kind have no balancer.
  std::function<std::unique_ptr<Balancer>(const v1::Pool&)> make_balancer;
  // One of the pool's sources; the same. nullptr: this kind is not polled.
  std::function<std::unique_ptr<UsageSource>(const v1::Pool&, const v1::UsageSource&)>
      make_usage_source;
  // Scores `pool`, which is shown with its leads, and calls `done` with what came of it, on another
  // thread or at once. Returns at once. kFailedPrecondition: too little history. kCancelled: it
  // gave way to other work.
  using Scored = std::function<void(absl::StatusOr<v1::ObserveScore>)>;
  std::function<void(const v1::Pool& pool, Scored done)> score;
  ReadSamples read_samples;  // Of the store.
  // Whether this daemon may act on the world now; null: always. Each call to a seam asks first.
  std::function<bool()> may_act;
};

}  // namespace shadow
