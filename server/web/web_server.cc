#include "server/web/web_server.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/web/metrics.h"
#include "spdlog/spdlog.h"

namespace shadow {
namespace {

// As the watchdog has it: longer than any input or write takes.
constexpr absl::Duration kUnhealthyAfter = absl::Minutes(1);
constexpr absl::Duration kMetricsAge = absl::Seconds(1);

HttpResponse TextResponse(int status, FeedBody text) {
  return {.status = status, .body = std::move(text), .headers = {{"Cache-Control", "no-store"}}};
}

HttpResponse TextResponse(int status, std::string text) {
  return TextResponse(status, std::make_shared<const std::string>(std::move(text)));
}

HttpResponse MetricsResponse(const absl::StatusOr<FeedBody>& text) {
  if (!text.ok())
    return TextResponse(503, absl::StrCat(std::string(text.status().message()), "\n"));
  HttpResponse response = TextResponse(200, *text);
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  return response;
}

}  // namespace

absl::StatusOr<std::unique_ptr<WebServer>> WebServer::Start(const std::string& listen,
                                                            const Sources& sources) {
  if (listen.empty()) return nullptr;
  auto web = std::make_unique<WebServer>(sources);
  auto server = HttpServer::Start(listen, web->Routes());
  if (!server.ok()) return server.status();
  web->server_ = *std::move(server);
  spdlog::info("HTTP on {}", web->address());
  return web;
}

WebServer::WebServer(const Sources& sources)
    : sources_(sources),
      page_({.control = sources.control,
             .store = sources.store,
             .clock = sources.clock,
             .start_time = sources.start_time,
             .version = sources.version}) {}

HttpRoutes WebServer::Routes() {
  HttpRoutes routes;
  const auto add = [&](const char* path, HttpResponse (WebServer::*answer)() const) {
    routes.handlers[path] = [this, answer](const HttpRequest& /*request*/,
                                           const std::function<void(HttpResponse)>& done) {
      done((this->*answer)());
    };
  };
  add("/healthz", &WebServer::Health);
  add("/readyz", &WebServer::Readiness);
  routes.handlers["/metrics"] = [this](const HttpRequest& /*request*/,
                                       std::function<void(HttpResponse)> done) {
    const auto make = [this](FeedDone made) {
      worker_.poster()(
          [this, made = std::move(made)] { made(std::make_shared<const std::string>(Metrics())); });
    };
    made_->Get({.name = "metrics", .source = nullptr, .ttl = kMetricsAge},
               sources_.clock.Now().mono, make,
               [done = std::move(done)](const absl::StatusOr<FeedBody>& text) {
                 done(MetricsResponse(text));
               });
  };
  page_.AddTo(routes);
  return routes;
}

std::string WebServer::Metrics() const {
  const std::shared_ptr<const Snapshot> snapshot = sources_.control.snapshot();
  return MetricsText({.snapshot = *snapshot,
                      .calls = sources_.control.call_counts(),
                      .ticks = sources_.control.tick_times(),
                      .queues = sources_.control.queues(),
                      .store_stalled = !sources_.store.Stalled().ok(),
                      .watchers = sources_.hub.watchers(),
                      .version = sources_.version,
                      .start_time = sources_.start_time});
}

HttpResponse WebServer::Health() const {
  const absl::Status progress = sources_.control.CheckProgress(kUnhealthyAfter);
  if (progress.ok()) return TextResponse(200, "ok\n");
  return TextResponse(503, absl::StrCat(std::string(progress.message()), "\n"));
}

HttpResponse WebServer::Readiness() const {
  const std::shared_ptr<const Snapshot> snapshot = sources_.control.snapshot();
  if (snapshot->recovered) return TextResponse(200, "ok\n");
  std::string why;
  for (const v1::Condition& condition : snapshot->conditions) {
    if (condition.status() == v1::Condition::TRUE) continue;
    absl::StrAppend(&why, condition.type(), ": ", condition.reason(), " ", condition.message(),
                    "\n");
  }
  return TextResponse(503, why.empty() ? "not ready\n" : std::move(why));
}

}  // namespace shadow
