#include "server/providers/facts/verify.h"

#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/core/text.h"

namespace shadow {
namespace {

constexpr size_t kMaxFoundBytes = 120;  // Of the host's text in one sentence.

bool IsWordByte(char c) { return IsAlnum(c) || c == '_'; }

// The host's text on one line, printable, short.
std::string Shown(std::string_view text) {
  if (text.empty()) return "nothing";
  std::string shown;
  for (const char c : text) {
    if (shown.size() == kMaxFoundBytes) return shown + "...";
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n' || c == '\t') {
      shown += ' ';
    } else {
      shown += absl::ascii_isprint(byte) ? c : '?';
    }
  }
  return std::string(absl::StripAsciiWhitespace(shown));
}

class Comparison {
 public:
  Comparison(const CompiledDna& dna, const Facts& facts) : dna_(dna.dna), facts_(facts) {}

  std::vector<std::string> Run() {
    CompareOperatingSystem();
    CompareSoftware();
    CompareDataSets();
    CompareSecurity();
    CompareResources();
    CompareConnections();
    return std::move(differences_);
  }

  std::vector<std::string> RunConnections() {
    CompareConnections();
    return std::move(differences_);
  }

 private:
  void Add(std::string_view field, std::string_view wanted, std::string_view found) {
    differences_.push_back(
        absl::StrCat("dna.", Absl(field), ": wanted ", Absl(wanted), ", found ", Absl(found)));
  }

  void CompareOperatingSystem() {
    const v1::OperatingSystem& os = dna_.operating_system();
    if (!os.id().empty() && os.id() != facts_.os_id) {
      Add("operating_system.id", os.id(), Shown(facts_.os_id));
    }
    if (!os.version_id().empty() && os.version_id() != facts_.os_version_id) {
      Add("operating_system.version_id", os.version_id(), Shown(facts_.os_version_id));
    }
  }

  void CompareSoftware() {
    for (const v1::Software& software : dna_.software()) {
      if (software.verify_argv().empty()) continue;
      const auto output = facts_.software_output.find(software.name());
      const std::string found =
          output == facts_.software_output.end() ? std::string() : output->second;
      if (HasWholeWord(found, software.version())) continue;
      Add(absl::StrCat("software[", software.name(), "].version"), software.version(),
          Shown(found));
    }
  }

  void CompareDataSets() {
    for (const v1::DataSet& wanted : dna_.data_sets()) {
      const std::string field = absl::StrCat("data_sets[", wanted.name(), "].");
      const auto found = facts_.data_sets.find(wanted.name());
      const Facts::DataSetFact fact =
          found == facts_.data_sets.end() ? Facts::DataSetFact{} : found->second;
      if (!wanted.sha256().empty() && absl::AsciiStrToLower(wanted.sha256()) != fact.sha256) {
        Add(absl::StrCat(field, "sha256"), wanted.sha256(),
            fact.error.empty() ? Shown(fact.sha256) : Shown(fact.error));
      } else if (!fact.error.empty()) {
        Add(absl::StrCat(field, "source"), "it to be readable", Shown(fact.error));
      }
      if (wanted.read_only() && fact.writable) {
        Add(absl::StrCat(field, "read_only"), "read-only", "that the instance can write it");
      }
    }
  }

  void CompareSecurity() {
    const v1::Security& security = dna_.security();
    if (facts_.uid != facts_.wanted_uid || (!security.user().empty() && facts_.wanted_uid < 0)) {
      const std::string user = security.user().empty() ? "the daemon's own user" : security.user();
      const std::string number = facts_.wanted_uid < 0 ? "no such user on this host"
                                                       : absl::StrCat("uid ", facts_.wanted_uid);
      Add("security.user", absl::StrCat(user, " (", number, ")"), absl::StrCat("uid ", facts_.uid));
    }
    const std::set<std::string> wanted(security.capabilities().begin(),
                                       security.capabilities().end());
    if (wanted != facts_.capabilities) {
      const auto names = [](const std::set<std::string>& set) {
        return set.empty() ? std::string("none") : absl::StrJoin(set, " ");
      };
      Add("security.capabilities", names(wanted), names(facts_.capabilities));
    }
    if (security.no_new_privileges() && !facts_.no_new_privileges) {
      Add("security.no_new_privileges", "true", "false");
    }
    if (security.protect_system() > facts_.protect_system) {
      Add("security.protect_system", v1::Security::ProtectSystem_Name(security.protect_system()),
          v1::Security::ProtectSystem_Name(facts_.protect_system));
    }
    if (security.private_tmp() && !facts_.private_tmp) {
      Add("security.private_tmp", "true", "that /tmp is the host's");
    }
    if (!security.system_call_filter().empty() && !facts_.filters_system_calls) {
      Add("security.system_call_filter", "a filter", "none");
    }
    if (!security.restrict_address_families().empty() && !facts_.filters_system_calls) {
      Add("security.restrict_address_families", "a filter", "none");
    }
    for (const std::string& path : security.read_only_paths()) {
      if (!facts_.writable_paths.contains(path)) continue;
      Add(absl::StrCat("security.read_only_paths[", path, "]"), "read-only",
          "that the instance can write it");
    }
    for (const v1::Secret& secret : security.secrets()) {
      const std::string& variable = secret.environment_variable();
      if (!facts_.changed_secrets.contains(variable)) continue;
      Add(absl::StrCat("security.secrets[", variable, "]"), "what its source_file holds",
          "an older content");
    }
  }

