#include "tests/demo/director/interrupt.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace shadow::demo {

Interrupt::Interrupt() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  fd_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

Interrupt::~Interrupt() { close(fd_); }

bool Interrupt::Wait(absl::Duration time) {
  if (requested_) return true;
  pollfd signals{.fd = fd_, .events = POLLIN, .revents = 0};
  requested_ = poll(&signals, 1, static_cast<int>(absl::ToInt64Milliseconds(time))) > 0;
  return requested_;
}

}  // namespace shadow::demo
