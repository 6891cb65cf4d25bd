#include "client/errors.h"

#include <catch2/catch.hpp>
#include <string>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace shadow {
namespace {

std::string Details(const std::string& field, const std::string& description) {
  google::rpc::BadRequest bad_request;
  auto* violation = bad_request.add_field_violations();
  violation->set_field(field);
  violation->set_description(description);
  google::rpc::Status status;
  status.add_details()->PackFrom(bad_request);
  return status.SerializeAsString();
}

TEST_CASE("every status code has its exit code") {
  const struct {
    absl::StatusCode code;
    int exit_code;
  } table[] = {{absl::StatusCode::kOk, 0},
               {absl::StatusCode::kInvalidArgument, 2},
               {absl::StatusCode::kNotFound, 3},
               {absl::StatusCode::kUnauthenticated, 4},
               {absl::StatusCode::kPermissionDenied, 4},
               {absl::StatusCode::kAlreadyExists, 5},
               {absl::StatusCode::kFailedPrecondition, 5},
               {absl::StatusCode::kAborted, 5},
               {absl::StatusCode::kUnavailable, 6},
               {absl::StatusCode::kDeadlineExceeded, 6},
               {absl::StatusCode::kResourceExhausted, 6},
               {absl::StatusCode::kInternal, 1},
               {absl::StatusCode::kUnimplemented, 1},
               {absl::StatusCode::kOutOfRange, 1},
               {absl::StatusCode::kUnknown, 1}};
  for (const auto& row : table) {
    INFO(absl::StatusCodeToString(row.code));
    CHECK(ExitCode(absl::Status(row.code, "x")) == row.exit_code);
  }
}

TEST_CASE("an error is one printable line with its code") {
  CHECK(ErrorLine(absl::NotFoundError("name: pools/web is not there")) ==
        "error: NOT_FOUND: name: pools/web is not there");
  CHECK(ErrorLine(absl::InternalError("two\nlines \x1b[2J")) == "error: INTERNAL: two lines ?[2J");
}

TEST_CASE("a field that only the details name is put in front of the message, once") {
  const auto status_of = [](const std::string& message, const std::string& details) {
    return std::string(
        StatusFromRpc(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, message, details), "unix:/s")
            .message());
  };
  CHECK(status_of("1.5 is too much", Details("pool.step", "no")) == "pool.step: 1.5 is too much");
  CHECK(status_of("pool.step: too long", Details("pool.step", "no")) == "pool.step: too long");
  CHECK(status_of("", Details("pool.step", "too long")) == "pool.step: too long");
  CHECK(status_of("plain", "") == "plain");
  CHECK(status_of("garbled", "\xFF\xFF") == "garbled");
  CHECK(status_of("", "") == "the daemon gave no reason");
}

TEST_CASE("an unavailable daemon is named with its socket, its own refusal is not") {
  const absl::Status transport = StatusFromRpc(
      grpc::Status(grpc::StatusCode::UNAVAILABLE, "connect failed"), "unix:/nowhere/s.sock");
  CHECK(transport.code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(transport.message()),
             Catch::Contains("unix:/nowhere/s.sock: no shadowd answers") &&
                 Catch::Contains("shadowd --listen unix:/nowhere/s.sock"));
  google::rpc::Status details;
  details.add_details()->PackFrom(google::rpc::ErrorInfo());
  const absl::Status own = StatusFromRpc(
      grpc::Status(grpc::StatusCode::UNAVAILABLE, "the disk is full", details.SerializeAsString()),
      "unix:/nowhere/s.sock");
  CHECK(own == absl::UnavailableError("the disk is full"));
}

}  // namespace
}  // namespace shadow
