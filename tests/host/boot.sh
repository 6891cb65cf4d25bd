#!/bin/bash
# Boots systemd over a throw-away overlay of this machine's own / and runs a command there, as root:
#
#   boot.sh [--show DIR]... COMMAND [ARGUMENT...]
#
# Programs, libraries and files are at the same paths, what is written vanishes, and the network is
# a loopback of its own. D-Bus, units and their sandboxes are real. There are no resource
# controllers: limits of CPU and memory are accepted and not enforced. DIR, which may be on another
# file system than /, is there too, read-only.
#
# The exit status is that of the command; 77: such a system cannot be booted here, and why.
set -uo pipefail

readonly kBootPatience=30  # Seconds; it takes less than one.
readonly kGone=250         # Looks at what was killed, each after kPause.
readonly kPause=0.02       # Seconds.

name="shadowd-host-$$"
binds=()
while [[ "${1-}" == --show ]]; do
  binds+=("--bind-ro=$2")
  shift 2
done
(($#)) || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }

cannot() {
  echo "no host can be booted here: $*" >&2
  exit 77
}

((EUID == 0)) || cannot "only root can"
for program in systemd-nspawn unshare nsenter setpriv pgrep; do
  command -v "$program" > /dev/null || cannot "$program is missing"
done
[[ -x /lib/systemd/systemd ]] || cannot "systemd is missing"
[[ -x /usr/bin/dbus-daemon ]] || cannot "D-Bus is missing"

# A cgroup of its own, in the unified hierarchy: the booted system sees it as the root.
cgroups=/sys/fs/cgroup
[[ -e "$cgroups/cgroup.procs" ]] || cgroups=/sys/fs/cgroup/unified
[[ -e "$cgroups/cgroup.procs" ]] || cannot "there is no unified cgroup hierarchy"
mkdir "$cgroups/$name" 2> /dev/null || cannot "no cgroup can be made in $cgroups"

scratch="$(mktemp -d)"
nspawn=  # The outermost process, which everything of the host descends from.
leader=  # The booted system's first process.

clean_up() {
  [[ -n "$leader" ]] && kill -KILL "$leader" 2> /dev/null
  local i
  for ((i = 0; i < kGone; i++)); do
    kill -0 "$nspawn" 2> /dev/null || break
    sleep "$kPause"
  done
  [[ -n "$nspawn" ]] && kill -KILL "$nspawn" 2> /dev/null
  wait 2> /dev/null
  for ((i = 0; i < kGone; i++)); do
    find "$cgroups/$name" -depth -type d -exec rmdir {} \; 2> /dev/null
    [[ -d "$cgroups/$name" ]] || break
    sleep "$kPause"
  done
  rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 143' TERM INT

# Runs in namespaces of its own. $1: the scratch directory, $2: a name, then options of nspawn.
become_host() {
  set -e
  local scratch="$1" name="$2" mask
  shift 2
  umount -R -l /sys/fs/cgroup
  mount -t cgroup2 none /sys/fs/cgroup
  mount -t tmpfs tmpfs "$scratch/mounts"
  mkdir "$scratch/mounts/"{upper,work,root}
  local root="$scratch/mounts/root"
  mount -t overlay overlay "$root" \
    -o "lowerdir=/,upperdir=$scratch/mounts/upper,workdir=$scratch/mounts/work"
  # Nothing of this machine's own services, file systems and clean-ups, and no logins.
  rm -rf "$root/etc/systemd/system"
  mkdir -p "$root/etc/systemd/system" "$root/etc/tmpfiles.d"
  : > "$root/etc/fstab"
  ln -sfn /dev/null "$root/etc/tmpfiles.d/tmp.conf"
  for mask in systemd-logind.service getty.target systemd-update-utmp.service \
    systemd-update-utmp-runlevel.service remote-fs.target haproxy.service; do
    ln -s /dev/null "$root/etc/systemd/system/$mask"
  done
  [[ -s "$root/etc/machine-id" ]] || echo 0123456789abcdef0123456789abcdef > "$root/etc/machine-id"
  printf '%s\n' '[Unit]' Requires='basic.target dbus.socket' After=basic.target AllowIsolate=yes \
    > "$root/etc/systemd/system/host-test.target"
  mount -t tmpfs tmpfs /run
  touch "$scratch/prepared"
  export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_LOCK=0 SYSTEMD_NSPAWN_TMPFS_TMP=0
  exec systemd-nspawn -q --boot --register=no --keep-unit --private-network --console=read-only \
    --machine="$name" --resolv-conf=off --timezone=off --directory="$root" "$@" \
    systemd.unit=host-test.target systemd.show_status=no systemd.default_timeout_stop_sec=20s
}

mkdir "$scratch/mounts"
(
  echo "$BASHPID" > "$cgroups/$name/cgroup.procs" || exit 1
  exec setpriv --pdeathsig KILL unshare -C -m -p -f --kill-child --mount-proc \
    bash -c "$(declare -f become_host); become_host \"\$@\"" host "$scratch" "$name" "${binds[@]}"
) < /dev/null > "$scratch/log" 2>&1 &
nspawn=$!

inside() {
  nsenter -t "$leader" -m -p -C -n -i -u -- "$@"
}

# The state of the booted system; empty until it has a first process.
host_state() {
  local supervisor
  supervisor="$(pgrep -P "$nspawn" | head -n 1)"
  [[ -n "$supervisor" ]] || return
  leader="$(pgrep -P "$supervisor" -f 'lib/systemd/systemd( |$)' | head -n 1)"
  [[ -n "$leader" ]] || return
  inside systemctl is-system-running 2> /dev/null > "$scratch/state"
}

deadline=$((SECONDS + kBootPatience))
until host_state; [[ "$(cat "$scratch/state" 2> /dev/null)" =~ ^(running|degraded)$ ]]; do
  if ! kill -0 "$nspawn" 2> /dev/null || ((SECONDS > deadline)); then
    cat "$scratch/log" >&2
    [[ -e "$scratch/prepared" ]] || cannot "its namespaces and mounts are not allowed"
    echo "systemd did not boot" >&2
    exit 1
  fi
  sleep "$kPause"
done
# In the background, or a signal would wait for its end.
inside systemd-run -q --wait --pipe --collect --working-directory=/ -- "$@" <&0 &
wait "$!"
