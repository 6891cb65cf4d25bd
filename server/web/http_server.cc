// The only file that includes Beast, which compiles slowly.
#include <unistd.h>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/rate_policy.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <list>
#include <optional>
#include <string_view>
#include <thread>

#include "absl/strings/str_cat.h"
#include "server/web/http.h"
#include "server/web/http_address.h"

namespace shadow {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Protocol = asio::generic::stream_protocol;
using Socket = Protocol::socket;
using Stream = beast::basic_stream<Protocol, Socket::executor_type, beast::unlimited_rate_policy>;
using boost::system::error_code;

constexpr absl::Duration kAcceptPause = absl::Milliseconds(50);  // No descriptor is free.
constexpr std::string_view kServerName = "shadowd";

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

HttpResponse Plain(int status, std::string_view text) {
  return {.status = status,
          .body = std::make_shared<std::string>(std::string(text) + "\n"),
          .headers = {}};
}

class Connection;

// What connections share; on the server's thread, but for `context`.
struct Shared {
  asio::io_context context{1};
  HttpRoutes routes;
  bool tcp = false;  // Then Host is checked.
  std::list<std::shared_ptr<Connection>> open;
  int streams = 0;
};

const HttpHandler* FindHandler(const HttpRoutes& routes, const std::string& path) {
  const auto exact = routes.handlers.find(path);
  if (exact != routes.handlers.end()) return &exact->second;
  for (const auto& [route, handler] : routes.handlers) {
    if (route.ends_with("/*") && path.starts_with(route.substr(0, route.size() - 1))) {
      return &handler;
    }
  }
  return nullptr;
}

// One connection: reads a request, answers it, and reads the next one.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Shared> shared, Socket socket)
      : shared_(std::move(shared)), stream_(std::move(socket)), timer_(shared_->context) {}

