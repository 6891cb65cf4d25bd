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
