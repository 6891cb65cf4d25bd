#include "server/log/message_kinds.h"

#include <cstddef>
#include <iterator>

namespace shadow {
namespace {

using LineKind = MessageKind;

constexpr MessageId kIds[] = {
    {LineKind::kServing, "df4e23d416fe4d28b150aba034cd7be4", "shadowd serves"},
    {LineKind::kStopping, "d052336e61734a0eb0dfdc0f718011b6", "shadowd was told to end"},
    {LineKind::kReloaded, "6a6e7ad73a2b49d0bb5caf819e885485", "the configuration was reloaded"},
    {LineKind::kNotReloaded, "72d4b4b0f9c64b169958b42c6f031fe7", "a bad configuration was refused"},
    {LineKind::kNeedsRestart, "dc25efc3ecc14682a2b9272e6c18b5fe",
     "a changed setting needs a restart"},
    {LineKind::kStoreFailed, "ad1a65434a1e4f7a96eaaf5428b97139",
     "the store failed and shadowd ends"},
    {LineKind::kStoreStalled, "450898337f91414b820439c5a2ab688d", "the store cannot write"},
    {LineKind::kStoreGoesOn, "857aa2ee634b441da512a45d12d89f85", "the store writes again"},
    {LineKind::kStuck, "708b158f7e254db4b83b1442068beb47",
     "shadowd is stuck and the watchdog is not fed"},
    {LineKind::kNotStuck, "04b21502d90048d7bf7d5ab6161d99a7", "the watchdog is fed again"},
    {LineKind::kConnectionClosed, "76a9668b9f274e73b8ef18f03bc4311e",
     "a client's connection was closed"},
    {LineKind::kRequest, "b4a20bc17c994c28b4818fcd95398109", "a request to change something"},
    {LineKind::kStarted, "d924c7fa66f240b7bbf3043dc026dc19", "shadowd has recovered its state"},
    {LineKind::kWarned, "a8ca343b837245e2a72298ae1f79f2f2", "somebody may have to look"},
    {LineKind::kPool, "950b2625ba3d4cbc9f9770f9778dc7d9", "a pool changed"},
    {LineKind::kShadow, "bc409fab2db446b19da78a8a0e9800b4", "a shadow pool changed"},
    {LineKind::kInstance, "5d06dd84257342a5846c9e256d0a9464", "an instance changed"},
    {LineKind::kInstanceFailed, "1e3137d3e48747fab335548c0aa5e92a", "an instance failed"},
    {LineKind::kDna, "4e2ee919821f4df89a948eefd6a82759", "a DNA changed"},
    {LineKind::kDaemon, "3470bc1cbdce4da1bdc2fc40234952f6",
     "a limit or a condition of shadowd changed"},
    {LineKind::kEnded, "af192b19d94c4140b8bba1b1e678da72",
     "an instance without a record was ended"},
    {LineKind::kLinesLost, "d7a16c0bc43f4ba18e102301eeb06184",
     "journald did not take lines of the log"},
};

consteval bool IdsInOrder() {
  for (size_t i = 0; i < std::size(kIds); ++i) {
    if (kIds[i].kind != static_cast<LineKind>(i) || kIds[i].id.size() != 32) return false;
  }
  return std::size(kIds) == static_cast<size_t>(LineKind::kLinesLost) + 1;
}
static_assert(IdsInOrder());

}  // namespace

std::span<const MessageId> MessageIds() { return kIds; }

std::string_view MessageIdOf(MessageKind kind) { return kIds[static_cast<size_t>(kind)].id; }

}  // namespace shadow
