#!/usr/bin/env python3
"""HAProxy itself accepts the configuration that README.md gives to copy: haproxy_cfg.py README"""

import pathlib
import subprocess
import sys
import tempfile

from blocks import blocks_of


def main():
    blocks = blocks_of(pathlib.Path(sys.argv[1]).read_text(), "HAProxy")
    configs = ["\n".join(block) + "\n" for block in blocks if block and block[0] == "global"]
    if len(configs) != 1:
        sys.exit(f"README.md: wanted one haproxy.cfg below HAProxy, found {len(configs)}")
    for needed in ("server-state-file /run/haproxy/server-state",
                   "load-server-state-from-file global", "stats socket /run/haproxy/admin.sock"):
        if needed not in configs[0]:
            sys.exit(f"README.md: its haproxy.cfg has no {needed}")
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        file.write(configs[0])
        file.flush()
        check = subprocess.run(["/usr/sbin/haproxy", "-c", "-f", file.name], capture_output=True,
                               text=True, check=False)
    print(check.stdout, check.stderr, sep="")
    warnings = [line for line in check.stderr.splitlines()
                if "[WARNING]" in line and "state file" not in line]  # None before the first dump.
    sys.exit(check.returncode or ("README.md: HAProxy warns" if warnings else 0))


main()