  void CompareLimit(const char* name, std::optional<int64_t> wanted) {
    if (!wanted.has_value()) return;
    const auto found = facts_.limits.find(name);
    if (found != facts_.limits.end() && found->second == *wanted) return;
    Add(absl::StrCat("resources.", name), absl::StrCat(*wanted),
        found == facts_.limits.end() ? "no limit" : absl::StrCat(found->second));
  }

  void CompareResources() {
    const v1::Resources& resources = dna_.resources();
    const auto set = [](bool has, int64_t amount) {
      return has ? std::optional<int64_t>(amount) : std::nullopt;
    };
    CompareLimit("cpu_millis", set(resources.has_cpu_millis(), resources.cpu_millis()));
    CompareLimit("memory_max_bytes",
                 set(resources.has_memory_max_bytes(), resources.memory_max_bytes()));
    CompareLimit("cpu_weight", set(resources.has_cpu_weight(), resources.cpu_weight()));
    CompareLimit("memory_high_bytes",
                 set(resources.has_memory_high_bytes(), resources.memory_high_bytes()));
    CompareLimit("tasks_max", set(resources.has_tasks_max(), resources.tasks_max()));
    CompareLimit("open_files_max", set(resources.has_open_files_max(), resources.open_files_max()));
  }

  void CompareConnections() {
    for (const v1::Connection& connection : dna_.network().connections()) {
      const std::string wanted = RemoteEnd(connection.host(), connection.port());
      if (facts_.connections.contains(wanted)) continue;
      Add("network.connections", absl::StrCat("an established connection to ", wanted),
          facts_.connections.empty() ? "none at all"
                                     : Shown(absl::StrJoin(facts_.connections, " ")));
    }
  }

  const v1::Dna& dna_;
  const Facts& facts_;
  std::vector<std::string> differences_;
};

// True if the word that ends at `end` goes on: "3.11" in "3.11.2" or "3.11-rc1".
bool GoesOn(std::string_view output, size_t end) {
  if (end >= output.size()) return false;
  if (IsWordByte(output[end])) return true;
  const bool joins = std::string_view(".-+~:").find(output[end]) != std::string_view::npos;
  return joins && end + 1 < output.size() && IsWordByte(output[end + 1]);
}

// True if the word that begins at `begin` began before: "3.11" in "13.11" or "1.3.11".
bool BeganBefore(std::string_view output, size_t begin) {
  if (begin == 0) return false;
  if (IsWordByte(output[begin - 1])) return true;
  return output[begin - 1] == '.' && begin >= 2 && IsWordByte(output[begin - 2]);
}

}  // namespace

std::vector<std::string> Differences(const CompiledDna& dna, const Facts& facts) {
  return Comparison(dna, facts).Run();
}

std::vector<std::string> MissingConnections(const CompiledDna& dna, const Facts& facts) {
  return Comparison(dna, facts).RunConnections();
}

bool HasWholeWord(std::string_view output, std::string_view version) {
  if (version.empty()) return true;
  for (size_t at = output.find(version); at != std::string_view::npos;
       at = output.find(version, at + 1)) {
    if (!BeganBefore(output, at) && !GoesOn(output, at + version.size())) return true;
  }
  return false;
}

std::string RemoteEnd(const std::string& host, int port) {
  const bool six = host.find(':') != std::string::npos;
  return six ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

}  // namespace shadow
