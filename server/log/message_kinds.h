// Kinds of lines that operators search for, and their ids in systemd's journal.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace shadow {

enum class MessageKind : uint8_t {
  kServing,
  kStopping,
  kReloaded,
  kNotReloaded,
  kNeedsRestart,
  kStoreFailed,
  kStoreStalled,
  kStoreGoesOn,
  kStuck,
  kNotStuck,
  kConnectionClosed,
  kRequest,
  kStarted,
  kWarned,
  kPool,
  kShadow,
  kInstance,
  kInstanceFailed,
  kDna,
  kDaemon,
  kEnded,
  kLinesLost,
};

struct MessageId {
  MessageKind kind;
  std::string_view id;       // MESSAGE_ID: 128 bits in hexadecimal. It never changes.
  std::string_view meaning;  // As shadowd(8) says it.
};

// In the order of MessageKind.
std::span<const MessageId> MessageIds();

std::string_view MessageIdOf(MessageKind kind);

}  // namespace shadow
