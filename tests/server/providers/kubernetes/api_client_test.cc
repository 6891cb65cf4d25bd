#include "server/providers/kubernetes/api_client.h"

#include <catch2/catch.hpp>
#include <string>

#include "absl/strings/match.h"
#include "server/providers/kubernetes/api_errors.h"
#include "server/providers/kubernetes/quantity.h"
#include "tests/fakes/kubernetes/fake_api_server.h"
#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

struct ClientWorld {
  explicit ClientWorld(const std::string& token_file = "") : token(token_file) {}

  ApiClient& Client() {
    if (client == nullptr) {
      client = std::make_unique<ApiClient>(
          ApiPlace{.server = server.url(), .space = "shop", .token_file = token, .ca_file = ""},
          clock);
    }
    return *client;
  }
  absl::Status Get() { return Client().Call({.path = "/version"}).status(); }

  SystemClock clock;
  FakePods pods;
  FakeApiServer server{pods};
  std::string token;
  std::unique_ptr<ApiClient> client;
};

TEST_CASE("each answer of an API server has its code") {
  ClientWorld world;
  using Code = absl::StatusCode;
  const struct {
    int status;
    const char* reason;
    const char* message;
    Code code;
  } rows[] = {
      {400, "BadRequest", "no", Code::kInvalidArgument},
      {401, "Unauthorized", "no", Code::kUnauthenticated},
      {403, "Forbidden", "User \"x\" cannot create pods", Code::kPermissionDenied},
      {403, "Forbidden", "admission webhook denied the request", Code::kPermissionDenied},
      {403, "Forbidden", "forbidden: exceeded quota: few", Code::kResourceExhausted},
      {404, "NotFound", "no", Code::kNotFound},
      {409, "AlreadyExists", "no", Code::kAlreadyExists},
      {409, "Conflict", "no", Code::kAborted},
      {410, "Expired", "no", Code::kOutOfRange},
      {422, "Invalid", "no", Code::kInvalidArgument},
      {500, "InternalError", "no", Code::kUnavailable},
      {503, "", "", Code::kUnavailable},
  };
  for (const auto& row : rows) {
    INFO(row.status << " " << row.reason);
    world.server.Fail(FakePods::Refusal(row.status, row.reason, row.message), 2);
    const absl::Status status = world.Get();
    CHECK(status.code() == row.code);
    CHECK(absl::StrContains(status.message(), std::to_string(row.status)));
    world.server.Fail({}, 0);
  }
}

TEST_CASE("what an API server says is printable and short in an error") {
  const absl::Status status =
      ErrorOfAnswer(500, R"({"message":"a\u001b[31mb\n)" + std::string(5000, 'x') + "\"}");
  CHECK(status.message().size() < 400);
  CHECK(status.message().find('\x1b') == absl::string_view::npos);
  CHECK(ErrorOfAnswer(500, "<html>").code() == absl::StatusCode::kUnavailable);
  CHECK(ErrorOfAnswer(500, R"({"message":7,"reason":[]})").code() ==
        absl::StatusCode::kUnavailable);
}

TEST_CASE("a pause that an API server asks for is waited for, if it ends in time") {
  ClientWorld world;
  FakePods::Answer busy = FakePods::Refusal(429, "TooManyRequests", "later");
  busy.headers = "Retry-After: 1\r\n";
  world.server.Fail(busy, 1);
  const absl::Duration begun = world.clock.Now().mono;
  CHECK(world.Get().ok());
  CHECK(world.clock.Now().mono - begun >= absl::Seconds(1));
  CHECK(world.server.requests() == 2);

  busy.headers = "Retry-After: 20\r\n";
  world.server.Fail(busy, 1);
  CHECK(absl::IsResourceExhausted(world.Get()));
  // Nobody asks meanwhile.
  const int before = world.server.requests();
  CHECK(absl::IsResourceExhausted(world.Get()));
  CHECK(world.server.requests() == before);
}

