#include "server/core/spec/dna_rules.h"

#include <arpa/inet.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "server/core/text.h"

namespace shadow::dna_rules {
namespace {

constexpr int kArgvMax = 256;
constexpr size_t kArgvMaxBytes = 64 * 1024;
constexpr int kEnvironmentMax = 256;
constexpr size_t kEnvironmentMaxBytes = 128 * 1024;
constexpr FieldChecker::Limits kAnyPort = {.min = 1, .max = 65535};
constexpr FieldChecker::Limits kHttpStatus = {.min = 100, .max = 599};
constexpr FieldChecker::Limits kWarmUpRequests = {.min = 0, .max = 1000};
// Until requests are answered well, all tries.
constexpr FieldChecker::DurationLimits kAnswers = {.min = absl::Milliseconds(10),
                                                   .max = absl::Minutes(10)};

void CheckEnvironment(const v1::Process& process, FieldChecker& check) {
  constexpr char kField[] = "dna.process.environment";
  check.Count(kField, static_cast<int64_t>(process.environment().size()), kEnvironmentMax);
  size_t bytes = 0;
  // Sorted, so that one input has one error.
  std::set<std::string> keys;
  for (const auto& [key, variable] : process.environment()) {
    keys.insert(key);
    bytes += key.size() + variable.size() + 2;
  }
  for (const std::string& key : keys) CheckVariable(kField, key, check);
  if (bytes > kEnvironmentMaxBytes) {
    check.Fail(kField, absl::StrCat("has ", bytes, " bytes; at most ", kEnvironmentMaxBytes,
                                    " are allowed"));
  }
}

void CheckHttpCheck(const std::string& field, const v1::HttpCheck& http, FieldChecker& check) {
  check.HttpPath(absl::StrCat(field, ".path"), http.path());
  if (http.has_expected_status()) {
    check.Range(absl::StrCat(field, ".expected_status"), http.expected_status(), kHttpStatus);
  }
}

void CompileReadyCheck(CompiledDna& compiled, FieldChecker& check) {
  constexpr FieldChecker::DurationLimits kTry = {.min = absl::Milliseconds(10),
                                                 .max = absl::Minutes(1)};
  compiled.ready_interval = absl::Milliseconds(100);
  compiled.ready_timeout = absl::Seconds(1);
  if (!compiled.dna.process().has_ready_check()) return;
  const v1::ReadyCheck& ready = compiled.dna.process().ready_check();
  if (ready.has_http()) CheckHttpCheck("dna.process.ready_check.http", ready.http(), check);
  if (ready.has_interval()) {
    compiled.ready_interval =
        check.Duration("dna.process.ready_check.interval", ready.interval(), kTry);
  }
  if (ready.has_timeout()) {
    compiled.ready_timeout =
        check.Duration("dna.process.ready_check.timeout", ready.timeout(), kTry);
  }
}

void CompileResumeHook(CompiledDna& compiled, FieldChecker& check) {
  constexpr char kField[] = "dna.process.resume_hook";
  compiled.resume_hook_timeout = absl::Seconds(5);
  if (!compiled.dna.process().has_resume_hook()) return;
  const v1::ResumeHook& hook = compiled.dna.process().resume_hook();
  switch (hook.hook_case()) {
    case v1::ResumeHook::kSignal:
      if (hook.has_timeout()) {
        check.Fail(absl::StrCat(kField, ".timeout"), "is set with signal; only http has a timeout");
      }
      break;
    case v1::ResumeHook::kHttp:
      CheckHttpCheck(absl::StrCat(kField, ".http"), hook.http(), check);
      if (!hook.has_timeout()) break;
      compiled.resume_hook_timeout =
          check.Duration(absl::StrCat(kField, ".timeout"), hook.timeout(), kAnswers);
      break;
    case v1::ResumeHook::HOOK_NOT_SET:
      check.Fail(kField, "has neither signal nor http");
  }
}

}  // namespace

std::string At(const char* list, int index, const char* field) {
  return absl::StrCat(list, "[", index, "]", field);
}

void CheckArgv(const std::string& field,
               const google::protobuf::RepeatedPtrField<std::string>& argv, FieldChecker& check) {
  if (argv.empty()) return check.Fail(field, "is empty; an absolute path of a program is needed");
  check.Count(field, argv.size(), kArgvMax);
  check.Path(absl::StrCat(field, "[0]"), argv[0]);
  size_t bytes = 0;
  for (const std::string& argument : argv) bytes += argument.size() + 1;
  if (bytes > kArgvMaxBytes) {
    check.Fail(field, absl::StrCat("has ", bytes, " bytes; at most ", kArgvMaxBytes,
                                   " are allowed, with one more for each entry"));
  }
}

void CheckVariable(const std::string& field, const std::string& key, FieldChecker& check) {
  const bool valid =
      !key.empty() && key.size() <= kShortTextMaxBytes && !IsDigit(key.front()) &&
      std::all_of(key.begin(), key.end(), [](char c) { return IsAlnum(c) || c == '_'; });
  if (!valid) {
    check.Fail(field, absl::StrCat(Quoted(key), " does not match [A-Za-z_][A-Za-z0-9_]{0,127}"));
  } else if (key == "PORT" || key.rfind("SHADOWD_", 0) == 0) {
    check.Fail(field, absl::StrCat(key, " is set by shadowd: PORT and SHADOWD_* are reserved"));
  }
}

void CheckNetwork(const v1::Network& network, FieldChecker& check) {
  check.Count("dna.network.connections", network.connections_size(), kEntriesMax);
  for (int i = 0; check.ok() && i < network.connections_size(); ++i) {
    const v1::Connection& connection = network.connections(i);
    in6_addr address{};
    if (inet_pton(AF_INET, connection.host().c_str(), &address) != 1 &&
        inet_pton(AF_INET6, connection.host().c_str(), &address) != 1) {
      check.Fail(At("dna.network.connections", i, ".host"),
                 absl::StrCat(Quoted(connection.host()), " is not an IPv4 or IPv6 address"));
    }
    check.Range(At("dna.network.connections", i, ".port"), connection.port(), kAnyPort);
  }
}

void CompileProcess(CompiledDna& compiled, FieldChecker& check) {
  const v1::Process& process = compiled.dna.process();
  constexpr FieldChecker::DurationLimits kWait = {.min = absl::Milliseconds(10),
                                                  .max = absl::Hours(1)};
  CheckArgv("dna.process.argv", process.argv(), check);
  CheckEnvironment(process, check);
  if (!process.working_directory().empty()) {
    check.Path("dna.process.working_directory", process.working_directory());
  }
  CompileReadyCheck(compiled, check);
  CompileResumeHook(compiled, check);
  compiled.stop_timeout = absl::Seconds(10);
  if (process.has_stop_timeout()) {
    compiled.stop_timeout =
        check.Duration("dna.process.stop_timeout", process.stop_timeout(), kWait);
  }
  compiled.start_timeout = absl::Minutes(1);
  if (process.has_start_timeout()) {
    compiled.start_timeout =
        check.Duration("dna.process.start_timeout", process.start_timeout(), kWait);
  }
}

void CompileWarmUp(CompiledDna& compiled, FieldChecker& check) {
  const v1::WarmUp& warm_up = compiled.dna.warm_up();
  check.Range("dna.warm_up.requests", warm_up.requests(), kWarmUpRequests);
  if (!warm_up.path().empty()) check.HttpPath("dna.warm_up.path", warm_up.path());
  if (warm_up.has_expected_status()) {
    check.Range("dna.warm_up.expected_status", warm_up.expected_status(), kHttpStatus);
  }
  if (warm_up.has_latency_max()) {
    compiled.warm_up_latency_max =
        check.Duration("dna.warm_up.latency_max", warm_up.latency_max(),
                       {.min = absl::Microseconds(1), .max = absl::Minutes(10)});
  }
  compiled.warm_up_timeout = absl::Seconds(10);
  if (warm_up.has_timeout()) {
    compiled.warm_up_timeout = check.Duration("dna.warm_up.timeout", warm_up.timeout(), kAnswers);
  }
}

}  // namespace shadow::dna_rules
