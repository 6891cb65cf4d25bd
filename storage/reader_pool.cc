#include "storage/reader_pool.h"

#include <utility>

namespace shadow::storage {

absl::StatusOr<ReaderPool::Lease> ReaderPool::Take() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      Lease lease(idle_.back().release(), Return{this});
      idle_.pop_back();
      return lease;
    }
  }
  absl::StatusOr<std::unique_ptr<Connection>> connection =
      Connection::Open(path_, Connection::Access::kReadOnly);
  if (!connection.ok()) return connection.status();
  return Lease(connection->release(), Return{this});
}

void ReaderPool::Return::operator()(Connection* connection) const {
  std::unique_ptr<Connection> owned(connection);
  // Whoever took it next would read an old snapshot.
  if (!owned->EndTransaction().ok()) return;
  const std::lock_guard lock(pool->mutex_);
  if (pool->idle_.size() < kIdleReadersMax) pool->idle_.push_back(std::move(owned));
}

}  // namespace shadow::storage
