#include "client/formats/json_path.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/formats/items.h"
#include "client/output/json.h"
#include "client/text.h"

namespace shadow {
namespace {

using PathJson = nlohmann::ordered_json;

// One step of a path.
struct Step {
  enum class Kind { kField, kIndex, kAll };
  Kind kind = Kind::kAll;
  std::string field;
  int index = 0;  // Negative: from the end.
};

// A piece of a template.
struct Piece {
  enum class Kind { kText, kPath, kRange, kEnd };
  Kind kind = Kind::kText;
  std::string text;
  std::vector<Step> path;
};

absl::Status BadTemplate(const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("jsonpath: ", PrintableText(what)));
}

// The step in "[...]", without the brackets.
absl::StatusOr<Step> BracketStep(const std::string& inner) {
  if (inner == "*") return Step{.kind = Step::Kind::kAll, .field = "", .index = 0};
  const bool quoted = inner.size() >= 2 && (inner.front() == '\'' || inner.front() == '"') &&
                      inner.back() == inner.front();
  if (quoted) {
    return Step{.kind = Step::Kind::kField, .field = inner.substr(1, inner.size() - 2), .index = 0};
  }
  int index = 0;
  if (!absl::SimpleAtoi(inner, &index)) {
    return BadTemplate(absl::StrCat("wanted a number, * or a quoted field, found [", inner, "]"));
  }
  return Step{.kind = Step::Kind::kIndex, .field = "", .index = index};
}

absl::StatusOr<std::vector<Step>> ParsePath(std::string path) {
  const std::string whole = path;
  if (path.starts_with("$") || path.starts_with("@")) path.erase(0, 1);
  std::vector<Step> steps;
  while (!path.empty()) {
    if (path.front() == '[') {
      const std::size_t close = path.find(']');
      if (close == std::string::npos) return BadTemplate(absl::StrCat("no ] in ", whole));
      absl::StatusOr<Step> step = BracketStep(path.substr(1, close - 1));
      if (!step.ok()) return step.status();
      steps.push_back(*std::move(step));
      path.erase(0, close + 1);
      continue;
    }
    if (path.front() != '.') {
      return BadTemplate(absl::StrCat("wanted .field or [INDEX], found \"", path, "\""));
    }
    const std::size_t end = path.find_first_of(".[", 1);
    const std::string field = path.substr(1, end == std::string::npos ? end : end - 1);
    path.erase(0, end);
    if (field.empty() && whole != ".") return BadTemplate("wanted a field after each point");
    if (field.empty()) continue;
    steps.push_back(
        {.kind = field == "*" ? Step::Kind::kAll : Step::Kind::kField, .field = field, .index = 0});
  }
  return steps;
}

// What stands between braces.
absl::StatusOr<Piece> ParseBraces(const std::string& inner) {
  constexpr std::string_view kRange = "range ";
  Piece piece;
  const bool quoted = inner.size() >= 2 && (inner.front() == '"' || inner.front() == '\'') &&
                      inner.back() == inner.front();
  if (quoted) {
    piece.text = absl::StrReplaceAll(inner.substr(1, inner.size() - 2),
                                     {{"\\n", "\n"}, {"\\t", "\t"}, {"\\\"", "\""}});
    return piece;
  }
  if (inner == "end") {
    piece.kind = Piece::Kind::kEnd;
    return piece;
  }
  const bool range = inner.starts_with(kRange);
  piece.kind = range ? Piece::Kind::kRange : Piece::Kind::kPath;
  auto path = ParsePath(range ? inner.substr(kRange.size()) : inner);
  if (!path.ok()) return path.status();
  piece.path = *std::move(path);
  return piece;
}

absl::StatusOr<std::vector<Piece>> ParseTemplate(std::string text) {
  if (text.empty()) return BadTemplate("the template is empty; wanted such as {.name}");
  if (text.find('{') == std::string::npos) text = absl::StrCat("{", text, "}");
  std::vector<Piece> pieces;
  int depth = 0;
  while (!text.empty()) {
    const std::size_t open = text.find('{');
    if (open > 0) {
      pieces.push_back({.kind = Piece::Kind::kText, .text = text.substr(0, open), .path = {}});
      text.erase(0, open);
      continue;
    }
    const std::size_t close = text.find('}');
    if (close == std::string::npos) return BadTemplate("a { without its }");
    absl::StatusOr<Piece> piece = ParseBraces(text.substr(1, close - 1));
    if (!piece.ok()) return piece.status();
    if (piece->kind == Piece::Kind::kRange) ++depth;
    if (piece->kind == Piece::Kind::kEnd && --depth < 0)
      return BadTemplate("{end} without {range}");
    pieces.push_back(*std::move(piece));
    text.erase(0, close + 1);
  }
  if (depth > 0) return BadTemplate("{range} without {end}");
  return pieces;
}

void AddStep(const PathJson& json, const Step& step, std::vector<const PathJson*>& found) {
  switch (step.kind) {
    case Step::Kind::kField:
      if (json.is_object() && json.contains(step.field)) found.push_back(&json.at(step.field));
      return;
    case Step::Kind::kIndex: {
      if (!json.is_array()) return;
      const int size = static_cast<int>(json.size());
      const int at = step.index < 0 ? size + step.index : step.index;
      if (at >= 0 && at < size) found.push_back(&json.at(static_cast<std::size_t>(at)));
      return;
    }
    case Step::Kind::kAll:
      if (!json.is_structured()) return;
      for (const PathJson& element : json) found.push_back(&element);
      return;
  }
}

std::vector<const PathJson*> Found(const PathJson& json, const std::vector<Step>& path) {
  std::vector<const PathJson*> found = {&json};
  for (const Step& step : path) {
    std::vector<const PathJson*> next;
    for (const PathJson* one : found) AddStep(*one, step, next);
    found = std::move(next);
  }
  return found;
}

std::string ValueText(const PathJson& json) {
  if (json.is_null()) return "";
  if (json.is_string()) return PrintableText(json.get<std::string>());
  return json.dump(-1, ' ', false, PathJson::error_handler_t::replace);
}

// Behind the {end} that belongs to the {range} before `at`.
std::size_t AfterRange(const std::vector<Piece>& pieces, std::size_t at) {
  int depth = 1;
  while (depth > 0) {
    if (pieces[at].kind == Piece::Kind::kRange) ++depth;
    if (pieces[at].kind == Piece::Kind::kEnd) --depth;
    ++at;
  }
  return at;
}

// The pieces from `at` on, until the end or the {end} of their range.
std::string Evaluate(const PathJson& json, const std::vector<Piece>& pieces, std::size_t at) {
  std::string text;
  while (at < pieces.size() && pieces[at].kind != Piece::Kind::kEnd) {
    const Piece& piece = pieces[at++];
    if (piece.kind == Piece::Kind::kText) {
      text += piece.text;
      continue;
    }
    const bool range = piece.kind == Piece::Kind::kRange;
    bool first = true;
    for (const PathJson* value : Found(json, piece.path)) {
      if (range) {
        text += Evaluate(*value, pieces, at);
      } else {
        absl::StrAppend(&text, first ? "" : " ", ValueText(*value));
      }
      first = false;
    }
    if (range) at = AfterRange(pieces, at);
  }
  return text;
}

}  // namespace

absl::StatusOr<std::string> JsonPathText(const google::protobuf::Message& message,
                                         const std::string& text_template) {
  const absl::StatusOr<std::vector<Piece>> pieces = ParseTemplate(text_template);
  if (!pieces.ok()) return pieces.status();
  PathJson json = PathJson::parse(JsonText(message));
  if (const auto* list = ListFieldOf(message); list != nullptr) {
    json["items"] = json.at(list->json_name());
  }
  return Evaluate(json, *pieces, 0);
}

absl::Status CheckJsonPath(const std::string& text_template) {
  return ParseTemplate(text_template).status();
}

}  // namespace shadow
