#include "client/adopt/adopt.h"

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/adopt/deployment.h"
#include "client/errors.h"
#include "client/formats/yaml_text.h"
#include "client/input/manifest.h"
#include "client/output/json.h"

namespace shadow {
namespace {

constexpr std::size_t kObjectsBytesMax = std::size_t{64} << 20U;  // About 10,000 pods.

void PrintAdopted(Session& session, const google::protobuf::Message& message) {
  session.console().out << "---\n"
                        << (session.json() ? absl::StrCat(JsonText(message), "\n")
                                           : YamlText(message));
}

}  // namespace

absl::Status AdoptPool(Session& session) {
  std::string_view name = session.arguments().name;
  constexpr std::string_view kPrefix = "deployment/";
  if (!name.starts_with(kPrefix)) {
    return BadField("DEPLOYMENT", "wanted deployment/NAME");
  }
  name.remove_prefix(kPrefix.size());
  const auto text =
      ReadInput(session.arguments().file, session.console().in, kObjectsBytesMax, "--file");
  if (!text.ok()) return text.status();
  const absl::StatusOr<AdoptedDeployment> adopted = AdoptDeployment(*text, name);
  if (!adopted.ok()) return adopted.status();
  PrintAdopted(session, adopted->dna);
  PrintAdopted(session, adopted->pool);
  for (const std::string& note : adopted->notes) session.console().err << "note: " << note << '\n';
  return absl::OkStatus();
}

}  // namespace shadow
