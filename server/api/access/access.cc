#include "server/api/access/access.h"

#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

constexpr std::string_view kCallerAddress = "shadowd-caller-";

}  // namespace

void Access::SetGrants(Grants grants) {
  const std::lock_guard lock(mutex_);
  grants_ = std::move(grants);
}

Role Access::RoleOf(const Caller& caller) const {
  const std::lock_guard lock(mutex_);
  return shadow::RoleOf(caller, grants_);
}

uint64_t Access::Add(Caller caller) {
  const std::lock_guard lock(mutex_);
  connections_.emplace(next_, std::move(caller));
  return next_++;
}

void Access::Remove(uint64_t connection) {
  const std::lock_guard lock(mutex_);
  connections_.erase(connection);
}

std::string Access::AddressOf(uint64_t connection) {
  return absl::StrCat(std::string(kCallerAddress), connection, "-");
}

Caller Access::Find(const std::string& peer) const {
  const size_t address = peer.find(kCallerAddress);
  if (address == std::string::npos) return {};
  const size_t begin = address + kCallerAddress.size();
  uint64_t connection = 0;
  if (!absl::SimpleAtoi(peer.substr(begin, peer.find('-', begin) - begin), &connection)) return {};
  const std::lock_guard lock(mutex_);
  const auto found = connections_.find(connection);
  return found == connections_.end() ? Caller{} : found->second;
}

}  // namespace shadow
