#include "server/web/live_page.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/web/page/page_files.h"

namespace shadow {
namespace {

constexpr std::string_view kApi = "/api/";

class ChangeStream final : public HttpStream {
 public:
  explicit ChangeStream(const Feed& feed) : stream_(feed) {}
  std::string Next() override { return stream_.Next(); }

 private:
  Feed::Stream stream_;
};

HttpResponse JsonResponse(const absl::StatusOr<FeedBody>& answer) {
  HttpResponse response{.status = 200, .body = nullptr, .headers = {{"Cache-Control", "no-store"}}};
  if (answer.ok() && *answer != nullptr) {
    response.content_type = "application/json";
    response.body = *answer;
    return response;
  }
  if (answer.ok()) {
    response.status = 404;
    response.body = std::make_shared<const std::string>("there is nothing at this path\n");
    return response;
  }
  response.status = 503;
  response.headers.emplace_back("Retry-After", "2");
  response.body = std::make_shared<const std::string>(
      absl::StrCat(std::string(answer.status().message()), "\n"));
  return response;
}

HttpHandler HandlerOf(const PageFile& file) {
  const HttpResponse response{.status = 200,
                              .content_type = std::string(file.content_type),
                              .body = std::make_shared<const std::string>(file.bytes),
                              .headers = {{"Cache-Control", "no-cache"}}};
  return [response](const HttpRequest& /*request*/, const std::function<void(HttpResponse)>& done) {
    done(response);
  };
}

}  // namespace

LivePage::LivePage(const Sources& sources)
    : feed_({.control = sources.control,
             .store = sources.store,
             .clock = sources.clock,
             .start_time = sources.start_time,
             .version = sources.version,
             .run = worker_.poster()}) {}

void LivePage::AddTo(HttpRoutes& routes) {
  for (const PageFile& file : PageFiles()) {
    routes.handlers[std::string(file.path)] = HandlerOf(file);
  }
  routes.handlers[absl::StrCat(std::string(kApi), "*")] =
      [this](const HttpRequest& request, std::function<void(HttpResponse)> done) {
        std::string target = request.path.substr(kApi.size());
        if (!request.query.empty()) absl::StrAppend(&target, "?", request.query);
        feed_.Get(target, [done = std::move(done)](const absl::StatusOr<FeedBody>& answer) {
          done(JsonResponse(answer));
        });
      };
  routes.streams["/api/stream"] = [this] { return std::make_unique<ChangeStream>(feed_); };
  routes.stream_pause = Feed::Stream::kPause;
  routes.headers.emplace_back("Content-Security-Policy", std::string(kContentSecurityPolicy));
  routes.headers.emplace_back("Cross-Origin-Resource-Policy", "same-origin");
  routes.headers.emplace_back("Referrer-Policy", "no-referrer");
  routes.headers.emplace_back("X-Frame-Options", "DENY");
}

}  // namespace shadow
