#!/bin/bash
# Boots a throw-away host (boot.sh), installs shadowd-units and its units there, as root would, and
# runs a program: units_host.sh BUILD_DIR PROGRAM. 77: no host can be booted here.
set -euo pipefail

here="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
source="$(readlink -f "$here/../..")"
build="$(readlink -f "$1")"

if [[ "${3-}" != --inside ]]; then
  "$here/boot.sh" true || exit  # 77 before anything is asked of this machine.
  for program in python3 protoc setpriv; do
    command -v "$program" > /dev/null || { echo "$program is missing" >&2; exit 1; }
  done
  exec "$here/boot.sh" --show "$source" --show "$build" "$here/units_host.sh" "$build" "$2" --inside
fi

# fill_in FILE...: as `cmake --install` does.
fill_in() {
  local file
  for file; do
    sed 's,@SHADOWD_LIBEXECDIR@,/usr/libexec/shadowd,; s,@SHADOWD_BINDIR@,/usr/bin,
         s,@SHADOWD_SYSCONFDIR@,/etc,' "$source/systemd/$file" > "/usr/lib/systemd/system/$file"
  done
}

install -D "$build/bin/shadowd-units" /usr/libexec/shadowd/shadowd-units
install -D -m 644 "$source/systemd/units.textproto" /etc/shadowd/units.textproto
fill_in shadowd-units.service shadowd-units.socket
systemd-sysusers "$source/systemd/shadowd.sysusers"

mkdir -p -m 755 /srv/data/set /srv/data/theirs /srv/scratch /srv/roots /mnt/data
mkdir -p -m 700 /etc/shadowd/credentials
echo content > /srv/data/set/file
echo hush > /etc/shadowd/credentials/token
chmod 600 /etc/shadowd/credentials/token
chown shadowd:shadowd /srv/data/theirs
systemctl daemon-reload
systemctl start shadowd-units.socket

if [[ "$2" == units_pool.py ]]; then
  install "$build"/bin/{shadowd,shadowctl} /usr/bin
  install "$build"/bin/{shadow-holder,shadow-demo-worker} /usr/libexec/shadowd
  cp "$source/systemd/shadowd.textproto" /etc/shadowd
  fill_in shadowd.service
  systemctl daemon-reload
  systemctl start shadowd
fi
exec python3 -B "$here/$2" "$source/proto"
