#include "client/input/manifest.h"

#include <yaml-cpp/eventhandler.h>

#include <fstream>
#include <optional>
#include <sstream>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/errors.h"
#include "client/input/yaml_message.h"
#include "client/names.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr std::size_t kReadBytes = 64 * 1024;

// Counts what a parser makes of a text, and throws where that is more than any text of its length
// can mean. yaml-cpp 0.7 never ends the parsing of some malformed texts, e.g. ",": it makes events
// without reading on, until memory is used up.
class Progress final : public YAML::EventHandler {
 public:
  explicit Progress(size_t bytes) : events_left_(kEventsOfByte * (bytes + kEventsOfByte)) {}

  void OnDocumentStart(const YAML::Mark& mark) override { Count(mark); }
  void OnDocumentEnd() override { Count(last_); }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { Count(mark); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { Count(mark); }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                const std::string&) override {
    Count(mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    Count(mark);
  }
  void OnSequenceEnd() override { Count(last_); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    Count(mark);
  }
  void OnMapEnd() override { Count(last_); }

 private:
  static constexpr size_t kEventsOfByte = 8;  // More than any one character can begin and end.

  void Count(const YAML::Mark& mark) {
    last_ = mark;
    if (events_left_-- == 0) throw YAML::ParserException(mark, "this is not YAML");
  }

  size_t events_left_;
  YAML::Mark last_;
};

}  // namespace

// yaml-cpp throws; this is where that ends.
absl::StatusOr<std::vector<YAML::Node>> LoadDocuments(std::string_view text,
                                                      const std::string& source) {
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Progress progress(text.size());
    while (parser.HandleNextDocument(progress)) {
    }
    return YAML::LoadAll(std::string(text));
  } catch (const YAML::Exception& e) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": line ", e.mark.line + 1, ": ", e.msg));
  }
}

namespace {

// The scalar of key `key`, or empty.
std::string ScalarOf(const YAML::Node& document, std::string_view key) {
  if (!document.IsMap()) return "";
  for (const auto& entry : document) {
    if (entry.first.IsScalar() && entry.first.Scalar() == key && entry.second.IsScalar()) {
      return entry.second.Scalar();
    }
  }
  return "";
}

// The zone of a pool's times; empty: UTC.
std::string ZoneOf(const YAML::Node& pool) {
  const std::string zone = ScalarOf(pool, "time_zone") + ScalarOf(pool, "timeZone");
  return IsUtc(zone) ? "" : zone;
}

absl::StatusOr<Manifest> ReadDocument(const YAML::Node& document, ManifestKind kind,
                                      YamlReader& reader) {
  const std::string name = ScalarOf(document, "name");
  const bool is_dna =
      kind == ManifestKind::kDna || (kind == ManifestKind::kDnaOrPool && name.starts_with("dnas/"));
  const bool is_pool = kind == ManifestKind::kPool ||
                       (kind == ManifestKind::kDnaOrPool && name.starts_with("pools/"));
  const bool wrong_kind =
      (is_dna && name.starts_with("pools/")) || (is_pool && name.starts_with("dnas/"));
  if (wrong_kind) {
    return reader.Error(
        document.Mark(), "name",
        absl::StrCat("\"", PrintableText(name), "\" is not a ", is_dna ? "DNA" : "pool",
                     "; `shadowctl apply -f` takes both in one file"));
  }
  if (is_dna) {
    v1::Dna dna;
    reader.WantZones("");
    if (absl::Status filled = reader.Fill(document, "dna", dna); !filled.ok()) return filled;
    dna.set_name(FullDnaName(dna.name()));
    return dna;
  }
  if (is_pool) {
    v1::Pool pool;
    reader.WantZones(ZoneOf(document));
    if (absl::Status filled = reader.Fill(document, "pool", pool); !filled.ok()) return filled;
    pool.set_name(FullPoolName(pool.name()));
    return pool;
  }
  return reader.Error(document.Mark(), "name",
                      absl::StrCat("\"", PrintableText(name),
                                   "\" names neither a DNA (dnas/...) nor a pool (pools/...)"));
}

absl::StatusOr<std::vector<Manifest>> ReadDocuments(const std::vector<YAML::Node>& documents,
                                                    const std::string& source, ManifestKind kind) {
  if (documents.size() > kDocumentsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": more than ", kDocumentsMax, " documents"));
  }
  YamlReader reader(source);
  std::vector<Manifest> manifests;
  for (const YAML::Node& document : documents) {
    if (document.IsNull()) continue;
    absl::StatusOr<Manifest> manifest = ReadDocument(document, kind, reader);
    if (!manifest.ok()) return manifest.status();
    manifests.push_back(*std::move(manifest));
  }
  if (manifests.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(source, ": no document in it"));
  }
  return manifests;
}

}  // namespace

absl::StatusOr<std::vector<Manifest>> ParseManifests(std::string_view text, std::string_view source,
                                                     ManifestKind kind) {
  const std::string printable_source = PrintableText(source);
  if (text.size() > kManifestBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(printable_source, ": more than ", kManifestBytesMax, " bytes"));
  }
  absl::StatusOr<std::vector<YAML::Node>> documents = LoadDocuments(text, printable_source);
  if (!documents.ok()) return documents.status();
  // Looking at a node may throw too (yaml-cpp's InvalidNode); our own walk should never get there.
  try {
    return ReadDocuments(*documents, printable_source, kind);
  } catch (const YAML::Exception& e) {
    return absl::InvalidArgumentError(
        absl::StrCat(printable_source, ": line ", e.mark.line + 1, ": ", e.msg));
  }
}

absl::StatusOr<v1::Policy> ParsePolicy(std::string_view text, std::string_view source) {
  const std::string printable_source = PrintableText(source);
  absl::StatusOr<std::vector<YAML::Node>> documents = LoadDocuments(text, printable_source);
  if (!documents.ok()) return documents.status();
  if (documents->size() != 1) {
    return absl::InvalidArgumentError(absl::StrCat(printable_source, ": ", documents->size(),
                                                   " documents; wanted one, a policy"));
  }
  try {
    v1::Policy policy;
    YamlReader reader(printable_source);
    absl::Status filled = reader.Fill(documents->front(), "policy", policy);
    if (!filled.ok()) return filled;
    return policy;
  } catch (const YAML::Exception& e) {
    return absl::InvalidArgumentError(
        absl::StrCat(printable_source, ": line ", e.mark.line + 1, ": ", e.msg));
  }
}

absl::StatusOr<std::string> ReadInput(const std::string& path, std::istream& standard_input,
                                      std::size_t bytes_max, std::string_view field) {
  std::ifstream file;
  if (path != "-") {
    file.open(path, std::ios::binary);
    if (!file) return BadField(field, absl::StrCat("cannot read \"", PrintableText(path), "\""));
  }
  std::istream& input = path == "-" ? standard_input : file;
  std::string text;
  std::string chunk(kReadBytes, '\0');
  while (input.read(chunk.data(), static_cast<std::streamsize>(chunk.size())), input.gcount() > 0) {
    text.append(chunk, 0, static_cast<std::size_t>(input.gcount()));
    if (text.size() > bytes_max) {
      return BadField(field, absl::StrCat("\"", PrintableText(path), "\" holds more than ",
                                          bytes_max, " bytes"));
    }
  }
  if (input.bad())
    return BadField(field, absl::StrCat("reading \"", PrintableText(path), "\" failed"));
  return text;
}

}  // namespace shadow
