// Flags, logging and exit codes; everything else is in daemon.cc.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "server/api/tcp/tls_context.h"
#include "server/config.h"
#include "server/core/clock.h"
#include "server/daemon.h"
#include "server/lease/under_lease.h"
#include "server/log/journal_sink.h"
#include "server/memory.h"
#include "spdlog/sinks/stdout_color_sinks.h"
#include "spdlog/spdlog.h"
#include "storage/backup.h"
#include "storage/state_lock.h"

namespace {

// sysexits.h: EX_CONFIG, which systemd does not try again, and EX_TEMPFAIL.
constexpr int kExitConfig = 78;
constexpr int kExitTempFail = 75;

constexpr char kDefaultConfig[] = "/etc/shadowd/shadowd.textproto";

struct Flags {
  std::string config_path = kDefaultConfig;
  std::string state_dir;
  std::string listen;
  std::vector<std::string> recover;
  std::string restore;
  bool check_config = false;
};

absl::StatusOr<shadow::Config> ConfigOf(const Flags& flags, bool config_given) {
  shadow::v1::DaemonConfig file;
  // Without the flag the default file may be missing.
  if (config_given || std::filesystem::exists(flags.config_path)) {
    auto read = shadow::ReadConfig(flags.config_path);
    if (!read.ok()) return read.status();
    file = *std::move(read);
  }
  if (!flags.state_dir.empty()) file.set_state_dir(flags.state_dir);
  if (!flags.listen.empty()) file.set_listen(flags.listen);
  auto config = shadow::ResolveConfig(file);
  if (!config.ok()) return config;
  for (const std::string& decided : flags.recover) {
    config->adopt_unknown |= decided == "adopt";
    config->end_unknown |= decided == "end";
    config->adopt_copy |= decided == "adopt-copy";
  }
  return config;
}

// To the journal itself if standard error goes there, otherwise as text.
void StartLog(const std::string& level, shadow::Clock& clock) {
  std::shared_ptr<spdlog::logger> log;
  const bool journal = shadow::StderrIsJournal(std::getenv("JOURNAL_STREAM"));
  if (journal) {
    auto sink = shadow::JournalSink::Open(shadow::JournalSink::kSocketPath, clock);
    if (sink.ok()) log = std::make_shared<spdlog::logger>("shadowd", *std::move(sink));
  }
  if (log == nullptr) {
    log = spdlog::stderr_color_mt("shadowd");
    log->set_pattern(journal ? "%l: %v" : "%Y-%m-%dT%H:%M:%S.%e %l: %v");  // It has its own time.
  }
  log->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(log);
}

void BlockSignals() {
  sigset_t awaited;
  sigemptyset(&awaited);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&awaited, signal);
  pthread_sigmask(SIG_BLOCK, &awaited, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

int Fail(const absl::Status& status, int exit_code) {
  std::cerr << "shadowd: " << status.message() << "\n";
  return exit_code;
}

absl::Status Restore(const std::string& file, const std::string& state_dir) {
  const auto lock = shadow::StateLock::Take(state_dir);
  absl::Status status = lock.status();
  if (lock.ok()) status = shadow::RestoreBackup(file, state_dir);
  if (status.ok()) std::cout << "restored into " << state_dir << "; start shadowd now\n";
  return status;
}

// The exit status.
int Ended(const absl::Status& status) {
  if (status.ok()) return 0;
  if (absl::IsAlreadyExists(status) || absl::IsResourceExhausted(status)) {
    return Fail(status, kExitTempFail);
  }
  // What is damaged is not better at the next try.
  const bool final = absl::IsFailedPrecondition(status) || absl::IsDataLoss(status);
  return Fail(status, final ? kExitConfig : 1);
}

}  // namespace

int main(int argc, char** argv) {
  shadow::KeepFreedMemory();
  shadow::SystemClock clock;  // Of the log.
  CLI::App app("shadowd has tomorrow's capacity ready before tomorrow's demand arrives.");
  Flags flags;
  const auto* config_flag = app.add_option("--config", flags.config_path,
                                           "Configuration file, text protobuf (DaemonConfig)")
                                ->capture_default_str();
  app.add_option("--state-dir", flags.state_dir, "Where the state is kept");
  app.add_option("--listen", flags.listen, "unix:PATH of the API");
  app.add_option(
         "--recover", flags.recover,
         "Confirms a start that shadowd refused. adopt: take the instances that a lost store left "
         "behind into the pools of this one. end: end them; with adopt, those that cannot be "
         "adopted. adopt-copy: use this copy of a state directory; its original is no longer used")
      ->check(CLI::IsMember({"adopt", "end", "adopt-copy"}));
  app.add_option("--restore", flags.restore,
                 "Restore a backup into a state directory that has no store, and exit")
      ->type_name("FILE");
  app.add_flag("--check-config", flags.check_config, "Check the configuration and exit");
  app.set_version_flag("--version", "shadowd " SHADOWD_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  auto config = ConfigOf(flags, config_flag->count() > 0);
  if (!config.ok()) return Fail(config.status(), kExitConfig);
  if (flags.check_config) {
    const absl::Status tls = config->tcp_address.empty()
                                 ? absl::OkStatus()
                                 : shadow::TlsContext::Load(config->tls).status();
    if (!tls.ok()) return Fail(tls, kExitConfig);
    std::cout << "configuration is good\n";
    return 0;
  }
  if (!flags.restore.empty()) return Ended(Restore(flags.restore, config->state_dir));
  BlockSignals();
  StartLog(config->log_level, clock);
  const shadow::ConfigReader read_config = [&] {
    return ConfigOf(flags, config_flag->count() > 0);
  };
  return Ended(
      shadow::RunUnderLease(config->kubernetes_lease, clock, [&](std::function<bool()> may_act) {
        return shadow::RunDaemon(*config, read_config, std::move(may_act));
      }));
}
