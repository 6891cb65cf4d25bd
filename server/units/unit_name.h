// What a unit is called, and the tags in its description: enough to find and to know every unit of
// a store again by one list. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "server/units/units.h"

namespace shadow {

// "shadow-12ab34cd-", which all units of this store in this slice begin with: 8 hex digits of the
// SHA-256 of both. `slice`: of the provider, "shadow.slice".
std::string UnitPrefix(std::string_view store_id, std::string_view slice);

// PREFIX ID ".service"; safe in patterns too.
std::string UnitName(std::string_view prefix, std::string_view id);

// The id in such a name; empty: it is not one of this prefix.
std::string UnitId(std::string_view prefix, std::string_view unit_name);

// "shadow-web.slice" of pool "web" in "shadow.slice". A "-" of a pool's name, which would mean one
// more level, is "\x2d", as systemd-escape(1) has it.
std::string PoolSlice(std::string_view slice, std::string_view pool);

// "Instance i7 of shadowd: pool=web shadow=peak dna=dnas/web@0123456789ab port=20001 epoch=STORE/1
// store=STORE". No tag may have a space; `id` and the tags of `unit` alone are read.
std::string UnitDescription(const UnitSpec& unit);

// A view of the tags alone. Unset: it is no such description, or of another id or store.
std::optional<UnitView> ParseUnitDescription(std::string_view description, std::string_view id,
                                             std::string_view store_id);

}  // namespace shadow
