// Read-only connections to one file, kept open between reads.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/sqlite.h"

namespace shadow::storage {

inline constexpr size_t kIdleReadersMax = 4;

// Thread-safe; must outlive its leases. As many connections are open as threads read at once.
class ReaderPool {
 public:
  explicit ReaderPool(std::string path) : path_(std::move(path)) {}
  ReaderPool(const ReaderPool&) = delete;
  ReaderPool& operator=(const ReaderPool&) = delete;

  struct Return {
    ReaderPool* pool;
    void operator()(Connection* connection) const;
  };
  // Its holder's alone; goes back to the pool at its end. Statements on it must end before.
  using Lease = std::unique_ptr<Connection, Return>;

  absl::StatusOr<Lease> Take();

 private:
  const std::string path_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_;
};

}  // namespace shadow::storage
