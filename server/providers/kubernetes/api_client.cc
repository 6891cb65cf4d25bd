#include "server/providers/kubernetes/api_client.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <condition_variable>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/core/text.h"
#include "server/providers/kubernetes/api_errors.h"

namespace shadow {
namespace {

constexpr size_t kIdleConnectionsMax = 8;
constexpr size_t kTokenMaxBytes = 64 << 10;
constexpr absl::Duration kTokenAge = absl::Minutes(1);  // A kubelet rotates it long before its end.
constexpr absl::Duration kConnectTimeout = absl::Seconds(1);
constexpr absl::Duration kPauseDefault = absl::Seconds(1);
constexpr absl::Duration kPauseMax = absl::Seconds(30);
constexpr int kKeepAliveSeconds = 10;
constexpr int kKeepAliveInterval = 5;
constexpr int kKeepAliveTries = 3;
constexpr unsigned kUnackedMilliseconds = 20'000;
constexpr long kHttpOk = 200;
constexpr long kHttpRedirect = 300;
constexpr long kHttpUnauthorized = 401;
constexpr long kHttpTooMany = 429;

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Headers = std::unique_ptr<curl_slist, FreeList>;

long WholeMilliseconds(absl::Duration duration) {
  return static_cast<long>(std::max<int64_t>(1, absl::ToInt64Milliseconds(duration)));
}

// A peer that is gone without a word is found by the kernel. What was not sent when a call is given
// up, or when the process ends, is never sent: a daemon that has lost its Lease must not act later.
int WatchPeer(void* /*context*/, curl_socket_t fd, curlsocktype /*purpose*/) {
  const int tries = kKeepAliveTries;
  const unsigned unacked = kUnackedMilliseconds;
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof(tries));
  const linger none{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked, sizeof(unacked));
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
  return CURL_SOCKOPT_OK;
}

// Whole bodies.
struct Body {
  std::string bytes;
  bool too_large = false;
};

size_t AddToBody(char* data, size_t size, size_t count, void* context) {
  Body& body = *static_cast<Body*>(context);
  if (body.bytes.size() + size * count > ApiClient::kAnswerMaxBytes) {
    body.too_large = true;
    return 0;  // Ends the transfer with an error.
  }
  body.bytes.append(data, size * count);
  return size * count;
}

// Bodies by the line.
struct StreamLines {
  CURL* curl = nullptr;
  const std::function<bool(std::string_view)>* line = nullptr;
  const std::stop_token* stop = nullptr;
  // Of a success, the line that is not complete yet; otherwise the body.
  std::string rest = {};
  bool too_large = false;
  bool ended = false;  // By `line`.
};

size_t AddToStream(char* data, size_t size, size_t count, void* context) {
  StreamLines& lines = *static_cast<StreamLines*>(context);
  lines.rest.append(data, size * count);
  long status = 0;
  curl_easy_getinfo(lines.curl, CURLINFO_RESPONSE_CODE, &status);
  size_t begin = 0;
  if (status >= kHttpOk && status < kHttpRedirect) {
    for (size_t end = 0; (end = lines.rest.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
      if (!(*lines.line)(std::string_view(lines.rest).substr(begin, end - begin))) {
        lines.ended = true;
        return 0;
      }
    }
  }
  lines.rest.erase(0, begin);
  lines.too_large = lines.rest.size() > ApiClient::kLineMaxBytes;
  return lines.too_large ? 0 : size * count;
}

// Called while data flows and about once a second otherwise.
int EndStream(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const StreamLines*>(context)->stop->stop_requested() ? 1 : 0;
}

}  // namespace

struct ApiClient::Answer {
  long status = 0;
  std::string body;
  absl::Duration retry_after = kPauseDefault;
};

class ApiClient::Connection {
 public:
  Connection() : curl_(curl_easy_init()) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { curl_easy_cleanup(curl_); }

  CURL* curl() const { return curl_; }

