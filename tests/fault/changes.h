// Changes that are made of a daemon until it dies, and what must be there of them afterwards.
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "storage/store.h"
#include "tests/e2e/shadow_world.h"

namespace shadow {

// Changes of one kind, one after the other. One thread at a time.
class Changes {
 public:
  explicit Changes(uint64_t seed) : random_(seed) {}
  Changes(const Changes&) = delete;
  Changes& operator=(const Changes&) = delete;
  virtual ~Changes() = default;

  // Makes one. False: the daemon is gone, and nobody knows whether it was made.
  virtual bool Change(DaemonProcess& daemon) = 0;

  // How many acknowledged ones are not there. Of a daemon that was started again; what was not
  // acknowledged is taken as it is.
  virtual int64_t Lost(DaemonProcess& daemon) = 0;

  int64_t tried() const { return tried_; }
  int64_t acknowledged() const { return acknowledged_; }

 protected:
  enum class Answer { kYes, kNo, kUnknown };

  // Counts it. kNo: the daemon refused it, so it was not made.
  Answer Note(const absl::Status& status) {
    ++tried_;
    if (status.ok()) ++acknowledged_;
    if (status.ok()) return Answer::kYes;
    const bool unknown = absl::IsUnavailable(status) || absl::IsCancelled(status) ||
                         absl::IsUnknown(status) || absl::IsDeadlineExceeded(status);
    return unknown ? Answer::kUnknown : Answer::kNo;
  }

  // From 0 to `below` - 1.
  int Draw(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }

 private:
  std::mt19937_64 random_;
  int64_t tried_ = 0;
  int64_t acknowledged_ = 0;
};

// Creates and deletes DNAs that no pool uses.
class DnaChanges final : public Changes {
 public:
  DnaChanges(uint64_t seed, v1::Dna dna) : Changes(seed), dna_(std::move(dna)) {}

  bool Change(DaemonProcess& daemon) override {
    if (there_.size() < kDnasMin || (there_.size() < kDnasMax && Draw(2) == 0)) {
      const std::string name = "dnas/d" + std::to_string(next_++);
      const Answer answer = Note(Create(daemon, name));
      if (answer == Answer::kYes) there_.insert(name);
      if (answer == Answer::kUnknown) unknown_ = name;
    } else {
      auto chosen = there_.begin();
      std::advance(chosen, Draw(static_cast<int>(there_.size())));
      const std::string name = *chosen;
      v1::DeleteDnaRequest request;
      request.set_name(name);
      const Answer answer = Note(
          DaemonProcess::Call(daemon.dnas(), &v1::DnaService::Stub::DeleteDna, request).status());
      if (answer != Answer::kNo) there_.erase(chosen);
      if (answer == Answer::kYes) gone_.insert(name);
      if (answer == Answer::kUnknown) unknown_ = name;
    }
    return !unknown_;
  }

  int64_t Lost(DaemonProcess& daemon) override {
    const std::set<std::string> listed = List(daemon);
    int64_t lost = 0;
    for (const std::string& name : there_) lost += listed.contains(name) ? 0 : 1;
    for (const std::string& name : gone_) lost += listed.contains(name) ? 1 : 0;
    if (unknown_ && listed.contains(*unknown_)) there_.insert(*unknown_);
    unknown_.reset();
    return lost;
  }

 private:
  static constexpr size_t kDnasMin = 5;
  static constexpr size_t kDnasMax = 40;

  absl::Status Create(DaemonProcess& daemon, const std::string& name) {
    v1::CreateDnaRequest request;
    *request.mutable_dna() = dna_;
    request.mutable_dna()->set_name(name);
    return DaemonProcess::Call(daemon.dnas(), &v1::DnaService::Stub::CreateDna, request).status();
  }

  static std::set<std::string> List(DaemonProcess& daemon) {
    v1::ListDnasRequest request;
    request.set_page_size(1000);
    const auto list = ShadowWorld::Must(
        DaemonProcess::Call(daemon.dnas(), &v1::DnaService::Stub::ListDnas, request));
    std::set<std::string> names;
    for (const v1::Dna& dna : list.dnas()) names.insert(dna.name());
    return names;
  }

  const v1::Dna dna_;
  int64_t next_ = 0;
  std::set<std::string> there_;
  std::set<std::string> gone_;
  std::optional<std::string> unknown_;
};

// Creates, resizes, activates and deletes the shadow of pool "web".
class ShadowChanges final : public Changes {
 public:
  ShadowChanges(uint64_t seed, ShadowWorld& world) : Changes(seed), world_(world) {}

  bool Change(DaemonProcess& daemon) override {
    Target next = target_;
    const Answer answer = Note(Make(daemon, next));
    if (answer == Answer::kYes) target_ = next;
    if (answer == Answer::kUnknown) unknown_ = next;
    return !unknown_;
  }

  int64_t Lost(DaemonProcess& /*daemon*/) override {
    const Target found = Find();
    const bool as_told = found == target_ || (unknown_ && found == *unknown_);
    unknown_.reset();
    target_ = found;
    return as_told ? 0 : 1;
  }

