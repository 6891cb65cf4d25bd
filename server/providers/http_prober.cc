#include "server/providers/http_prober.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

constexpr size_t kMaxBodyBytes = 16 << 20;
constexpr int kWarmUpStatus = 200;  // Unless the DNA says another.
constexpr int kMaxWarmUpRequests = 1000;
constexpr absl::Duration kStopPollInterval = absl::Milliseconds(500);
constexpr absl::Duration kTryTimeoutMin = absl::Seconds(1);
constexpr absl::Duration kRetryPause = absl::Milliseconds(50);

struct FreeCurl {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
using Curl = std::unique_ptr<CURL, FreeCurl>;

size_t CountBody(char*, size_t size, size_t count, void* seen) {
  size_t& bytes = *static_cast<size_t*>(seen);
  bytes += size * count;
  return bytes <= kMaxBodyBytes ? size * count : 0;  // 0 ends the transfer with an error.
}

// Called while data flows and about once a second otherwise.
int EndIfStopped(void* stop, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::stop_token*>(stop)->stop_requested() ? 1 : 0;
}

// Opens a socket for libcurl, which itself says only that it cannot connect. A failure's errno goes
// to `error`.
curl_socket_t OpenSocket(void* error, curlsocktype, curl_sockaddr* to) {
  const int fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
  if (fd < 0) *static_cast<int*>(error) = errno;
  return fd;
}

absl::Status NoSocket(int error) {
  return absl::ResourceExhaustedError(absl::StrCat("no socket (", strerrordesc_np(error), ")"));
}

absl::Status Stopped() { return absl::CancelledError("the probe was stopped"); }

long Milliseconds(absl::Duration duration) {
  return static_cast<long>(std::max<int64_t>(1, absl::ToInt64Milliseconds(duration)));
}

// One kept-alive connection to one URL. One thread.
class HttpClient {
 public:
  struct Answer {
    int status = 0;
    absl::Duration latency;
  };

  static absl::StatusOr<HttpClient> Open(const std::string& address, const std::string& path) {
    // Thread-safe since C++11, and curl wants it once before anything else.
    static const CURLcode kInitialized = curl_global_init(CURL_GLOBAL_DEFAULT);
    HttpClient client;
    client.curl_ = Curl(kInitialized == CURLE_OK ? curl_easy_init() : nullptr);
    if (!client.curl_) return absl::ResourceExhaustedError("libcurl has no memory for a request");
    CURL* const curl = client.curl_.get();
    const std::string url = absl::StrCat("http://", address, path.empty() ? "/" : path);
    const bool set = curl_easy_setopt(curl, CURLOPT_URL, url.c_str()) == CURLE_OK &&
                     curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http") == CURLE_OK &&
                     curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
                     curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
                     curl_easy_setopt(curl, CURLOPT_NOPROXY, "*") == CURLE_OK &&
                     curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
                     curl_easy_setopt(curl, CURLOPT_HTTP09_ALLOWED, 0L) == CURLE_OK &&
                     curl_easy_setopt(curl, CURLOPT_USERAGENT, "shadowd") == CURLE_OK &&
                     curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, &OpenSocket) == CURLE_OK &&
                     curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &CountBody) == CURLE_OK &&
                     curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &EndIfStopped) == CURLE_OK &&
                     curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
    if (!set) return absl::InternalError("libcurl refuses an option");
    return client;
  }

  // kDeadlineExceeded, kUnavailable: no answer. kFailedPrecondition: one above kMaxBodyBytes.
  // kResourceExhausted: no socket to ask with. kCancelled: `stop`.
  absl::StatusOr<Answer> Get(absl::Duration timeout, const std::stop_token& stop) {
    size_t body_bytes = 0;
    int socket_error = 0;
    CURL* const curl = curl_.get();
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &socket_error);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body_bytes);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &stop);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, Milliseconds(timeout));
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, Milliseconds(timeout));
    const CURLcode code = curl_easy_perform(curl);
    if (code == CURLE_ABORTED_BY_CALLBACK) return Stopped();
    if (socket_error != 0) return NoSocket(socket_error);
    // The last one: libcurl could not wait.
    if (code == CURLE_OUT_OF_MEMORY || code == CURLE_UNRECOVERABLE_POLL ||
        code == CURLE_BAD_FUNCTION_ARGUMENT) {
      return absl::ResourceExhaustedError(curl_easy_strerror(code));
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
      return absl::DeadlineExceededError(
          absl::StrCat("no answer within ", absl::FormatDuration(timeout)));
    }
    if (code == CURLE_WRITE_ERROR) {
      return absl::FailedPreconditionError(
          absl::StrCat("the answer is larger than ", kMaxBodyBytes, " bytes"));
    }
    if (code != CURLE_OK) return absl::UnavailableError(curl_easy_strerror(code));
    long status = 0;
    curl_off_t microseconds = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME_T, &microseconds);
    return Answer{.status = static_cast<int>(status),
                  .latency = absl::Microseconds(static_cast<int64_t>(microseconds))};
  }

 private:
  Curl curl_;
};

