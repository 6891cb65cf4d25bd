#!/bin/bash
# Instances as units of a user's own service manager, on a host: systemd_test.sh BUILD_DIR
#
# Boots a throw-away host (boot.sh), starts a user's manager there, runs the conformance tests
# against it, and then a pool behind HAProxy under load, as that user. 77: no host can be booted
# here.
set -euo pipefail

here="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
readonly kPatience=300  # Looks at a condition, each after kPause.
readonly kPause=0.1     # Seconds.

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# await COMMAND...: until it succeeds.
await() {
  local i
  for ((i = 0; i < kPatience; i++)); do
    "$@" && return
    sleep "$kPause"
  done
  fail "still not so: $*"
}

# --- Inside.

readonly kUser=shadowtest
readonly kUid=4242
readonly kHome=/home/shadowtest
readonly kBin=/opt/shadowtest  # Of the programs, where that user can reach them.
readonly kPort=18080           # HAProxy's.

# Before a command: in the background the command itself then has the number of the job.
as_user=(setpriv --reuid "$kUid" --regid "$kUid" --init-groups env -C "$kHome" HOME="$kHome"
  USER="$kUser" XDG_RUNTIME_DIR="/run/user/$kUid" PATH="$kBin:$PATH")

ctl() {
  "${as_user[@]}" shadowctl --address "unix:$kHome/shadowd.sock" "$@"
}

# What a booted system has: a user, whose manager goes on without a login, and the directory that
# the first sandboxed service makes.
start_manager() {
  useradd --create-home --uid "$kUid" "$kUser"
  systemctl start "user-runtime-dir@$kUid.service" "user@$kUid.service"
  systemd-run --quiet --wait --property=ProtectSystem=yes true
  mkdir -p "$kBin" "$kHome/state"
  cp "$1"/{shadowd,shadow-holder,shadowctl,shadow-demo-worker,shadow-demo-load,user_units_test} \
    "$kBin"
}

conformance() {
  "${as_user[@]}" user_units_test || fail "the conformance tests"
}

configure() {
  cat > "$kHome/haproxy.cfg" <<EOF
global
  stats socket $kHome/haproxy.sock mode 600 level admin
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 10s
  timeout queue 5s
  timeout check 500ms
frontend front
  bind 127.0.0.1:$kPort
  default_backend web
backend web
  option httpchk GET /healthz
  option redispatch 1
  retries 3
  retry-on conn-failure empty-response response-timeout 502 503 504
  server-template slot 1-8 127.0.0.1:9 weight 100 check inter 500ms fall 2 rise 2 disabled
EOF
  printf 'listen: "unix:%s/shadowd.sock"\nstate_dir: "%s/state"\n' "$kHome" "$kHome" \
    > "$kHome/shadowd.textproto"
  cat > "$kHome/web.yaml" <<EOF
name: dnas/web
security:
  no_new_privileges: true
  private_tmp: true
  protect_system: STRICT
resources: {memory_max_bytes: 268435456, tasks_max: 64, cpu_millis: 1000}
process:
  argv: [$kBin/shadow-demo-worker, --startup, 200ms, --port, \$(PORT)]
  ready_check:
    http: {path: /healthz}
warm_up:
  requests: 3
---
name: pools/web
dna: dnas/web
provider: {systemd: {manager: USER, slice: shadowweb.slice}}
balancer: {haproxy: {socket_path: $kHome/haproxy.sock, backend: web}}
demand_unit: requests/s
step: 1m
season_lengths: [24h, 168h]
managed_instances: 1
instance_capacity: 40
policy:
  mode: OBSERVE
  max_shadow_instances: 8
EOF
}

daemon_answers() {
  ctl status > /dev/null 2>&1
}

start_daemon() {
  "${as_user[@]}" shadowd --config "$kHome/shadowd.textproto" >> /tmp/shadowd.log 2>&1 &
  daemon=$!
  await daemon_answers
}

units() {
  "${as_user[@]}" systemctl --user list-units --plain --no-legend --all 'shadow-*.service' |
    awk '{ print $1 }'
}

# property UNIT NAME
property() {
  "${as_user[@]}" systemctl --user show --property "$2" --value "$1"
}

# Names of the units that are (not) frozen.
frozen() {
  local unit
  for unit in $(units); do
    [[ "$(property "$unit" FreezerState)" == frozen ]] && echo "$unit"
  done
  true
}

cpu_used() {
  awk '/^usage_usec/ { print $2 }' "/sys/fs/cgroup$(property "$1" ControlGroup)/cpu.stat"
}

pids() {
  local unit
  for unit in $(units); do property "$unit" MainPID; done | sort | xargs
}

