// Requests to shadowd-units, as a message or as text: what is started is what the policy grants.
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/text_format.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/units/gate/units_gate.h"
#include "server/units/policy/policy.h"
#include "tests/fuzz/input.h"

namespace shadow {
namespace {

constexpr char kPolicy[] = R"(
  users: "www-data" capabilities: "CAP_NET_BIND_SERVICE" read_only_sources: "/srv/data"
  writable_sources: "/srv/scratch" credential_sources: "/etc/shadowd/credentials"
  root_directories: "/srv/roots" images: "/srv/images" mount_points: "/mnt/data"
  memory_bytes_max: 1073741824)";

// Nobody reads what is wrong with the text.
class NoErrors final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int, int, const std::string&) override {}
};

void Require(bool holds) {
  if (!holds) abort();
}

// By other code than the policy's.
void RequireBelow(const std::string& path, const std::string& folder) {
  Require(path == folder || path.rfind(folder + "/", 0) == 0);
  Require((path + "/").find("/../") == std::string::npos);
  Require(path.find_first_of(":%\\\"' \n") == std::string::npos);
}

void RequireGranted(const UnitSpec& unit) {
  const v1::Dna& dna = unit.dna;
  Require(!unit.id.empty() && unit.id.size() <= 32);
  for (const char c : unit.id) Require((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'));
  Require(unit.log_path.empty());
  Require(dna.security().user().empty() == dna.security().dynamic_user());
  Require(dna.security().user().empty() || dna.security().user() == "www-data");
  Require(dna.security().dynamic_user() || dna.security().no_new_privileges());
  for (const auto& name : dna.security().capabilities()) Require(name == "CAP_NET_BIND_SERVICE");
  for (const v1::DataSet& set : dna.data_sets()) {
    RequireBelow(set.source(), set.read_only() ? "/srv/data" : "/srv/scratch");
    const bool moved = !set.mount_path().empty() && set.mount_path() != set.source();
    if (moved) RequireBelow(set.mount_path(), "/mnt/data");
  }
  for (const v1::Secret& secret : dna.security().secrets()) {
    RequireBelow(secret.source_file(), "/etc/shadowd/credentials");
  }
  const v1::OperatingSystem& os = dna.operating_system();
  if (!os.root_directory().empty()) RequireBelow(os.root_directory(), "/srv/roots");
  if (!os.image().empty()) RequireBelow(os.image(), "/srv/images");
  Require(dna.resources().has_memory_max_bytes());
  Require(dna.resources().memory_max_bytes() <= 1'073'741'824);
  for (const auto& [name, text] : dna.process().environment()) {
    Require(name.rfind("LD_", 0) != 0 && text.find('\n') == std::string::npos);
  }
}

class GrantedUnits final : public Units {
 public:
  absl::Status Start(const UnitSpec& unit) override {
    RequireGranted(unit);
    return absl::OkStatus();
  }
  absl::Status Suspend(const std::string&) override { return absl::OkStatus(); }
  absl::Status Resume(const std::string&, const v1::Dna&) override { return absl::OkStatus(); }
  absl::Status Signal(const std::string&, int) override { return absl::OkStatus(); }
  absl::Status Stop(const std::string&, bool) override { return absl::OkStatus(); }
  absl::Status Forget(const std::string&) override { return absl::OkStatus(); }
  absl::StatusOr<std::optional<UnitView>> Get(const std::string&) override { return std::nullopt; }
  absl::StatusOr<std::vector<UnitView>> List() override { return std::vector<UnitView>(); }
};

v1::UnitsPolicy Policy() {
  v1::UnitsPolicy policy;
  Require(google::protobuf::TextFormat::ParseFromString(kPolicy, &policy));
  const auto compiled = CompileUnitsPolicy(policy);
  Require(compiled.ok());
  return *compiled;
}

}  // namespace

void Fuzz(std::string_view bytes) {
  google::protobuf::SetLogHandler(nullptr);
  const v1::UnitsPolicy policy = Policy();
  UnitsGate gate({.daemon = {.name = "shadowd", .uid = 990},
                  .policy = [&policy] { return absl::StatusOr<v1::UnitsPolicy>(policy); },
                  .make = [](const std::string&,
                             const std::string&) { return std::make_unique<GrantedUnits>(); },
                  .count = [] { return absl::StatusOr<int>(0); },
                  .check_paths = [](const v1::Dna&) { return absl::OkStatus(); }});
  Require(!gate.Answer(std::string(bytes)).empty());
  NoErrors no_errors;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&no_errors);
  parser.SetRecursionLimit(50);
  v1::UnitsRequest request;
  if (parser.ParseFromString(std::string(bytes), &request)) {
    Require(!gate.Answer(request.SerializeAsString()).empty());
  }
}

}  // namespace shadow
