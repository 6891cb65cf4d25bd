// Whether a group of processes stands still.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

namespace shadow {

// Of a process or a thread, by its directory in /proc.
struct ProcStat {
  char state = 'X';  // 'T': stopped; 'X': it is gone.
  pid_t group = -1;
};

inline ProcStat ReadProcStat(const std::filesystem::path& directory) {
  std::ifstream file(directory / "stat");
  std::string line;
  ProcStat stat;
  if (!std::getline(file, line)) return stat;
  const size_t name_end = line.rfind(')');  // A name may hold anything.
  int parent = 0;
  if (name_end != std::string::npos) {
    std::sscanf(line.c_str() + name_end + 1, " %c %d %d", &stat.state, &parent, &stat.group);
  }
  return stat;
}

// The processes of /proc, or the threads of a "task" there; they may end meanwhile.
inline std::vector<std::filesystem::path> ProcEntries(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> entries;
  std::error_code error;
  for (std::filesystem::directory_iterator at(directory, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.find_first_not_of("0123456789") == std::string::npos) entries.push_back(at->path());
  }
  return entries;
}

// Whether no thread of the group can run before SIGCONT. A stop signal is taken by one thread of a
// process; until that one has had its turn on a CPU, the others still work.
inline bool IsGroupStopped(pid_t group) {
  for (const auto& process : ProcEntries("/proc")) {
    if (ReadProcStat(process).group != group) continue;
    for (const auto& thread : ProcEntries(process / "task")) {
      const char state = ReadProcStat(thread).state;
      if (state != 'T' && state != 'Z' && state != 'X') return false;
    }
  }
  return true;
}

}  // namespace shadow
