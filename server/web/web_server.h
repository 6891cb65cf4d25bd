// All that the daemon shows over HTTP: metrics, health, the live page.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/control_thread.h"
#include "server/event_hub.h"
#include "server/web/feed_cache.h"
#include "server/web/feed_worker.h"
#include "server/web/http.h"
#include "server/web/live_page.h"
#include "storage/store.h"

namespace shadow {

// "/metrics"; "/healthz": 200 as long as the control loop and the store get on; "/readyz": 200 once
// the daemon is READY, otherwise 503 with the conditions that do not hold; and LivePage.
class WebServer {
 public:
  // All of it must outlive this.
  struct Sources {
    ControlThread& control;
    Store& store;
    EventHub& hub;
    Clock& clock;
    absl::Time start_time;  // Of the daemon.
    std::string version;
  };

  // nullptr: `listen` is empty, which asks for none. Errors: as HttpServer::Start.
  static absl::StatusOr<std::unique_ptr<WebServer>> Start(const std::string& listen,
                                                          const Sources& sources);

  explicit WebServer(const Sources& sources);

  const std::string& address() const { return server_->address(); }

 private:
  HttpRoutes Routes();
  // On the worker's thread.
  std::string Metrics() const;
  HttpResponse Health() const;
  HttpResponse Readiness() const;

  const Sources sources_;
  LivePage page_;
  // The text of /metrics is made on a thread of its own, once a second at most, for all who ask:
  // of many pools it takes longer than the server's thread has time for.
  const std::shared_ptr<FeedCache> made_ = std::make_shared<FeedCache>();
  FeedWorker worker_;
  std::unique_ptr<HttpServer> server_;  // Last: it calls what is above.
};

}  // namespace shadow
