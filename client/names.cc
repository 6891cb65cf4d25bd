#include "client/names.h"

#include <array>

namespace shadow {
namespace {

constexpr std::string_view kDnas = "dnas/";
constexpr std::string_view kPools = "pools/";
constexpr std::string_view kShadowPools = "/shadowPools/";
constexpr std::string_view kInstances = "/instances/";

std::string Qualified(std::string_view collection, std::string_view name) {
  if (name.find('/') != std::string_view::npos) return std::string(name);
  return std::string(collection) + std::string(name);
}

}  // namespace

std::string FullDnaName(std::string_view name) { return Qualified(kDnas, name); }

std::string FullPoolName(std::string_view name) { return Qualified(kPools, name); }

std::string FullShadowName(std::string_view name) {
  const std::size_t slash = name.find('/');
  if (slash == std::string_view::npos) return "";
  const std::string_view rest = name.substr(slash + 1);
  if (name.starts_with(kPools) || rest.find('/') != std::string_view::npos) {
    const bool bare_pool = name.starts_with(kPools) && rest.find('/') == std::string_view::npos;
    return bare_pool ? "" : std::string(name);
  }
  return std::string(kPools) + std::string(name.substr(0, slash)) + std::string(kShadowPools) +
         std::string(rest);
}

std::string FullInstanceName(std::string_view name) {
  const std::size_t first = name.find('/');
  const std::size_t last = name.rfind('/');
  if (first == last || name.starts_with(kPools) || name.starts_with(kDnas)) return "";
  const std::string_view shadow = name.substr(first + 1, last - first - 1);
  if (shadow.find('/') != std::string_view::npos) return "";
  return std::string(kPools) + std::string(name.substr(0, first)) + std::string(kShadowPools) +
         std::string(shadow) + std::string(kInstances) + std::string(name.substr(last + 1));
}

std::string PoolOf(std::string_view name) {
  if (name.starts_with(kPools)) name.remove_prefix(kPools.size());
  return std::string(kPools) + std::string(name.substr(0, name.find('/')));
}

std::string ShortName(std::string_view name) {
  for (const std::string_view collection : {kDnas, kPools}) {
    if (!name.starts_with(collection)) continue;
    std::string shorter(name.substr(collection.size()));
    for (const std::string_view inner : {kShadowPools, kInstances}) {
      const std::size_t at = shorter.find(inner);
      if (at != std::string::npos) shorter.replace(at, inner.size(), "/");
    }
    return shorter;
  }
  return std::string(name);
}

}  // namespace shadow