  // Everything but what takes the body. `headers_` is used until the transfer ends.
  absl::Status Prepare(const ApiPlace& place, const std::string& path, const std::string& token,
                       absl::Duration timeout) {
    if (curl_ == nullptr) return absl::ResourceExhaustedError("libcurl has no memory");
    curl_easy_reset(curl_);  // Keeps the connection.
    headers_.reset();
    Set(CURLOPT_URL, absl::StrCat(place.server, path).c_str());
    Set(CURLOPT_PROTOCOLS_STR, "http,https");
    Set(CURLOPT_FOLLOWLOCATION, 0L);
    Set(CURLOPT_NOPROXY, "*");
    Set(CURLOPT_NOSIGNAL, 1L);
    Set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
    Set(CURLOPT_CONNECTTIMEOUT_MS, WholeMilliseconds(std::min(timeout, kConnectTimeout)));
    Set(CURLOPT_TIMEOUT_MS, WholeMilliseconds(timeout));
    Set(CURLOPT_TCP_KEEPALIVE, 1L);
    Set(CURLOPT_TCP_KEEPIDLE, static_cast<long>(kKeepAliveSeconds));
    Set(CURLOPT_TCP_KEEPINTVL, static_cast<long>(kKeepAliveInterval));
    Set(CURLOPT_SOCKOPTFUNCTION, &WatchPeer);
    Set(CURLOPT_CA_CACHE_TIMEOUT, 0L);  // The file may be rotated.
    if (!place.ca_file.empty()) Set(CURLOPT_CAINFO, place.ca_file.c_str());
    Header("Accept: application/json");
    Header("Expect:");
    if (!token.empty()) Header("Authorization: Bearer " + token);
    return absl::OkStatus();
  }

  void Send(const ApiRequest& request) {
    if (request.method != "GET") Set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
    if (!request.body.has_value()) return;
    body_ = request.body->dump(-1, ' ', false, Json::error_handler_t::replace);
    Header("Content-Type: " + request.content_type);
    Set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body_.size()));
    Set(CURLOPT_POSTFIELDS, body_.c_str());
  }

  CURLcode Run() {
    Set(CURLOPT_HTTPHEADER, headers_.get());
    return curl_easy_perform(curl_);
  }

  template <typename Value>
  void Set(CURLoption option, Value value) {
    curl_easy_setopt(curl_, option, value);
  }

  long HttpStatus() const {
    long status = 0;
    curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &status);
    return status;
  }

 private:
  void Header(const std::string& line) {
    curl_slist* const longer = curl_slist_append(headers_.get(), line.c_str());
    if (longer == nullptr) return;
    (void)headers_.release();
    headers_.reset(longer);
  }

  CURL* const curl_;
  Headers headers_;
  std::string body_;
};

namespace {

absl::Status ErrorOfCurl(CURLcode code) {
  const std::string said = absl::StrCat("the API server: ", curl_easy_strerror(code));
  return code == CURLE_OPERATION_TIMEDOUT ? absl::DeadlineExceededError(said)
                                          : absl::UnavailableError(said);
}

absl::Status TooLarge() {
  return absl::UnavailableError("the API server answers more than is taken");
}

}  // namespace

ApiClient::ApiClient(ApiPlace place, Clock& clock)
    : place_(std::move(place)), clock_(clock), paused_until_(-absl::InfiniteDuration()) {
  // Thread-safe since C++11, and curl wants it once before anything else.
  static const CURLcode kInitialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)kInitialized;
}

ApiClient::~ApiClient() = default;

std::unique_ptr<ApiClient::Connection> ApiClient::Take() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return std::make_unique<Connection>();
  auto connection = std::move(idle_.back());
  idle_.pop_back();
  return connection;
}

void ApiClient::Return(std::unique_ptr<Connection> connection) {
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kIdleConnectionsMax) idle_.push_back(std::move(connection));
}

absl::StatusOr<std::string> ApiClient::Token(bool fresh) {
  if (place_.token_file.empty()) return "";
  const absl::Duration now = clock_.Now().mono;
  const std::lock_guard lock(mutex_);
  if (!fresh && token_read_.has_value() && now - *token_read_ < kTokenAge) return token_;
  auto read = ReadAccountFile(place_.token_file, kTokenMaxBytes);
  // One that is being replaced: the old one is good for some time yet.
  if (!read.ok()) return token_.empty() ? read : absl::StatusOr<std::string>(token_);
  if (!std::all_of(read->begin(), read->end(), [](char c) { return c > ' ' && c <= '~'; })) {
    return absl::UnavailableError(absl::StrCat(place_.token_file, " holds no token"));
  }
  token_ = *std::move(read);
  token_read_ = now;
  return token_;
}

