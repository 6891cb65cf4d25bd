// A read-only HTTP server on loopback or a Unix socket: requests to handlers, and event streams.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace shadow {

struct HttpRequest {
  std::string path;   // Without the query, not decoded, e.g. "/metrics".
  std::string query;  // Behind the "?"; empty: none.
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::shared_ptr<const std::string> body;  // Shared, so that one answer serves many; nullptr: "".
  std::vector<std::pair<std::string, std::string>> headers = {};  // Beside those of each answer.
};

// `done` is called once, within the call or later, on any thread. The call itself must be quick.
using HttpHandler = std::function<void(const HttpRequest&, std::function<void(HttpResponse)> done)>;

// Server-sent events of one connection.
class HttpStream {
 public:
  virtual ~HttpStream() = default;

  // The bytes to send now, as text/event-stream; empty: nothing. Called again after a pause, on the
  // server's thread; must be quick.
  virtual std::string Next() = 0;
};

struct HttpRoutes {
  // By path. One that ends in "/*" has all below it, if no other has them: "/api/*".
  std::map<std::string, HttpHandler> handlers;
  std::map<std::string, std::function<std::unique_ptr<HttpStream>()>> streams;  // By path.
  std::vector<std::pair<std::string, std::string>> headers;                     // Of each answer.
  absl::Duration stream_pause = absl::Milliseconds(250);  // Between two calls of Next.
};

// One thread of its own. GET and HEAD only, without bodies. Whoever connects costs no more than
// these limits, and a name that is not of loopback in Host is refused, so that no page of another
// origin reads what is here by a name that it lets point to 127.0.0.1.
class HttpServer {
 public:
  static constexpr int kConnectionsMax = 128;  // More are closed at once.
  static constexpr int kStreamsMax = 64;       // Of these; more get 503.
  static constexpr unsigned kHeaderBytesMax = 8192;
  static constexpr absl::Duration kRequestTimeout = absl::Seconds(10);  // Until it is read whole.
  static constexpr absl::Duration kIdleTimeout = absl::Seconds(60);     // Between two requests.
  static constexpr absl::Duration kWriteTimeout = absl::Seconds(10);    // Until it is taken.
  static constexpr absl::Duration kAnswerTimeout = absl::Seconds(30);   // Of a handler; then 504.

  // Listens and serves. `listen` and the errors: as ParseHttpAddress and ListenAt.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const std::string& listen,
                                                           HttpRoutes routes);
  // Closes all connections, and waits for its thread. Handlers may still call `done` afterwards.
  virtual ~HttpServer() = default;

  // Where it listens: as asked, with the port that it got for port 0.
  virtual const std::string& address() const = 0;
};

}  // namespace shadow