# Servers that take requests. 4 of their administrative state only says that they were configured
# as `disabled` once.
served_by() {
  (("$(echo 'show servers state web' | "${as_user[@]}" python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.stdin.buffer.read())
rows = s.makefile().read().split("\n")[2:]
rows = [row.split() for row in rows if row]
print(sum(1 for r in rows if r[5] == "2" and r[6] in ("0", "4") and r[7] != "0"))
' "$kHome/haproxy.sock")" == $1))
}

# Frozen units use no CPU and answer nothing.
really_suspended() {
  local unit before port
  for unit in $(frozen); do
    before="$(cpu_used "$unit")"
    port="$(property "$unit" Environment | grep -o '\bPORT=[0-9]*' | cut -d= -f2)"
    if curl -s --max-time 1 "http://127.0.0.1:$port/" > /dev/null; then
      fail "$unit is suspended and answers"
    fi
    [[ "$(cpu_used "$unit")" == "$before" ]] || fail "$unit is suspended and uses CPU"
  done
}

condition() {
  ctl pool get web -o json | python3 -c '
import json, sys
for one in json.load(sys.stdin)["conditions"]:
    if one["type"] == sys.argv[1]: print(one["status"], one.get("reason"), one.get("message", ""))
' "$1"
}

limits_are_told() {
  condition LimitsEnforced | tee /tmp/limits | grep -q .
}

no_units() {
  [[ -z "$(units)" ]]
}

life() {
  configure
  chown -R "$kUid:$kUid" "$kHome"
  "${as_user[@]}" haproxy -f "$kHome/haproxy.cfg" &
  start_daemon
  ctl apply -f "$kHome/web.yaml" --wait
  await served_by 1
  # Less than the base serves alone: a worker answers 50 requests a second.
  python3 -c 'print("requests_per_second"); [print(30) for _ in range(60)]' > "$kHome/curve.csv"
  "${as_user[@]}" shadow-demo-load --port "$kPort" --curve "$kHome/curve.csv" --step 1s \
    --report "$kHome/report.json" &
  local load=$!

  ctl shadow create web --increase 120 --wait  # The base carries 40 of them, each 40 more.
  (($(units | wc -l) == 3)) || fail "three units should be there: $(units)"
  (($(frozen | wc -l) == 2)) || fail "the shadow's two should be frozen: $(frozen)"
  really_suspended
  await limits_are_told
  local group="/sys/fs/cgroup/user.slice/user-$kUid.slice/user@$kUid.service"
  if [[ -z "$(cat "$group/cgroup.controllers")" ]]; then
    grep -q 'FALSE.*cpu, memory, pids' /tmp/limits || fail "missing controllers: $(< /tmp/limits)"
  fi

  ctl shadow activate web --level 100 --wait
  [[ -z "$(frozen)" ]] || fail "active ones are frozen: $(frozen)"
  await served_by 3
  ctl shadow activate web --level 50 --wait
  (($(frozen | wc -l) == 1)) || fail "one should be frozen again: $(frozen)"
  really_suspended

  local before
  before="$(pids)"
  kill -KILL "$daemon"
  wait "$daemon" || true
  start_daemon
  ctl shadow activate web --level 100 --wait
  [[ "$(pids)" == "$before" ]] || fail "kill -9 of the daemon changed $before to $(pids)"
  await served_by 3
  ctl shadow delete web --wait
  (($(units | wc -l) == 1)) || fail "the base alone should be left: $(units)"

  wait "$load"
  cat "$kHome/report.json"
  python3 -c '
import json, sys
report = json.load(open(sys.argv[1]))
sys.exit(report["failed"] != 0 or report["ok"] < 1800)' "$kHome/report.json" ||
    fail "requests have failed"
  ctl pool delete web --wait
  ctl dna delete web
  await no_units
  # The logs of instances that have ended are kept.
  [[ -z "$(ls -A --ignore='*.ended' "$kHome/state/units")" ]] ||
    fail "files are left: $(ls "$kHome/state/units")"
  if find "/run/user/$kUid/systemd/transient" -name 'shadow-*' 2> /dev/null | grep .; then
    fail "units are left"
  fi
}

inside() {
  trap 'cat /tmp/shadowd.log >&2' EXIT
  start_manager "$1"
  conformance
  life
  trap - EXIT
}

if [[ "${1-}" == --inside ]]; then
  inside "$2"
else
  "$here/boot.sh" true || exit  # 77 where that cannot be done.
  exec "$here/boot.sh" --show "$1/bin" --show "$here" "$here/systemd_test.sh" --inside "$1/bin"
fi