  void Read(absl::Duration patience) {
    waits_ = true;
    parser_.emplace();
    parser_->header_limit(HttpServer::kHeaderBytesMax);
    parser_->body_limit(std::uint64_t{0});
    stream_.expires_after(absl::ToChronoMilliseconds(patience));
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](error_code error, size_t) {
                       self->waits_ = false;
                       self->OnRead(error);
                     });
  }

  // Neither answers a request nor is asked one: it may make place for another.
  bool waits() const { return waits_; }

  void Close() {
    if (closed_) return;
    closed_ = true;
    timer_.cancel();
    stream_.close();
    if (events_ != nullptr) --shared_->streams;
    events_ = nullptr;
    shared_->open.remove_if([this](const auto& other) { return other.get() == this; });
  }

 private:
  void OnRead(const error_code& error) {
    if (closed_) return;
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      return Refuse(431, "the header is too long");
    }
    if (error == http::error::body_limit) return Refuse(413, "a request has no body here");
    const bool broken =
        error.category() == http::make_error_code(http::error::bad_method).category();
    if (broken && error != http::error::end_of_stream && error != http::error::partial_message) {
      return Refuse(400, "this is no HTTP request");
    }
    if (error) return Close();
    const auto& request = parser_->get();
    keep_alive_ = request.keep_alive();
    head_ = request.method() == http::verb::head;
    if (request.method() != http::verb::get && !head_) {
      HttpResponse response = Plain(405, "only GET and HEAD");
      response.headers.emplace_back("Allow", "GET, HEAD");
      return Answer(response);
    }
    // Of two, a proxy before this may mean the other one.
    if (request.count(http::field::host) > 1) return Refuse(400, "more than one Host");
    if (shared_->tcp && !IsLoopbackHost(View(request[http::field::host]))) {
      return Answer(Plain(421, "Host names another server than this one on loopback"));
    }
    Route(std::string(View(request.target())));
  }

  void Refuse(int status, std::string_view why) {
    keep_alive_ = false;
    head_ = false;
    Answer(Plain(status, why));
  }

  void Route(const std::string& target) {
    const size_t question = target.find('?');
    const HttpRequest request{
        .path = target.substr(0, question),
        .query = question == std::string::npos ? "" : target.substr(question + 1)};
    const auto events = shared_->routes.streams.find(request.path);
    if (events != shared_->routes.streams.end() && !head_) return BeginEvents(events->second);
    const HttpHandler* handler = FindHandler(shared_->routes, request.path);
    if (handler == nullptr) return Answer(Plain(404, "there is nothing at this path"));
    const int asked = ++asked_;
    timer_.expires_after(absl::ToChronoMilliseconds(HttpServer::kAnswerTimeout));
    timer_.async_wait([self = shared_from_this(), asked](const error_code& error) {
      if (!error) self->AnswerTo(asked, Plain(504, "this took too long"));
    });
    // What answers late, on any thread, finds the context there, though perhaps nobody in it.
    (*handler)(request, [shared = shared_, weak = weak_from_this(), asked](HttpResponse response) {
      asio::post(shared->context, [weak, asked, response = std::move(response)] {
        if (const auto self = weak.lock()) self->AnswerTo(asked, response);
      });
    });
  }

  void AnswerTo(int asked, const HttpResponse& response) {
    if (asked != asked_ || closed_) return;
    ++asked_;  // A later answer, or the timer, finds it answered.
    timer_.cancel();
    Answer(response);
  }

  template <typename Body>
  void SetHeaders(http::response<Body>& message, std::string_view content_type) const {
    message.set(http::field::server, beast::string_view(kServerName.data(), kServerName.size()));
    message.set(http::field::content_type,
                beast::string_view(content_type.data(), content_type.size()));
    message.set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : shared_->routes.headers) message.set(name, value);
    message.keep_alive(keep_alive_);
  }

  template <typename Message>
  void Write(std::shared_ptr<Message> message, std::shared_ptr<const std::string> body) {
    stream_.expires_after(absl::ToChronoMilliseconds(HttpServer::kWriteTimeout));
    http::async_write(
        stream_, *message,
        [self = shared_from_this(), message, body = std::move(body)](error_code error, size_t) {
          if (error || !self->keep_alive_) return self->Close();
          self->Read(HttpServer::kIdleTimeout);
        });
  }

  void Answer(const HttpResponse& response) {
    static const auto kNothing = std::make_shared<const std::string>();
    const std::shared_ptr<const std::string>& body =
        response.body == nullptr ? kNothing : response.body;
    const auto fill = [&](auto message) {
      SetHeaders(*message, response.content_type);
      for (const auto& [name, value] : response.headers) message->set(name, value);
      message->content_length(body->size());
      Write(message, body);
    };
    const auto status = static_cast<unsigned>(response.status);
    if (head_) {
      auto message = std::make_shared<http::response<http::empty_body>>();
      message->result(status);
      return fill(message);
    }
    auto message = std::make_shared<http::response<http::span_body<const char>>>();
    message->result(status);
    message->body() = {body->data(), body->size()};
    fill(message);
  }

  void BeginEvents(const std::function<std::unique_ptr<HttpStream>()>& make) {
    if (shared_->streams >= HttpServer::kStreamsMax) {
      return Answer(Plain(503, "too many watch already"));
    }
    ++shared_->streams;
    events_ = make();
    keep_alive_ = false;
    auto message = std::make_shared<http::response<http::empty_body>>();
    SetHeaders(*message, "text/event-stream");
    message->set(http::field::cache_control, "no-store");
    auto serializer = std::make_shared<http::response_serializer<http::empty_body>>(*message);
    stream_.expires_after(absl::ToChronoMilliseconds(HttpServer::kWriteTimeout));
    http::async_write_header(
        stream_, *serializer,
        [self = shared_from_this(), message, serializer](error_code error, size_t) {
          if (error) return self->Close();
          self->ReadAway();
          self->SendEvents();
        });
  }

  // Nothing more is asked here: it only learns when the peer goes away.
  void ReadAway() {
    stream_.socket().async_read_some(asio::buffer(scrap_),
                                     [self = shared_from_this()](error_code error, size_t) {
                                       if (error) return self->Close();
                                       self->ReadAway();
                                     });
  }

  void SendEvents() {
    if (closed_) return;
    text_ = events_->Next();
    if (text_.empty()) return PauseEvents();
    stream_.expires_after(absl::ToChronoMilliseconds(HttpServer::kWriteTimeout));
    asio::async_write(stream_, asio::buffer(text_),
                      [self = shared_from_this()](error_code error, size_t) {
                        if (error) return self->Close();
                        self->PauseEvents();
                      });
  }

  void PauseEvents() {
    if (closed_) return;
    stream_.expires_never();
    timer_.expires_after(absl::ToChronoMilliseconds(shared_->routes.stream_pause));
    timer_.async_wait([self = shared_from_this()](const error_code& error) {
      if (!error) self->SendEvents();
    });
  }

  const std::shared_ptr<Shared> shared_;
  Stream stream_;
  asio::steady_timer timer_;
  beast::flat_buffer buffer_{HttpServer::kHeaderBytesMax + 4096};
  std::optional<http::request_parser<http::empty_body>> parser_;
  std::unique_ptr<HttpStream> events_;
  std::string text_;  // Of an event, while it is written.
  char scrap_[256] = {};
  int asked_ = 0;  // Changes with each request, and with its answer.
  bool keep_alive_ = false;
  bool head_ = false;
  bool waits_ = false;
  bool closed_ = false;
};

