"""Asks shadowd-units for units, as the daemon's user and as others: units_attack.py PROTO_DIR

Runs as root on a host that units_host.sh has prepared. Each check is a function; the first that
fails ends the run.
"""

import os
import pathlib
import pwd
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from units_wire import (DYNAMIC, EXHAUSTED, FAILED_PRECONDITION, INVALID, LIMITS, PATIENCE,
                        SLEEP, SOCKET, UNAVAILABLE, await_, As, ask, check, code_of, connect,
                        data_set, encode, end, exchange, field_of, helper_pid, inside, receive,
                        refused, run, show, start_call, started, state_of, status_of, units)

POLICY = pathlib.Path("/etc/shadowd/units.textproto")
GRANTS = """
users: "daemon"
capabilities: "CAP_NET_BIND_SERVICE"
read_only_sources: "/srv/data"
writable_sources: "/srv/scratch"
credential_sources: "/etc/shadowd/credentials"
root_directories: "/srv/roots"
mount_points: "/mnt/data"
memory_bytes_max: 1073741824
units_max: 20
"""


def others_cannot_connect():
    for user in ("nobody", "daemon"):
        try:
            connect(user)
            check(False, f"{user} can connect")
        except PermissionError:
            pass
    # Root passes the mode of the socket, not the look at who calls.
    with connect("root") as channel:
        check(exchange(channel, encode("list {}")) is None, "root is answered")
    check(code_of(ask("list {}")) == 0, "the daemon's user is not answered")
    bounding = pathlib.Path("/proc", str(helper_pid()), "status").read_text()
    check("CapEff:\t0000000000000000" in bounding and "CapBnd:\t0000000000000000" in bounding,
          "the helper has capabilities")


def units_get_what_their_dna_says():
    name = started("i1", DYNAMIC, LIMITS, SLEEP, data_set("/srv/data/set"))
    check(int(status_of(name, "Uid:")[0]) > 1000, "a dynamic user is none of the host's")
    check(status_of(name, "CapBnd:") == ["0000000000000000"], "a unit has capabilities")
    check(status_of(name, "NoNewPrivs:") == ["1"], "a unit may gain privileges")
    check(show(name, "Slice") == "shadow-web.slice", "a unit is elsewhere")
    check(show(name, "MemoryMax") == "268435456", "a unit has another limit")
    check(inside(name, "grep -q content /srv/data/set/file") == 0, "a data set cannot be read")
    check(inside(name, "echo x > /srv/data/set/file") != 0, "a data set can be written")
    check(pathlib.Path("/srv/data/set/file").read_text() == "content\n", "a data set has changed")
    end("i1")
    bind = 'security { dynamic_user: true capabilities: "CAP_NET_BIND_SERVICE" }'
    name = started("i2", bind, LIMITS, SLEEP)
    check(status_of(name, "CapBnd:") == ["0000000000000400"], "not the capabilities of the DNA")
    end("i2")
    user = 'security { user: "daemon" no_new_privileges: true }'
    name = started("i3", user, LIMITS, SLEEP)
    check(status_of(name, "Uid:")[0] == str(pwd.getpwnam("daemon").pw_uid), "another user")
    end("i3")


def instances_are_apart():
    secret = ('security { dynamic_user: true private_tmp: true secrets { environment_variable: '
              '"TOKEN" source_file: "/etc/shadowd/credentials/token" } }')
    one = started("i1", secret, LIMITS, SLEEP)
    two = started("i2", 'security { dynamic_user: true private_tmp: true }', LIMITS, SLEEP)
    credential = f"/run/credentials/{one}/TOKEN"
    check(inside(one, f"grep -q hush {credential}") == 0, "a unit cannot read its credential")
    check(inside(two, f"cat {credential}") != 0, "another unit can read a credential")
    with As("shadowd"):
        try:
            pathlib.Path(credential).read_text()
            check(False, "the daemon's user can read a credential")
        except PermissionError:
            pass
    pid = show(one, "MainPID")
    environment = pathlib.Path("/proc", pid, "environ").read_bytes()
    check(b"TOKEN=hush" in environment, f"a secret is in no environment: {environment}")
    for file in ("environ", "mem", "root/etc/passwd"):
        check(inside(two, f"cat /proc/{pid}/{file}") != 0, f"a unit reads another's {file}")
    check(inside(one, "echo x > /tmp/mine") == 0, "a unit cannot write its /tmp")
    check(inside(two, "test -e /tmp/mine") != 0, "a unit sees another's /tmp")
    check(inside(two, "test -w /run/shadowd-units/socket") != 0, "a unit reaches the helper")
    left = list(pathlib.Path("/run/shadowd-units/secrets").iterdir())
    check(not left, f"secrets are left: {left}")
    end("i1")
    end("i2")


