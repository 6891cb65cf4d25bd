"""The life of a pool whose instances are units of the host: units_pool.py PROTO_DIR

Runs as root on a host that units_host.sh has prepared, with shadowd and a demo worker.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import urllib.request

from units_wire import (await_, check, helper_pid, inside, run, show, status_of)

GRANTS = """
capabilities: "CAP_NET_BIND_SERVICE"
read_only_sources: "/srv/data"
credential_sources: "/etc/shadowd/credentials"
"""
WORKER = "/usr/libexec/shadowd/shadow-demo-worker"
SECURITY = """
  dynamic_user: true
  private_tmp: true
  capabilities: [CAP_NET_BIND_SERVICE]
  secrets: [{environment_variable: TOKEN, source_file: /etc/shadowd/credentials/token}]"""
POOL = """---
name: dnas/{name}
security:{security}
data_sets:
  - {{name: set, source: /srv/data/set, read_only: true, sha256: {digest}}}
resources: {{memory_max_bytes: 536870912}}
process:
  argv: [{worker}, --startup, 100ms, --port, $(PORT)]
  ready_check: {{http: {{path: /healthz}}}}
warm_up: {{requests: 3}}
---
name: pools/{name}
dna: dnas/{name}
provider: {{systemd: {{manager: SYSTEM}}}}
balancer: {{none: {{}}}}
demand_unit: requests/s
step: 1m
season_lengths: [24h, 168h]
managed_instances: 1
instance_capacity: 40
policy: {{mode: OBSERVE, max_shadow_instances: 8}}
"""


def digest():
    return run("sh", "-c", "cd /srv/data/set && find . -type f | sed 's,^./,,' | sort |"
               " xargs sha256sum | sha256sum").split()[0]


def apply(name, security):
    path = pathlib.Path(f"/tmp/{name}.yaml")
    path.write_text(POOL.format(name=name, security=security, digest=digest(), worker=WORKER))
    return subprocess.run(["timeout", "60", "shadowctl", "apply", "-f", str(path), "--wait"],
                          capture_output=True, text=True, check=False)


def shadowctl(*words):
    done = subprocess.run(["timeout", "60", "shadowctl", *words], capture_output=True, text=True,
                          check=False)
    check(done.returncode == 0, f"shadowctl {words}: {done.stdout} {done.stderr}\n"
          + run("journalctl", "-n", "40", "--no-pager", "-o", "cat"))
    return done.stdout


def units():
    lines = run("systemctl", "list-units", "--plain", "--no-legend", "shadow-*.service")
    return sorted(line.split()[0] for line in lines.splitlines()
                  if line.split()[0] not in ("shadowd.service", "shadowd-units.service"))


def address(name):
    environment = pathlib.Path("/proc", show(name, "MainPID"), "environ").read_bytes()
    port = next(part for part in environment.split(b"\0") if part.startswith(b"PORT="))
    return "http://127.0.0.1:" + port.decode()[5:] + "/"


def answers(name, seconds=5):
    try:
        with urllib.request.urlopen(address(name), timeout=seconds) as reply:
            return reply.status == 200
    except OSError:
        return False


def each_unit_is_what_its_dna_says(names):
    uids = set()
    for name in names:
        uid = status_of(name, "Uid:")[0]
        uids.add(uid)
        check(int(uid) > 60000, f"{name} has the user {uid}")
        for key in ("CapBnd:", "CapEff:"):
            check(status_of(name, key) == ["0000000000000400"], f"{name}: {key}")
        check(inside(name, "echo x > /srv/data/set/file") != 0, f"{name} can write its data set")
        credential = f"/run/credentials/{name}/TOKEN"
        check(inside(name, f"grep -q hush {credential}") == 0, f"{name} has no credential")
        for other in names:
            if other != name:
                check(inside(other, f"cat {credential}") != 0, f"{other} reads a credential")
                check(inside(other, f"cat /proc/{show(name, 'MainPID')}/environ") != 0,
                      f"{other} reads an environment")
        check(inside(name, "test -w /run/shadowd/shadowd.sock") != 0, f"{name} reaches shadowd")
    check(len(uids) == len(names), f"users are shared: {uids}")


def undisturbed(what, names, serving):
    check(units() == names, f"{what} changed units {names} to {units()}")
    for name in serving:
        check(answers(name), f"{name} does not answer after {what}")


def main():
    pathlib.Path("/etc/shadowd/units.textproto").write_text(GRANTS)
    done = apply("web", SECURITY)
    check(done.returncode == 0, f"{done.stdout} {done.stderr}\n"
          + run("journalctl", "-n", "40", "--no-pager", "-o", "cat"))
    shadowctl("shadow", "create", "web", "--increase", "120", "--wait")
    names = units()
    check(len(names) >= 3, f"a base and a shadow: {names}")
    frozen = [name for name in names if show(name, "FreezerState") == "frozen"]
    check(len(frozen) == len(names) - 1, f"of {names} these are suspended: {frozen}")
    each_unit_is_what_its_dna_says(names)
    check(not answers(frozen[0], seconds=0.5), "a suspended instance answers")

    shadowctl("shadow", "activate", "web", "--level", "100", "--wait")
    await_(lambda: all(answers(name) for name in names), "all serve")
    undisturbed("an activation", names, names)
    os.kill(helper_pid(), signal.SIGKILL)
    undisturbed("a kill of shadowd-units", names, names)
    run("systemctl", "restart", "shadowd")
    undisturbed("a restart of shadowd", names, names)
    shadowctl("shadow", "activate", "web", "--level", "50", "--wait")
    frozen = [name for name in names if show(name, "FreezerState") == "frozen"]
    check(len(frozen) == (len(names) - 1) // 2, f"half of the shadow is suspended: {frozen}")

    # More than the policy grants: no unit, and the instance says which field.
    more = SECURITY.replace("CAP_NET_BIND_SERVICE", "CAP_SYS_ADMIN")
    done = apply("more", more)
    check(done.returncode != 0, "a pool has what the policy does not grant")
    check(units() == names, f"a refusal has left something: {units()}")
    told = done.stdout + done.stderr + run("journalctl", "-u", "shadowd", "--no-pager")
    check("dna.security.capabilities[0]" in told, f"the field is not named: {told}")

    shadowctl("shadow", "delete", "web", "--wait")
    shadowctl("pool", "delete", "web", "--wait")
    await_(lambda: not units(), "no units are left")
    print("a pool of units lives", json.dumps(names))


if __name__ == "__main__":
    sys.exit(main())
