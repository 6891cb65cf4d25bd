#include "client/input/output_flag.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/formats/json_path.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr std::string_view kJsonPathPrefix = "jsonpath=";

constexpr std::pair<std::string_view, Output> kOutputs[] = {
    {"table", Output::kTable}, {"wide", Output::kWide}, {"json", Output::kJson},
    {"yaml", Output::kYaml},   {"name", Output::kName}, {"csv", Output::kCsv},
    {"svg", Output::kSvg}};

}  // namespace

std::string OutputMistake(const std::string& text) {
  if (text.starts_with(kJsonPathPrefix)) {
    return std::string(CheckJsonPath(text.substr(kJsonPathPrefix.size())).message());
  }
  const bool known = std::any_of(std::begin(kOutputs), std::end(kOutputs),
                                 [&](const auto& row) { return text == row.first; });
  return known ? ""
               : absl::StrCat(PrintableText(text),
                              " not in {table,wide,json,yaml,name,jsonpath=TEMPLATE,csv,svg}");
}

void SetOutput(const std::string& text, Arguments& arguments) {
  if (text.starts_with(kJsonPathPrefix)) {
    arguments.output = Output::kJsonPath;
    arguments.json_path = text.substr(kJsonPathPrefix.size());
  }
  for (const auto& [name, output] : kOutputs) {
    if (text == name) arguments.output = output;
  }
}

}  // namespace shadow
