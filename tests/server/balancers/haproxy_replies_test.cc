#include "server/balancers/haproxy_replies.h"

#include <catch2/catch.hpp>

namespace shadow {
namespace {

// As HAProxy 2.6.12 wrote them, columns that nobody reads left out.
constexpr const char* kState =
    "1\n"
    "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight "
    "srv_time_since_last_change srv_check_state srv_port\n"
    "3 web 1 slot1 127.0.0.1 2 4 10 7 6 19001\n"
    "3 web 2 slot2 ::1 0 5 100 200 14 9\n"
    "3 web 3 slot3 127.0.0.1 2 12 256 1 8 80\n"
    "3 web 4 slot4 127.0.0.1 0 0 1 1 6 81\n";

TEST_CASE("servers are read with address, health, maintenance and draining") {
  const auto servers = ParseServersState(kState);
  REQUIRE(servers.ok());
  REQUIRE(servers->size() == 4);
  const HaproxyServer& member = (*servers)[0];
  CHECK(member.name == "slot1");
  CHECK(member.address == "127.0.0.1:19001");
  CHECK((member.up && member.checked && !member.maintenance && !member.draining));
  CHECK(member.weight == 10);
  CHECK(member.seconds_since_change == 7);
  const HaproxyServer& free = (*servers)[1];
  CHECK(free.address == "[::1]:9");
  CHECK((free.maintenance && !free.up && free.checked));
  const HaproxyServer& draining = (*servers)[2];
  CHECK((draining.draining && draining.up && !draining.checked && !draining.maintenance));
  CHECK_FALSE((*servers)[3].up);
}

TEST_CASE("a server's errors count each failed try once") {
  struct Case {
    const char* what;
    const char* row;
    int64_t errors;
  };
  // hrsp_5xx,econ,eresp,wretr,wredis
  const Case cases[] = {
      {"5xx passed on", "3,0,0,0,0", 3},
      {"5xx retried elsewhere", "0,0,0,4,4", 4},
      {"refused, redispatched", "0,0,0,0,5", 5},
      {"refused, retried at the same server, then given up", "0,1,0,3,0", 4},
      {"broken off and retried", "0,0,2,2,2", 2},
      {"broken off and passed on", "0,0,2,0,0", 2},
      {"nothing", "0,0,0,0,0", 0},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    const auto counters = ParseStat(
        "# pxname,svname,qcur,scur,stot,hrsp_5xx,econ,eresp,wretr,wredis,req_tot,rtime,last\n"
        "web,FRONTEND,,,,,,,,,,,\nother,slot1,9,9,9,9,9,9,9,9,9,9,\n"
        "web,slot1,2,3,100," +
            std::string(c.row) + ",90,12,\"a, \"\"b\"\"\"\n",
        "web");
    REQUIRE(counters.ok());
    const HaproxyCounters& slot = counters->at("slot1");
    CHECK(slot.errors == c.errors);
    CHECK(slot.in_flight == 5);
    CHECK(slot.queued == 2);
    CHECK(slot.requests == 100);
    CHECK(slot.responses == 90);
    CHECK(slot.response_time_ms == 12);
  }
}

TEST_CASE("a backend's errors are what users saw plus what was retried") {
  const auto counters = ParseStat(
      "# pxname,svname,qcur,scur,stot,hrsp_5xx,econ,eresp,wretr,wredis\n"
      "web,BACKEND,0,0,100,7,2,1,4,5\n",
      "web");
  REQUIRE(counters.ok());
  CHECK(counters->at("BACKEND").errors == 12);
}

TEST_CASE("connections are read by server") {
  const auto connections = ParseServersConn(
      "# bkname/svname bkid/svid addr port - used_cur idle_cur idle_per_thr[2]\n"
      "web/slot1 3/1 127.0.0.1 9 - 4 5 2 3\n");
  REQUIRE(connections.ok());
  CHECK(connections->at("slot1").used == 4);
  CHECK(connections->at("slot1").idle == 5);
}

TEST_CASE("the epoch has pid and start time") {
  CHECK(*ParseEpoch("Name: HAProxy\nPid: 12\nStart_time_sec: 1700000000\n") == "12@1700000000");
  CHECK(*ParseEpoch("Pid: 12\n") == "12@0");
  CHECK_FALSE(ParseEpoch("Name: HAProxy\nPid: x\n").ok());
  CHECK_FALSE(ParseEpoch("").ok());
}

TEST_CASE("what is cut off or foreign is an error, never a zero") {
  CHECK_FALSE(ParseServersState("1\n# srv_name srv_op_state\nslot1\n").ok());
  CHECK_FALSE(ParseServersState("1\n# srv_name srv_op_state\nslot1 2\n").ok());
  CHECK_FALSE(ParseServersState("No such backend.\n").ok());
  CHECK_FALSE(ParseStat("# pxname,svname,scur\nweb,slot1,0\n", "web").ok());
  CHECK_FALSE(ParseStat("", "web").ok());
  CHECK_FALSE(ParseServersConn("# bkname/svname used_cur idle_cur\nweb/slot1 x 0\n").ok());
  CHECK_FALSE(ParseServersConn("# bkname/svname used_cur idle_cur\nslot1 0 0\n").ok());
}

}  // namespace
}  // namespace shadow
