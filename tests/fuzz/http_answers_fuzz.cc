// What an instance answers a probe over HTTP: any bytes on its connections.
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "server/core/clock.h"
#include "server/core/text.h"
#include "server/providers/http_prober.h"
#include "tests/fakes/loopback_socket.h"
#include "tests/fuzz/input.h"

namespace shadow {
namespace {

constexpr absl::Duration kProbeTimeout = absl::Milliseconds(300);

// Answers each connection with the same bytes and closes it, until it is destroyed.
class Answerer {
 public:
  explicit Answerer(std::string_view answer)
      : answer_(answer), listening_(ListenOnLoopback(0)), thread_([this] { Run(); }) {}

  ~Answerer() {
    shutdown(listening_.fd(), SHUT_RDWR);  // accept returns then.
    thread_.join();
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(LocalPort(listening_)); }

 private:
  void Run() {
    while (true) {
      const TestSocket connection(accept4(listening_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection) return;
      std::array<char, 4096> request{};
      if (recv(connection.fd(), request.data(), request.size(), 0) <= 0) continue;
      for (std::string_view left = answer_; !left.empty();) {
        const ssize_t sent = send(connection.fd(), left.data(), left.size(), MSG_NOSIGNAL);
        if (sent <= 0) break;
        left.remove_prefix(static_cast<size_t>(sent));
      }
      shutdown(connection.fd(), SHUT_WR);
      // What is closed with unread bytes is reset, and the answer with it.
      while (recv(connection.fd(), request.data(), request.size(), 0) > 0) {
      }
    }
  }

  const std::string answer_;
  const TestSocket listening_;
  std::thread thread_;
};

CompiledDna Probed(int requests) {
  v1::Dna dna;
  dna.set_name("dnas/web");
  dna.mutable_process()->add_argv("/bin/true");
  dna.mutable_process()->mutable_ready_check()->mutable_http()->set_path("/healthz");
  dna.mutable_warm_up()->set_path("/");
  dna.mutable_warm_up()->set_requests(requests);
  auto compiled = CompileDna(dna);
  if (!compiled.ok()) abort();
  compiled->ready_timeout = kProbeTimeout;
  compiled->warm_up_timeout = absl::Milliseconds(20);
  return *std::move(compiled);
}

void CheckProbed(const absl::Status& status, std::string_view answer) {
  if (status.message().size() > 1000) abort();
  const bool is_http = absl::StartsWithIgnoreCase(Absl(answer), "HTTP/");
  if (status.ok() && !is_http) abort();  // Something else listens there.
}

}  // namespace

// The first byte: a ready check, or a warm-up of two requests, which takes longer where it fails.
void Fuzz(std::string_view bytes) {
  if (bytes.empty()) return;
  SystemClock clock;
  HttpProber prober(clock);
  const bool warm_up = (bytes.front() & 7) == 1;
  bytes.remove_prefix(1);
  const Answerer instance(bytes);
  const CompiledDna dna = Probed(warm_up ? 2 : 0);
  CheckProbed(warm_up ? prober.WarmUp(dna, instance.address(), {})
                      : prober.Check(dna, instance.address(), {}),
              bytes);
}

}  // namespace shadow
