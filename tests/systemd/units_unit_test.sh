#!/bin/bash
# How far the unit of shadowd-units confines it, and who reaches its socket:
# units_unit_test.sh SYSTEMD_DIR
# 77: systemd is not installed here.
set -euo pipefail

readonly kExposureMax=10  # Tenths, of 10; what is left is explained in the unit.

command -v systemd-analyze > /dev/null || exit 77
source="$1"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
unit="$scratch/shadowd-units.service"

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# fill_in [LINE]: the unit as it is installed, without lines that begin with LINE.
fill_in() {
  sed 's,@SHADOWD_LIBEXECDIR@,/usr/libexec/shadowd,; s,@SHADOWD_SYSCONFDIR@,/etc,' \
    "$source/shadowd-units.service" | grep -v "^${1-@}" > "$unit"
}

confined() {
  systemd-analyze security --no-pager --offline=true --threshold="$kExposureMax" "$unit" \
    > "$scratch/output" 2>&1
}

for line in CapabilityBoundingSet= SystemCallFilter= RestrictNamespaces= PrivateNetwork= \
  RestrictAddressFamilies=; do
  fill_in "$line"
  ! confined || fail "without $line it is still confined"
done
fill_in
confined || fail "$(< "$scratch/output")"

# Each of these would hide paths of the host from it, which it must judge as they are.
if line="$(grep -E '^(ProtectHome=(yes|tmpfs)|InaccessiblePaths|TemporaryFileSystem|Root)' "$unit")"
then
  fail "$line hides paths"
fi
for line in SocketUser=shadowd SocketMode=0600; do
  grep -qx "$line" "$source/shadowd-units.socket" || fail "the socket has no $line"
done
