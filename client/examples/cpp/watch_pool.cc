// Reports one sample of a pool's demand and prints the pool's next events: watch_pool ADDRESS POOL
// VALUE COUNT. Needs the role REPORTER. How to build it: README.md beside this folder.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>

#include "google/protobuf/util/time_util.h"
#include "shadow/v1/event_service.grpc.pb.h"
#include "shadow/v1/usage_service.grpc.pb.h"

namespace {

namespace v1 = shadow::v1;
using google::protobuf::util::TimeUtil;

grpc::Status Report(v1::UsageService::Stub& usage, const std::string& pool, double value) {
  v1::ReportUsageBatchRequest request;
  request.set_pool(pool);
  v1::Sample& sample = *request.add_samples();
  *sample.mutable_time() = TimeUtil::GetCurrentTime();
  sample.set_value(value);
  request.set_request_id("report-" + TimeUtil::ToString(sample.time()));  // Makes a retry safe.
  v1::ReportUsageBatchResponse response;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  context.set_wait_for_ready(true);  // While shadowd restarts.
  return usage.ReportUsageBatch(&context, request, &response);
}

grpc::Status PrintEvents(v1::EventService::Stub& events, const std::string& pool, int count) {
  v1::WatchRequest request;
  request.set_name_prefix(pool);
  // From the oldest. OUT_OF_RANGE once the retention has removed some: then note the revision of
  // GetServerStatus, list, and watch from there.
  request.set_since_revision(0);
  grpc::ClientContext context;
  const auto reader = events.Watch(&context, request);
  v1::Event event;
  while (count > 0 && reader->Read(&event)) {
    if (event.kind() == v1::Event::BOOKMARK) continue;
    std::cout << event.revision() << ' ' << v1::Event::Kind_Name(event.kind()) << ' '
              << event.name() << std::endl;
    --count;
  }
  if (count > 0) return reader->Finish();
  context.TryCancel();
  reader->Finish();
  return grpc::Status::OK;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: watch_pool ADDRESS POOL VALUE COUNT\n";
    return 2;
  }
  const auto channel = grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials());
  const auto usage = v1::UsageService::NewStub(channel);
  const auto events = v1::EventService::NewStub(channel);
  grpc::Status status = Report(*usage, argv[2], std::atof(argv[3]));
  if (status.ok()) status = PrintEvents(*events, argv[2], std::atoi(argv[4]));
  if (status.ok()) return 0;
  std::cerr << status.error_code() << ": " << status.error_message() << "\n";
  return 1;
}
