#include "server/providers/facts/process_facts.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/core/error.h"
#include "server/providers/facts/data_set_digest.h"
#include "server/providers/facts/verify.h"
#include "server/providers/guard/guarded_run.h"
#include "server/providers/look/process_members.h"
#include "server/providers/process_access.h"
#include "server/providers/process_credentials.h"
#include "server/providers/process_plan.h"
#include "server/units/secret_files.h"

namespace shadow {
namespace {

constexpr int kThreads = 2;
constexpr size_t kMaxWaiting = 4096;
constexpr absl::Duration kVerifyTimeout = absl::Seconds(10);
constexpr size_t kVerifyOutputMaxBytes = 4096;
constexpr size_t kConnectionTableMaxBytes = 64 << 20;  // Some 400,000 connections.
constexpr char kEstablished[] = "01";                  // TCP_ESTABLISHED in /proc/net/tcp.

std::vector<std::string> Lines(const std::string& text) { return absl::StrSplit(text, '\n'); }

std::vector<std::string> Words(const std::string& text) {
  return absl::StrSplit(text, absl::ByAnyChar(" \t"), absl::SkipEmpty());
}

absl::Status Unlisted(const std::string& path, int error) {
  return absl::UnavailableError(absl::StrCat("cannot list ", path, ": ", strerrordesc_np(error)));
}

absl::Status ReadOsRelease(Facts& facts) {
  auto text = ReadSmallFile("/etc/os-release");
  if (absl::IsNotFound(text.status())) text = ReadSmallFile("/usr/lib/os-release");
  if (IsIncomplete(text.status())) return text.status();
  for (const std::string& line : Lines(text.value_or(""))) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(line, absl::MaxSplits('=', 1));
    std::string value(absl::StripAsciiWhitespace(parts.second));
    if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') &&
        value.back() == value.front()) {
      value = value.substr(1, value.size() - 2);
    }
    if (parts.first == "ID") facts.os_id = value;
    if (parts.first == "VERSION_ID") facts.os_version_id = value;
  }
  return absl::OkStatus();
}

// "Max open files            1024                 4096                 files" -> the soft limit.
absl::Status ReadLimits(pid_t pid, Facts& facts) {
  constexpr std::array<std::pair<const char*, const char*>, 3> kRows = {
      {{"Max address space", "memory_max_bytes"},
       {"Max processes", "tasks_max"},
       {"Max open files", "open_files_max"}}};
  const auto text = ReadSmallFile(absl::StrCat("/proc/", pid, "/limits"));
  if (!text.ok()) return text.status();
  for (const std::string& line : Lines(*text)) {
    for (const auto& [row, name] : kRows) {
      if (!line.starts_with(row)) continue;
      const std::vector<std::string> words = Words(line.substr(std::string_view(row).size()));
      int64_t hard = 0;
      if (words.size() >= 2 && absl::SimpleAtoi(words[1], &hard)) facts.limits[name] = hard;
    }
  }
  return absl::OkStatus();
}

// The one form of an address: what inet_ntop writes, and IPv4 where it is IPv4 in IPv6.
std::string CanonicalEnd(const std::string& host, int port) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  in6_addr six{};
  in_addr four{};
  if (inet_pton(AF_INET6, host.c_str(), &six) == 1) {
    if (IN6_IS_ADDR_V4MAPPED(&six)) {
      std::copy_n(&six.s6_addr[12], 4, reinterpret_cast<uint8_t*>(&four));
      inet_ntop(AF_INET, &four, text.data(), text.size());
      return RemoteEnd(text.data(), port);
    }
    inet_ntop(AF_INET6, &six, text.data(), text.size());
    return RemoteEnd(text.data(), port);
  }
  if (inet_pton(AF_INET, host.c_str(), &four) == 1) {
    inet_ntop(AF_INET, &four, text.data(), text.size());
    return RemoteEnd(text.data(), port);
  }
  return RemoteEnd(host, port);
}

// "0100007F:1F90" or the same with 32 digits: words in the host's order. Empty: not understood.
std::string ParseRemote(const std::string& text) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits(':', 1));
  uint32_t port = 0;
  std::array<uint32_t, 4> words{};
  const size_t count = parts.first.size() / 8;
  if (!absl::SimpleHexAtoi(parts.second, &port) || (count != 1 && count != 4)) return "";
  for (size_t i = 0; i < count; ++i) {
    if (!absl::SimpleHexAtoi(parts.first.substr(8 * i, 8), &words[i])) return "";
  }
  std::array<char, INET6_ADDRSTRLEN> host{};
  inet_ntop(count == 1 ? AF_INET : AF_INET6, words.data(), host.data(), host.size());
  return CanonicalEnd(host.data(), static_cast<int>(port));
}

