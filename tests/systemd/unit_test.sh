#!/bin/bash
# How far the unit confines the daemon, and the instances with it: unit_test.sh UNIT DROP_IN
# DROP_IN: for a daemon that has no instances below it.
# 77: systemd is not installed here.
set -euo pipefail

readonly kExposureMax=21  # Tenths, of 10; what is left is explained in the unit.

command -v systemd-analyze > /dev/null || exit 77
readonly kUnitsOnlyMax=16  # The same with the drop-in.
source="$1"
drop_in="$2"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
unit="$scratch/shadowd.service"

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# fill_in [LINE]: the unit as it is installed, without lines that begin with LINE.
fill_in() {
  sed 's,@SHADOWD_BINDIR@,/usr/bin,; s,@SHADOWD_SYSCONFDIR@,/etc,' "$source" |
    grep -v "^${1-@}" > "$unit"
}

# confined [MAX]
confined() {
  systemd-analyze security --no-pager --offline=true --threshold="${1-$kExposureMax}" "$unit" \
    > "$scratch/output" 2>&1
}

for line in CapabilityBoundingSet= SystemCallFilter= RestrictNamespaces= PrivateDevices=; do
  fill_in "$line"
  ! confined || fail "without $line it is still confined"
done
fill_in
confined || fail "$(< "$scratch/output")"

mkdir "$unit.d"
! confined "$kUnitsOnlyMax" || fail "without the drop-in the unit is confined as with it"
cp "$drop_in" "$unit.d/"
confined "$kUnitsOnlyMax" || fail "with the drop-in: $(< "$scratch/output")"

for line in Type=notify KillMode=process RestartPreventExitStatus=78 StateDirectory=shadowd \
  RuntimeDirectory=shadowd ConfigurationDirectory=shadowd WatchdogSec=60s; do
  grep -qx "$line" "$unit" || fail "$line is missing"
done

# Each of these would take something from instances: see the end of the unit.
breaking='PrivateTmp|RemoveIPC|ProtectProc|ProcSubset|PrivateUsers|DynamicUser|PrivateNetwork'
breaking+='|IPAddressDeny|MemoryDenyWriteExecute|RootDirectory|TemporaryFileSystem'
breaking+='|InaccessiblePaths|ProtectSystem=strict|ProtectHome=(yes|tmpfs)|KillMode=control-group'
if line="$(grep -E "^($breaking)" "$unit")"; then
  fail "$line breaks instances"
fi
