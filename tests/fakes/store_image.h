// What a store would hold after the batches that it was given, in memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "server/core/time_proto.h"
#include "shadow/v1/record.pb.h"

namespace shadow {

// By name; in the order of their first put, as Store::Load has them.
template <typename Record>
class OrderedRecords {
 public:
  // Added if it is not there.
  Record& At(const std::string& name) {
    return records_[numbers_.try_emplace(name, next_number_++).first->second];
  }

  void Erase(const std::string& name) {
    const auto found = numbers_.find(name);
    if (found == numbers_.end()) return;
    records_.erase(found->second);
    numbers_.erase(found);
  }

  void CopyTo(google::protobuf::RepeatedPtrField<Record>* all) const {
    for (const auto& [number, record] : records_) *all->Add() = record;
  }

 private:
  std::map<std::string, int64_t> numbers_;
  std::map<int64_t, Record> records_;
  int64_t next_number_ = 0;
};

// One thread. Survives a simulated crash. Refuses nothing.
class StoreImage {
 public:
  // As Store::Commit: puts come before erasures.
  void Apply(const v1::WriteBatch& batch) {
    for (const auto& put : batch.put_dnas()) {
      dnas_.At(put.dna().name() + "@" + put.dna().revision()) = put;
    }
    for (const auto& put : batch.put_pools()) pools_.At(put.name()).ParseFromString(put.record());
    for (const auto& put : batch.put_shadows()) shadows_.At(put.shadow().name()) = put;
    for (const auto& put : batch.put_instances()) instances_.At(put.instance().name()) = put;
    for (const auto& put : batch.put_forecasters()) forecasters_.At(put.pool()) = put;
    for (const auto& put : batch.put_epochs()) epochs_[put.epoch()] = put;
    for (const auto& put : batch.requests()) requests_.At(put.request_id()) = put;
    for (const auto& put : batch.samples()) {
      for (const v1::Sample& sample : put.samples()) PutSample(samples_[put.pool()], sample);
    }
    for (const std::string& name : batch.erase()) {
      dnas_.Erase(name);
      pools_.Erase(name);
      shadows_.Erase(name);
      instances_.Erase(name);
      forecasters_.Erase(name);
      samples_.erase(name);
    }
    events_.insert(events_.end(), batch.events().begin(), batch.events().end());
    decisions_.insert(decisions_.end(), batch.decisions().begin(), batch.decisions().end());
  }

  v1::StoreContents Contents() const {
    v1::StoreContents contents;
    contents.set_store_id("store");
    dnas_.CopyTo(contents.mutable_dnas());
    pools_.CopyTo(contents.mutable_pools());
    shadows_.CopyTo(contents.mutable_shadows());
    instances_.CopyTo(contents.mutable_instances());
    forecasters_.CopyTo(contents.mutable_forecasters());
    requests_.CopyTo(contents.mutable_requests());
    for (const auto& [epoch, past] : epochs_) *contents.add_past_epochs() = past;
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
  // In the order of their times; one of the same time is replaced.
  static void PutSample(std::vector<v1::Sample>& samples, const v1::Sample& sample) {
    const absl::Time time = FromProto(sample.time());
    const auto at = std::lower_bound(
        samples.begin(), samples.end(), time,
        [](const v1::Sample& one, absl::Time other) { return FromProto(one.time()) < other; });
    if (at != samples.end() && FromProto(at->time()) == time) {
      *at = sample;
    } else {
      samples.insert(at, sample);
    }
  }

  OrderedRecords<v1::DnaRecord> dnas_;
  OrderedRecords<v1::PoolRecord> pools_;
  OrderedRecords<v1::ShadowRecord> shadows_;
  OrderedRecords<v1::InstanceRecord> instances_;
  OrderedRecords<v1::ForecasterRecord> forecasters_;
  OrderedRecords<v1::RequestRecord> requests_;
  std::map<std::string, v1::PastEpoch> epochs_;
  std::map<std::string, std::vector<v1::Sample>> samples_;
  std::vector<v1::Event> events_;
  std::vector<v1::Decision> decisions_;
};

}  // namespace shadow
