// The real Prober: HTTP over libcurl, TCP by connecting. Plain http to the instance's own address
// only: no proxies, no redirects, bounded bodies, every step with a deadline.
#pragma once

#include <stop_token>
#include <string>

#include "server/core/clock.h"
#include "server/core/ports.h"

namespace shadow {

// Thread-safe; it holds no connection between two calls.
class HttpProber final : public Prober {
 public:
  // `clock` must outlive this.
  explicit HttpProber(const Clock& clock);

  absl::Status Check(const CompiledDna& dna, const std::string& address,
                     const std::stop_token& stop) override;

  // One request after the other on one connection; after a failed one on a new connection, after a
  // short pause. A request may take half of the time that is left, or a second. Its latency runs
  // from sending it (the first: from connecting) to the last byte of its answer; the median is that
  // of the row that passed.
  absl::Status WarmUp(const CompiledDna& dna, const std::string& address,
                      const std::stop_token& stop) override;

 private:
  const Clock& clock_;
};

}  // namespace shadow
