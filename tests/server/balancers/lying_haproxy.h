// HAProxy's runtime socket with a liar before it: commands pass, replies are damaged.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_replace.h"
#include "server/core/clock.h"
#include "tests/fakes/poll.h"
#include "tests/server/balancers/unix_peer.h"

namespace shadow {

struct HaproxyLie {
  const char* name;
  // Of all replies to one line of commands. An empty function: the bytes come one by one.
  std::function<std::string(const std::string&)> damage;
};

// As many bytes as nobody takes.
inline constexpr size_t kEndlessBytes = size_t{16} << 20;

inline std::string ReversedReplies(const std::string& text) {
  std::string reversed;
  size_t end = text.size();
  while (end > 0) {
    const size_t before = end >= 3 ? text.rfind("\n\n", end - 3) : std::string::npos;
    const size_t begin = before == std::string::npos ? 0 : before + 2;
    reversed += text.substr(begin, end - begin);
    end = begin;
  }
  return reversed;
}

// Sixteen kinds, and two errors that HAProxy has words for. Each is seen where servers are listed.
inline const std::vector<HaproxyLie>& HaproxyLies() {
  const auto swap = [](const char* from, const char* to) {
    return [=](const std::string& text) { return absl::StrReplaceAll(text, {{from, to}}); };
  };
  static const std::vector<HaproxyLie> kLies = {
      {"nothing", [](const auto&) { return std::string(); }},
      {"truncated", [](const auto& text) { return text.substr(0, text.size() / 2); }},
      {"doubled", [](const auto& text) { return text + text; }},
      {"empty", [](const auto& text) { return text.size() > 9 ? "\n\n\n\n" : text; }},
      {"binary", [](const auto& text) { return std::string(text.size(), '\xff') + "\n\n"; }},
      {"another CSV header", swap("# pxname,svname,", "# proxy,server,")},
      {"columns missing", swap(",stot,bin,", ",")},
      {"negative numbers", swap("web,BACKEND,0,", "web,BACKEND,-1,")},
      {"numbers that overflow", swap("web,BACKEND,0,", "web,BACKEND,99999999999999999999,")},
      {"an unknown server", swap("web,slot1,", "web,ghost1,")},
      {"another backend's", swap("\nweb,", "\nother,")},
      {"a line that never ends", [](const auto&) { return std::string(kEndlessBytes, 'x'); }},
      {"slow bytes", {}},
      {"names instead of states", swap(" 127.0.0.1 2 ", " 127.0.0.1 UP ")},
      {"replies in another order", ReversedReplies},
      {"no process id", swap("\nPid: ", "\nDip: ")},
      {"an unknown command",
       [](const auto&) { return std::string("Unknown command: 'show', but maybe ...\n\n"); }},
      {"no permission", [](const auto&) { return std::string("Permission denied\n\n"); }},
  };
  return kLies;
}

// `StandBefore` comes before the first connection.
class LyingHaproxy {
 public:
  LyingHaproxy()
      : peer_([this](const UnixPeer& peer, const TestSocket& socket, const std::string& line) {
          Answer(peer, socket, line);
        }) {}

  std::string path() const { return peer_.path(); }
  void StandBefore(const std::string& socket_path) { target_ = socket_path; }

  // nullptr: the truth. `lie` outlives this.
  void Tell(const HaproxyLie* lie) { lie_ = lie; }

 private:
  void Answer(const UnixPeer& peer, const TestSocket& socket, const std::string& line) {
    const std::string truth = Ask(line);
    const HaproxyLie* const lie = lie_;
    if (lie == nullptr) {
      SendAll(socket, truth);
    } else if (lie->damage) {
      SendAll(socket, lie->damage(truth));
    } else {
      Drip(peer, socket, truth);
    }
  }

  // Until the peer gives up, or the lie is over.
  void Drip(const UnixPeer& peer, const TestSocket& socket, std::string_view text) {
    constexpr absl::Duration kPause = absl::Milliseconds(20);
    const HaproxyLie* const lie = lie_;
    while (!text.empty() && SendAll(socket, text.substr(0, 1))) {
      text.remove_prefix(1);
      if (PollUntil(kPause, [&] { return peer.stopping() || lie_ != lie; })) return;
    }
  }

  // HAProxy's own reply; "" where it gives none.
  std::string Ask(const std::string& line) const {
    const TestSocket haproxy(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    target_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    std::string reply;
    if (connect(haproxy.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        !SendAll(haproxy, line)) {
      return reply;
    }
    while (ReceiveMore(haproxy, reply)) {
    }
    return reply;
  }

  std::string target_;
  std::atomic<const HaproxyLie*> lie_ = nullptr;
  UnixPeer peer_;  // Last: it calls Answer.
};

}  // namespace shadow
