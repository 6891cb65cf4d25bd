#include <atomic>
#include <memory>
#include <thread>
#include <utility>

#include "server/api/access/authorize.h"
#include "server/api/services.h"
#include "storage/backup.h"

namespace shadow {
namespace {

constexpr size_t kPieceBytes = 64 << 10;

using Chunks = grpc::ServerWriteReactor<v1::BackupChunk>;

// Copies the store on a thread of its own, which takes as long as the store is large, then sends a
// piece whenever the one before has gone.
class BackupReactor final : public Chunks {
 public:
  // `under_way` becomes false at the end.
  BackupReactor(const std::string& state_dir, std::atomic<bool>& under_way)
      : under_way_(under_way), thread_([this, state_dir] { Copy(state_dir); }) {}

  void OnWriteDone(bool ok) override {
    if (ok) return SendNext();
    Finish(ToGrpc(absl::CancelledError("the caller is gone")));
  }
  void OnCancel() override { cancelled_ = true; }
  void OnDone() override {
    thread_.join();
    under_way_ = false;
    delete this;
  }

 private:
  void Copy(const std::string& state_dir) {
    auto backup = Backup::Make(state_dir, [this] { return cancelled_.load(); });
    if (!backup.ok()) return Finish(ToGrpc(backup.status()));
    backup_ = *std::move(backup);
    SendNext();
  }

  void SendNext() {
    auto piece = backup_->Read(kPieceBytes);
    if (!piece.ok()) return Finish(ToGrpc(piece.status()));
    if (piece->empty()) return Finish(grpc::Status::OK);
    chunk_.set_data(*std::move(piece));
    StartWrite(&chunk_);
  }

  std::atomic<bool>& under_way_;
  std::atomic<bool> cancelled_ = false;
  std::unique_ptr<Backup> backup_;
  v1::BackupChunk chunk_;  // Being written.
  std::thread thread_;     // The last member: it uses the others.
};

class RefusedBackup final : public Chunks {
 public:
  explicit RefusedBackup(const absl::Status& status) { Finish(ToGrpc(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

Chunks* BackupServiceImpl::CreateBackup(Context* context,
                                        const v1::CreateBackupRequest* /*request*/) {
  const absl::Status allowed = Authorize(api_, *context, "CreateBackup");
  if (!allowed.ok()) return new RefusedBackup(allowed);
  if (under_way_.exchange(true)) {
    return new RefusedBackup(absl::ResourceExhaustedError("another backup is under way"));
  }
  return new BackupReactor(api_.state_dir, under_way_);
}

}  // namespace shadow
