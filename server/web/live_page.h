// The live page on an HTTP server: its files, its feed, and the stream of changes.
#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "server/control_thread.h"
#include "server/web/feed.h"
#include "server/web/feed_worker.h"
#include "server/web/http.h"
#include "storage/store.h"

namespace shadow {

class LivePage {
 public:
  // All of it must outlive this.
  struct Sources {
    ControlThread& control;
    Store& store;
    Clock& clock;
    absl::Time start_time;  // Of the daemon.
    std::string version;
  };
  explicit LivePage(const Sources& sources);

  // "/" and the page's other files, "/api/*" and the stream "/api/stream"; and headers for each
  // answer of the server. This must outlive the server.
  void AddTo(HttpRoutes& routes);

 private:
  FeedWorker worker_;
  Feed feed_;
};

}  // namespace shadow
