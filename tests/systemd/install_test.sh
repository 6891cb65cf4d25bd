#!/bin/bash
# Installs BUILD_DIR below a temporary root and looks at the result: install_test.sh BUILD_DIR
set -euo pipefail

build="$1"
root="$(mktemp -d)"
trap 'rm -rf "$root"' EXIT

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# install_into PREFIX: as a packager would.
install_into() {
  DESTDIR="$root" cmake --install "$build" --prefix "$1" > "$root/log" || fail "$(< "$root/log")"
}

unit="$root/usr/lib/systemd/system/shadowd.service"
config="$root/etc/shadowd/shadowd.textproto"
install_into /usr
user="$root/usr/lib/sysusers.d/shadowd.conf"
holder="$root/usr/libexec/shadowd/shadow-holder"
man="$root/usr/share/man"
units="$root/usr/libexec/shadowd/shadowd-units"
policy="$root/etc/shadowd/units.textproto"
for file in "$unit" "$config" "$user" "$holder" "$root"/usr/bin/shadow{d,ctl} "$units" "$policy" \
  "${unit%.service}.socket" "$root"/usr/share/doc/shadowd/examples/{units-only,haproxy-state}.conf \
  "$root"/usr/lib/systemd/system/shadowd-units.{service,socket} \
  "$man"/man{8/shadowd.8,8/shadowd-units.8,1/shadowctl.1,5/shadowd.textproto.5} \
  "$root"/usr/share/shadowd/monitoring/shadowd-{alerts.yml,board.json,scrape.yml} \
  "$root/usr/share/bash-completion/completions/shadowctl"; do
  [[ -s "$file" ]] || fail "not installed: $file"
done
grep -qx 'ExecStart=/usr/bin/shadowd --config /etc/shadowd/shadowd.textproto' "$unit" ||
  fail "the unit starts something else: $(grep ExecStart "$unit")"

# Started from there, it finds its holder.
"$root/usr/bin/shadowd" --state-dir "$root/state" --listen "unix:$root/socket" \
  > "$root/log" 2>&1 < /dev/null &
daemon=$!
for ((i = 0; i < 200; i++)); do
  if grep -q serving "$root/log" || ! kill -0 "$daemon" 2> /dev/null; then break; fi
  sleep 0.1
done
kill "$daemon" 2> /dev/null && wait "$daemon" || fail "shadowd does not start: $(< "$root/log")"

echo '# Edited.' >> "$config"
install_into /usr
grep -q '^# Edited\.$' "$config" || fail "a second install overwrote the configuration"

install_into /opt/shadowd
grep -qx 'ExecStart=/opt/shadowd/bin/shadowd --config /opt/shadowd/etc/shadowd/shadowd.textproto' \
  "$root/opt/shadowd/lib/systemd/system/shadowd.service" || fail "the unit ignores the prefix"

if ! command -v systemd-analyze > /dev/null; then
  echo "systemd is not installed here: its own checks of the unit and the user are left out"
  exit 0
fi

# verify NAME UNIT: systemd's own opinion, with the installed program where the unit expects it.
verify() {
  local copy="$root/verify/$1"
  mkdir -p "$root/verify"
  sed "s,=/usr/\(bin\|libexec/shadowd\)/shadowd,=$root/usr/\1/shadowd," "$2" > "$copy"
  systemd-analyze verify --man=no "$copy" 2>&1
}
output="$(verify good.service "$unit")" || fail "systemd says: $output"
[[ -z "$output" ]] || fail "systemd says: $output"

cp "${unit%.service}.socket" "$root/verify/good.socket"
output="$(systemd-analyze verify --man=no "$root/verify/good.socket" 2>&1)" ||
  fail "systemd says: $output"
[[ -z "$output" ]] || fail "systemd says: $output"
grep -qx "ListenStream=$(sed -n 's/^listen: "unix:\(.*\)"/\1/p' "$config")" \
  "${unit%.service}.socket" || fail "shadowd.socket is not where the configuration says"
cp "${unit%.service}-units.socket" "$root/verify/"
output="$(verify shadowd-units.service "${unit%.service}-units.service")" ||
  fail "systemd says: $output"
[[ -z "$output" ]] || fail "systemd says: $output"

sed 's/^KillMode=.*/KillMode=proces/' "$unit" > "$root/bad"
output="$(verify bad.service "$root/bad")" || true
[[ -n "$output" ]] || fail "systemd-analyze does not see a misspelt KillMode"

systemd-sysusers --root="$root" > /dev/null || fail "systemd-sysusers refuses shadowd.conf"
grep -q '^shadowd:' "$root/etc/passwd" || fail "no user shadowd was created"