// `wanted`, unset: 200 to 399. kFailedPrecondition: another one.
absl::Status CheckStatus(int status, std::optional<int> wanted) {
  const bool passed = wanted.has_value() ? status == *wanted : status >= 200 && status < 400;
  if (passed) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "status ", status, ", wanted ", wanted.has_value() ? absl::StrCat(*wanted) : "200 to 399"));
}

std::optional<int> WantedStatus(const v1::HttpCheck& check) {
  if (!check.has_expected_status()) return std::nullopt;
  return check.expected_status();
}

absl::Status CheckHttp(const v1::HttpCheck& check, const std::string& address,
                       absl::Duration timeout, const std::stop_token& stop) {
  const std::string what = absl::StrCat("GET http://", address, check.path());
  auto client = HttpClient::Open(address, check.path());
  if (!client.ok()) return client.status();
  const auto answer = client->Get(timeout, stop);
  if (absl::IsCancelled(answer.status())) return answer.status();
  const absl::Status status =
      answer.ok() ? CheckStatus(answer->status, WantedStatus(check)) : answer.status();
  if (status.ok()) return status;
  // However it fails, it is not ready. Without a socket it was not asked.
  return absl::Status(absl::IsResourceExhausted(status) ? absl::StatusCode::kResourceExhausted
                                                        : absl::StatusCode::kUnavailable,
                      absl::StrCat(what, ": ", std::string(status.message())));
}

// Waits until `fd` has connected: the error number, ETIMEDOUT after `timeout` or a stop. ENOMEM: it
// cannot be waited for.
int AwaitConnected(int fd, absl::Duration timeout, const std::stop_token& stop) {
  pollfd waiting{.fd = fd, .events = POLLOUT, .revents = 0};
  int ready = 0;
  for (absl::Duration left = timeout; ready == 0 && left > absl::ZeroDuration();
       left -= kStopPollInterval) {
    if (stop.stop_requested()) break;
    ready = poll(&waiting, 1, static_cast<int>(Milliseconds(std::min(left, kStopPollInterval))));
    if (ready < 0 && errno == EINTR) ready = 0;
  }
  if (ready < 0) return ENOMEM;
  if (ready == 0) return ETIMEDOUT;
  int error = 0;
  socklen_t length = sizeof(error);
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

struct Remote {
  sockaddr_storage address{};
  socklen_t bytes = 0;
};

// Of "10.0.0.7:80" or "[fd00::7]:80".
std::optional<Remote> RemoteOf(const std::string& address) {
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port) ||
      port == 0 || port > 65535) {
    return std::nullopt;
  }
  std::string host = address.substr(0, colon);
  Remote remote;
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    auto& six = reinterpret_cast<sockaddr_in6&>(remote.address);
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(static_cast<uint16_t>(port));
    remote.bytes = sizeof(six);
    if (inet_pton(AF_INET6, host.c_str(), &six.sin6_addr) != 1) return std::nullopt;
    return remote;
  }
  auto& four = reinterpret_cast<sockaddr_in&>(remote.address);
  four.sin_family = AF_INET;
  four.sin_port = htons(static_cast<uint16_t>(port));
  remote.bytes = sizeof(four);
  if (inet_pton(AF_INET, host.c_str(), &four.sin_addr) != 1) return std::nullopt;
  return remote;
}

absl::Status CheckTcp(const std::string& address, absl::Duration timeout,
                      const std::stop_token& stop) {
  const auto remote = RemoteOf(address);
  if (!remote.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", address, "\" is not IP:PORT"));
  }
  const auto* const to = reinterpret_cast<const sockaddr*>(&remote->address);
  const int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return NoSocket(errno);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  int error = 0;
  if (connect(fd, to, remote->bytes) != 0) error = errno;
  if (error == EINPROGRESS) error = AwaitConnected(fd, timeout, stop);
  if (error == 0) return absl::OkStatus();
  if (stop.stop_requested()) return Stopped();
  if (error == ENOMEM || error == ENOBUFS || error == EADDRNOTAVAIL) return NoSocket(error);
  return absl::UnavailableError(absl::StrCat("nothing accepts a connection at ", address, " (",
                                             strerrordesc_np(error),
                                             "); ready_check: {none: {}} if it listens nowhere"));
}

// Of an even number the lower of the two in the middle. {3, 1, 2} -> 2
absl::Duration Median(std::vector<absl::Duration> latencies) {
  const auto middle = latencies.begin() + static_cast<ptrdiff_t>((latencies.size() - 1) / 2);
  std::nth_element(latencies.begin(), middle, latencies.end());
  return *middle;
}

