"""For each rule at least one tree that it must catch, and one that every rule must let pass.

(rule, bad tree, good tree); a tree is path -> text.
"""

_LATER = "TO" + "DO"  # In pieces, or the rules would find this file.
_NO_LINT = "NO" + "LINT"
_ELSEWHERE = "../" + "shared/DESIGN.md"
_WORK = "/wo" + "rk/main"


def _header(body=""):
    return "// What it is.\n#pragma once\n" + body


def _include(path, header):
    line = f"#include {header}\n"
    return {path: _header(line) if path.endswith(".h") else line}


def _boundary(path, bad, good):
    return ("include-boundary", _include(path, bad), _include(path, good))


EXAMPLES = [
    ("top-level", {"scripts/build.sh": "true\n"}, {"server/main.cc": "", "README.md": ""}),
    ("folder-size", {f"storage/part_{n}.cc": "" for n in range(26)},
     {f"storage/part_{n}.cc": "" for n in range(25)}),
    ("file-length", {"storage/store.cc": "\n" * 401}, {"storage/store.cc": "\n" * 400}),
    ("file-length", {"proto/shadow/v1/pool.proto": "\n" * 401}, {"README.md": "\n" * 401}),
    ("line-length", {"storage/store.cc": "// " + "x" * 98}, {"storage/store.cc": "// " + "x" * 97}),
    ("line-length", {".ci/run": "# " + "x" * 99}, {"README.md": "x" * 101}),
    ("function-length", {"tests/e2e/life.cc": 'TEST_CASE("a") {\n' + "  F();\n" * 61 + "}\n"},
     {"tests/e2e/life.cc": 'TEST_CASE("a") {\n' + "  F();\n" * 60 + "}\n" + "F();\n" * 60}),
    ("function-length", {"tests/lint/a.py": "def f():\n" + "    f()\n" * 61},
     {"tests/lint/a.py": "def f():\n" + "    f()\n" * 60}),
    ("unfinished", {"storage/store.cc": f"// {_LATER}: later\n"},
     {"storage/store.cc": "// Later.\n"}),
    ("unfinished", {"storage/store.cc": f"int a;  // {_NO_LINT}(x)\n"}, {"README.md": "methods\n"}),
    ("outside-path", {"README.md": f"see {_ELSEWHERE}\n"}, {"README.md": "see ../shares/a\n"}),
    ("outside-path", {"tests/e2e/life.cc": f'"{_WORK}"'},
     {"README.md": "framework/main ./work/a\n"}),
    ("header-shape", {"storage/store.h": "#pragma once\n// What it is.\n"},
     {"storage/store.h": _header()}),
    ("header-shape", {"storage/store.h": "// What it is.\nint a();\n"}, {"storage/store.cc": ""}),
    ("vague-name", {"storage/string_util.cc": ""}, {"storage/utility_cost.cc": ""}),
    ("vague-name", {"server/common/names.cc": ""}, {"server/core/names.cc": ""}),
    ("vague-name", {"storage/store.cc": "class StoreManager {};\n"},
     {"storage/store.cc": "class Store {};  // class StoreManager\n"}),
    ("clock-read", {"forecast/naive.cc": "auto t = absl::Now();\n"},
     {"server/core/clock.cc": "auto t = absl::Now();\n"}),
    ("clock-read", {"server/core/loop.cc": "auto t = std::chrono::steady_clock::now();\n"},
     {"client/watch.cc": "auto t = std::chrono::steady_clock::now();\n"}),
    ("clock-read", {"storage/store.cc": "const time_t t = time(nullptr);\n"},
     {"storage/store.cc": "sample.time(0);  // time(nullptr)\n"}),
    ("clock-read", {"server/usage/pull.cc": "std::this_thread::sleep_for(x);\n"},
     {"server/usage/pull.cc": 'Log("sleep_for");\n'}),
    ("sleeping-test", {"tests/e2e/life.cc": "absl::SleepFor(absl::Seconds(1));\n"},
     {"tests/fakes/poll.h": _header("std::this_thread::sleep_for(x);\n")}),
    ("sleeping-test", {"tests/fault/kill.cc": "  sleep(3);\n"},
     {"tests/demo/worker.cc": "sleep(3);\n"}),
    ("thread-without-tsan", {"tests/server/core/loop_test.cc": "std::thread writer;\n"},
     {"tests/server/workers/lanes_test.cc": "std::thread writer;\n"}),
    ("absl-mutex", {"storage/store.cc": "absl::MutexLock lock(&mutex_);\n"},
     {"storage/store.cc": "std::mutex mutex_;\n"}),
    ("sanitizer-macro", {"tests/e2e/life.cc": "#ifdef __SANITIZE_ADDRESS__\n"},
     {"tests/e2e/life.cc": "#ifdef SHADOW_SANITIZED\n"}),
    ("mutable-global", {"storage/store.cc": "static int count = 0;\n"},
     {"storage/store.cc": "static int Count(int a);\nstatic constexpr int kMax = 3;\n"}),
    ("mutable-global", {"storage/store.cc": "  static std::atomic<int> count{0};\n"},
     {"storage/store.cc": "  static const std::string kName = Name();\n"}),
    ("mutable-global", {"storage/store.cc": "std::string g_name;\n"},
     {"storage/store.cc": "std::string name;\n"}),
    ("proto-comment", {"proto/shadow/v1/a.proto": "message A {\n  double b = 1;\n}\n"},
     {"proto/shadow/v1/a.proto": "message A {\n  double b = 1;  // Hz.\n}\nenum C {\n  D = 0;\n}"}),
    ("proto-comment", {"proto/shadow/v1/a.proto": "message A {\n  oneof b {\n    A c = 1;\n  }\n}"},
     {"proto/shadow/v1/a.proto": "message A {\n  // Hz.\n  map<string, A> b = 1;\n}\n"}),
    ("proto-import", {"proto/shadow/v1/a.proto": 'import "server/core/a.proto";\n'},
     {"proto/shadow/v1/a.proto": 'import "shadow/v1/dna.proto";\n'}),
    ("include-spelling", {"storage/store.cc": '#include "schema.h"\n'},
     {"storage/store.cc": '#include "storage/schema.h"\n#include "absl/time/time.h"\n'}),
    ("include-spelling", {"storage/store.cc": "#include <storage/schema.h>\n"},
     {"storage/store.cc": "#include <sqlite3.h>\n"}),
    _boundary("forecast/naive.h", '"shadow/v1/usage.pb.h"', '"forecast/forecaster.h"'),
    _boundary("forecast/naive.cc", "<unistd.h>", "<Eigen/Dense>"),
    _boundary("storage/store.h", '"server/core/clock.h"', '"shadow/v1/record.pb.h"'),
    _boundary("storage/store.cc", '"shadow/v1/pool_service.grpc.pb.h"', "<sqlite3.h>"),
    _boundary("server/core/planner.cc", '"storage/store.h"', '"forecast/forecaster.h"'),
    _boundary("server/core/planner.cc", "<grpcpp/grpcpp.h>", "<openssl/evp.h>"),
    _boundary("server/core/planner.cc", "<sqlite3.h>", "<algorithm>"),
    _boundary("server/core/planner.cc", "<curl/curl.h>", '"absl/strings/str_cat.h"'),
    _boundary("server/core/planner.cc", "<sys/socket.h>", '"server/core/names.h"'),
    _boundary("server/core/planner.cc", "<spdlog/spdlog.h>", '"shadow/v1/pool.pb.h"'),
    _boundary("server/core/planner.h", '"server/balancers/haproxy.h"', '"server/core/ports.h"'),
    _boundary("server/balancers/haproxy.cc", '"server/daemon.h"', '"server/balancers/slots.h"'),
    _boundary("server/balancers/haproxy.cc", '"server/usage/haproxy.h"', '"server/core/ports.h"'),
    _boundary("server/providers/process.cc", '"tests/fakes/clock.h"', "<sys/socket.h>"),
    _boundary("server/usage/haproxy.cc", '"server/api/pools.h"', '"server/usage/rate.h"'),
    _boundary("server/api/pools.cc", '"server/providers/process.h"', '"storage/store.h"'),
    _boundary("server/api/pools.cc", '"server/daemon.h"', '"server/control_thread.h"'),
    _boundary("server/main.cc", '"server/providers/process.h"', '"server/daemon.h"'),
    _boundary("server/daemon.cc", '"client/errors.h"', '"server/providers/process.h"'),
    _boundary("client/errors.cc", '"server/core/error.h"', '"shadow/v1/pool_service.grpc.pb.h"'),
    _boundary("client/errors.cc", '"storage/store.h"', "<grpcpp/grpcpp.h>"),
    ("include-boundary", {"systemd/notify.cc": ""},
     {"tests/e2e/life.cc": '#include "server/daemon.h"'}),
]
