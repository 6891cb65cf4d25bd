#include "server/api/caller.h"

#include <unistd.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/core/error.h"

namespace shadow {
namespace {

constexpr std::string_view kReaderName = "shadowd-reader-";

}  // namespace

Role RoleOf(uid_t uid, const std::set<uid_t>& admins) {
  return uid == 0 || uid == geteuid() || admins.contains(uid) ? Role::kAdmin : Role::kReader;
}

absl::Status RequireAdmin(Role role, const char* method) {
  if (role == Role::kAdmin) return absl::OkStatus();
  return ReasonError(absl::StatusCode::kPermissionDenied, "NOT_AN_ADMIN",
                     absl::StrCat(method,
                                  " is for root, the daemon's own user and admin_uids; "
                                  "others may only read"));
}

std::string PeerName(uid_t uid) { return absl::StrCat(std::string(kReaderName), uid, "-"); }

std::optional<uid_t> ReaderOf(const std::string& peer) {
  const size_t name = peer.find(kReaderName);
  if (name == std::string::npos) return std::nullopt;
  const size_t begin = name + kReaderName.size();
  uid_t uid = 0;
  if (!absl::SimpleAtoi(peer.substr(begin, peer.find('-', begin) - begin), &uid)) {
    return std::nullopt;
  }
  return uid;
}

std::string CallerOf(const std::string& peer) {
  const std::optional<uid_t> reader = ReaderOf(peer);
  return reader.has_value() ? absl::StrCat("user ", *reader) : "admins";
}

}  // namespace shadow
