// One command's connection to the daemon, and what it was asked to do.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/arguments.h"
#include "client/connection/endpoint.h"
#include "client/console.h"
#include "shadow/v1/backup_service.grpc.pb.h"
#include "shadow/v1/dna_service.grpc.pb.h"
#include "shadow/v1/event_service.grpc.pb.h"
#include "shadow/v1/instance_service.grpc.pb.h"
#include "shadow/v1/pool_service.grpc.pb.h"
#include "shadow/v1/server_service.grpc.pb.h"
#include "shadow/v1/shadow_pool_service.grpc.pb.h"
#include "shadow/v1/simulation_service.grpc.pb.h"
#include "shadow/v1/usage_service.grpc.pb.h"

namespace shadow {

// One thread. `console` must outlive this. Connects on the first call.
class Session {
 public:
  // Of all the pages of one list together; more are cut off, with a line on stderr.
  static constexpr int kItemsMax = 100'000;

  // kInvalidArgument: the timeout is malformed.
  static absl::StatusOr<std::unique_ptr<Session>> Create(Console& console, Arguments arguments,
                                                         Endpoint endpoint);

  Console& console() { return console_; }
  const Arguments& arguments() const { return arguments_; }
  bool json() const { return arguments_.output == Output::kJson; }
  bool table() const {
    return arguments_.output == Output::kTable || arguments_.output == Output::kWide;
  }
  absl::Duration call_timeout() const { return call_timeout_; }
  absl::Duration wait_timeout() const { return wait_timeout_; }

  v1::DnaService::Stub& dnas() { return *dnas_; }
  v1::PoolService::Stub& pools() { return *pools_; }
  v1::ShadowPoolService::Stub& shadows() { return *shadows_; }
  v1::InstanceService::Stub& instances() { return *instances_; }
  v1::UsageService::Stub& usage() { return *usage_; }
  v1::EventService::Stub& events() { return *events_; }
  v1::SimulationService::Stub& simulations() { return *simulations_; }
  v1::BackupService::Stub& backups() { return *backups_; }
  v1::ServerService::Stub& server() { return *server_; }

  // One unary call with a deadline of call_timeout():
  // `session.Call(session.pools(), &v1::PoolService::Stub::GetPool, request)`.
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(Stub& stub,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) {
    return CallWithin(call_timeout_, stub, method, request);
  }

  // The same with a deadline of its own.
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> CallWithin(absl::Duration timeout, Stub& stub,
                                      grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                                   const Request&, Response*),
                                      const Request& request) {
    grpc::ClientContext context;
    SetDeadline(context, timeout);
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (!status.ok()) return FromRpc(status);
    return response;
  }

  // All pages of a list as one response. `items` is its repeated field; stops at `limit` items
  // (0: kItemsMax).
  template <typename Stub, typename Request, typename Response, typename Item>
  absl::StatusOr<Response> CallPages(
      Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
      Request request, google::protobuf::RepeatedPtrField<Item>* (Response::*items)(), int limit) {
    const int items_max = limit > 0 ? limit : kItemsMax;
    request.set_page_size(std::min(items_max, kPageSize));
    Response all;
    while (true) {
      absl::StatusOr<Response> page = Call(stub, method, request);
      if (!page.ok()) return page;
      const std::string next = page->next_page_token();
      all.MergeFrom(*page);
      auto& list = *(all.*items)();
      if (next.empty() || next == request.page_token() || list.size() >= items_max) {
        if (list.size() > items_max) list.DeleteSubrange(items_max, list.size() - items_max);
        if (!next.empty() && limit == 0) SayCutOff();
        all.clear_next_page_token();
        return all;
      }
      request.set_page_token(next);
    }
  }

  static void SetDeadline(grpc::ClientContext& context, absl::Duration timeout);
  absl::Status FromRpc(const grpc::Status& status) const;

  // Sets request_id and validate_only of a mutation.
  template <typename Request>
  void Prepare(Request& request) const {
    request.set_request_id(arguments_.request_id);
    request.set_validate_only(arguments_.dry_run);
  }

  // The full name of the shadow pool that `name` means: `web` if pool web has exactly one.
  // kNotFound, kInvalidArgument: it has none, or several; names them.
  absl::StatusOr<std::string> ResolveShadow(std::string_view name);

  // `message` as -o says, or else `text`, to stdout; `text` with its own line ends. Of a list each
  // item is a YAML document, and a name.
  void Print(const google::protobuf::Message& message, std::string_view text);

 private:
  static constexpr int kPageSize = 1000;

  Session(Console& console, Arguments arguments, Endpoint endpoint);
  void SayCutOff();
  void PrintYaml(const google::protobuf::Message& message);

  bool yaml_printed_ = false;  // The next document is separated.
  Console& console_;
  Arguments arguments_;
  Endpoint endpoint_;
  absl::Duration call_timeout_ = kDefaultCallTimeout;
  absl::Duration wait_timeout_ = kDefaultWaitTimeout;
  std::unique_ptr<v1::DnaService::Stub> dnas_;
  std::unique_ptr<v1::PoolService::Stub> pools_;
  std::unique_ptr<v1::ShadowPoolService::Stub> shadows_;
  std::unique_ptr<v1::InstanceService::Stub> instances_;
  std::unique_ptr<v1::UsageService::Stub> usage_;
  std::unique_ptr<v1::EventService::Stub> events_;
  std::unique_ptr<v1::SimulationService::Stub> simulations_;
  std::unique_ptr<v1::BackupService::Stub> backups_;
  std::unique_ptr<v1::ServerService::Stub> server_;
};

}  // namespace shadow
