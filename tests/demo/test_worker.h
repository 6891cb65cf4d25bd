// A DemoWorker on a thread of its own, and one raw connection to it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "absl/time/time.h"
#include "server/core/clock.h"
#include "tests/demo/worker.h"

namespace shadow::demo {

// Any thread. Stops the worker when destroyed.
class TestWorker {
 public:
  explicit TestWorker(const WorkerOptions& options);
  ~TestWorker();

  int port() const { return worker_->port(); }
  void Stop();  // As SIGTERM does.
  int Wait();   // Until Run returns; its exit status.

 private:
  SystemClock clock_;
  std::unique_ptr<DemoWorker> worker_;
  int stop_fd_;
  int exit_status_ = -1;
  std::thread thread_;
};

// Blocking, with a limit of 10 s on each call.
class TestConnection {
 public:
  explicit TestConnection(int port);  // Check `connected`.
  ~TestConnection();

  bool connected() const { return connected_; }
  void Send(std::string_view bytes);
  void Get(std::string_view path);
  // The status of the next answer; 0: the connection was closed or broken before.
  int ReadStatus();
  bool ClosedByPeer();  // Reads until the end; false: still open after 10 s.

 private:
  int fd_;
  bool connected_ = false;
  std::string in_;
};

}  // namespace shadow::demo
