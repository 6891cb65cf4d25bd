// Tokens that no list has made: each is refused by name, whatever it holds, and harms nobody.
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/api/call.h"
#include "shadow/v1/dna_service.pb.h"
#include "shadow/v1/event_service.pb.h"
#include "shadow/v1/pool_service.pb.h"
#include "tests/fakes/random_seed.h"
#include "tests/server/api/api_world.h"

namespace shadow {
namespace {

class TokenForger {
 public:
  explicit TokenForger(uint64_t seed) : random_(seed) {}

  // `good` with one change, or something else.
  std::string Forge(const std::string& good, const std::string& scope) {
    std::string token = good;
    switch (Draw(8)) {
      case 0:
        token.resize(Draw(token.size()));
        return token;
      case 1:
        return token + Hex();
      case 2:
        token[Draw(token.size())] = "0123456789abcdefABCDEFxg -\n"[Draw(27)];
        return token;
      case 3:
        return absl::AsciiStrToUpper(token);
      case 4:
        return ToToken(scope, Bytes());
      case 5:
        return ToToken(Bytes(), "1");
      case 6:
        return ToToken(scope, kNumbers[Draw(std::size(kNumbers))]);
      default:
        return std::string(1 + Draw(100'000), 'f');
    }
  }

 private:
  static constexpr const char* kNumbers[] = {"0",
                                             "-1",
                                             "9223372036854775807",
                                             "9223372036854775808",
                                             "-9223372036854775808",
                                             "1e9",
                                             "0x1",
                                             " 1",
                                             "1 ",
                                             "+1",
                                             "nan",
                                             "99999999999999999999999"};

  size_t Draw(size_t below) { return std::uniform_int_distribution<size_t>(0, below - 1)(random_); }
  std::string Bytes() {
    std::string bytes(Draw(40), '\0');
    for (char& byte : bytes) byte = static_cast<char>(Draw(256));
    return bytes;
  }
  std::string Hex() { return absl::BytesToHexString(absl::StrCat("x", Bytes())); }

  std::mt19937_64 random_;
};

template <typename Request>
std::string RequestWith(const std::string& token) {
  Request request;
  request.set_page_token(token);
  return request.SerializeAsString();
}

struct List {
  const char* method;
  const char* scope;  // Of the request without anything else.
  std::string (*request)(const std::string& token);
};

constexpr List kLists[] = {
    {"/shadow.v1.PoolService/ListPools", "ListPools", RequestWith<v1::ListPoolsRequest>},
    {"/shadow.v1.DnaService/ListDnas", "ListDnas", RequestWith<v1::ListDnasRequest>},
    {"/shadow.v1.EventService/ListEvents", "ListEvents 0 ", RequestWith<v1::ListEventsRequest>},
};

TEST_CASE("a page token that no list has made is refused by name, or is a place in the list") {
  ApiWorld world;
  world.Run();
  TokenForger forger(RandomSeed());
  for (const List& list : kLists) {
    const std::string good = ToToken(list.scope, "1");
    REQUIRE(world.Call(list.method, list.request(good)).status.ok());
    int refused = 0;
    for (int i = 0; i < 300; ++i) {
      const std::string token = forger.Forge(good, list.scope);
      INFO(list.method << " " << token.substr(0, 200));
      const grpc::Status status = world.Call(list.method, list.request(token)).status;
      if (status.ok()) {
        CHECK((token.empty() || FromToken(list.scope, token).ok()));
        continue;
      }
      ++refused;
      CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
      CHECK_THAT(status.error_message(), Catch::StartsWith("page_token"));
    }
    CHECK(refused > 0);
  }
}

}  // namespace
}  // namespace shadow
