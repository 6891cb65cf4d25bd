// shadowctl: the command line of shadowd.
#include <grpc/support/log.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "client/app.h"
#include "client/console.h"
#include "client/errors.h"

namespace {

// gRPC's own log lines would mix with our messages; errors come back as statuses.
void DropLog(gpr_log_func_args* /*args*/) {}

extern "C" void ExitOnInterrupt(int /*signal*/) { _exit(shadow::kExitInterrupted); }

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGINT, ExitOnInterrupt);
  gpr_set_log_function(DropLog);
  shadow::Console console = shadow::ProcessConsole();
  return shadow::RunShadowctl(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc),
                              console);
}
