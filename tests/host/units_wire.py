"""Requests to shadowd-units, as the daemon's user sends them, and looks at what comes of them.

Of a program whose first argument is the folder of the protos.
"""

import os
import pathlib
import pwd
import socket
import struct
import subprocess
import sys
import time

SOCKET = "/run/shadowd-units/socket"
STORE = "0f0e0d0c-0b0a-4908-8706-050403020100"
TRANSIENT = pathlib.Path("/run/systemd/transient")
SHA = "a" * 64
PATIENCE = 20  # Seconds.
SLEEP = 'process { argv: "/usr/bin/sleep" argv: "1000" }'
LIMITS = "resources { memory_max_bytes: 268435456 }"
DYNAMIC = "security { dynamic_user: true }"
INVALID, FAILED_PRECONDITION, EXHAUSTED, UNAVAILABLE = 3, 9, 8, 14


def check(condition, message):
    if not condition:
        sys.exit(f"FAILED: {message}")


def await_(condition, message):
    end = time.monotonic() + PATIENCE
    while not condition():
        check(time.monotonic() < end, f"still not so: {message}")
        time.sleep(0.02)


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def protoc(mode, message, data):
    command = ["protoc", f"-I{sys.argv[1]}", f"--{mode}=shadow.v1.{message}",
               "shadow/v1/units.proto"]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


class As:
    """The thread that enters it is this user to the kernel, in sockets too."""

    def __init__(self, name):
        self.user = pwd.getpwnam(name)

    def __enter__(self):
        os.setegid(self.user.pw_gid)
        os.seteuid(self.user.pw_uid)

    def __exit__(self, *_):
        os.seteuid(0)
        os.setegid(0)


def connect(user="shadowd"):
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    channel.settimeout(PATIENCE)
    with As(user):
        channel.connect(SOCKET)
    return channel


def receive(channel, count):
    """That many bytes; None: it was hung up."""
    data = b""
    while len(data) < count:
        try:
            part = channel.recv(count - len(data))
        except ConnectionResetError:  # Closed before all that was sent was read.
            return None
        if not part:
            return None
        data += part
    return data


def exchange(channel, payload):
    """The reply as text protobuf; None: it was hung up."""
    try:
        channel.sendall(struct.pack(">I", len(payload)) + payload)
        head = receive(channel, 4)
        data = receive(channel, struct.unpack(">I", head)[0]) if head else None
    except (BrokenPipeError, ConnectionResetError):
        return None
    return None if data is None else protoc("decode", "UnitsReply", data).decode()


def encode(call, store=STORE):
    return protoc("encode", "UnitsRequest", f'store: "{store}" {call}'.encode())


def ask(call, store=STORE, tail=b""):
    with connect() as channel:
        reply = exchange(channel, encode(call, store) + tail)
    check(reply is not None, f"no answer to {call}")
    return reply


def code_of(reply):
    line = next((line for line in reply.splitlines() if line.startswith("code: ")), "code: 0")
    return int(line.split()[1])


def field_of(reply):
    line = next((line for line in reply.splitlines() if line.startswith("field: ")), 'field: ""')
    return line.partition(" ")[2].strip('"').replace('\\"', '"')


def start_call(unit_id, dna, pool="web"):
    return (f'start {{ id: "{unit_id}" pool: "{pool}" epoch: "{STORE}/0123" port: 20001 '
            f'revision_name: "dnas/web@0123456789ab" dna {{ name: "dnas/web" {dna} }} }}')


def started(unit_id, *dna):
    """The name of the unit, which runs."""
    reply = ask(start_call(unit_id, " ".join(dna)))
    check(code_of(reply) == 0, f"{unit_id} is refused: {reply}")
    await_(lambda: state_of(unit_id) in ("active", "failed"), f"{unit_id} has started")
    check(state_of(unit_id) == "active", run("journalctl", "-n", "30", "--no-pager"))
    return unit_name(unit_id)


def state_of(unit_id):
    reply = ask(f'get {{ id: "{unit_id}" }}')
    return next((line.split('"')[1] for line in reply.splitlines() if "active_state" in line), "")


def unit_name(unit_id):
    names = run("systemctl", "list-units", "--all", "--plain", "--no-legend",
                f"shadow-*-{unit_id}.service").splitlines()
    check(len(names) == 1, f"units of {unit_id}: {names}")
    return names[0].split()[0]


def units():
    return run("systemctl", "list-units", "--all", "--plain", "--no-legend", "shadow-*.service")


def show(name, prop):
    return run("systemctl", "show", "--value", f"--property={prop}", name)


def status_of(name, key):
    text = pathlib.Path("/proc", show(name, "MainPID"), "status").read_text()
    return next(line for line in text.splitlines() if line.startswith(key)).split()[1:]


def inside(name, script):
    """Exit status of a shell command, as the user and with the files of the unit."""
    pid = show(name, "MainPID")
    uid, gid = status_of(name, "Uid:")[0], status_of(name, "Gid:")[0]
    return subprocess.run(["nsenter", "-t", pid, "-m", "setpriv", "--reuid", uid, "--regid", gid,
                           "--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "sh", "-c",
                           script], capture_output=True, check=False).returncode


def end(unit_id):
    ask(f'stop {{ id: "{unit_id}" force: true }}')
    await_(lambda: state_of(unit_id) in ("", "failed", "inactive"), f"{unit_id} has ended")

    def forgotten():
        ask(f'forget {{ id: "{unit_id}" }}')
        return state_of(unit_id) == "" and not list(TRANSIENT.glob(f"shadow-*-{unit_id}.service"))

    await_(forgotten, f"{unit_id} is forgotten")


def refused(field, *dna, unit_id="bad", code=FAILED_PRECONDITION, **more):
    before = units()
    reply = ask(start_call(unit_id, " ".join(dna), **more))
    check((code_of(reply), field_of(reply)) == (code, field),
          f"{dna}, {unit_id}: wanted a refusal of {field}, not {reply}")
    check(units() == before, f"a refusal has left something: {units()}")


def data_set(source, more="read_only: true"):
    return f'data_sets {{ name: "d" source: "{source}" sha256: "{SHA}" {more} }}'


def helper_pid():
    return int(show("shadowd-units.service", "MainPID"))
