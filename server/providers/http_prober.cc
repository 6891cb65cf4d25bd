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
#include "absl/strings/str_split.h"

namespace shadow {
namespace {

constexpr size_t kMaxBodyBytes = 16 << 20;
constexpr int kWarmUpStatus = 200;  // Unless the DNA says another.
constexpr int kMaxWarmUpRequests = 1000;
constexpr absl::Duration kStopPollInterval = absl::Milliseconds(500);

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
    if (!client.curl_) return absl::InternalError("libcurl cannot be set up");
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
                     curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &CountBody) == CURLE_OK &&
                     curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &EndIfStopped) == CURLE_OK &&
                     curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
    if (!set) return absl::InternalError("libcurl refuses an option");
    return client;
  }

  // kDeadlineExceeded, kUnavailable: no answer. kFailedPrecondition: one above kMaxBodyBytes.
  // kCancelled: `stop`.
  absl::StatusOr<Answer> Get(absl::Duration timeout, const std::stop_token& stop) {
    size_t body_bytes = 0;
    CURL* const curl = curl_.get();
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body_bytes);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &stop);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, Milliseconds(timeout));
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, Milliseconds(timeout));
    const CURLcode code = curl_easy_perform(curl);
    if (code == CURLE_ABORTED_BY_CALLBACK) return Stopped();
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

absl::Status About(const std::string& what, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(what, ": ", std::string(status.message())));
}

absl::Status CheckHttp(const v1::HttpCheck& check, const std::string& address,
                       absl::Duration timeout, const std::stop_token& stop) {
  const std::string what = absl::StrCat("GET http://", address, check.path());
  auto client = HttpClient::Open(address, check.path());
  if (!client.ok()) return client.status();
  const auto answer = client->Get(timeout, stop);
  if (absl::IsCancelled(answer.status())) return answer.status();
  // However it fails, it is not ready.
  if (!answer.ok()) {
    return absl::UnavailableError(absl::StrCat(what, ": ", std::string(answer.status().message())));
  }
  const int status = answer->status;
  const bool passed = check.has_expected_status() ? status == check.expected_status()
                                                  : status >= 200 && status < 400;
  if (passed) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(
      what, ": status ", status, ", wanted ",
      check.has_expected_status() ? absl::StrCat(check.expected_status()) : "200 to 399"));
}

// Waits until `fd` has connected: the error number, ETIMEDOUT after `timeout` or a stop.
int AwaitConnected(int fd, absl::Duration timeout, const std::stop_token& stop) {
  pollfd waiting{.fd = fd, .events = POLLOUT, .revents = 0};
  int ready = 0;
  for (absl::Duration left = timeout; ready == 0 && left > absl::ZeroDuration();
       left -= kStopPollInterval) {
    if (stop.stop_requested()) break;
    ready = poll(&waiting, 1, static_cast<int>(Milliseconds(std::min(left, kStopPollInterval))));
  }
  if (ready <= 0) return ETIMEDOUT;
  int error = 0;
  socklen_t length = sizeof(error);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  return error;
}

absl::Status CheckTcp(const std::string& address, absl::Duration timeout,
                      const std::stop_token& stop) {
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(address, absl::MaxSplits(':', 1));
  sockaddr_in remote{};
  remote.sin_family = AF_INET;
  uint32_t port = 0;
  if (inet_pton(AF_INET, parts.first.c_str(), &remote.sin_addr) != 1 ||
      !absl::SimpleAtoi(parts.second, &port) || port == 0 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("\"", address, "\" is not IPv4:PORT"));
  }
  remote.sin_port = htons(static_cast<uint16_t>(port));
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return absl::UnavailableError("no socket for the check");
  const absl::Cleanup close_fd = [fd] { close(fd); };
  int error = 0;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&remote), sizeof(remote)) != 0) error = errno;
  if (error == EINPROGRESS) error = AwaitConnected(fd, timeout, stop);
  if (error == 0) return absl::OkStatus();
  if (stop.stop_requested()) return Stopped();
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

}  // namespace

HttpProber::HttpProber(const Clock& clock) : clock_(clock) {}

absl::Status HttpProber::Check(const CompiledDna& dna, const std::string& address,
                               const std::stop_token& stop) {
  const v1::ReadyCheck& check = dna.dna.process().ready_check();
  if (check.has_http()) return CheckHttp(check.http(), address, dna.ready_timeout, stop);
  if (check.has_none()) return absl::OkStatus();
  return CheckTcp(address, dna.ready_timeout, stop);
}

absl::StatusOr<WarmUpResult> HttpProber::WarmUp(const CompiledDna& dna, const std::string& address,
                                                const std::stop_token& stop) {
  const v1::WarmUp& warm_up = dna.dna.warm_up();
  const int requests = std::clamp(warm_up.requests(), 0, kMaxWarmUpRequests);
  if (requests == 0) return WarmUpResult{};
  const std::string what = absl::StrCat("warm-up of ", address);
  auto client = HttpClient::Open(address, warm_up.path());
  if (!client.ok()) return client.status();
  const int wanted = warm_up.has_expected_status() ? warm_up.expected_status() : kWarmUpStatus;
  const absl::Duration deadline = clock_.Now().mono + dna.warm_up_timeout;
  std::vector<absl::Duration> latencies;
  while (static_cast<int>(latencies.size()) < requests) {
    const absl::Duration left = deadline - clock_.Now().mono;
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(absl::StrCat(what, ": ", latencies.size(), " of ",
                                                      requests, " requests were answered within ",
                                                      absl::FormatDuration(dna.warm_up_timeout)));
    }
    const auto answer = client->Get(left, stop);
    if (!answer.ok()) return About(what, answer.status());
    if (answer->status != wanted) {
      return absl::FailedPreconditionError(
          absl::StrCat(what, ": status ", answer->status, ", wanted ", wanted));
    }
    latencies.push_back(answer->latency);
  }
  const WarmUpResult result{.requests = requests, .latency_median = Median(std::move(latencies))};
  if (dna.warm_up_latency_max.has_value() && result.latency_median > *dna.warm_up_latency_max) {
    return absl::FailedPreconditionError(
        absl::StrCat(what, ": median latency ", absl::FormatDuration(result.latency_median),
                     ", wanted at most ", absl::FormatDuration(*dna.warm_up_latency_max)));
  }
  return result;
}

}  // namespace shadow
