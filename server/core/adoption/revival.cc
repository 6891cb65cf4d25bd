#include "server/core/adoption/revival.h"

#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/core/spec.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

class Reviver {
 public:
  explicit Reviver(absl::Time now) : now_(now) {}

  void TakeDna(const v1::Dna& dna) {
    const absl::Status status = CheckDna(dna);
    if (!status.ok()) return LeaveOut(absl::StrCat(dna.name(), "@", dna.revision()), status);
    revisions_.insert(absl::StrCat(dna.name(), "@", dna.revision()));
    const auto [newest, added] = newest_.try_emplace(dna.name(), &dna);
    if (!added && FromProto(newest->second->update_time()) < FromProto(dna.update_time())) {
      newest->second = &dna;
    }
    revival_.dnas.push_back(dna);
  }

  void TakePool(const v1::Pool& spec) {
    auto record = RecordOf(spec);
    if (!record.ok()) return LeaveOut(spec.name(), record.status());
    revival_.pools.push_back(*std::move(record));
  }

  Revival Finish() && { return std::move(revival_); }

 private:
  static absl::Status CheckDna(const v1::Dna& dna) {
    const auto compiled = CompileDna(dna);
    if (!compiled.ok()) return compiled.status();
    if (compiled->dna.revision() == dna.revision()) return absl::OkStatus();
    return absl::DataLossError(
        absl::StrCat("its content is that of revision ", compiled->dna.revision()));
  }

  // Empty: it is not there.
  std::string RevisionFor(const std::string& dna) const {
    if (revisions_.contains(dna)) return dna;
    const auto newest = newest_.find(dna);
    return newest == newest_.end() ? "" : absl::StrCat(dna, "@", newest->second->revision());
  }

  absl::StatusOr<v1::PoolRecord> RecordOf(const v1::Pool& spec) const {
    const auto compiled = CompilePool(spec);
    if (!compiled.ok()) return compiled.status();
    v1::PoolRecord record;
    v1::Pool& pool = *record.mutable_pool();
    pool = compiled->pool;
    const std::string revision = RevisionFor(pool.dna());
    if (revision.empty()) {
      return absl::NotFoundError(absl::StrCat("its DNA, ", pool.dna(), ", was not kept"));
    }
    pool.mutable_policy()->set_mode(v1::Policy::OBSERVE);
    pool.set_state(v1::Pool::READY);
    pool.set_dna_revision(revision);
    *pool.mutable_create_time() = ToProto(now_);
    *pool.mutable_update_time() = ToProto(now_);
    return record;
  }

  void LeaveOut(const std::string& name, const absl::Status& why) {
    revival_.left_out.push_back(absl::StrCat(name, ": ", why.message()));
  }

  const absl::Time now_;
  Revival revival_;
  std::set<std::string> revisions_;               // dnas/{dna}@{revision}
  std::map<std::string, const v1::Dna*> newest_;  // By dnas/{dna}.
};

}  // namespace

bool IsEmpty(const v1::StoreContents& contents) {
  return contents.last_revision() == 0 && contents.dnas().empty() && contents.pools().empty();
}

Revival Revive(const v1::Definitions& kept, absl::Time now) {
  Reviver reviver(now);
  for (const v1::Dna& dna : kept.dnas()) reviver.TakeDna(dna);
  for (const v1::Pool& spec : kept.pools()) reviver.TakePool(spec);
  return std::move(reviver).Finish();
}

}  // namespace shadow