class BeastServer final : public HttpServer {
 public:
  BeastServer(int socket_fd, HttpRoutes routes)
      : shared_(std::make_shared<Shared>()),
        address_(NameOfListener(socket_fd)),
        acceptor_(shared_->context),
        pause_(shared_->context) {
    shared_->routes = std::move(routes);
    shared_->tcp = !address_.starts_with("unix:");
    const Protocol protocol(shared_->tcp ? AF_INET : AF_UNIX, 0);
    acceptor_.assign(protocol, socket_fd);
    Accept();
    thread_ = std::thread([shared = shared_] { shared->context.run(); });
  }

  ~BeastServer() override {
    asio::post(shared_->context, [this] {
      acceptor_.close();
      pause_.cancel();
      // What is under way ends with an error then, and lets go of its connection. The context has
      // nothing left to do, so it ends.
      while (!shared_->open.empty()) shared_->open.front()->Close();
    });
    thread_.join();
    if (!shared_->tcp) unlink(address_.c_str() + std::string_view("unix:").size());
  }

  const std::string& address() const override { return address_; }

 private:
  void Accept() {
    acceptor_.async_accept([this](const error_code& error, Socket socket) {
      if (!acceptor_.is_open()) return;
      if (error) return AcceptLater();
      MakePlace();
      if (shared_->open.size() < static_cast<size_t>(kConnectionsMax)) {
        const auto connection = std::make_shared<Connection>(shared_, std::move(socket));
        shared_->open.push_back(connection);
        connection->Read(kRequestTimeout);
      }
      Accept();
    });
  }

  // Whoever waits longest for a request makes place for one that may ask.
  void MakePlace() {
    if (shared_->open.size() < static_cast<size_t>(kConnectionsMax)) return;
    for (const std::shared_ptr<Connection>& connection : shared_->open) {
      if (!connection->waits()) continue;
      const std::shared_ptr<Connection> kept = connection;  // Close removes it from the list.
      kept->Close();
      return;
    }
  }

  void AcceptLater() {
    pause_.expires_after(absl::ToChronoMilliseconds(kAcceptPause));
    pause_.async_wait([this](const error_code& /*error*/) {
      if (acceptor_.is_open()) Accept();
    });
  }

  const std::shared_ptr<Shared> shared_;
  const std::string address_;
  asio::basic_socket_acceptor<Protocol> acceptor_;
  asio::steady_timer pause_;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& listen,
                                                              HttpRoutes routes) {
  const absl::StatusOr<HttpAddress> address = ParseHttpAddress(listen);
  if (!address.ok()) return address.status();
  const absl::StatusOr<int> socket_fd = ListenAt(*address);
  if (!socket_fd.ok()) return socket_fd.status();
  return std::make_unique<BeastServer>(*socket_fd, std::move(routes));
}

}  // namespace shadow
