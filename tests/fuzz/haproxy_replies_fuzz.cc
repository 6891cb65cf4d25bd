// What HAProxy's socket answers.
#include <cstdlib>

#include "server/balancers/haproxy_replies.h"
#include "tests/fuzz/input.h"

namespace shadow {
namespace {

void ReadTable(std::string_view bytes, HaproxyTable::Format format) {
  const auto table = HaproxyTable::Parse(bytes, format);
  if (!table.ok()) return;
  size_t read = 0;
  for (size_t row = 0; row < table->rows(); ++row) {
    for (const char* column : {"pxname", "svname", "mode", "stot", "req_tot", "a", "b", ""}) {
      read += table->Text(row, column).size();
      const auto count = table->Count(row, column);
      if (count && *count < 0) abort();
    }
  }
  if (read > bytes.size() * 8) abort();
}

}  // namespace

void Fuzz(std::string_view bytes) {
  ReadTable(bytes, HaproxyTable::Format::kCsv);
  ReadTable(bytes, HaproxyTable::Format::kSpaces);
  const auto servers = ParseServersState(bytes);
  if (servers.ok()) {
    for (const HaproxyServer& server : *servers) {
      if (server.name.empty() || server.weight < 0 || server.weight > 256) abort();
    }
  }
  const auto counters = ParseStat(bytes, "web");
  if (counters.ok()) {
    for (const auto& [name, counted] : *counters) {
      if (counted.in_flight < counted.queued || counted.errors < 0) abort();
    }
  }
  const auto connections = ParseServersConn(bytes);
  if (connections.ok()) {
    for (const auto& [name, of_server] : *connections) {
      if (of_server.used < 0 || of_server.idle < 0) abort();
    }
  }
  ParseEpoch(bytes).status().IgnoreError();
}

}  // namespace shadow