// None of a process that is gone or may not be looked into.
absl::Status AddSockets(pid_t pid, std::set<std::string>& inodes) {
  const std::string path = absl::StrCat("/proc/", pid, "/fd");
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr && (errno == ENOENT || errno == ESRCH || errno == EACCES)) {
    return absl::OkStatus();
  }
  if (directory == nullptr) return Unlisted(path, errno);
  const absl::Cleanup close_directory = [directory] { closedir(directory); };
  constexpr std::string_view kPrefix = "socket:[";
  errno = 0;
  while (const dirent* entry = readdir(directory)) {
    std::array<char, 64> target{};
    const ssize_t length =
        readlinkat(dirfd(directory), entry->d_name, target.data(), target.size());
    if (length < 0 && errno != ENOENT && errno != EINVAL && errno != ESRCH && errno != EACCES) {
      return Unlisted(path, errno);
    }
    const std::string_view link(target.data(), static_cast<size_t>(std::max<ssize_t>(length, 0)));
    if (link.starts_with(kPrefix) && link.ends_with(']')) {
      inodes.emplace(link.substr(kPrefix.size(), link.size() - kPrefix.size() - 1));
    }
    errno = 0;
  }
  return errno == 0 || errno == ENOENT || errno == ESRCH ? absl::OkStatus() : Unlisted(path, errno);
}

