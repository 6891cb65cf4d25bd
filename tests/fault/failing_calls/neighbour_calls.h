// The system calls by which a neighbour is asked over a socket, and how they fail.
#pragma once

#include <cerrno>

#include "absl/status/status.h"
#include "tests/fault/failing_calls/failing_here.h"

namespace shadow {

struct NeighbourCall {
  RefusedCall refused;
  bool harmless;  // It is made again, and nobody sees that it failed.
};

inline constexpr NeighbourCall kNeighbourCalls[] = {
    {{"socket", Faults::kSocket, EMFILE}, false},
    {{"connect, nobody listens", Faults::kConnect, ECONNREFUSED}, false},
    {{"connect, a full backlog", Faults::kConnect, EAGAIN}, false},
    {{"connect, interrupted", Faults::kConnect, EINTR}, false},
    {{"send", Faults::kSend, EPIPE}, false},
    {{"send, interrupted", Faults::kSend, EINTR}, true},
    {{"short sends", Faults::kSend, Faults::kFew}, true},
    {{"receive", Faults::kReceive, ECONNRESET}, false},
    {{"receive, interrupted", Faults::kReceive, EINTR}, true},
    {{"short receives", Faults::kReceive, Faults::kFew}, true},
    {{"poll", Faults::kPoll, ENOMEM}, false},
};

// The first n for which every n-th call fails. A call that is interrupted each time would only take
// until the deadline.
inline int64_t FirstOfMany(const RefusedCall& refused) { return refused.error == EINTR ? 2 : 1; }

// The neighbour's or the system's: it is tried again, and nobody changes a configuration.
inline bool IsOfTheNeighbour(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status);
}

}  // namespace shadow