 private:
  using Stub = v1::ShadowPoolService::Stub;
  struct Target {
    int instances = 0;  // 0: there is no shadow, or it is being deleted.
    int level = 0;
    bool operator==(const Target&) const = default;
  };

  // Of one call, which would make `target` of what it is now.
  absl::Status Make(DaemonProcess& daemon, Target& target) {
    const int kind = Draw(20);
    if (target.instances == 0) {
      target = {.instances = 1 + Draw(3), .level = 0};
      v1::CreateShadowPoolRequest request;
      request.set_pool("pools/web");
      const int total = world_.PoolSpec().managed_instances() + target.instances;
      request.set_predicted_demand_increase(total * ShadowWorld::kInstanceCapacity);
      const auto shadow = DaemonProcess::Call(daemon.shadows(), &Stub::CreateShadowPool, request);
      if (shadow.ok()) name_ = shadow->name();
      return shadow.status();
    }
    if (kind == 0) {
      target = {};
      v1::DeleteShadowPoolRequest request;
      request.set_name(name_);
      return DaemonProcess::Call(daemon.shadows(), &Stub::DeleteShadowPool, request).status();
    }
    if (kind < 5) {
      target.instances = 1 + Draw(3);
      v1::UpdateShadowPoolRequest request;
      request.mutable_shadow_pool()->set_name(name_);
      request.mutable_shadow_pool()->set_target_instances(target.instances);
      return DaemonProcess::Call(daemon.shadows(), &Stub::UpdateShadowPool, request).status();
    }
    target.level = 50 * Draw(3);
    v1::ActivateShadowPoolRequest request;
    request.set_name(name_);
    request.set_activation_level(target.level);
    return DaemonProcess::Call(daemon.shadows(), &Stub::ActivateShadowPool, request).status();
  }

  Target Find() {
    const auto shadow = world_.FindShadow();
    if (!shadow || shadow->state() == v1::ShadowPool::DELETING) return {};
    name_ = shadow->name();
    return {.instances = shadow->target_instances(), .level = shadow->target_activation_level()};
  }

  ShadowWorld& world_;
  std::string name_;
  Target target_;
  std::optional<Target> unknown_;
};

// Reports samples of pool "side". They cannot be read through the API, so they are looked for in
// the store when the daemon has ended.
class SampleChanges final : public Changes {
 public:
  SampleChanges(uint64_t seed, DaemonProcess& daemon) : Changes(seed) {
    v1::CreatePoolRequest request;
    request.mutable_pool()->set_name("pools/side");
    request.mutable_pool()->set_dna("dnas/web");
    request.mutable_pool()->set_external_capacity(100);
    request.mutable_pool()->set_instance_capacity(10);
    request.mutable_pool()->add_usage_sources()->mutable_pushed();
    ShadowWorld::Must(
        DaemonProcess::Call(daemon.pools(), &v1::PoolService::Stub::CreatePool, request));
  }

  bool Change(DaemonProcess& daemon) override {
    v1::ReportUsageBatchRequest request;
    request.set_pool("pools/side");
    const int samples = 1 + Draw(3);
    for (int i = 0; i < samples; ++i) {
      const int64_t time_ns = std::max(last_ns_ + 1, absl::ToUnixNanos(absl::Now()));
      last_ns_ = time_ns;
      v1::Sample& sample = *request.add_samples();
      sample.mutable_time()->set_seconds(time_ns / 1'000'000'000);
      sample.mutable_time()->set_nanos(static_cast<int32_t>(time_ns % 1'000'000'000));
      sample.set_value(static_cast<double>(next_++));
    }
    const Answer answer =
        Note(DaemonProcess::Call(daemon.usage(), &v1::UsageService::Stub::ReportUsageBatch, request)
                 .status());
    if (answer == Answer::kYes) {
      for (const v1::Sample& sample : request.samples()) reported_.insert(KeyOf(sample));
    }
    return answer != Answer::kUnknown;
  }

  int64_t Lost(DaemonProcess& /*daemon*/) override { return 0; }

  // Of all, in the store of a daemon that has ended.
  int64_t LostIn(const std::string& state_dir) const {
    const auto store = Store::Open(state_dir, {});
    INFO(store.status());
    REQUIRE(store.ok());
    const auto samples =
        (*store)->ReadSamples("pools/side", absl::InfinitePast(), absl::InfiniteFuture(),
                              absl::ZeroDuration(), 1'000'000);
    INFO(samples.status());
    REQUIRE(samples.ok());
    std::set<Key> stored;
    for (const v1::Sample& sample : *samples) stored.insert(KeyOf(sample));
    int64_t lost = 0;
    for (const Key& key : reported_) lost += stored.contains(key) ? 0 : 1;
    return lost;
  }

 private:
  using Key = std::pair<int64_t, int64_t>;  // Time in nanoseconds, value.

  static Key KeyOf(const v1::Sample& sample) {
    return {sample.time().seconds() * 1'000'000'000 + sample.time().nanos(),
            std::llround(sample.value())};
  }

  int64_t last_ns_ = 0;
  int64_t next_ = 0;
  std::set<Key> reported_;
};

}  // namespace shadow
