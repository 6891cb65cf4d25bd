// Who asked what, in the log.
#include "server/log/request_log.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "tests/fakes/captured_log.h"
#include "tests/fakes/manual_clock.h"
#include "tests/server/api/api_world.h"
#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

using Lines = std::vector<std::string>;

constexpr char kSecret[] = "hunter2";

v1::DeletePoolRequest DeletePool(const std::string& name) {
  v1::DeletePoolRequest request;
  request.set_name(name);
  return request;
}

void CheckNowhere(const CapturedLog& log, const std::string& text) {
  for (const std::string& line : log.Lines()) CHECK(line.find(text) == std::string::npos);
}

}  // namespace

TEST_CASE("what was asked for is in the log once, with who asked, and without what was sent") {
  const CapturedLog log;
  ApiWorld world;
  world.Run();
  const std::string uid = absl::StrCat(" uid=", geteuid());
  v1::CreateDnaRequest create = CreateDna();
  create.mutable_dna()->mutable_process()->add_argv(kSecret);
  create.set_validate_only(true);
  REQUIRE(world.Call("/shadow.v1.DnaService/CreateDna", create.SerializeAsString()).status.ok());
  CHECK(log.Lines("CreateDna").empty());
  create.set_validate_only(false);
  create.set_request_id("r-1");
  REQUIRE(world.Call("/shadow.v1.DnaService/CreateDna", create.SerializeAsString()).status.ok());
  CHECK(log.Lines("CreateDna") ==
        Lines{absl::StrCat("CreateDna: OK resource=dnas/web", uid, " request_id=r-1")});

  world.Call("/shadow.v1.PoolService/DeletePool", DeletePool("pools/none").SerializeAsString());
  world.Call("/shadow.v1.PoolService/DeletePool", DeletePool(kSecret).SerializeAsString());
  CHECK(log.Lines("DeletePool") ==
        Lines{absl::StrCat("DeletePool: NOT_FOUND (POOL_NOT_FOUND) pool=none", uid),
              absl::StrCat("DeletePool: INVALID_ARGUMENT (name)", uid)});

  v1::CreatePoolRequest pool;
  pool.mutable_pool()->set_name("pools/web");
  pool.mutable_pool()->set_dna(kSecret);
  world.Call("/shadow.v1.PoolService/CreatePool", pool.SerializeAsString());
  REQUIRE(log.Lines("CreatePool").size() == 1);
  CHECK(log.Lines("CreatePool")[0].find(absl::StrCat(" pool=web", uid)) != std::string::npos);
  CheckNowhere(log, kSecret);
}

TEST_CASE("samples are in the log at debug alone") {
  for (const auto level : {spdlog::level::info, spdlog::level::debug}) {
    const CapturedLog log(level);
    ManualClock clock;
    RequestLog requests(clock);
    requests.Write({.uid = 0}, Report(clock.Now().wall, 5), absl::OkStatus());
    const Lines expected{"ReportUsageBatch: OK pool=web uid=0"};
    CHECK(log.Lines() == (level == spdlog::level::debug ? expected : Lines{}));
  }
}

TEST_CASE("callers who are refused cannot fill the log") {
  const CapturedLog log;
  ManualClock clock;
  RequestLog requests(clock);
  const absl::Status refused =
      ReasonError(absl::StatusCode::kPermissionDenied, "ROLE_TOO_LOW", "others may only read");
  const auto ask = [&](const Requester& who) { requests.Write(who, DeletePool(kPool), refused); };
  ask({.uid = 1000});
  ask({.uid = 1000});
  ask({.uid = 1001});
  ask({.certificate = "CN=a"});
  ask({.certificate = "CN=a"});
  clock.Advance(RequestLog::kRefusedInterval);
  ask({.uid = 1000});
  const std::string line = "DeletePool: PERMISSION_DENIED (ROLE_TOO_LOW) pool=web ";
  CHECK(log.Lines() ==
        Lines{line + "uid=1000", line + "uid=1001", line + "certificate=CN=a", line + "uid=1000"});
}

TEST_CASE("a request id that is none is not in the log") {
  const CapturedLog log;
  ManualClock clock;
  RequestLog requests(clock);
  v1::UpdatePoolRequest update;
  update.mutable_pool()->set_name("pools/web");
  update.set_request_id("two words");
  requests.Write({}, update, FieldError("request_id", "wanted no spaces"));
  CHECK(log.Lines() == Lines{"UpdatePool: INVALID_ARGUMENT (request_id) pool=web"});
}

}  // namespace shadow
