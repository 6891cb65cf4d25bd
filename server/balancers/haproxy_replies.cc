#include "server/balancers/haproxy_replies.h"

#include <algorithm>
#include <charconv>

#include "absl/status/status.h"
#include "server/balancers/haproxy_socket.h"

namespace shadow {
namespace {

// Bits of srv_admin_state and srv_check_state, values of srv_op_state: HAProxy 2.6,
// include/haproxy/server-t.h and check-t.h.
constexpr int64_t kAdminMaintenance = 0x23;  // Forced, inherited, or by DNS resolution.
constexpr int64_t kAdminDraining = 0x18;     // Forced or inherited.
constexpr int64_t kCheckEnabled = 0x04;
constexpr int64_t kStarting = 1;  // Up, in `slowstart`.
constexpr int64_t kRunning = 2;

// The longest reply that a socket takes holds some 20,000 servers of 130 columns. These bound what
// one of another shape costs.
constexpr int64_t kRowsMax = 50'000;
constexpr int64_t kFieldsMax = 3'000'000;

// No count of HAProxy's comes near; sums of some of these are far from overflowing.
constexpr int64_t kCountMax = 1'000'000'000'000'000;
constexpr int64_t kWeightMax = 256;
constexpr int64_t kServerPortMax = 65535;

absl::Status Malformed(std::string_view reply) {
  return absl::InternalError("unexpected reply from HAProxy: " + QuoteReply(reply));
}

std::string_view NextLine(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

// Quotes as in RFC 4180.
std::vector<std::string> SplitCsv(std::string_view line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"') {
      const bool doubled = quoted && i + 1 < line.size() && line[i + 1] == '"';
      if (doubled) {
        fields.back() += '"';
        ++i;
      } else {
        quoted = !quoted;
      }
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

std::vector<std::string> SplitSpaces(std::string_view line) {
  std::vector<std::string> fields;
  while (true) {
    const size_t begin = line.find_first_not_of(' ');
    if (begin == std::string_view::npos) return fields;
    line.remove_prefix(begin);
    const size_t end = std::min(line.find(' '), line.size());
    fields.emplace_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

std::optional<int64_t> ToNumber(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string JoinAddress(std::string_view ip, std::string_view port) {
  const bool bracket = ip.find(':') != std::string_view::npos;
  std::string address;
  if (bracket) address += '[';
  address.append(ip);
  if (bracket) address += ']';
  return address.append(":").append(port);
}

bool IsWithin(std::optional<int64_t> number, int64_t max) {
  return number && *number >= 0 && *number <= max;
}

// Unset: one of them is no count. Where HAProxy does not count something, the field is empty.
std::optional<HaproxyCounters> CountersOf(const HaproxyTable& table, size_t row) {
  bool all = true;
  const auto count = [&](const std::string& column) {
    if (table.Text(row, column).empty()) return int64_t{0};
    const std::optional<int64_t> number = table.Count(row, column);
    all = all && number;
    return number.value_or(0);
  };
  HaproxyCounters counters;
  counters.queued = count("qcur");
  counters.in_flight = count("scur") + counters.queued;
  counters.requests = count("stot");
  counters.responses = count("req_tot");
  counters.response_time_ms = count("rtime");
  const int64_t retried = std::max(count("wretr"), count("wredis"));
  if (table.Text(row, "svname") == "BACKEND") {
    counters.errors = std::max(count("hrsp_5xx"), count("econ") + count("eresp")) + retried;
  } else {
    counters.errors = count("hrsp_5xx") + count("econ") + std::max(retried, count("eresp"));
  }
  if (!all) return std::nullopt;
  return counters;
}

}  // namespace

absl::StatusOr<HaproxyTable> HaproxyTable::Parse(std::string_view reply, Format format) {
  const bool csv = format == Format::kCsv;
  const auto split = csv ? SplitCsv : SplitSpaces;
  const auto lines = std::count(reply.begin(), reply.end(), '\n');
  const auto separators = std::count(reply.begin(), reply.end(), csv ? ',' : ' ');
  if (lines > kRowsMax || lines + separators > kFieldsMax) return Malformed(reply);
  HaproxyTable table;
  size_t width = 0;  // More than there are columns where two have one name.
  std::string_view rest = reply;
  while (!rest.empty()) {
    std::string_view line = NextLine(rest);
    if (line.starts_with("# ")) {
      if (width > 0) return Malformed(line);  // One table, one header.
      const std::vector<std::string> names = split(line.substr(2));
      width = names.size();
      for (size_t i = 0; i < names.size(); ++i) table.columns_.emplace(names[i], i);
      continue;
    }
    if (width == 0) continue;
    table.rows_.push_back(split(line));
    const size_t fields = table.rows_.back().size();
    if (fields < width || (csv && fields > width)) return Malformed(line);
  }
  if (width == 0) return Malformed(reply);
  return table;
}

std::string_view HaproxyTable::Text(size_t row, const std::string& column) const {
  const auto found = columns_.find(column);
  return found == columns_.end() ? std::string_view() : rows_[row][found->second];
}

std::optional<int64_t> HaproxyTable::Number(size_t row, const std::string& column) const {
  return ToNumber(Text(row, column));
}

std::optional<int64_t> HaproxyTable::Count(size_t row, const std::string& column) const {
  const std::optional<int64_t> number = Number(row, column);
  return IsWithin(number, kCountMax) ? number : std::nullopt;
}

absl::StatusOr<std::vector<HaproxyServer>> ParseServersState(std::string_view reply) {
  absl::StatusOr<HaproxyTable> table = HaproxyTable::Parse(reply, HaproxyTable::Format::kSpaces);
  if (!table.ok()) return table.status();
  std::vector<HaproxyServer> servers;
  for (size_t row = 0; row < table->rows(); ++row) {
    const auto admin = table->Number(row, "srv_admin_state");
    const auto state = table->Number(row, "srv_op_state");
    const auto weight = table->Number(row, "srv_uweight");
    const std::string_view name = table->Text(row, "srv_name");
    if (!admin || !state || !IsWithin(weight, kWeightMax) || name.empty()) return Malformed(reply);
    if (!IsWithin(table->Number(row, "srv_port"), kServerPortMax)) return Malformed(reply);
    HaproxyServer server;
    server.name = name;
    server.address = JoinAddress(table->Text(row, "srv_addr"), table->Text(row, "srv_port"));
    server.maintenance = (*admin & kAdminMaintenance) != 0;
    server.draining = (*admin & kAdminDraining) != 0;
    server.up = !server.maintenance && (*state == kStarting || *state == kRunning);
    server.checked = (table->Number(row, "srv_check_state").value_or(0) & kCheckEnabled) != 0;
    server.weight = static_cast<int>(*weight);
    server.seconds_since_change = table->Count(row, "srv_time_since_last_change").value_or(0);
    servers.push_back(std::move(server));
  }
  return servers;
}

absl::StatusOr<std::map<std::string, HaproxyCounters>> ParseStat(std::string_view reply,
                                                                 std::string_view backend) {
  absl::StatusOr<HaproxyTable> table = HaproxyTable::Parse(reply, HaproxyTable::Format::kCsv);
  if (!table.ok()) return table.status();
  for (const char* column :
       {"pxname", "svname", "qcur", "scur", "stot", "econ", "eresp", "wretr", "wredis"}) {
    if (!table->HasColumn(column)) return Malformed(reply);
  }
  std::map<std::string, HaproxyCounters> counters;
  for (size_t row = 0; row < table->rows(); ++row) {
    if (table->Text(row, "pxname") != backend) continue;
    const std::optional<HaproxyCounters> counted = CountersOf(*table, row);
    if (!counted) return Malformed(reply);
    counters.emplace(table->Text(row, "svname"), *counted);
  }
  return counters;
}

absl::StatusOr<std::map<std::string, HaproxyConnections>> ParseServersConn(std::string_view reply) {
  absl::StatusOr<HaproxyTable> table = HaproxyTable::Parse(reply, HaproxyTable::Format::kSpaces);
  if (!table.ok()) return table.status();
  std::map<std::string, HaproxyConnections> connections;
  for (size_t row = 0; row < table->rows(); ++row) {
    const std::string_view name = table->Text(row, "bkname/svname");
    const auto used = table->Count(row, "used_cur");
    const auto idle = table->Count(row, "idle_cur");
    const size_t slash = name.find('/');
    if (!used || !idle || slash == std::string_view::npos) return Malformed(reply);
    connections[std::string(name.substr(slash + 1))] = {.used = *used, .idle = *idle};
  }
  return connections;
}

absl::StatusOr<std::string> ParseEpoch(std::string_view reply) {
  std::optional<int64_t> pid;
  std::optional<int64_t> start;
  std::string_view rest = reply;
  while (!rest.empty()) {
    const std::string_view line = NextLine(rest);
    if (line.starts_with("Pid: ")) pid = ToNumber(line.substr(5));
    if (line.starts_with("Start_time_sec: ")) start = ToNumber(line.substr(16));
  }
  if (!pid) return Malformed(reply);
  return std::to_string(*pid) + "@" + std::to_string(start.value_or(0));
}

}  // namespace shadow
