// The usage sources of a pool: which are taken, and which are refused by the name of what is wrong.
#include <google/protobuf/text_format.h>

#include <catch2/catch.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/core/spec.h"

namespace shadow {
namespace {

// `sources`: text protobuf.
absl::Status CompileUsage(const std::string& sources) {
  v1::Pool pool;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(
      absl::StrCat("name: 'pools/web' dna: 'dnas/web' instance_capacity: 50 ", sources), &pool));
  return CompilePool(pool).status();
}

TEST_CASE("arrivals are read at frontends and backends, at one of them at least") {
  for (const char* named : {"frontend: 'f'", "backend: 'b'", "frontends: 'f'", "backends: 'b'",
                            "frontend: 'web' backend: 'web'",
                            "frontends: [ 'http', 'https' ] backends: [ 'a', 'b' ]"}) {
    INFO(named);
    CHECK(CompileUsage(absl::StrCat("usage_sources { haproxy { socket_path: '/s' ", named,
                                    " } }")) == absl::OkStatus());
  }
}

TEST_CASE("a wrong usage source is refused by its name") {
  const struct {
    const char* sources;
    const char* field;
    const char* words;
  } cases[] = {
      {"usage_sources {}", "", "neither"},
      {"usage_sources { haproxy { socket_path: '/s' frontend: '' } }", ".haproxy",
       "at least one is wanted"},
      {"usage_sources { haproxy { frontend: 'f' } }", ".haproxy.socket_path", "empty"},
      {"usage_sources { haproxy { socket_path: '/s' frontend: 'a b' } }", ".haproxy.frontend",
       "\"a b\""},
      {"usage_sources { haproxy { socket_path: '/s' backend: 'b;c' } }", ".haproxy.backend",
       "\"b;c\""},
      {"usage_sources { haproxy { socket_path: '/s' frontends: [ 'f', '' ] } }",
       ".haproxy.frontends[1]", "\"\""},
      {"usage_sources { haproxy { socket_path: '/s' frontend: 'f' frontends: [ 'g', 'f' ] } }",
       ".haproxy.frontends[1]", "\"f\" is named twice"},
      {"usage_sources { haproxy { socket_path: '/s' backends: [ 'b', 'b' ] } }",
       ".haproxy.backends[1]", "\"b\" is named twice"},
  };
  for (const auto& c : cases) {
    INFO(c.sources);
    const absl::Status status = CompileUsage(c.sources);
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK(ErrorField(status) == absl::StrCat("pool.usage_sources[0]", c.field));
    CHECK_THAT(std::string(status.message()), Catch::Contains(c.words));
  }
}

TEST_CASE("two sources of a pool that are read are refused: one names all") {
  const absl::Status status = CompileUsage(
      "usage_sources { haproxy { socket_path: '/s' frontend: 'http' } } "
      "usage_sources { haproxy { socket_path: '/s' frontend: 'https' } }");
  CHECK(ErrorField(status) == "pool.usage_sources[1]");
  CHECK_THAT(std::string(status.message()), Catch::Contains("second source that is read"));
  CHECK_THAT(std::string(status.message()), Catch::Contains("may add up frontends"));
}

}  // namespace
}  // namespace shadow