TEST_CASE("a token that is not taken any more is read again") {
  const TemporaryDirectory directory;
  WriteFile(directory / "token", "old\n");
  ClientWorld world(directory / "token");
  world.server.SetToken("old");
  REQUIRE(world.Get().ok());
  world.server.SetToken("new");
  CHECK(absl::IsUnauthenticated(world.Get()));
  WriteFile(directory / "token", "new\n");
  CHECK(world.Get().ok());
  // It is gone for a moment, while it is rotated.
  REQUIRE(unlink((directory / "token").c_str()) == 0);
  CHECK(world.Get().ok());
}

TEST_CASE("a token that cannot be read is an error that does not show it") {
  const TemporaryDirectory directory;
  ClientWorld missing(directory / "none");
  CHECK(absl::IsUnavailable(missing.Get()));
  WriteFile(directory / "token", "se\tcret\r\nX-Header: 1");
  ClientWorld broken(directory / "token");
  const absl::Status status = broken.Get();
  CHECK(absl::IsUnavailable(status));
  CHECK_FALSE(absl::StrContains(status.message(), "cret"));
}

TEST_CASE("an API server that is gone, silent, or breaks off is an error in time") {
  ClientWorld world;
  REQUIRE(world.Get().ok());
  const auto in_time = [&](absl::StatusCode code) {
    const absl::Duration begun = world.clock.Now().mono;
    CHECK(world.Get().code() == code);
    CHECK(world.clock.Now().mono - begun < absl::Seconds(2));
  };
  SECTION("silent") {
    world.server.SetFrozen(true);
    in_time(absl::StatusCode::kDeadlineExceeded);
    world.server.SetFrozen(false);
  }
  SECTION("half") {
    world.server.SetCut(true);
    in_time(absl::StatusCode::kUnavailable);
  }
  SECTION("gone") {
    world.server.Stop();
    in_time(absl::StatusCode::kUnavailable);
    world.server.Start();
    CHECK(world.Get().ok());
  }
  SECTION("no object") {
    world.server.Fail({.status = 200, .body = "text"}, 1);
    in_time(absl::StatusCode::kUnavailable);
  }
}

TEST_CASE("an answer that is too large is not taken") {
  ClientWorld world;
  world.server.SetPadding(ApiClient::kAnswerMaxBytes);
  const auto answer = world.Client().Call({.path = "/version", .timeout = absl::Seconds(20)});
  CHECK(absl::IsUnavailable(answer.status()));
  world.server.SetPadding(0);
  CHECK(world.Get().ok());
}

TEST_CASE("quantities are read as Kubernetes writes them") {
  CHECK(ParseQuantityMillis("250m") == 250);
  CHECK(ParseQuantityMillis("1") == 1000);
  CHECK(ParseQuantityMillis("1.5") == 1500);
  CHECK(ParseQuantityMillis("0.1") == 100);
  CHECK(ParseQuantityMillis("2k") == 2'000'000);
  CHECK(ParseQuantityMillis("1e3") == 1'000'000);
  CHECK(ParseQuantityMillis("64Mi") == 67'108'864'000);
  CHECK(ParseQuantityMillis("100u") == 1);  // Rounded up.
  for (const char* text : {"", "m", "-1", "1x", "1 m", "1mm", "9999999999E", "nan", "0x10"}) {
    INFO(text);
    CHECK_FALSE(ParseQuantityMillis(text).has_value());
  }
}

TEST_CASE("a pod finds the API server of its own cluster") {
  const TemporaryDirectory account;
  WriteFile(account / "namespace", "shop\n");
  const auto variable = [](const std::string& name) -> std::optional<std::string> {
    return name == "KUBERNETES_SERVICE_HOST" ? "fd00::1" : "443";
  };
  const auto own = FindApiPlace({}, variable, account.path());
  REQUIRE(own.ok());
  CHECK(own->server == "https://[fd00::1]:443");
  CHECK(own->space == "shop");
  CHECK(own->token_file == account / "token");
  CHECK(own->ca_file == account / "ca.crt");
  const auto none = [](const std::string&) { return std::optional<std::string>(); };
  CHECK(absl::IsFailedPrecondition(FindApiPlace({}, none, account.path()).status()));
  WriteFile(account / "namespace", "../x");
  CHECK(absl::IsFailedPrecondition(FindApiPlace({}, variable, account.path()).status()));
}

}  // namespace
}  // namespace shadow
