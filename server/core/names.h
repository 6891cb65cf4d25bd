// Resource names: parse and build. Our own ids match [a-z]([-a-z0-9]{0,61}[a-z0-9])?, foreign names
// (a HAProxy backend, a metric) match [A-Za-z0-9_.:-]{1,127}; both are safe everywhere after.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace shadow {

inline constexpr size_t kRevisionDigits = 12;

bool IsId(std::string_view id);

// Of an instance: "i" and the revision of the event that tells of its creation, which no store
// gives out twice. So one whose number is beyond a store's last revision was made by a newer store.
std::string InstanceId(int64_t revision);
int64_t InstanceNumber(std::string_view id);  // 0: it is not of that form.

bool IsForeignName(std::string_view name);

struct DnaName {
  std::string dna;       // "web"
  std::string revision;  // 12 hex digits, or empty: the newest.
};

struct ShadowName {
  std::string pool;    // "web"
  std::string shadow;  // "r0123456789ab"
};

// All short names.
struct InstanceName {
  std::string pool;    // "web"
  std::string shadow;  // "r0123456789ab"; empty: one of the base.
  std::string id;      // "i12"
};

// kInvalidArgument: a FieldError for `field` that says what was wanted.
absl::StatusOr<DnaName> ParseDnaName(std::string_view name, std::string_view field);
absl::StatusOr<std::string> ParsePoolName(std::string_view name, std::string_view field);
absl::StatusOr<ShadowName> ParseShadowName(std::string_view name, std::string_view field);
// pools/{pool}/instances/{id} or pools/{pool}/shadowPools/{shadow}/instances/{id}
absl::StatusOr<InstanceName> ParseInstanceName(std::string_view name, std::string_view field);

// Of a name that is known to be well-formed: its last part, e.g. the short name of a pool or
// shadow.
std::string LastId(std::string_view name);
// Of dnas/{dna}@{revision}: the revision.
std::string RevisionOf(std::string_view revision_name);

std::string PoolName(std::string_view pool);  // pools/web
std::string ShadowPoolName(std::string_view pool,
                           std::string_view shadow);  // pools/web/shadowPools/x

}  // namespace shadow
