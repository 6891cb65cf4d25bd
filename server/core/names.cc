#include "server/core/names.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/core/spec/field_checker.h"
#include "server/core/text.h"

namespace shadow {
namespace {

constexpr size_t kIdMaxBytes = 63;
constexpr size_t kForeignNameMaxBytes = 127;
constexpr std::string_view kDnaPrefix = "dnas/";
constexpr std::string_view kPoolPrefix = "pools/";
constexpr std::string_view kShadowPart = "/shadowPools/";
constexpr std::string_view kInstancePart = "/instances/";
constexpr char kIdHint[] = " (ids match [a-z]([-a-z0-9]{0,61}[a-z0-9])?)";

bool IsRevision(std::string_view text) {
  return text.size() == kRevisionDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return IsDigit(c) || (c >= 'a' && c <= 'f');
         });
}

bool TakePrefix(std::string_view prefix, std::string_view& text) {
  if (text.substr(0, prefix.size()) != prefix) return false;
  text.remove_prefix(prefix.size());
  return true;
}

absl::Status WrongName(std::string_view field, std::string_view name, const char* wanted) {
  return FieldError(field, absl::StrCat(Quoted(name), " is not ", wanted, kIdHint));
}

}  // namespace

bool IsId(std::string_view id) {
  if (id.empty() || id.size() > kIdMaxBytes || !IsLower(id.front()) || id.back() == '-') {
    return false;
  }
  return std::all_of(id.begin(), id.end(),
                     [](char c) { return IsLower(c) || IsDigit(c) || c == '-'; });
}

std::string InstanceId(int64_t revision) { return absl::StrCat("i", revision); }

int64_t InstanceNumber(std::string_view id) {
  int64_t number = 0;
  if (!TakePrefix("i", id) || id.empty() || !std::all_of(id.begin(), id.end(), IsDigit)) return 0;
  return absl::SimpleAtoi(std::string(id), &number) ? number : 0;
}

bool IsForeignName(std::string_view name) {
  if (name.empty() || name.size() > kForeignNameMaxBytes) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return IsAlnum(c) || c == '_' || c == '.' || c == ':' || c == '-';
  });
}

absl::StatusOr<DnaName> ParseDnaName(std::string_view name, std::string_view field) {
  std::string_view rest = name;
  if (TakePrefix(kDnaPrefix, rest)) {
    const size_t at = std::min(rest.find('@'), rest.size());
    const std::string_view dna = rest.substr(0, at);
    const std::string_view revision = rest.substr(std::min(at + 1, rest.size()));
    if (IsId(dna) && (at == rest.size() || IsRevision(revision))) {
      return DnaName{.dna = std::string(dna), .revision = std::string(revision)};
    }
  }
  return WrongName(field, name, "dnas/{dna} or dnas/{dna}@{12 hex digits}");
}

absl::StatusOr<std::string> ParsePoolName(std::string_view name, std::string_view field) {
  std::string_view rest = name;
  if (TakePrefix(kPoolPrefix, rest) && IsId(rest)) return std::string(rest);
  return WrongName(field, name, "pools/{pool}");
}

absl::StatusOr<ShadowName> ParseShadowName(std::string_view name, std::string_view field) {
  std::string_view rest = name;
  if (TakePrefix(kPoolPrefix, rest)) {
    const std::string_view pool = rest.substr(0, rest.find('/'));
    rest.remove_prefix(pool.size());
    if (IsId(pool) && TakePrefix(kShadowPart, rest) && IsId(rest)) {
      return ShadowName{.pool = std::string(pool), .shadow = std::string(rest)};
    }
  }
  return WrongName(field, name, "pools/{pool}/shadowPools/{shadow}");
}

absl::StatusOr<InstanceName> ParseInstanceName(std::string_view name, std::string_view field) {
  const size_t at = name.rfind(kInstancePart);
  if (at != std::string_view::npos) {
    const std::string_view parent = name.substr(0, at);
    InstanceName instance;
    instance.id = name.substr(at + kInstancePart.size());
    if (const auto shadow = ParseShadowName(parent, field); shadow.ok()) {
      instance.pool = shadow->pool;
      instance.shadow = shadow->shadow;
    } else if (const auto pool = ParsePoolName(parent, field); pool.ok()) {
      instance.pool = *pool;
    }
    if (!instance.pool.empty() && InstanceNumber(instance.id) > 0) return instance;
  }
  return WrongName(field, name, "pools/{pool}[/shadowPools/{shadow}]/instances/i{number}");
}

std::string LastId(std::string_view name) { return std::string(name.substr(name.rfind('/') + 1)); }

std::string RevisionOf(std::string_view revision_name) {
  return std::string(revision_name.substr(revision_name.find('@') + 1));
}

std::string PoolName(std::string_view pool) { return std::string(kPoolPrefix).append(pool); }

std::string ShadowPoolName(std::string_view pool, std::string_view shadow) {
  return PoolName(pool).append(kShadowPart).append(shadow);
}

}  // namespace shadow
