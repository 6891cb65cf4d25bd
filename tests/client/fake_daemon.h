// A daemon for shadowctl's tests: real gRPC on a Unix socket in a temporary directory, answers from
// a script. It checks nothing; what it was sent is there to be looked at.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "shadow/v1/dna.pb.h"
#include "shadow/v1/event.pb.h"
#include "shadow/v1/event_service.pb.h"
#include "shadow/v1/instance_service.pb.h"
#include "shadow/v1/pool.pb.h"
#include "shadow/v1/pool_service.pb.h"
#include "shadow/v1/shadow_pool.pb.h"
#include "shadow/v1/shadow_pool_service.pb.h"
#include "shadow/v1/simulation_service.pb.h"
#include "shadow/v1/usage.pb.h"
#include "shadow/v1/usage_service.pb.h"

namespace shadow {

// An error for the next call, with the details that a real daemon would send.
struct ScriptedError {
  int code = 0;  // A grpc::StatusCode.
  std::string message;
  std::string field;   // BadRequest, unless empty.
  std::string reason;  // ErrorInfo, unless empty.
};

// The script and the record. Of the test's thread between commands, of the server's during one.
struct DaemonState {
  std::map<std::string, v1::Dna> dnas;
  std::map<std::string, v1::Pool> pools;
  std::map<std::string, v1::ShadowPool> shadows;
  std::vector<v1::Instance> instances;
  std::vector<v1::Instance> instances_later;  // Joins `instances` after the next ListInstances.
  std::map<std::string, std::vector<v1::InstanceLogChunk>> logs;  // Of instances by name.
  std::vector<v1::Decision> decisions;                            // Newest first.
  std::vector<v1::Event> events;  // What ListEvents and Watch give after a revision.
  v1::Forecast forecast;
  v1::SimulateResponse simulation;
  v1::EvaluatePoolResponse evaluation;
  std::int64_t revision = 10;
  int page_size = 2;                // Of every list, whatever is asked for.
  bool dnas_must_be_there = false;  // A pool is refused without its DNA.
  int gets_until_settled = 0;       // Of a reconciling pool, a moving shadow pool, a restart.
  // The stream ends here; afterwards what is left of `watch_errors`, then OK.
  std::deque<ScriptedError> watch_errors;
  std::deque<ScriptedError> errors;  // For the next calls, one each.

  std::vector<std::string> calls;         // "CreatePool request-id validate_only"
  std::vector<std::int64_t> batch_sizes;  // Samples of each ReportUsageBatch.
  v1::ActivateShadowPoolRequest activate;
  v1::CreateShadowPoolRequest create_shadow;
  v1::UpdatePoolRequest update_pool;
  v1::StreamInstanceLogRequest stream_log;
  v1::ReportUsageBatchRequest batch;
  v1::GetForecastRequest get_forecast;
  v1::SimulateRequest simulate;
  v1::EvaluatePoolRequest evaluate;
  std::vector<v1::WatchRequest> watches;
};

// Serves from construction to destruction.
class FakeDaemon {
 public:
  FakeDaemon();
  ~FakeDaemon();
  FakeDaemon(const FakeDaemon&) = delete;
  FakeDaemon& operator=(const FakeDaemon&) = delete;

  DaemonState state;

  const std::string& address() const { return address_; }  // unix:PATH

 private:
  struct Server;

  std::string directory_;
  std::string address_;
  std::unique_ptr<Server> server_;
};

}  // namespace shadow
