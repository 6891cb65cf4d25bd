#include "server/api/readers/unread_answers.h"

#include <catch2/catch.hpp>
#include <string>

namespace shadow {
namespace {

constexpr size_t kMebibyte = 1 << 20;

TEST_CASE("a user holds few bytes of answers, and has room again once they are given back") {
  UnreadAnswers answers;
  for (int i = 0; i < 4; ++i) REQUIRE(answers.Take("user 1", kMebibyte).ok());
  const absl::Status refused = answers.Take("user 1", 1);
  CHECK(absl::IsResourceExhausted(refused));
  CHECK(refused.message().find("calls of user 1 already have 4194304 bytes") !=
        absl::string_view::npos);
  CHECK(answers.Take("user 2", 1).ok());
  answers.GiveBack("user 1", 1);
  // The limit is on what is held already: one answer may pass it.
  CHECK(answers.Take("user 1", 8 * kMebibyte).ok());
  CHECK(absl::IsResourceExhausted(answers.Take("user 1", 1)));
}

TEST_CASE("all users together hold few bytes of answers too") {
  UnreadAnswers answers;
  for (int user = 0; user < 8; ++user) {
    REQUIRE(answers.Take("user " + std::to_string(user), 4 * kMebibyte).ok());
  }
  const absl::Status refused = answers.Take("user 8", 1);
  CHECK(absl::IsResourceExhausted(refused));
  CHECK(refused.message().find("readers already have 33554432 bytes") != absl::string_view::npos);
  answers.GiveBack("user 0", 4 * kMebibyte);
  CHECK(answers.Take("user 8", 1).ok());
}

}  // namespace
}  // namespace shadow
