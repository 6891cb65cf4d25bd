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

  // One connection, one request after the other. The latency of a request runs from sending it (the
  // first: from connecting) to the last byte of its answer.
  absl::StatusOr<WarmUpResult> WarmUp(const CompiledDna& dna, const std::string& address,
                                      const std::stop_token& stop) override;

 private:
  const Clock& clock_;
};

}  // namespace shadow
