// What every unary handler does: authorise, guard, post to the control thread, answer.
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "server/api/access/authorize.h"
#include "server/api/status_map.h"
#include "server/core/error.h"
#include "server/core/time_proto.h"
#include "server/workers/dna_checks.h"

namespace shadow {

// Finishes with what `body` returns, if the caller may call `method`. An exception would reach the
// client as UNIMPLEMENTED without a word.
template <typename F>
grpc::ServerUnaryReactor* Reply(grpc::CallbackServerContext* context, const ApiContext& api,
                                std::string_view method, F body) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  absl::Status status;
  try {
    status = Authorize(api, *context, method);
    if (status.ok()) status = body();
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
  Requester requester;

  void Finish(const absl::Status& status) const {
    api.requests.Write(requester, request, status);
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
          .requester = RequesterOf(api, *context)};
}

// Posts `request`, which changes something, if the caller may call `method`; fills `response` with
// the answer, and writes the line of both in the log. `precheck` runs first, on the caller's
// thread.
template <typename Req, typename Resp>
grpc::ServerUnaryReactor* Ask(
    grpc::CallbackServerContext* context, ApiContext& api, std::string_view method,
    const Req& request, Resp* response,
    const std::function<absl::Status()>& precheck = [] { return absl::OkStatus(); }) {
  const auto asked = AskedBy(context, api, request, response);
  asked.Try([&] {
    absl::Status status = Authorize(api, *context, method, request.validate_only());
    if (status.ok()) status = precheck();
    return status.ok() ? asked.Post() : status;
  });
  return asked.reactor;
}

// The same, once the providers of `question` have said that they can enforce its DNA. Nothing waits
// for them but the caller.
template <typename Req, typename Resp>
grpc::ServerUnaryReactor* AskSupported(grpc::CallbackServerContext* context, ApiContext& api,
                                       std::string_view method, const Req& request, Resp* response,
                                       const std::function<DnaQuestion()>& question) {
  const auto asked = AskedBy(context, api, request, response);
  asked.Try([&] {
    const absl::Status status = Authorize(api, *context, method, request.validate_only());
    if (!status.ok()) return status;
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

// What a list asks for by its start_time and end_time.
class TimeRange {
 public:
  // Rows of the store that one page looks through for those in the range; then it ends, perhaps
  // empty, with a token (AIP-158).
  static constexpr int kRowsMax = 10'000;

  template <typename Request>
  explicit TimeRange(const Request& request) {
    if (request.has_start_time()) start_ = FromProto(request.start_time());
    if (request.has_end_time()) end_ = FromProto(request.end_time());
  }

  bool limited() const { return start_ > absl::InfinitePast() || end_ < absl::InfiniteFuture(); }
  bool Has(const google::protobuf::Timestamp& time) const {
    return FromProto(time) >= start_ && FromProto(time) < end_;
  }
  std::string scope() const {  // Of tokens.
    return limited() ? absl::StrCat(" ", absl::FormatTime(start_), " ", absl::FormatTime(end_))
                     : std::string();
  }

 private:
  absl::Time start_ = absl::InfinitePast();
  absl::Time end_ = absl::InfiniteFuture();
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
