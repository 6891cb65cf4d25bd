#!/bin/bash
# The life of the Debian package on a host: package_test.sh BUILD_DIR
#
# Packs what is built, boots a throw-away host (boot.sh) and there installs the package, serves with
# it, restarts and kills the daemon, upgrades, removes and purges. 77: no host can be booted here.
set -euo pipefail

here="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
readonly kPatience=200  # Looks at a condition, each after kPause.
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

# --- Outside.

# version_of DEB VERSION OUTPUT: the same package under another version.
version_of() {
  local tree="$scratch/tree"
  rm -rf "$tree"
  dpkg-deb -R "$1" "$tree"
  sed -i "s/^Version: .*/Version: $2/" "$tree/DEBIAN/control"
  dpkg-deb --root-owner-group -Znone -b "$tree" "$3" > /dev/null
}

pack_and_boot() {
  "$here/boot.sh" true || exit  # 77 before the work of packing.
  scratch="$(mktemp -d)"
  trap 'rm -rf "$scratch"' EXIT
  cpack --config "$1/CPackConfig.cmake" -B "$scratch" > "$scratch/log" 2>&1 ||
    fail "$(< "$scratch/log")"
  mv "$scratch"/shadowd_*.deb "$scratch/now.deb" || fail "no package was made"
  if command -v lintian > /dev/null; then
    lintian --allow-root --fail-on error,warning "$scratch/now.deb" || fail "lintian complains"
  fi
  version_of "$scratch/now.deb" 0.0.1 "$scratch/older.deb"
  version_of "$scratch/now.deb" 1000.0.0 "$scratch/newer.deb"
  "$here/boot.sh" --show "$scratch" --show "$here" "$here/package_test.sh" --inside "$scratch"
}

# --- Inside.

readonly kWorker=/usr/libexec/shadowd/shadow-demo-worker
readonly kExamples=/usr/share/doc/shadowd/examples
load=/tmp/load  # Files of the load: addresses, served, failed, stop.

# Whatever the host leaves out of packages, or does not start.
install() {
  dpkg -i --force-confold --force-unsafe-io --path-include="$kExamples/*" "$1"
}

workers() {
  pgrep -f "^$kWorker" | sort | xargs
}

main_pid() {
  systemctl show --property=MainPID --value shadowd
}

# Everything that an installation could leave.
files() {
  find /etc /usr /var -xdev | grep -vE '^/var/(log|cache|lib/dpkg)/|^/etc/(\w+-|\.pwd\.lock)$' |
    sort
}

# Requests to all that serve, until told to stop.
request_all() {
  local address
  while [[ ! -e "$load/stop" ]]; do
    for address in $(< "$load/addresses"); do
      if curl -sf --max-time 5 "http://$address/" > /dev/null; then
        echo "$address" >> "$load/served"
      else
        echo "$address $(date +%T.%N)" >> "$load/failed"
      fi
    done
  done
}

more_served() {
  (($(wc -l < "$load/served") > $1))
}

# undisturbed STEP: the same instances as before, serving, and no request has failed.
undisturbed() {
  [[ "$(workers)" == "$instances" ]] || fail "$1 changed instances $instances to $(workers)"
  await more_served "$(($(wc -l < "$load/served") + 20))"
  [[ ! -s "$load/failed" ]] || fail "$1 failed requests: $(< "$load/failed")"
}

served_by_another() {
  [[ "$(systemctl is-active shadowd)" == active && "$(main_pid)" != "$1" ]]
}

first_life() {
  install "$1" || fail "the package cannot be installed"
  systemctl is-active --quiet shadowd || fail "the service does not run after the installation"
  systemctl is-enabled --quiet shadowd || fail "the service is not enabled"
  if systemctl is-enabled --quiet shadowd-units.socket || [[ -e /run/shadowd-units ]]; then
    fail "the socket of the helper that is root is enabled without being asked"
  fi
  /usr/libexec/shadowd/shadowd-units --check-policy || fail "the policy is not good"
  systemctl start shadowd-units.socket || fail "the helper's socket cannot be started"
  shadowctl apply -f "$kExamples/demo.yaml" --wait
  shadowctl shadow create demo --increase 120 --wait
  shadowctl shadow activate demo --level 50 --wait
  instances="$(workers)"
  shadowctl shadow instances demo | awk '$3 == "ACTIVE" { print $4 }' > "$load/addresses"
  (($(wc -l < "$load/addresses") == 2)) || fail "a base and half of the shadow should serve"
  touch "$load/served" "$load/failed"
  request_all &
  undisturbed "nothing"
  grep -qE '^CapBnd:\s*0+$' "/proc/${instances%% *}/status" || fail "an instance has capabilities"
}

