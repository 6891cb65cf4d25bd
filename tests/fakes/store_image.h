// What a store would hold after the batches that it was given, in memory.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "server/core/time_proto.h"
#include "shadow/v1/record.pb.h"

namespace shadow {

// One thread. Survives a simulated crash.
class StoreImage {
 public:
  // As Store::Commit: puts come before erasures.
  void Apply(const v1::WriteBatch& batch) {
    for (const auto& put : batch.put_dnas()) {
      dnas_[put.dna().name() + "@" + put.dna().revision()] = put;
    }
    for (const auto& put : batch.put_pools()) {
      pools_[put.name()].ParseFromString(put.record());
    }
    for (const auto& put : batch.put_shadows()) shadows_[put.shadow().name()] = put;
    for (const auto& put : batch.put_instances()) instances_[put.instance().name()] = put;
    for (const auto& put : batch.put_forecasters()) forecasters_[put.pool()] = put;
    for (const auto& put : batch.requests()) requests_[put.request_id()] = put;
    for (const auto& put : batch.samples()) {
      auto& samples = samples_[put.pool()];
      samples.insert(samples.end(), put.samples().begin(), put.samples().end());
      std::sort(samples.begin(), samples.end(), [](const v1::Sample& a, const v1::Sample& b) {
        return FromProto(a.time()) < FromProto(b.time());
      });
    }
    for (const std::string& name : batch.erase()) {
      dnas_.erase(name);
      pools_.erase(name);
      shadows_.erase(name);
      instances_.erase(name);
      forecasters_.erase(name);
    }
    events_.insert(events_.end(), batch.events().begin(), batch.events().end());
    decisions_.insert(decisions_.end(), batch.decisions().begin(), batch.decisions().end());
  }

  v1::StoreContents Contents() const {
    v1::StoreContents contents;
    contents.set_store_id("store");
    for (const auto& [name, record] : dnas_) *contents.add_dnas() = record;
    for (const auto& [name, record] : pools_) *contents.add_pools() = record;
    for (const auto& [name, record] : shadows_) *contents.add_shadows() = record;
    for (const auto& [name, record] : instances_) *contents.add_instances() = record;
    for (const auto& [name, record] : forecasters_) *contents.add_forecasters() = record;
    for (const auto& [id, record] : requests_) *contents.add_requests() = record;
    if (!events_.empty()) contents.set_last_revision(events_.back().revision());
    if (!decisions_.empty()) contents.set_last_decision_id(decisions_.back().id());
    return contents;
  }

  // As Store::ReadSamples; nothing is ever rolled up.
  std::vector<v1::Sample> ReadSamples(const std::string& pool, absl::Time after, absl::Time until,
                                      int64_t limit) const {
    std::vector<v1::Sample> read;
    const auto found = samples_.find(pool);
    if (found == samples_.end()) return read;
    for (const v1::Sample& sample : found->second) {
      const absl::Time time = FromProto(sample.time());
      if (time > after && time <= until && static_cast<int64_t>(read.size()) < limit) {
        read.push_back(sample);
      }
    }
    return read;
  }

  const std::vector<v1::Event>& events() const { return events_; }
  const std::vector<v1::Decision>& decisions() const { return decisions_; }
  const std::map<std::string, std::vector<v1::Sample>>& samples() const { return samples_; }

 private:
  std::map<std::string, v1::DnaRecord> dnas_;
  std::map<std::string, v1::PoolRecord> pools_;
  std::map<std::string, v1::ShadowRecord> shadows_;
  std::map<std::string, v1::InstanceRecord> instances_;
  std::map<std::string, v1::ForecasterRecord> forecasters_;
  std::map<std::string, v1::RequestRecord> requests_;
  std::map<std::string, std::vector<v1::Sample>> samples_;
  std::vector<v1::Event> events_;
  std::vector<v1::Decision> decisions_;
};

}  // namespace shadow
