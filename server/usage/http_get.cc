#include "server/usage/http_get.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/core/spec/field_checker.h"
#include "server/usage/whole_file.h"

namespace shadow {
namespace {

constexpr size_t kSecretMaxBytes = 64 << 10;
constexpr size_t kCaMaxBytes = 1 << 20;
constexpr long kRedirectsMax = 3;
constexpr absl::Duration kGetConnectTimeout = absl::Seconds(1);

struct EndCurl {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
struct FreeHeaders {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

struct Secrets {
  std::string token;
  std::string username;
  std::string password;
};

// A FIFO would wait for its writer, so only a regular file is read.
absl::StatusOr<std::string> ReadRegularFile(const std::string& path, size_t max_bytes) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
  struct stat status {};
  std::string text;
  const bool regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  const bool whole = regular && ReadToEnd(fd, max_bytes + 1, text) == 0;
  close(fd);
  if (!whole) return absl::UnavailableError(absl::StrCat(path, " cannot be read"));
  if (text.size() > max_bytes) {
    return absl::UnavailableError(absl::StrCat(path, " has more than ", max_bytes, " bytes"));
  }
  return text;
}

// Without white space around; empty: there is no path.
absl::StatusOr<std::string> ReadSecret(const std::string& path) {
  if (path.empty()) return std::string();
  const auto read = ReadRegularFile(path, kSecretMaxBytes);
  if (!read.ok()) return read.status();
  std::string text(absl::StripAsciiWhitespace(*read));
  const bool sane = std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) >= ' ' && c != '\x7f';
  });
  if (text.empty() || !sane) return absl::UnavailableError(absl::StrCat(path, " holds no secret"));
  return text;
}

absl::StatusOr<Secrets> ReadSecrets(const HttpCredentials& credentials) {
  Secrets secrets;
  for (const auto& [path, text] : {std::pair(&credentials.bearer_token_file, &secrets.token),
                                   std::pair(&credentials.username_file, &secrets.username),
                                   std::pair(&credentials.password_file, &secrets.password)}) {
    auto read = ReadSecret(*path);
    if (!read.ok()) return read.status();
    *text = *std::move(read);
  }
  return secrets;
}

struct Taken {
  std::string bytes;
  size_t max_bytes = 0;
  bool too_large = false;
};

size_t Take(char* data, size_t size, size_t count, void* context) {
  Taken& taken = *static_cast<Taken*>(context);
  if (taken.bytes.size() + size * count > taken.max_bytes) {
    taken.too_large = true;
    return 0;  // Ends the transfer with an error.
  }
  taken.bytes.append(data, size * count);
  return size * count;
}

long TimeoutMillis(absl::Duration duration) {
  return static_cast<long>(std::max<int64_t>(1, absl::ToInt64Milliseconds(duration)));
}

void SignIn(CURL* curl, const Secrets& secrets) {
  if (!secrets.token.empty()) {
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, secrets.token.c_str());
  } else if (!secrets.username.empty()) {
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(curl, CURLOPT_USERNAME, secrets.username.c_str());
    curl_easy_setopt(curl, CURLOPT_PASSWORD, secrets.password.c_str());
  }
}

void PrepareGet(CURL* curl, const HttpGet& get, curl_slist* headers) {
  const char* const protocols = get.url.starts_with("https://") ? "https" : "http,https";
  curl_easy_setopt(curl, CURLOPT_URL, get.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, protocols);
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, kRedirectsMax);
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                   TimeoutMillis(std::min(get.timeout, kGetConnectTimeout)));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TimeoutMillis(get.timeout));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
}

// Of `authorities`, in PEM, alone; must outlive the call.
void TrustOnly(CURL* curl, std::string& authorities) {
  curl_blob blob{.data = authorities.data(), .len = authorities.size(), .flags = CURL_BLOB_NOCOPY};
  curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
  // Otherwise Debian's libcurl trusts those of the host beside them.
  curl_easy_setopt(curl, CURLOPT_CAINFO, nullptr);
  curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);
}

std::vector<std::string> AllSecrets(const Secrets& secrets) {
  std::vector<std::string> all;
  for (const std::string& secret : {secrets.token, secrets.username, secrets.password}) {
    if (!secret.empty()) all.push_back(secret);
  }
  const std::string both = absl::StrCat(secrets.username, ":", secrets.password);
  if (both != ":") all.push_back(absl::Base64Escape(both));
  return all;
}

absl::Status ErrorOf(CURLcode code) {
  const char* const said = curl_easy_strerror(code);
  return code == CURLE_OPERATION_TIMEDOUT ? absl::DeadlineExceededError(said)
                                          : absl::UnavailableError(said);
}

}  // namespace

absl::StatusOr<HttpAnswer> GetHttp(const HttpGet& get) {
  // Thread-safe since C++11, and curl wants it once before anything else.
  static const CURLcode kInitialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)kInitialized;
  const auto secrets = ReadSecrets(get.credentials);
  if (!secrets.ok()) return secrets.status();
  std::string authorities;
  if (!get.credentials.ca_file.empty()) {
    auto read = ReadRegularFile(get.credentials.ca_file, kCaMaxBytes);
    if (!read.ok()) return read.status();
    authorities = *std::move(read);
  }
  // One for each call: a connection that is kept would go by an older ca_file.
  const std::unique_ptr<CURL, EndCurl> curl(curl_easy_init());
  const std::unique_ptr<curl_slist, FreeHeaders> headers(
      curl_slist_append(nullptr, absl::StrCat("Accept: ", get.accept).c_str()));
  if (curl == nullptr || headers == nullptr) {
    return absl::ResourceExhaustedError("libcurl has no memory");
  }
  PrepareGet(curl.get(), get, headers.get());
  SignIn(curl.get(), *secrets);
  if (!get.credentials.ca_file.empty()) TrustOnly(curl.get(), authorities);
  Taken taken{.bytes = {}, .max_bytes = get.answer_max_bytes};
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &Take);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &taken);
  const CURLcode code = curl_easy_perform(curl.get());
  if (taken.too_large) {
    return absl::UnavailableError(
        absl::StrCat("the answer has more than ", get.answer_max_bytes, " bytes"));
  }
  if (code != CURLE_OK) return ErrorOf(code);
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  const char* content_type = nullptr;
  curl_easy_getinfo(curl.get(), CURLINFO_CONTENT_TYPE, &content_type);
  return HttpAnswer{.status = static_cast<int>(status),
                    .content_type = content_type == nullptr ? "" : content_type,
                    .body = std::move(taken.bytes),
                    .secrets = AllSecrets(*secrets)};
}

std::string QuotedAnswer(const HttpAnswer& answer, const std::string& text) {
  for (const std::string& secret : answer.secrets) {
    if (text.find(secret) != std::string::npos) return "(not shown)";
  }
  return Quoted(text);
}

std::string PublicUrl(const std::string& url) {
  const size_t scheme = url.find("://");
  if (scheme == std::string::npos) return "no URL";
  const size_t begin = scheme + 3;
  const size_t authority_end = std::min(url.find_first_of("/?#", begin), url.size());
  const size_t at = url.substr(0, authority_end).rfind('@');
  const size_t host = at == std::string::npos ? begin : at + 1;
  const size_t end = std::min(url.find_first_of("?#", begin), url.size());
  return absl::StrCat(url.substr(0, begin), url.substr(host, end - host));
}

}  // namespace shadow
