// Whether a connection on a Unix socket comes from an instance: by the kernel, not by what it says.
#pragma once

#include <string>

#include "server/providers/process_record.h"

namespace shadow {

// Thread-safe.
class InstanceCallers {
 public:
  // Of this store; `records` are those of its instances.
  InstanceCallers(std::string store_id, RecordDirectory records);

  // True if the process that has connected the peer of `socket_fd` descends from a holder of the
  // store or from this process, carries the tag of its instances, or is another one of this
  // systemd service that runs as an instance may. Also if that cannot be told, because the process
  // has ended or /proc cannot be read, and its user is one that instances run as. It needs one free
  // descriptor, else it cannot be told.
  //
  // The kernel (SO_PEERPIDFD, Linux 6.5) tells that the process was the same throughout. An older
  // one only gives its number, which may be used again once it has ended.
  bool MayBe(int socket_fd) const;

 private:
  const std::string store_id_;
  const RecordDirectory records_;
  const std::string own_cgroup_;  // Of this systemd service; empty: this is none.
};

}  // namespace shadow
