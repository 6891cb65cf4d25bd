// Debian's real Prometheus and node exporter on free loopback ports, for as long as the objects
// live.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/fakes/loopback_socket.h"
#include "tests/fakes/poll.h"
#include "tests/storage/temp_directory.h"

namespace shadow {

inline constexpr char kPrometheusProgram[] = "/usr/bin/prometheus";
inline constexpr char kNodeExporterProgram[] = "/usr/bin/prometheus-node-exporter";

inline bool PrometheusInstalled() {
  return access(kPrometheusProgram, X_OK) == 0 && access(kNodeExporterProgram, X_OK) == 0;
}

// A program that listens on a port of its own. Ends with this, and with the thread that made it.
class ListeningProgram {
 public:
  explicit ListeningProgram(std::vector<std::string> argv) : argv_(std::move(argv)) { Start(); }
  ListeningProgram(const ListeningProgram&) = delete;
  ListeningProgram& operator=(const ListeningProgram&) = delete;
  ~ListeningProgram() { Kill(); }

  void Start() {
    std::vector<char*> argv;
    for (std::string& argument : argv_) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("fork");
    if (pid_ > 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    const int null = open("/dev/null", O_RDWR);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  void Pause() const { kill(pid_, SIGSTOP); }
  void Continue() const { kill(pid_, SIGCONT); }
  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  std::vector<std::string> argv_;
  pid_t pid_ = -1;
};

// A server that scrapes one exporter, and itself, once a second.
class PrometheusWithExporter {
 public:
  PrometheusWithExporter()
      : exporter_port_(FreeLoopbackPort()),
        exporter_({kNodeExporterProgram, "--web.listen-address=" + Address(exporter_port_),
                   "--collector.disable-defaults", "--collector.loadavg", "--collector.time"}),
        port_(FreeLoopbackPort()),
        server_({kPrometheusProgram, "--config.file=" + WriteConfig(),
                 "--storage.tsdb.path=" + directory_.path() + "/data",
                 "--web.listen-address=" + Address(port_)}) {}

  std::string url() const { return "http://" + Address(port_); }
  std::string exporter_url() const { return "http://" + Address(exporter_port_) + "/metrics"; }
  ListeningProgram& server() { return server_; }
  ListeningProgram& exporter() { return exporter_; }

 private:
  static std::string Address(int port) { return "127.0.0.1:" + std::to_string(port); }

  std::string WriteConfig() const {
    std::string path = directory_.path() + "/prometheus.yml";
    std::ofstream(path) << "global: {scrape_interval: 1s, scrape_timeout: 900ms}\n"
                           "scrape_configs:\n"
                           "  - job_name: node\n"
                           "    static_configs: [{targets: ['" +
                               Address(exporter_port_) +
                               "']}]\n"
                               "  - job_name: self\n"
                               "    static_configs: [{targets: ['" +
                               Address(port_) + "']}]\n";
    return path;
  }

  const TempDirectory directory_;
  const int exporter_port_;
  ListeningProgram exporter_;
  const int port_;
  ListeningProgram server_;
};

}  // namespace shadow
