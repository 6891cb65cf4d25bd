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

// `prometheus`: the fields of one.
std::string PrometheusText(const std::string& prometheus) {
  return absl::StrCat("usage_sources { prometheus { ", prometheus, " } }");
}

TEST_CASE("a query, or one metric of a target, is read at an http or https URL") {
  for (const char* good :
       {"url: 'http://10.0.0.7:9090' query: 'sum(rate(x[1m]))'",
        "url: 'https://prometheus.example/base/' query: 'x' sum: true backfill { seconds: 86400 }",
        "url: 'https://h' query: 'x' bearer_token_file: '/t' ca_file: '/c'",
        "url: 'http://localhost:9090' query: 'x' username_file: '/u' password_file: '/p'",
        "url: 'http://h:9100/metrics?collect=cpu' scrape { metric: 'node_load1' }",
        "url: 'http://h/m' scrape { metric: 'a:b_total' labels { key: 'k' value: 'v w' } "
        "type: COUNTER }"}) {
    INFO(good);
    CHECK(CompileUsage(PrometheusText(good)) == absl::OkStatus());
  }
}

TEST_CASE("a wrong prometheus source is refused by its field, without its secrets") {
  const struct {
    const char* prometheus;
    const char* field;
    const char* words;
  } cases[] = {
      {"query: 'x'", ".url", "empty"},
      {"url: 'ftp://h' query: 'x'", ".url", "is not a URL"},
      {"url: 'http:///x' query: 'x'", ".url", "is not a URL"},
      {"url: 'http://u:s3cret@h' query: 'x'", ".url", "has credentials"},
      {"url: 'http://h/?a=b' query: 'x'", ".url", "before /api/v1/query"},
      {"url: 'http://h/#a' scrape { metric: 'x' }", ".url", "\"#\""},
      {"url: 'http://h'", "", "neither query nor scrape"},
      {"url: 'http://h' query: ''", ".query", "empty"},
      {"url: 'http://h' query: 'x' backfill { seconds: 4000000 }", ".backfill", ""},
      {"url: 'http://h' scrape { metric: 'x' } backfill { seconds: 4 }", ".backfill", "its past"},
      {"url: 'http://h' scrape { metric: '1x' }", ".scrape.metric", "\"1x\""},
      {"url: 'http://h' scrape { metric: 'x' labels { key: 'a-b' value: '' } }", ".scrape.labels",
       "\"a-b\""},
      {"url: 'http://h' query: 'x' bearer_token_file: '/t'", ".url", "in the clear"},
      {"url: 'http://localhost.evil' query: 'x' bearer_token_file: '/t'", ".url", "in the clear"},
      {"url: 'https://h' query: 'x' bearer_token_file: 't'", ".bearer_token_file", ""},
      {"url: 'https://h' query: 'x' username_file: '/u'", "", "wanted both"},
      {"url: 'https://h' query: 'x' username_file: '/u' password_file: '/p' "
       "bearer_token_file: '/t'",
       "", "one way"},
  };
  for (const auto& c : cases) {
    INFO(c.prometheus);
    const absl::Status status = CompileUsage(PrometheusText(c.prometheus));
    INFO(status);
    CHECK(ErrorField(status) == absl::StrCat("pool.usage_sources[0].prometheus", c.field));
    CHECK_THAT(std::string(status.message()),
               Catch::Contains(c.words) && !Catch::Contains("s3cret"));
  }
}

TEST_CASE("a cgroup is named, or that of the pool's units") {
  CHECK(CompileUsage("usage_sources { cgroup { path: '/sys/fs/cgroup/web.slice' } }").ok());
  CHECK(CompileUsage("provider { systemd {} } usage_sources { cgroup { metric: MEMORY } }").ok());
  CHECK(ErrorField(CompileUsage("usage_sources { cgroup {} }")) ==
        "pool.usage_sources[0].cgroup.path");
  CHECK(ErrorField(CompileUsage("usage_sources { cgroup { path: 'web.slice' } }")) ==
        "pool.usage_sources[0].cgroup.path");
}

}  // namespace
}  // namespace shadow