def suspended_units_stand_still():
    spin = 'process { argv: "/bin/sh" argv: "-c" argv: "while :; do :; done" }'
    name = started("i1", DYNAMIC, LIMITS, spin)
    group = pathlib.Path("/sys/fs/cgroup" + show(name, "ControlGroup"))

    def usage():
        lines = (group / "cpu.stat").read_text().splitlines()
        return int(lines[0].split()[1])

    check(code_of(ask('suspend { id: "i1" }')) == 0, "a unit cannot be suspended")
    await_(lambda: "frozen 1" in (group / "cgroup.events").read_text(), "frozen")
    before = usage()
    time.sleep(0.2)
    check(usage() == before, "a suspended unit runs")
    resume = f'resume {{ id: "i1" dna {{ name: "dnas/web" {DYNAMIC} {LIMITS} {spin} }} }}'
    check(code_of(ask(resume)) == 0, "a unit cannot be resumed")
    await_(lambda: usage() > before, "it runs again")
    more = resume.replace("268435456", "2147483648")
    check(field_of(ask(more)) == "dna.resources.memory_max_bytes", "a resumed unit gets more")
    end("i1")


def names_of_others_are_refused():
    for unit_id in ("../i1", "a/b", "a.service", "a\\\\x2d", "a@b", "A", "", "a b", "*"):
        refused("id", DYNAMIC, LIMITS, SLEEP, unit_id=unit_id, code=INVALID)
        for call in ("get", "suspend", "stop", "forget"):
            reply = ask(f'{call} {{ id: "{unit_id}" }}')
            check(code_of(reply) == INVALID, f"{call} of {unit_id!r}: {reply}")
    for pool in ("../x", "system.slice", "a/b", "", "-", "x\\\\x2d"):
        refused("pool", DYNAMIC, LIMITS, SLEEP, pool=pool, code=INVALID)
    for store in ("", "*", "../x", "a b"):
        check(code_of(ask("list {}", store=store)) == INVALID, f"the store {store!r} is taken")
    # Another store's units are not this one's.
    started("i1", DYNAMIC, LIMITS, SLEEP)
    check("active_state" not in ask('get { id: "i1" }', store="another"), "another's unit is seen")
    check(code_of(ask('stop { id: "i1" force: true }', store="another")) == 0, "not idempotent")
    check(state_of("i1") == "active", "a unit was stopped for another store")
    end("i1")


def paths_are_refused():
    source, place = "dna.data_sets[0].source", "dna.data_sets[0].mount_path"
    base = (DYNAMIC, LIMITS, SLEEP)
    for path in ("/srv/data/../../etc", "/srv/data/", "/srv/data/a:/etc", "/srv/data/%H"):
        refused(source, *base, data_set(path), code=INVALID)
    for path in ("/etc", "/srv/database", "/run/shadowd-units"):
        refused(source, *base, data_set(path))
    os.symlink("/etc", "/srv/data/link")
    for path in ("/srv/data/link", "/srv/data/link/ssh", "/srv/data/none", "/srv/data/theirs/x"):
        refused(source, *base, data_set(path))
    refused(source, *base, data_set("/srv/data/set", more=""))
    for path in ("/etc/cron.d/x", "/run/made-by-a-unit"):
        refused(place, *base, data_set("/srv/data/set", f'read_only: true mount_path: "{path}"'))
    check(not os.path.exists("/run/made-by-a-unit"), "a mount point was made on the host")
    refused("dna.security.secrets[0].source_file", LIMITS, SLEEP,
            'security { dynamic_user: true secrets { environment_variable: "S" '
            'source_file: "/etc/shadow" } }')
    refused("dna.operating_system.root_directory", *base,
            'operating_system { root_directory: "/" }')