// Requests that must pass one after the other.
struct Row {
  std::string what;  // For errors, e.g. "warm-up of 127.0.0.1:20001".
  std::string path;
  std::optional<int> wanted_status;  // Unset: 200 to 399.
  int requests = 1;
  absl::Duration timeout;  // Of all tries.
};

// Of each request of the row that passed, in which all were on one connection. After a failed one a
// row begins anew, on a new connection. Otherwise the last failure, with its code. kCancelled:
// `stop`.
absl::StatusOr<std::vector<absl::Duration>> PassRow(const Row& row, const std::string& address,
                                                    const Clock& clock,
                                                    const std::stop_token& stop) {
  const absl::Duration deadline = clock.Now().mono + row.timeout;
  absl::Status failure;  // OK: none yet.
  std::optional<HttpClient> client;
  std::vector<absl::Duration> latencies;
  int passed = 0;  // Of all rows.
  while (true) {
    if (stop.stop_requested()) return Stopped();
    const absl::Duration left = deadline - clock.Now().mono;
    if (left <= absl::ZeroDuration()) break;
    if (!client.has_value()) {
      auto opened = HttpClient::Open(address, row.path);
      if (!opened.ok()) return opened.status();
      client = *std::move(opened);
    }
    // One that hangs leaves time for another.
    const absl::Duration timeout = std::min(left, std::max(left / 2, kTryTimeoutMin));
    const auto answer = client->Get(timeout, stop);
    if (absl::IsCancelled(answer.status())) return answer.status();
    const absl::Status status =
        answer.ok() ? CheckStatus(answer->status, row.wanted_status) : answer.status();
    if (status.ok()) {
      ++passed;
      latencies.push_back(answer->latency);
      if (static_cast<int>(latencies.size()) == row.requests) return latencies;
      continue;
    }
    // A try that the end has cut short says less than the failure before it.
    const bool cut_short = timeout < kTryTimeoutMin && absl::IsDeadlineExceeded(status);
    if (failure.ok() || !cut_short) failure = status;
    latencies.clear();
    client.reset();
    poll(nullptr, 0, static_cast<int>(Milliseconds(kRetryPause)));
  }
  if (failure.ok()) failure = absl::DeadlineExceededError("none, all took too long");
  return absl::Status(
      failure.code(),
      absl::StrCat(row.what, ": ", row.requests, " in a row did not pass within ",
                   absl::FormatDuration(row.timeout), ", ", passed,
                   " passed in all; the last failure: ", std::string(failure.message())));
}

absl::Status TellResumed(const CompiledDna& dna, const std::string& address, const Clock& clock,
                         const std::stop_token& stop) {
  const v1::ResumeHook& hook = dna.dna.process().resume_hook();
  if (!hook.has_http()) return absl::OkStatus();
  const Row row{.what = absl::StrCat("resume hook of ", address),
                .path = hook.http().path(),
                .wanted_status = WantedStatus(hook.http()),
                .timeout = dna.resume_hook_timeout};
  return PassRow(row, address, clock, stop).status();
}

}  // namespace

HttpProber::HttpProber(const Clock& clock) : clock_(clock) {}

absl::Status HttpProber::Check(const CompiledDna& dna, const std::string& address,
                               const std::stop_token& stop) {
  const v1::ReadyCheck& check = dna.dna.process().ready_check();
  if (check.has_http()) return CheckHttp(check.http(), address, dna.ready_timeout, stop);
  if (check.has_none()) return absl::OkStatus();
  return CheckTcp(address, dna.ready_timeout, stop);
}

absl::Status HttpProber::WarmUp(const CompiledDna& dna, const std::string& address,
                                const std::stop_token& stop) {
  if (absl::Status told = TellResumed(dna, address, clock_, stop); !told.ok()) return told;
  const v1::WarmUp& warm_up = dna.dna.warm_up();
  if (warm_up.requests() <= 0) return absl::OkStatus();
  const Row row{
      .what = absl::StrCat("warm-up of ", address),
      .path = warm_up.path(),
      .wanted_status = warm_up.has_expected_status() ? warm_up.expected_status() : kWarmUpStatus,
      .requests = std::min(warm_up.requests(), kMaxWarmUpRequests),
      .timeout = dna.warm_up_timeout};
  auto latencies = PassRow(row, address, clock_, stop);
  if (!latencies.ok()) return latencies.status();
  const absl::Duration median = Median(*std::move(latencies));
  if (!dna.warm_up_latency_max.has_value() || median <= *dna.warm_up_latency_max) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat(row.what, ": median latency ", absl::FormatDuration(median), ", wanted at most ",
                   absl::FormatDuration(*dna.warm_up_latency_max)));
}

}  // namespace shadow