absl::StatusOr<ApiClient::Answer> ApiClient::Try(const ApiRequest& request, absl::Duration timeout,
                                                 bool fresh_token) {
  const auto token = Token(fresh_token);
  if (!token.ok()) return token.status();
  auto connection = Take();
  absl::Status prepared = connection->Prepare(place_, request.path, *token, timeout);
  if (!prepared.ok()) return prepared;
  Body body;
  connection->Set(CURLOPT_WRITEFUNCTION, &AddToBody);
  connection->Set(CURLOPT_WRITEDATA, &body);
  connection->Send(request);
  const CURLcode code = connection->Run();
  if (body.too_large) return TooLarge();
  if (code != CURLE_OK) return ErrorOfCurl(code);
  Answer answer{.status = connection->HttpStatus(), .body = std::move(body.bytes)};
  curl_off_t seconds = 0;
  curl_easy_getinfo(connection->curl(), CURLINFO_RETRY_AFTER, &seconds);
  if (seconds > 0) answer.retry_after = std::min(absl::Seconds(seconds), kPauseMax);
  Return(std::move(connection));
  return answer;
}

absl::StatusOr<Json> ApiClient::Call(const ApiRequest& request) {
  const absl::Duration deadline = clock_.Now().mono + request.timeout;
  bool fresh_token = false;
  while (true) {
    absl::Duration now = clock_.Now().mono;
    {
      std::unique_lock lock(mutex_);
      if (paused_until_ >= deadline) {
        return absl::ResourceExhaustedError(absl::StrCat(
            "the API server asks for a pause of ", absl::FormatDuration(paused_until_ - now)));
      }
      std::condition_variable nobody;
      for (; now < paused_until_; now = clock_.Now().mono) {
        clock_.WaitUntil(lock, nobody, paused_until_);
      }
    }
    if (now >= deadline) return absl::DeadlineExceededError("the API server: no answer in time");
    auto answer = Try(request, deadline - now, fresh_token);
    if (!answer.ok()) return answer.status();
    if (answer->status == kHttpTooMany) {
      const std::lock_guard lock(mutex_);
      paused_until_ = std::max(paused_until_, clock_.Now().mono + answer->retry_after);
    } else if (answer->status == kHttpUnauthorized && !fresh_token) {
      fresh_token = true;
    } else if (answer->status < kHttpOk || answer->status >= kHttpRedirect) {
      return ErrorOfAnswer(answer->status, answer->body);
    } else {
      Json object = Json::parse(answer->body, nullptr, /*allow_exceptions=*/false);
      if (!object.is_object()) return absl::UnavailableError("the API server answers no object");
      return object;
    }
  }
}

absl::Status ApiClient::Stream(const std::string& path, absl::Duration longest,
                               const std::function<bool(std::string_view line)>& line,
                               const std::stop_token& stop) {
  for (bool fresh_token = false;; fresh_token = true) {
    const auto token = Token(fresh_token);
    if (!token.ok()) return token.status();
    Connection connection;
    absl::Status prepared = connection.Prepare(place_, path, *token, longest);
    if (!prepared.ok()) return prepared;
    StreamLines lines{.curl = connection.curl(), .line = &line, .stop = &stop};
    connection.Set(CURLOPT_WRITEFUNCTION, &AddToStream);
    connection.Set(CURLOPT_WRITEDATA, &lines);
    connection.Set(CURLOPT_NOPROGRESS, 0L);
    connection.Set(CURLOPT_XFERINFOFUNCTION, &EndStream);
    connection.Set(CURLOPT_XFERINFODATA, &lines);
    const CURLcode code = connection.Run();
    if (lines.ended || stop.stop_requested()) return absl::CancelledError("it was ended");
    if (lines.too_large) return TooLarge();
    const long status = connection.HttpStatus();
    if (status == kHttpUnauthorized && !fresh_token) continue;
    if (status >= kHttpRedirect) return ErrorOfAnswer(status, lines.rest);
    return code == CURLE_OK ? absl::OkStatus() : ErrorOfCurl(code);
  }
}

}  // namespace shadow
