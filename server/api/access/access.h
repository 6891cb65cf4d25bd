// What callers may do now, and whose connection a call came through.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "server/api/access/caller.h"
#include "server/api/access/grants.h"

namespace shadow {

// Thread-safe.
class Access {
 public:
  // They count from the next call on, also of connections that are open.
  void SetGrants(Grants grants);
  Role RoleOf(const Caller& caller) const;

  // gRPC says of a connection only the address of its peer. One that is passed on gets an address
  // of our own, which tells whose it is until Remove.
  uint64_t Add(Caller caller);
  void Remove(uint64_t connection);
  // How that address begins; at most 40 bytes, and the rest is free.
  static std::string AddressOf(uint64_t connection);
  // `peer`: grpc::ServerContextBase::peer(). A caller without a role if its connection has ended.
  Caller Find(const std::string& peer) const;

 private:
  mutable std::mutex mutex_;  // Guards what follows.
  Grants grants_;
  uint64_t next_ = 1;
  std::map<uint64_t, Caller> connections_;
};

}  // namespace shadow
