#include "server/units/unit_name.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "server/core/names.h"
#include "server/core/spec/canonical.h"
#include "server/core/text.h"

namespace shadow {
namespace {

constexpr std::string_view kServiceSuffix = ".service";
constexpr std::string_view kSliceSuffix = ".slice";
constexpr size_t kStoreDigits = 8;

std::string Opening(std::string_view id) {
  return absl::StrCat("Instance ", Absl(id), " of shadowd: ");
}

}  // namespace

std::string UnitPrefix(std::string_view store_id, std::string_view slice) {
  const std::string both = absl::StrCat(Absl(store_id), "\n", Absl(slice));
  return absl::StrCat("shadow-", Sha256Hex(both).substr(0, kStoreDigits), "-");
}

std::string UnitName(std::string_view prefix, std::string_view id) {
  return absl::StrCat(Absl(prefix), Absl(id), Absl(kServiceSuffix));
}

std::string UnitId(std::string_view prefix, std::string_view unit_name) {
  if (!unit_name.starts_with(prefix) || !unit_name.ends_with(kServiceSuffix)) return "";
  unit_name.remove_prefix(prefix.size());
  unit_name.remove_suffix(kServiceSuffix.size());
  return IsId(unit_name) ? std::string(unit_name) : "";
}

std::string PoolSlice(std::string_view slice, std::string_view pool) {
  slice.remove_suffix(kSliceSuffix.size());
  return absl::StrCat(Absl(slice), "-", absl::StrReplaceAll(Absl(pool), {{"-", "\\x2d"}}),
                      Absl(kSliceSuffix));
}

std::string UnitDescription(const UnitSpec& unit) {
  return absl::StrCat(Opening(unit.id), "pool=", unit.pool, " shadow=", unit.shadow,
                      " dna=", unit.revision_name, " port=", unit.port, " epoch=", unit.epoch,
                      " store=", unit.store_id);
}

std::optional<UnitView> ParseUnitDescription(std::string_view description, std::string_view id,
                                             std::string_view store_id) {
  const std::string opening = Opening(id);
  if (!description.starts_with(opening)) return std::nullopt;
  description.remove_prefix(opening.size());
  std::map<std::string, std::string> tags;
  for (const auto& part : absl::StrSplit(Absl(description), ' ')) {
    const std::pair<std::string, std::string> tag = absl::StrSplit(part, absl::MaxSplits('=', 1));
    tags.insert(tag);
  }
  if (tags["store"] != store_id) return std::nullopt;
  UnitView view;
  view.id = std::string(id);
  view.pool = tags["pool"];
  view.shadow = tags["shadow"];
  view.store_id = tags["store"];
  view.epoch = tags["epoch"];
  view.revision_name = tags["dna"];
  if (!absl::SimpleAtoi(tags["port"], &view.port)) return std::nullopt;
  return view;
}

}  // namespace shadow
