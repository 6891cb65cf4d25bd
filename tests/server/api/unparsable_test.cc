// Requests that are no message of their type.
#include "google/rpc/status.pb.h"
#include "tests/server/api/api_world.h"

namespace shadow {
namespace {

TEST_CASE("a request that cannot be parsed is INVALID_ARGUMENT and says so, for every method") {
  ApiWorld world;
  world.Run();
  const std::string truncated =
      "\x0a\x05"
      "ab";  // A text of five bytes, of which two come.
  const std::string latin1 =
      "\x0a\x03"
      "a\xfc"
      "b";
  const char* const methods[] = {
      "/shadow.v1.DnaService/CreateDna",
      "/shadow.v1.DnaService/GetDna",
      "/shadow.v1.PoolService/CreatePool",
      "/shadow.v1.PoolService/GetPool",
      "/shadow.v1.ShadowPoolService/ListInstances",
      "/shadow.v1.UsageService/ReportUsage",
      "/shadow.v1.UsageService/ReportUsageBatch",
      "/shadow.v1.UsageService/GetForecast",
      "/shadow.v1.EventService/ListEvents",
      "/shadow.v1.EventService/Watch",
      "/shadow.v1.SimulationService/Simulate",
      "/shadow.v1.SimulationService/EvaluatePool",
      "/shadow.v1.BackupService/CreateBackup",
      "/shadow.v1.ServerService/GetServerStatus",
  };
  for (const std::string method : methods) {
    INFO(method);
    const grpc::Status status = world.Call(method, truncated).status;
    CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
    CHECK(status.error_message() == "the request of " + method +
                                        " cannot be parsed: wanted a protobuf message of its "
                                        "type, with text in UTF-8");
    google::rpc::Status details;
    CHECK(details.ParseFromString(status.error_details()));
    CHECK(details.details_size() == 1);
  }
  CHECK(world.Call("/shadow.v1.PoolService/GetPool", latin1).status.error_code() ==
        grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(world.Call("/shadow.v1.PoolService/GetPool", "").status.error_message().find("parsed") ==
        std::string::npos);
  // A method that is not there is still not there.
  CHECK(world.Call("/shadow.v1.PoolService/Fly", "").status.error_code() ==
        grpc::StatusCode::UNIMPLEMENTED);
}

TEST_CASE("a simulation of more fields than samples can be is refused before it is parsed") {
  ApiWorld world;
  world.Run();
  std::string request = "\x0a\x09pools/web";
  for (int i = 0; i < 500'001; ++i) request += std::string("\x12\x00", 2);
  const grpc::Status status = world.Call("/shadow.v1.SimulationService/Simulate", request).status;
  CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(status.error_message() == "samples: wanted at most 500000");
}

}  // namespace
}  // namespace shadow
