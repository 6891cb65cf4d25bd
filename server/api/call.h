// What every unary handler does: guard, authorise, post to the control thread, answer.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "server/api/api_context.h"
#include "server/api/status_map.h"
#include "server/core/error.h"
#include "server/workers/dna_checks.h"

namespace shadow {

// Finishes with what `body` returns. An exception would reach the client as UNIMPLEMENTED without a
// word.
template <typename F>
grpc::ServerUnaryReactor* Reply(grpc::CallbackServerContext* context, F body) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  absl::Status status;
  try {
    status = body();
  } catch (const std::exception& error) {
    status = absl::InternalError(absl::StrCat("a handler failed: ", error.what()));
  }
  reactor->Finish(ToGrpc(status));
  return reactor;
}

// A request that changes something, on its way to the control thread and back. The request and the
// response live until it is finished.
template <typename Req, typename Resp>
struct Asked {
  ApiContext& api;
  const Req& request;
  Resp* response;
  grpc::ServerUnaryReactor* reactor;
  std::optional<uid_t> uid;

  void Finish(const absl::Status& status) const {
    api.requests.Write(uid, request, status);
    reactor->Finish(ToGrpc(status));
  }
  // Finishes it unless `body` returns OK: then that is done later.
  void Try(const std::function<absl::Status()>& body) const {
    absl::Status status;
    try {
      status = body();
    } catch (const std::exception& error) {
      status = absl::InternalError(absl::StrCat("a handler failed: ", error.what()));
    }
    if (!status.ok()) Finish(status);
  }
  absl::Status Post() const {
    return api.control.Post(request, [asked = *this](Answer answer) {
      if (answer.ok()) asked.response->Swap(static_cast<Resp*>(answer->get()));
      asked.Finish(answer.status());
    });
  }
};

template <typename Req, typename Resp>
Asked<Req, Resp> AskedBy(grpc::CallbackServerContext* context, ApiContext& api, const Req& request,
                         Resp* response) {
  return {.api = api,
          .request = request,
          .response = response,
          .reactor = context->DefaultReactor(),
          .uid = api.admin_uid.has_value() ? api.admin_uid : ReaderOf(context->peer())};
}

// Posts `request`, which changes something, fills `response` with the answer, and writes the line
// of both in the log. `precheck` runs first, on the caller's thread.
template <typename Req, typename Resp>
grpc::ServerUnaryReactor* Ask(
    grpc::CallbackServerContext* context, ApiContext& api, const Req& request, Resp* response,
    const std::function<absl::Status()>& precheck = [] { return absl::OkStatus(); }) {
  const auto asked = AskedBy(context, api, request, response);
  asked.Try([&] {
    const absl::Status checked = precheck();
    return checked.ok() ? asked.Post() : checked;
  });
  return asked.reactor;
}

// The same of an administrator, once the providers of `question` have said that they can enforce
// its DNA. Nothing waits for them but the caller. `method`: as RequireAdmin has it.
template <typename Req, typename Resp>
grpc::ServerUnaryReactor* AskSupported(grpc::CallbackServerContext* context, ApiContext& api,
                                       const Req& request, Resp* response, const char* method,
                                       const std::function<DnaQuestion()>& question) {
  const auto asked = AskedBy(context, api, request, response);
  asked.Try([&] {
    const absl::Status admin = RequireAdmin(api.role, method);
    if (!admin.ok()) return admin;
    api.control.dna_checks().Ask(question(), [asked](const absl::Status& supported) {
      asked.Try([&] { return supported.ok() ? asked.Post() : supported; });
    });
    return absl::OkStatus();
  });
  return asked.reactor;
}

inline constexpr int kPageSizeDefault = 100;
inline constexpr int kPageSizeMax = 1000;
inline constexpr size_t kPageBytesMax = 1 << 20;  // The last item may pass it.

// kInvalidArgument: negative. 0: the default; more than the maximum: the maximum (AIP-158).
inline absl::StatusOr<int> PageSize(int asked) {
  if (asked < 0) return FieldError("page_size", absl::StrCat(asked, " is negative"));
  return asked == 0 ? kPageSizeDefault : std::min(asked, kPageSizeMax);
}

// How full a page of a list is: by its items, or by their bytes. It always takes one.
class PageFill {
 public:
  explicit PageFill(int size) : size_(size) {}  // Of PageSize.

  bool full() const { return items_ == size_ || bytes_ >= kPageBytesMax; }
  void Add(size_t bytes) {
    ++items_;
    bytes_ += bytes;
  }

 private:
  const int size_;
  int items_ = 0;
  size_t bytes_ = 0;
};

// Tokens are the key of the last element, in hex: opaque, and checked. `scope`: the method and what
// else must be the same on each page; a token of another request is refused (AIP-158).
inline std::string ToToken(std::string_view scope, std::string_view key) {
  return absl::BytesToHexString(absl::StrCat(std::string(scope), "\n", std::string(key)));
}
// The key; empty: the first page.
inline absl::StatusOr<std::string> FromToken(std::string_view scope, const std::string& token) {
  if (token.empty()) return std::string();
  const std::string begin = absl::StrCat(std::string(scope), "\n");
  const std::string bytes = absl::HexStringToBytes(token);
  if (bytes.starts_with(begin) && absl::BytesToHexString(bytes) == token) {
    return bytes.substr(begin.size());
  }
  return FieldError("page_token", "is not a next_page_token of this request");
}

struct Page {
  std::string_view scope;  // Of the token.
  int size;
  const std::string& token;
};

// One page of a map in key order; `add(value)` for each that `keep(key, value)` takes. It returns
// the bytes that it has added.
template <typename Map, typename Keep, typename Add>
absl::StatusOr<std::string> ListPage(const Map& map, const Page& page, Keep keep, Add add) {
  const auto size = PageSize(page.size);
  if (!size.ok()) return size.status();
  const auto after = FromToken(page.scope, page.token);
  if (!after.ok()) return after.status();
  PageFill fill(*size);
  std::string last;
  for (auto entry = map.upper_bound(*after); entry != map.end(); ++entry) {
    if (!keep(entry->first, entry->second)) continue;
    if (fill.full()) return ToToken(page.scope, last);
    fill.Add(add(entry->second));
    last = entry->first;
  }
  return std::string();
}

}  // namespace shadow
