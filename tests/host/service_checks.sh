# Part of package_test.sh, inside the host: what the service and its neighbours in systemd do.
# shellcheck shell=bash disable=SC2154  # The variables and functions of package_test.sh.

# Message ids of shadowd(8).
readonly kServingId=df4e23d416fe4d28b150aba034cd7be4
readonly kRequestId=b4a20bc17c994c28b4818fcd95398109
readonly kShadowId=bc409fab2db446b19da78a8a0e9800b4

# journal_has TEXT MATCH...: among the journal's lines with these fields is one with TEXT.
journal_has() {
  [[ "$(journalctl --quiet --output=cat "${@:2}")" == *"$1"* ]]
}

# As journalctl SHADOW_POOL=demo shows it.
journal_tells_the_life_of_a_pool() {
  local place
  await journal_has "-> ACTIVE pool=demo" SHADOW_POOL=demo "MESSAGE_ID=$kShadowId"
  journal_has "created pool=demo" SHADOW_POOL=demo || fail "the journal has no creation of the pool"
  journal_has "UpdatePool: OK" SHADOW_POOL=demo "MESSAGE_ID=$kRequestId" SHADOW_UID=0 ||
    fail "the journal does not say who created the pool"
  journal_has serving "MESSAGE_ID=$kServingId" PRIORITY=6 _SYSTEMD_UNIT=shadowd.service ||
    fail "the journal does not say that shadowd serves"
  ! journal_has demo SHADOW_POOL=none || fail "the journal has a pool that was never there"
  place="$(journalctl --quiet --output=verbose "MESSAGE_ID=$kServingId" | grep CODE_FILE=)"
  [[ "$place" == *CODE_FILE=server/daemon.cc* ]] || fail "the line comes from $place"
}

# Calls one after another, until told to stop.
call_all_the_time() {
  until [[ -e "$load/calls_stop" ]]; do
    shadowctl status > "$load/answer" 2>&1 || cat "$load/answer" >> "$load/calls_failed"
    echo >> "$load/calls"
  done
}

more_calls() {
  (($(wc -l < "$load/calls") > $1))
}

# A daemon that refuses to start is not started for ever by a client that waits.
refused_start() {
  local config=/etc/shadowd/shadowd.textproto
  echo 'no_field: 1' >> "$config"
  systemctl stop shadowd 2> /dev/null
  if shadowctl status > /dev/null 2>&1; then fail "a bad configuration serves"; fi
  await systemctl is-failed --quiet shadowd.socket
  sed -i '$d' "$config"
  systemctl start shadowd.socket shadowd
  shadowctl status > /dev/null || fail "a good configuration does not serve"
}

socket_activation() {
  local before callers
  systemctl stop shadowd
  systemctl start shadowd.socket
  systemctl start shadowd
  [[ "$(stat -c '%U %G %a' /run/shadowd/shadowd.sock)" == "shadowd shadowd 660" ]] ||
    fail "the socket is $(ls -l /run/shadowd/shadowd.sock)"
  journal_has "shadowd.sock of systemd" _SYSTEMD_UNIT=shadowd.service ||
    fail "the daemon does not take the socket of systemd"
  touch "$load/calls" "$load/calls_failed"
  call_all_the_time &
  callers=$!
  for _ in 1 2 3 4 5; do
    await more_calls "$(($(wc -l < "$load/calls") + 3))"
    systemctl restart shadowd
  done
  undisturbed "a restart with a socket of systemd"
  before="$(main_pid)"
  kill -KILL "$before"
  await served_by_another "$before"
  await more_calls "$(($(wc -l < "$load/calls") + 3))"
  touch "$load/calls_stop"
  wait "$callers"
  if grep -E 'refused|No such file' "$load/calls_failed"; then fail "a restart refuses clients"; fi
  echo "$(wc -l < "$load/calls") calls during restarts, failed: $(< "$load/calls_failed")"
  systemctl stop shadowd 2> /dev/null
  shadowctl status > /dev/null || fail "a call does not start the daemon"
  await systemctl is-active --quiet shadowd
  refused_start
  systemctl stop shadowd.socket shadowd
  [[ ! -e /run/shadowd/shadowd.sock ]] || fail "the socket is left"
  systemctl start shadowd
  undisturbed "a socket of systemd"
}

# The daemon itself works under the example that is for hosts without process instances.
units_only() {
  local drop_in=/etc/systemd/system/shadowd.service.d
  install_file "$kExamples/units-only.conf" "$drop_in/units-only.conf"
  systemctl daemon-reload
  systemctl restart shadowd
  shadowctl status > /dev/null || fail "the daemon does not serve under units-only.conf"
  [[ "$(systemctl show --property=ProtectProc --value shadowd)" == invisible ]] ||
    fail "units-only.conf was not read"
  rm -r "$drop_in"
  systemctl daemon-reload
  systemctl restart shadowd
  undisturbed "units-only.conf"
}

install_file() {
  command install -D -m 644 "$1" "$2"
}