def swapped_links_are_not_followed():
    """The daemon's user swaps a folder of its own for a link, all the time."""
    theirs = pathlib.Path("/srv/data/theirs")
    with As("shadowd"):
        (theirs / "a").mkdir()
        (theirs / "b").symlink_to("/etc")
    script = ("import os,sys\nwhile True:\n  os.rename('a','c');os.rename('b','a');"
              "os.rename('a','b');os.rename('c','a')")
    swapper = subprocess.Popen([sys.executable, "-c", script], cwd=theirs, user="shadowd",
                               group="shadowd", extra_groups=[])
    payload = encode(start_call("swap", f"{DYNAMIC} {LIMITS} {SLEEP} "
                                + data_set("/srv/data/theirs/a")))
    with connect() as channel:
        for _ in range(2000):
            channel.sendall(struct.pack(">I", len(payload)) + payload)
            reply = receive(channel, struct.unpack(">I", receive(channel, 4))[0])
            check(reply[:2] == bytes([8, FAILED_PRECONDITION]), f"a swapped path: {reply}")
    swapper.kill()
    swapper.wait()
    check(state_of("swap") == "", "a unit with a swapped path was started")


def privileges_are_refused():
    user = "dna.security.user"
    for name in ("root", "0", "shadowd", str(pwd.getpwnam("shadowd").pw_uid), "nobody", "00"):
        refused(user, LIMITS, SLEEP, f'security {{ user: "{name}" no_new_privileges: true }}')
    refused(user, LIMITS, SLEEP)
    refused("dna.security.no_new_privileges", LIMITS, SLEEP, 'security { user: "daemon" }')
    for capability in ("CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_SETUID"):
        refused("dna.security.capabilities[0]", LIMITS, SLEEP,
                f'security {{ dynamic_user: true capabilities: "{capability}" }}')
    refused("dna.resources.memory_max_bytes", DYNAMIC, SLEEP)
    for program in ("+/usr/bin/id", "!/usr/bin/id", "/usr/bin/../bin/id"):
        refused("dna.process.argv[0]", DYNAMIC, LIMITS, f'process {{ argv: "{program}" }}',
                code=INVALID)


def smuggled_properties_are_refused():
    before = units()
    call = start_call("bad", f"{DYNAMIC} {LIMITS} {SLEEP}")
    unknown = ask(call, tail=b"\xfa\x3f\x09User=root")  # Field 1023: of no message.
    check(code_of(unknown) == INVALID, f"an unknown field is taken: {unknown}")
    for key, value in (("LD_PRELOAD", "/x"), ("A\\nUser", "root"), ("A", "x\\nUser=root"),
                       ("NOTIFY_SOCKET", "/x"), ("PORT", "1")):
        reply = ask(start_call("bad", f'{DYNAMIC} {LIMITS} process {{ argv: "/usr/bin/id" '
                               f'environment {{ key: "{key}" value: "{value}" }} }}'))
        check(code_of(reply) == INVALID, f"the variable {key} is taken: {reply}")
    check(units() == before, f"a refusal has left something: {units()}")
    # What means something to systemd in a file means nothing here.
    odd = ('argv: "%n" argv: "$HOME" argv: "${PATH}" argv: ";" argv: "a\\"b" argv: "$$" '
           'argv: "\\\\x41"')
    name = started("odd", DYNAMIC, LIMITS, 'process { argv: "/bin/sh" argv: "-c" '
                   f'argv: "exec sleep 1000" {odd} }}')
    run("systemctl", "daemon-reload")
    check(state_of("odd") == "active" and show(name, "User") != "root", "a reload changes a unit")
    end("odd")


def damaged_messages_harm_nobody():
    pid = helper_pid()
    for data in (struct.pack(">I", (1 << 20) + 1), b"\xff" * 4, b"GET / HTTP/1.1\r\n\r\n"):
        with connect() as channel:
            channel.sendall(data)
            check(receive(channel, 1) is None, f"{data} is answered")
    halves = [connect() for _ in range(30)]
    for channel in halves:
        channel.sendall(struct.pack(">I", 1 << 20) + b"half")
    for channel in halves:  # Each is given up after a while.
        check(receive(channel, 1) is None, "half a message is answered")
        channel.close()
    with connect() as channel:
        reply = exchange(channel, os.urandom(1 << 20))
        check(reply is None or code_of(reply) == INVALID, "noise is taken")
    await_(lambda: code_of(ask("list {}")) == 0, "others are served")
    check(helper_pid() == pid, "a message has ended the helper")