restarts() {
  local before
  systemctl restart shadowd
  undisturbed "a restart"
  before="$(main_pid)"
  kill -KILL "$before"
  await served_by_another "$before"
  undisturbed "kill -9"
}

# As SECURITY.md says it.
instances_of_other_users() {
  local drop_in=/etc/systemd/system/shadowd.service.d
  sed 's/demo$/other/; s/no_new_privileges: true/user: daemon/' "$kExamples/demo.yaml" \
    > /tmp/other.yaml
  if shadowctl apply -f /tmp/other.yaml --wait; then
    fail "an instance has another user without a capability"
  fi
  mkdir -p "$drop_in"
  printf '%s\n' '[Service]' "AmbientCapabilities=CAP_SETUID CAP_SETGID CAP_KILL" \
    "CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_KILL" > "$drop_in/users.conf"
  systemctl daemon-reload
  systemctl restart shadowd
  shadowctl apply -f /tmp/other.yaml --wait
  pgrep -u daemon -f "^$kWorker" > /dev/null || fail "no instance has its own user"
  shadowctl pool delete other --wait
  rm -r "$drop_in"
  systemctl daemon-reload
  systemctl restart shadowd
  undisturbed "a pool of another user"
}

upgrade_and_downgrade() {
  local before config=/etc/shadowd/shadowd.textproto
  echo '# Edited.' >> "$config"
  before="$(main_pid)"
  install "$1" || fail "the package cannot be upgraded"
  served_by_another "$before" || fail "the upgrade did not restart the daemon"
  undisturbed "an upgrade"
  grep -q '^# Edited' "$config" || fail "an upgrade overwrote the configuration"
  if install "$2" > /tmp/output 2>&1; then fail "a downgrade is not refused"; fi
  grep -q 'a downgrade to .* is refused' /tmp/output || fail "a downgrade: $(< /tmp/output)"
  systemctl is-active --quiet shadowd || fail "the refused downgrade ended the daemon"
  undisturbed "a refused downgrade"
  shadowctl shadow activate demo --level 100 --wait
}

remove_and_purge() {
  dpkg -r shadowd 2>&1 | tee /tmp/output
  grep -q 'instances of shadowd go on' /tmp/output || fail "a removal is silent about instances"
  if systemctl is-active --quiet shadowd; then fail "the daemon has outlived its removal"; fi
  undisturbed "a removal"
  touch "$load/stop"
  wait
  dpkg -P shadowd
  [[ -z "$(workers)" ]] || fail "instances have outlived the purge: $(workers)"
  [[ ! -e /run/shadowd && ! -e /run/shadowd-units ]] || fail "something in /run is left"
  if systemctl cat shadowd 2> /dev/null; then fail "the unit is left"; fi
  if systemctl cat shadowd-units.socket 2> /dev/null; then fail "the helper's socket is left"; fi
  files > /tmp/after
  diff /tmp/before /tmp/after || fail "a purge leaves files"
}

live() {
  mkdir "$load"
  rm -f /usr/sbin/policy-rc.d  # Where it forbids services to start.
  files > /tmp/before
  first_life "$1/now.deb"
  journal_tells_the_life_of_a_pool
  restarts
  socket_activation
  units_only
  instances_of_other_users
  upgrade_and_downgrade "$1/newer.deb" "$1/older.deb"
  remove_and_purge
  echo "$(wc -l < "$load/served") requests, $(wc -l < "$load/failed") failed"
}

if [[ "${1-}" == --inside ]]; then
  # shellcheck source=tests/host/service_checks.sh
  source "$here/service_checks.sh"
  live "$2"
else
  pack_and_boot "$1"
fi
