// What answers on HAProxy's socket is damaged, false or without end: demand is right or unknown,
// and nobody waits or pays for it.
#include <sys/resource.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <functional>
#include <iterator>
#include <thread>

#include "server/balancers/haproxy_balancer.h"
#include "server/usage/haproxy_usage.h"
#include "tests/fakes/manual_clock.h"
#include "tests/server/balancers/unix_peer.h"

namespace shadow {
namespace {

constexpr int64_t kArrivals = 340;  // Between two reads, a second apart.
constexpr size_t kReplyBytesMax = HaproxySocket::kReplyBytesMax;

// As HAProxy 2.6.12 wrote it.
std::string Recorded(const std::string& name) {
  std::ifstream file(SHADOW_TEST_DATA "/fuzz/haproxy_replies/" + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> Split(const std::string& line) {
  std::vector<std::string> fields(1);
  for (const char c : line) {
    if (c == ',') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

// `text` with another value in `column` of the row that begins with `row`.
std::string With(std::string text, const std::string& row, const std::string& column,
                 const std::string& value) {
  const size_t header = text.find("# pxname");
  const std::vector<std::string> names =
      Split(text.substr(header, text.find('\n', header) - header));
  const auto name = std::find(names.begin(), names.end(), column);
  REQUIRE(name != names.end());
  size_t begin = text.find("\n" + row + ",") + 1;
  REQUIRE(begin > 0);
  for (auto i = names.begin(); i != name; ++i) begin = text.find(',', begin) + 1;
  return text.replace(begin, text.find_first_of(",\n", begin) - begin, value);
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

// Answers each line with what comes next.
class Scripted {
 public:
  Scripted()
      : peer_([this](const UnixPeer&, const TestSocket& socket, const std::string&) {
          SendAll(socket, next_);
        }) {}
  void Say(std::string text) { next_ = std::move(text); }
  std::string path() const { return peer_.path(); }

 private:
  std::string next_;  // Changed between two calls only.
  UnixPeer peer_;
};

// One frontend's demand, read each second of a clock that the test moves.
class Demand {
 public:
  Demand() : recorded_(Recorded("usage")), usage_(Spec(peer_.path()), clock_) {
    Honest();  // The first read has nothing to compare with.
  }

  // As it would be now.
  std::string Reply() const {
    return With(recorded_, "front,FRONTEND", "req_tot", std::to_string(count_));
  }

  // A second later the reply is `damage` of the right one. Whatever is read is right.
  void Lie(const std::function<std::string(const std::string&)>& damage) { Read(damage(Next())); }

  // Honest again; true: a sample came.
  bool Honest() { return Read(Next()); }

 private:
  static v1::HaproxyUsage Spec(const std::string& path) {
    v1::HaproxyUsage spec;
    spec.set_socket_path(path);
    spec.set_frontend("front");
    return spec;
  }

  std::string Next() {
    clock_.Advance(absl::Seconds(1));
    count_ += kArrivals;
    return Reply();
  }

  bool Read(const std::string& reply) {
    peer_.Say(reply);
    const auto reading = usage_.Read("pools/web", absl::InfinitePast());
    if (!reading.ok() || reading->samples.empty()) return false;
    CHECK(reading->samples.front().value() == kArrivals);
    return true;
  }

  const std::string recorded_;
  ManualClock clock_;
  Scripted peer_;
  HaproxyUsage usage_;
  int64_t count_ = 1000;
};

struct Lie {
  const char* what;
  std::function<std::string(const std::string&)> damage;
};

std::string Row(const std::string& text) {
  const size_t begin = text.find("front,FRONTEND");
  return text.substr(begin, text.find('\n', begin) - begin);
}

std::string Counted(const std::string& text, const std::string& value) {
  return With(text, "front,FRONTEND", "req_tot", value);
}

// Of `show stat` and `show info`.
std::vector<Lie> Lies() {
  const auto after_header = [](const std::string& text) { return text.find('\n') + 1; };
  return {
      {"nothing", [](const auto&) { return std::string(); }},
      {"empty replies", [](const auto&) { return std::string("\n\n"); }},
      {"one reply of two", [](const auto& t) { return t.substr(0, t.find("\n\n") + 2); }},
      {"the other order",
       [](const auto& t) {
         const size_t end = t.find("\n\n") + 2;
         return t.substr(end) + t.substr(0, end);
       }},
      {"a field less",
       [](const auto& t) { return Replaced(t, "front,FRONTEND,", "front,FRONTEND"); }},
      {"a field less at the end",
       [](const auto& t) {
         const std::string row = Row(t);
         return Replaced(t, row, row.substr(0, row.rfind(',')));
       }},
      {"a row cut in the middle",
       [](const auto& t) {
         const std::string row = Row(t);
         return Replaced(t, row, row.substr(0, row.size() / 2));
       }},
      {"no header", [=](const auto& t) { return t.substr(after_header(t)); }},
      {"a header without the column",
       [](const auto& t) { return Replaced(t, ",req_tot,", ",x,"); }},
      {"one name for all columns",
       [](const auto& t) {
         return "# a,a,a,a,pxname,svname,mode,req_tot\nx,y,z\n" + t.substr(t.find("\n\n") + 1);
       }},
      {"a longer header after the rows",
       [](const auto& t) {
         return "# pxname,svname\nfront,FRONTEND\n# a,b,c,mode,req_tot\n" +
                t.substr(t.find("\n\n") + 1);
       }},
      {"a number of 20 digits", [](const auto& t) { return Counted(t, std::string(20, '9')); }},
      {"the largest number", [](const auto& t) { return Counted(t, "9223372036854775807"); }},
      {"the smallest number", [](const auto& t) { return Counted(t, "-9223372036854775808"); }},
      {"a negative number", [](const auto& t) { return Counted(t, "-1"); }},
      {"a number with a tail", [](const auto& t) { return Counted(t, "12x"); }},
      {"a fraction", [](const auto& t) { return Counted(t, "1e9"); }},
      {"no number", [](const auto& t) { return Counted(t, ""); }},
      {"a quote without end", [](const auto& t) { return Counted(t, "\"12"); }},
      {"zeros among the digits",
       [](const auto& t) { return Counted(t, std::string("1\0002", 3)); }},
      {"another frontend",
       [](const auto& t) { return Replaced(t, "front,FRONTEND", "x,FRONTEND"); }},
      {"a frontend in TCP mode", [](const auto& t) { return Replaced(t, ",http,,0", ",tcp,,0"); }},
      {"no pid", [](const auto& t) { return Replaced(t, "\nPid: ", "\nDip: "); }},
      {"lines of DOS", [](const auto& t) { return Replaced(t, "\n\n", "\r\n\r\n"); }},
      {"binary", [](const auto& t) { return std::string(t.size(), '\xff') + "\n\n\n"; }},
  };
}

TEST_CASE("demand is right or unknown, whatever HAProxy's socket says") {
  for (const Lie& lie : Lies()) {
    INFO(lie.what);
    Demand demand;
    demand.Lie(lie.damage);
    // Two more, in case that the lie was believed and its successor is compared with it.
    demand.Honest();
    CHECK(demand.Honest());
  }
}

TEST_CASE("demand is right or unknown where the reply ends early, at each byte") {
  Demand demand;
  const size_t size = demand.Reply().size();
  for (size_t cut = 0; cut < size; ++cut) {
    INFO("cut after " << cut << " bytes");
    demand.Lie([&](const std::string& text) { return text.substr(0, cut); });
    demand.Lie([&](const std::string& text) { return text.substr(0, cut) + "\n\n"; });
  }
  CHECK(demand.Honest());
}

TEST_CASE("demand is right or unknown where any one byte is another") {
  Demand demand;
  const size_t size = demand.Reply().size();
  for (size_t at = 0; at < size; ++at) {
    INFO("byte " << at);
    for (const char byte : {'\xff', '\n', ',', '-'}) {
      // A count that this turns into another one cannot be told from a true one.
      const std::string right = demand.Reply();
      const bool digit = right[at] >= '0' && right[at] <= '9';
      if (digit && byte != '\xff') continue;
      demand.Lie([&](std::string text) {
        if (at < text.size()) text[at] = byte;
        return text;
      });
    }
  }
  demand.Honest();
  CHECK(demand.Honest());
}

std::string Described(const BalancerView& view) {
  std::string text = std::to_string(view.slots.value_or(-1));
  for (const BalancerMember& m : view.members) {
    text += " " + m.address + " " + std::to_string(m.weight_percent) + " " +
            std::to_string(m.in_flight.value_or(-1)) + (m.healthy ? " healthy" : "") +
            (m.draining ? " draining" : "");
  }
  return text;
}

class Members {
 public:
  Members() : recorded_(Recorded("snapshot")), balancer_(Spec(peer_.path()), clock_) {
    peer_.Say(recorded_);
    const auto view = balancer_.View();
    REQUIRE(view.ok());
    REQUIRE(view->members.size() == 1);
    right_ = Described(*view);
  }

  const std::string& recorded() const { return recorded_; }

  // An error, or the truth.
  bool Understood(const std::string& reply) {
    peer_.Say(reply);
    const auto view = balancer_.View();
    if (view.ok()) CHECK(Described(*view) == right_);
    return view.ok();
  }

 private:
  static v1::HaproxyBalancer Spec(const std::string& path) {
    v1::HaproxyBalancer spec;
    spec.set_socket_path(path);
    spec.set_backend("web");
    return spec;
  }

  const std::string recorded_;
  SystemClock clock_;
  Scripted peer_;
  HaproxyBalancer balancer_;
  std::string right_;
};

TEST_CASE("members are right or unknown where the reply ends early, at each byte") {
  Members members;
  for (size_t cut = 0; cut + 1 < members.recorded().size(); ++cut) {
    INFO("cut after " << cut << " bytes");
    CHECK_FALSE(members.Understood(members.recorded().substr(0, cut)));
  }
  CHECK(members.Understood(members.recorded()));
}

TEST_CASE("counts of members that are no counts are an error, not zero or a crash") {
  Members members;
  for (const char* column : {"qcur", "scur", "stot", "econ", "eresp", "wretr", "wredis", "rtime"}) {
    for (const std::string& value : {std::string(20, '9'), std::string("9223372036854775807"),
                                     std::string("-9223372036854775808"), std::string("-1"),
                                     std::string("12x"), std::string("\xff")}) {
      for (const char* row : {"web,slot1", "web,BACKEND"}) {
        INFO(row << " " << column << " " << value);
        CHECK_FALSE(members.Understood(With(members.recorded(), row, column, value)));
      }
    }
  }
  for (const char* number : {"19001 - ", "50 100 0 "}) {
    INFO(number);
    for (const char* wrong : {"-9223372036854775808", "-1", "99999999999999999999", "65536", "x"}) {
      const std::string rest = std::string(number).substr(std::string(number).find(' '));
      CHECK_FALSE(members.Understood(Replaced(members.recorded(), number, wrong + rest)));
    }
  }
}

int64_t PeakKib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

std::string Many(std::string_view piece) {
  std::string text;
  while (text.size() + piece.size() + 16 < kReplyBytesMax) text += piece;
  return text;
}

TEST_CASE("a reply of any shape costs a bounded time and a bounded memory") {
  struct Case {
    const char* what;
    std::string text;
  };
  const std::string info = "Pid: 1\n\n";
  const Case cases[] = {
      {"empty lines", Many("\n")},
      {"a line of commas", "# a,b\n" + Many(",") + "\n\n" + info},
      {"a header of commas", "# " + Many(",") + "\n\n" + info},
      {"rows of a letter", "# a\n" + Many("x\n") + "\n" + info},
      {"rows of a comma", "# a,b\n" + Many(",\n") + "\n" + info},
      {"one quoted field", "# a\n\"" + Many("x") + "\n\n" + info},
      {"lines of info", "# a\n\n" + Many("Pid: 1\n") + "\n"},
  };
  SystemClock clock;
  for (const Case& one : cases) {
    INFO(one.what);
    Scripted peer;
    peer.Say(one.text);
    v1::HaproxyUsage spec;
    spec.set_socket_path(peer.path());
    spec.set_frontend("front");
    HaproxyUsage usage(spec, clock);
    const int64_t peak_kib = PeakKib();
    const absl::Duration before = clock.Now().mono;
    CHECK_FALSE(usage.Read("pools/web", absl::InfinitePast()).ok());
    CHECK(clock.Now().mono - before < absl::Seconds(20));
    CHECK(PeakKib() - peak_kib < 128 << 10);
  }
}

TEST_CASE("a reply that drips is read until two seconds have passed, at whatever point") {
  const std::string text = Recorded("usage");
  SystemClock clock;
  for (const size_t quick : {size_t{0}, text.size() / 2, text.size() - 1}) {
    INFO("after " << quick << " bytes");
    const UnixPeer peer([&](const UnixPeer&, const TestSocket& socket, const std::string&) {
      SendAll(socket, text.substr(0, quick));
      std::string end;
      ReceiveMore(socket, end);  // Until the client hangs up.
    });
    v1::HaproxyUsage spec;
    spec.set_socket_path(peer.path());
    spec.set_frontend("front");
    HaproxyUsage usage(spec, clock);
    const absl::Duration before = clock.Now().mono;
    CHECK(absl::IsDeadlineExceeded(usage.Read("pools/web", absl::InfinitePast()).status()));
    CHECK(clock.Now().mono - before < absl::Seconds(20));
  }
}

}  // namespace
}  // namespace shadow