def a_flood_of_connections_passes():
    pid = helper_pid()
    flood = []
    for _ in range(1000):
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        channel.settimeout(PATIENCE)
        flood.append(channel)
        with As("shadowd"):
            channel.connect(SOCKET)
    threads = int(pathlib.Path("/proc", str(pid), "status").read_text()
                  .partition("Threads:\t")[2].split()[0])
    check(threads < 100, f"{threads} threads for a flood")
    for channel in flood:
        channel.close()

    def served():
        with connect() as channel:
            reply = exchange(channel, encode("list {}"))
            return reply is not None and code_of(reply) == 0

    await_(served, "served after a flood")
    check(helper_pid() == pid, "a flood has ended the helper")


def a_policy_of_others_is_no_policy():
    def all_refused(why):
        for call in (start_call("bad", f"{DYNAMIC} {LIMITS} {SLEEP}"), "list {}",
                     'get { id: "i1" }'):
            reply = ask(call)
            check(code_of(reply) == UNAVAILABLE, f"{why}, and yet: {reply}")

    for mode in (0o646, 0o664):
        POLICY.chmod(mode)
        all_refused(f"mode {mode:o}")
    POLICY.chmod(0o644)
    os.chown(POLICY, pwd.getpwnam("shadowd").pw_uid, 0)
    all_refused("the daemon's own policy")
    os.chown(POLICY, 0, 0)
    POLICY.parent.chmod(0o777)
    all_refused("a folder that all can write")
    POLICY.parent.chmod(0o755)
    POLICY.write_text("users: nobody")
    all_refused("a damaged policy")
    POLICY.rename("/etc/shadowd/moved")
    all_refused("no policy")
    POLICY.write_text("")
    check(code_of(ask("list {}")) == 0, "the default policy is refused")
    refused("dna.data_sets[0].source", DYNAMIC, LIMITS, SLEEP, data_set("/srv/data/set"))
    POLICY.write_text(GRANTS)


def units_have_an_end():
    for i in range(20):
        started(f"many{i}", DYNAMIC, LIMITS, SLEEP)
    check(code_of(ask(start_call("more", f"{DYNAMIC} {LIMITS} {SLEEP}"))) == EXHAUSTED,
          "there are more units than the policy says")
    for i in range(20):
        end(f"many{i}")


def a_kill_in_the_middle_leaves_one_unit_or_none():
    payload = encode(start_call("kill", f"{DYNAMIC} {LIMITS} {SLEEP}"))
    for delay in [step * 0.0005 for step in range(20)]:
        check(code_of(ask("list {}")) == 0, "no service after a kill")
        pid = helper_pid()
        channel = connect()
        channel.sendall(struct.pack(">I", len(payload)) + payload)
        killer = threading.Timer(delay, os.kill, (pid, signal.SIGKILL))
        killer.start()
        killer.join()
        channel.close()
        await_(lambda: helper_pid() != pid, "the helper has ended")
        # Asked again, as the daemon would.
        started("kill", DYNAMIC, LIMITS, SLEEP)
        check(len(units().splitlines()) == 1, f"more than one unit: {units()}")
        end("kill")


def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))  # For a flood.
    POLICY.write_text(GRANTS)
    for each in (others_cannot_connect, units_get_what_their_dna_says, instances_are_apart,
                 suspended_units_stand_still, names_of_others_are_refused, paths_are_refused,
                 swapped_links_are_not_followed, privileges_are_refused,
                 smuggled_properties_are_refused, damaged_messages_harm_nobody,
                 a_flood_of_connections_passes, a_policy_of_others_is_no_policy,
                 units_have_an_end, a_kill_in_the_middle_leaves_one_unit_or_none):
        each()
        print(each.__name__.replace("_", " "), flush=True)
    await_(lambda: not units(), "no units are left")


main()