absl::Status ReadConnections(const std::vector<ProcessStat>& processes, pid_t leader,
                             Facts& facts) {
  constexpr size_t kRemote = 2;
  constexpr size_t kState = 3;
  constexpr size_t kInode = 9;
  std::set<std::string> inodes;
  for (const ProcessStat& process : processes) {
    if (absl::Status added = AddSockets(process.id.pid, inodes); !added.ok()) return added;
  }
  if (inodes.empty()) return absl::OkStatus();
  for (const char* const table : {"tcp", "tcp6"}) {
    const auto text =
        ReadSmallFile(absl::StrCat("/proc/", leader, "/net/", table), kConnectionTableMaxBytes);
    if (IsIncomplete(text.status())) return text.status();
    if (text.ok() && text->size() >= kConnectionTableMaxBytes) {
      return absl::ResourceExhaustedError("this host has too many connections to look for one");
    }
    for (const std::string& line : Lines(text.value_or(""))) {
      const std::vector<std::string> words = Words(line);
      if (words.size() <= kInode || words[kState] != kEstablished) continue;
      if (!inodes.contains(words[kInode])) continue;
      if (std::string remote = ParseRemote(words[kRemote]); !remote.empty()) {
        facts.connections.insert(std::move(remote));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status ReadSecurity(const v1::Dna& dna, const ProcessPrivileges& running, Facts& facts) {
  facts.uid = running.uid;
  const auto wanted = ResolveCredentials(dna.security());
  if (IsIncomplete(wanted.status())) return wanted.status();
  if (wanted.ok()) facts.wanted_uid = wanted->uid;
  facts.capabilities = CapabilityNames(running.effective);
  facts.no_new_privileges = running.no_new_privileges;
  return absl::OkStatus();
}

absl::Status ReadFiles(const v1::Dna& dna, const ProcessPrivileges& running,
                       const std::stop_token& stop, Facts& facts) {
  Writer writer{.uid = running.uid, .groups = running.groups, .capabilities = running.permitted};
  writer.groups.push_back(running.gid);
  for (const v1::DataSet& set : dna.data_sets()) {
    Facts::DataSetFact& fact = facts.data_sets[set.name()];
    const auto digest = DataSetDigest(set.source(), stop);
    if (IsPassing(digest.status())) return digest.status();
    if (digest.ok()) {
      fact.sha256 = *digest;
    } else {
      fact.error = std::string(digest.status().message());
    }
    const auto writable = CanWrite(writer, set.source());
    if (IsPassing(writable.status())) return writable.status();
    fact.writable = writable.value_or(true);
  }
  for (const std::string& path : dna.security().read_only_paths()) {
    const auto writable = CanWrite(writer, path);
    if (IsPassing(writable.status())) return writable.status();
    if (writable.value_or(true)) facts.writable_paths.insert(path);
  }
  return absl::OkStatus();
}

// Of all verify commands.
absl::Status ReadSoftware(const v1::Dna& dna, int port, Clock& clock, const std::stop_token& stop,
                          Facts& facts) {
  for (const v1::Software& software : dna.software()) {
    if (software.verify_argv().empty()) continue;
    auto plan = PlanVerification(dna, software, port);
    if (!plan.ok()) return plan.status();
    const auto output =
        RunToEnd(*std::move(plan), clock, kVerifyTimeout, kVerifyOutputMaxBytes, stop);
    if (absl::IsCancelled(output.status()) || IsIncomplete(output.status())) {
      return output.status();
    }
    // No words of the error's own: a path in them may hold the wanted version.
    facts.software_output[software.name()] = output.ok() ? *output
                                             : absl::IsDeadlineExceeded(output.status())
                                                 ? "(its verify command did not end in time)"
                                                 : "(its verify command cannot be executed)";
  }
  return absl::OkStatus();
}

// Secrets that the instance was given and whose files hold something else by now. Where a file or
// the environment cannot be read, or does not have the variable any more, nothing is known.
absl::Status ReadChangedSecrets(const v1::Security& security, pid_t leader, Facts& facts) {
  if (security.secrets().empty()) return absl::OkStatus();
  const auto contents = ReadSecrets(security);
  if (!contents.ok()) return absl::OkStatus();
  const auto environment = ReadEnvironment(leader);
  if (!environment.ok()) return environment.status();
  for (size_t i = 0; i < contents->size(); ++i) {
    const std::string& variable = security.secrets(static_cast<int>(i)).environment_variable();
    const std::string_view given = EnvironmentValue(*environment, variable);
    if (!given.empty() && given != (*contents)[i]) facts.changed_secrets.insert(variable);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Facts> CollectConnections(const CompiledDna& compiled, const ProcessRecord& record,
                                         const std::string& store_id) {
  Facts facts;
  const auto& wanted_connections = compiled.dna.network().connections();
  if (wanted_connections.empty()) return facts;
  const auto table = ReadProcessTable();
  if (!table.ok()) return table.status();
  const auto processes = InstanceProcesses(*table, record, store_id);
  if (!processes.ok()) return processes.status();
  const absl::Status read = ReadConnections(*processes, record.leader.pid, facts);
  if (!read.ok()) return read;
  // In the DNA's spelling too, as that is what they are compared with.
  for (const v1::Connection& wanted : wanted_connections) {
    if (!facts.connections.contains(CanonicalEnd(wanted.host(), wanted.port()))) continue;
    facts.connections.insert(RemoteEnd(wanted.host(), wanted.port()));
  }
  return facts;
}

absl::StatusOr<Facts> CollectFacts(const CompiledDna& compiled, const ProcessRecord& record,
                                   const std::string& store_id, Clock& clock,
                                   const std::stop_token& stop) {
  const v1::Dna& dna = compiled.dna;
  Facts facts;
  absl::Status status = ReadOsRelease(facts);
  if (status.ok()) status = ReadSoftware(dna, record.port, clock, stop, facts);
  if (!status.ok()) return status;
  const pid_t leader = record.leader.pid;
  const auto running = ReadPrivileges(leader);
  if (!running.ok()) return running.status();
  status = ReadSecurity(dna, *running, facts);
  if (status.ok()) status = ReadFiles(dna, *running, stop, facts);
  if (status.ok()) status = ReadChangedSecrets(dna.security(), leader, facts);
  if (status.ok()) status = ReadLimits(leader, facts);
  if (!status.ok()) return status;
  auto connected = CollectConnections(compiled, record, store_id);
  if (!connected.ok()) return connected.status();
  facts.connections = std::move(connected->connections);
  // What was read was read of this process if it is still there.
  const auto now = ReadProcessStat(leader);
  if (!now.ok() && !absl::IsNotFound(now.status())) return now.status();
  if (!now.ok() || now->id != record.leader || now->IsDead()) {
    return absl::NotFoundError("it has ended meanwhile");
  }
  if (stop.stop_requested()) return absl::CancelledError("stopped");
  return facts;
}

FactsCollector::FactsCollector(Collect collect) : collect_(std::move(collect)) {
  for (int i = 0; i < kThreads; ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) { Run(stop); });
  }
}

FactsCollector::~FactsCollector() {
  for (std::jthread& thread : threads_) thread.request_stop();
}

absl::StatusOr<std::optional<Facts>> FactsCollector::Take(const ProcessRecord& record,
                                                          std::shared_ptr<const CompiledDna> dna) {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(record.id);
  if (found != jobs_.end()) {
    if (!found->second.result.has_value()) return std::nullopt;
    absl::StatusOr<Facts> result = *std::move(found->second.result);
    jobs_.erase(found);
    if (!result.ok()) return result.status();
    return *std::move(result);
  }
  if (waiting_.size() >= kMaxWaiting) {
    return absl::ResourceExhaustedError("too many instances wait to be verified");
  }
  jobs_[record.id] = Job{
      .number = next_number_++, .record = record, .dna = std::move(dna), .result = std::nullopt};
  waiting_.push_back(record.id);
  work_.notify_one();
  return std::nullopt;
}

void FactsCollector::Forget(const std::string& id) {
  const std::lock_guard lock(mutex_);
  jobs_.erase(id);
  waiting_.erase(std::remove(waiting_.begin(), waiting_.end(), id), waiting_.end());
}

void FactsCollector::Run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (work_.wait(lock, stop, [this] { return !waiting_.empty(); })) {
    if (stop.stop_requested()) return;
    const std::string id = waiting_.front();
    waiting_.pop_front();
    const auto found = jobs_.find(id);
    if (found == jobs_.end()) continue;
    const Job job = found->second;
    lock.unlock();
    absl::StatusOr<Facts> facts = collect_(*job.dna, job.record, stop);
    lock.lock();
    const auto now = jobs_.find(id);
    if (now != jobs_.end() && now->second.number == job.number) {
      now->second.result = std::move(facts);
    }
  }
}

}  // namespace shadow
