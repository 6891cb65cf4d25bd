"""Who may include whom: the arrows of ARCHITECTURE.md, as one table.

A rule takes all sources and yields (path, line, message).
"""

import re

_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
_IMPORT = re.compile(r'^\s*import\s+(?:public\s+)?"([^"]+)"')
_OURS = ("forecast/", "storage/", "server/", "client/", "tests/", "shadow/v1/", "google/rpc/")

# Generated from proto/: messages for everyone, stubs for those who may know gRPC.
MESSAGES = r"(shadow/v1|google/rpc)/\w+\.pb\.h"
STUBS = r"shadow/v1/\w+\.grpc\.pb\.h"

# Headers of others.
STANDARD = r"[a-z_0-9]+"
POSIX = r"(fcntl|unistd|errno|signal|time|pthread)\.h|sys/(file|stat|statvfs|types)\.h"
ABSEIL = r"absl/.+"
EIGEN = r"(unsupported/)?Eigen/.+"
PROTOBUF = r"google/protobuf/.+"
OPENSSL = r"openssl/.+"
SQLITE = r"sqlite3\.h"
ANY = r".+"

_CORE = r"server/core/.+"
_ADAPTER = r"server/(providers|units|balancers|usage)/.+"
# Control thread, effect runner, ...: what daemon.cc composes.
_THREADS = r"server/((workers|log)/)?(?!daemon)\w+\.h"

# Includer (a regular expression on its path; the first that matches counts) -> our headers that
# it may include, headers of others that it may include.
TABLE = [
    (r"forecast/", [r"forecast/.+"], [STANDARD, EIGEN, ABSEIL]),
    (r"storage/", [r"storage/.+", MESSAGES], [STANDARD, POSIX, ABSEIL, PROTOBUF, SQLITE]),
    # arpa/inet.h: inet_pton only parses text.
    (
        _CORE,
        [_CORE, r"forecast/.+", MESSAGES],
        [STANDARD, ABSEIL, PROTOBUF, OPENSSL, r"arpa/inet\.h"],
    ),
    # A small program of its own, which is to stay small.
    (
        r"server/holder/",
        [r"server/holder/.+"],
        [STANDARD, POSIX, r"poll\.h|sys/(signalfd|timerfd|wait)\.h"],
    ),
    # Below the systemd provider, and for the privileged helper alone.
    (
        r"server/units/",
        [r"server/units/.+", r"server/providers/process_(credentials|dna)\.h", _CORE, MESSAGES],
        [ANY],
    ),
    (r"server/providers/", [r"server/(providers|units|holder)/.+", _CORE, MESSAGES], [ANY]),
    # A Service goes by the labels of pods.
    (
        r"server/balancers/",
        [r"server/balancers/.+", r"server/providers/kubernetes/(cluster|pod_names)\.h", _CORE,
         MESSAGES],
        [ANY],
    ),
    # HAProxy is read over the same runtime socket that it is steered by, and a pool's slice has the
    # name that its units give it.
    (
        r"server/usage/",
        [r"server/usage/.+", r"server/balancers/haproxy_(socket|replies)\.h",
         r"server/units/unit_name\.h", _CORE, MESSAGES],
        [ANY],
    ),
    (r"server/api/", [r"server/api/.+", _CORE, _THREADS, r"storage/.+", MESSAGES, STUBS], [ANY]),
    # Around daemon.cc: whether it may run.
    (
        r"server/lease/",
        [r"server/(lease|log|providers/kubernetes/lease)/.+", _CORE, MESSAGES],
        [ANY],
    ),
    (r"server/(daemon|adapters)\.cc", [r"(server|storage|forecast)/.+", MESSAGES, STUBS], [ANY]),
    (r"server/", [rf"(?!{_ADAPTER})server/.+", r"(storage|forecast)/.+", MESSAGES, STUBS], [ANY]),
    (r"client/", [r"client/.+", MESSAGES, STUBS], [ANY]),
    (r"tests/", [ANY], [ANY]),
]


def _included(source):
    """(line, header, spelled with quotes) of each #include that is code."""
    for number, (line, code) in enumerate(zip(source.lines, source.code), 1):
        match = _INCLUDE.match(line)
        if match and code.lstrip().startswith("#"):
            yield number, match[2], match[1] == '"'


def include_boundary(sources):
    for source in sources:
        if not source.is_cpp:
            continue
        row = next((row for row in TABLE if re.match(row[0], source.path)), None)
        if row is None:
            yield source.path, 0, "lies in no folder of the table in tests/lint/includes.py"
            continue
        for number, header, _ in _included(source):
            allowed = row[1] if header.startswith(_OURS) else row[2]
            if not any(re.fullmatch(pattern, header) for pattern in allowed):
                yield source.path, number, f"may not include {header}"


def include_spelling(sources):
    for source in sources:
        for number, header, quoted in _included(source) if source.is_cpp else []:
            if header.startswith(_OURS) and not quoted:
                yield source.path, number, f"{header}: ours stand in quotes"
            if quoted and ("/" not in header or header.startswith(".")):
                yield source.path, number, f"{header}: ours are spelled from the root"


def proto_import(sources):
    for source in sources:
        for number, line in enumerate(source.lines if source.is_proto else [], 1):
            match = _IMPORT.match(line)
            if match and not match[1].startswith(("shadow/v1/", "google/")):
                yield source.path, number, f"may not import {match[1]}"


RULES = {
    "include-boundary": include_boundary,
    "include-spelling": include_spelling,
    "proto-import": proto_import,
}
