// What HAProxy's runtime socket answers, parsed. Pure; columns are found by the names in the
// reply's own header, never by position. Format: HAProxy 2.6 management guide, 9.1 (CSV) and 9.3
// (commands).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace shadow {

inline constexpr int kFullWeightPercent = 100;  // Of a server that takes its whole share.

// A reply of lines with a header line that starts with "# ".
class HaproxyTable {
 public:
  enum class Format { kCsv, kSpaces };

  // Lines before the header are skipped. kInternal: no header, or two; more rows or fields than a
  // HAProxy of 20,000 servers has; a row that is shorter than the header (cut off), and with kCsv
  // a longer one (`show servers conn` has a column per thread).
  static absl::StatusOr<HaproxyTable> Parse(std::string_view reply, Format format);

  size_t rows() const { return rows_.size(); }

  // Empty where the table has no such column.
  std::string_view Text(size_t row, const std::string& column) const;

  // Unset where there is no such column, or it is empty or not a whole number.
  std::optional<int64_t> Number(size_t row, const std::string& column) const;

  // As Number, of what HAProxy counts: unset also if it is negative or above 10^15.
  std::optional<int64_t> Count(size_t row, const std::string& column) const;

  bool HasColumn(const std::string& column) const { return columns_.contains(column); }

 private:
  std::map<std::string, size_t> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// A line of `show servers state`.
struct HaproxyServer {
  std::string name;
  std::string address;  // "127.0.0.1:9", "[::1]:80"
  bool up = false;      // By HAProxy's own checks; false in maintenance.
  bool maintenance = false;
  bool draining = false;
  bool checked = false;  // Has `check`.
  int weight = 0;        // 0 to 256
  int64_t seconds_since_change = 0;
};
absl::StatusOr<std::vector<HaproxyServer>> ParseServersState(std::string_view reply);

// A line of `show stat -1 6 -1`. Counters count since HAProxy started.
struct HaproxyCounters {
  int64_t in_flight = 0;  // scur + qcur
  int64_t queued = 0;     // qcur
  int64_t requests = 0;   // stot: tries at this server, also those that were retried elsewhere.
  int64_t responses = 0;  // req_tot: those that it answered and that were passed on; 0 in TCP mode.
  int64_t errors = 0;     // See below.
  int64_t response_time_ms = 0;  // rtime: HAProxy's sliding average, rounded up.
};

// Those of `backend`, by svname; "BACKEND" is the whole backend. All proxies are asked for and
// filtered here: given a name, `show stat` would take a frontend of the same name instead.
//
// errors of a server = hrsp_5xx + econ + max(wretr, wredis, eresp). Measured on 2.6.12 with
// `option redispatch 1`: a 5xx that `retry-on` retried counts in wretr and wredis, not in hrsp_5xx;
// a refused connection that went to another server in wredis only; a reply that broke off in eresp
// and, if retried, in wretr and wredis as well; the last refused try in econ. So this counts each
// failed try once where one kind of failure prevails, never too many, and is 0 only if none failed.
// errors of the backend = max(hrsp_5xx, econ + eresp) + max(wretr, wredis): there hrsp_5xx includes
// the 502 to 504 that HAProxy made itself.
absl::StatusOr<std::map<std::string, HaproxyCounters>> ParseStat(std::string_view reply,
                                                                 std::string_view backend);

// A line of `show servers conn BACKEND`, by server: connections in use, and kept open while idle.
struct HaproxyConnections {
  int64_t used = 0;
  int64_t idle = 0;
};
absl::StatusOr<std::map<std::string, HaproxyConnections>> ParseServersConn(std::string_view reply);

// What tells one HAProxy worker from the next: Pid and start time from `show info`. The pid alone
// is not enough in a container, where it is always the same. kInternal: no Pid.
absl::StatusOr<std::string> ParseEpoch(std::string_view reply);

}  // namespace shadow
