#!/usr/bin/env python3
"""Runs the commands of README.md's walk as they are printed: walk.py SOURCE_DIR BIN_DIR

They run in order, in one shell, in a directory of their own, where `build/demo` is a demonstration
of a few steps. Each must succeed and print its words of EXPECTED. Only the build is left out: the
first line must be `./quickstart --keep`, and stands for the programs of BIN_DIR.
"""

import os
import pathlib
import re
import selectors
import subprocess
import sys
import tempfile
import time

from blocks import blocks_of

FIRST = "./quickstart --keep"
LAST = "build/demo/stop"
STEPS = 4
DEMO_SECONDS_MAX = 120
COMMAND_SECONDS_MAX = 60
END = "=== end of command"

# By the beginning of the command: a regular expression for its output.
EXPECTED = {
    ". build/demo/env": r"\A\Z",
    "shadowctl status": r"holds +1 pool, 1 shadow pool",
    "shadowctl pool list": r"\bweb +READY +AUTOMATIC +2/2\b",
    "shadowctl describe pool web": r"(?s)Conditions:.*BalancerReachable +TRUE",
    "shadowctl forecast web --save build/web.svg": r"\A\Z",
    "shadowctl forecast web": r"(?s)pools/web, requests/s\n.*trust: ",
    "shadowctl why web": r"pools/web, (LEVEL|SIZE) decision \d+",
    "shadowctl simulate web": r"(?s)service level 0\.99 .*recommended: ",
    "shadowctl pool evaluate web": r"AUTOMATIC +[\d.]+%",
    "shadowctl shadow resize web": r"of 8\b",
    "shadowctl shadow activate web": r"ACTIVE|level 50%",
    "shadowctl shadow instances web": r"(?s)SHADOW +ACTIVE.*SHADOW +SUSPENDED",
    "curl": r"served by the demonstration",
    "shadowctl shadow release web": r"web",
    "shadowctl events web": r"web",
    "build/demo/stop": r"deleted",
}


def commands_of(readme):
    """The walk without its comments; the first and the last command are as they must be."""
    blocks = blocks_of(readme, "Five minutes")
    if len(blocks) != 1:
        sys.exit(f"README.md: wanted one block of code below Five minutes, found {len(blocks)}")
    commands = [re.sub(r"\s+#.*", "", line) for line in blocks[0]]
    if commands[0] != FIRST or commands[-1] != LAST:
        sys.exit(f"README.md: the walk is not from {FIRST} to {LAST}")
    return commands


def expected_of(command):
    matching = [start for start in EXPECTED if command.startswith(start)]
    if not matching:
        sys.exit(f"walk.py does not know what to expect of: {command}")
    return max(matching, key=len)


class Shell:
    """One bash, so that an `export` counts for the commands after it."""

    def __init__(self, directory, environment):
        self._bash = subprocess.Popen(["bash", "--norc", "-u"], cwd=directory, env=environment,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT)

    def run(self, command):
        """(exit status, output); no answer in time ends the test."""
        self._bash.stdin.write(f"{command}\nprintf '%s %d\\n' '{END}' $?\n".encode())
        self._bash.stdin.flush()
        output = ""
        deadline = time.monotonic() + COMMAND_SECONDS_MAX
        with selectors.DefaultSelector() as selector:
            selector.register(self._bash.stdout, selectors.EVENT_READ)
            while not (found := re.search(rf"{END} (\d+)\n\Z", output)):
                if not selector.select(max(0, deadline - time.monotonic())):
                    return 1, output + f"\n(no end within {COMMAND_SECONDS_MAX} s)"
                chunk = os.read(self._bash.stdout.fileno(), 65536)
                if not chunk:
                    return 1, output + "\n(the shell has ended)"
                output += chunk.decode(errors="replace")
        return int(found[1]), output[:found.start()]

    def close(self):
        self._bash.stdin.close()
        self._bash.wait()


def begin(directory, bin_directory, environment):
    """What the first command does, without the build."""
    demo = subprocess.run(
        [bin_directory / "shadow-demo", "--keep", "--steps", str(STEPS), "--link", "build/demo"],
        cwd=directory, env=environment, timeout=DEMO_SECONDS_MAX, text=True, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(demo.stdout, flush=True)
    return demo.returncode == 0, demo.stdout


def check(command, status, output):
    print(f"$ {command}\n{output}", flush=True)
    if status != 0:
        return [f"exit status {status}: {command}"]
    expected = EXPECTED[expected_of(command)]
    return [] if re.search(expected, output) else [f"no {expected!r} in the output of: {command}"]


def walk(commands, directory, bin_directory):
    """All that is wrong with the walk."""
    (directory / "build").mkdir()
    (directory / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(directory / "tmp")}
    environment.pop("SHADOWD_ADDRESS", None)
    begun, printed = begin(directory, bin_directory, environment)
    if not begun:
        return [f"it did not begin: {FIRST}"]
    shell = Shell(directory, environment)
    faults = []
    for command in commands[1:]:
        if command not in printed.replace(f"{directory}/build/demo", "build/demo"):
            faults.append(f"the demonstration does not print: {command}")
        status, output = shell.run(command)
        faults += check(command, status, output)
    shell.close()
    if not (directory / "build/web.svg").read_text().startswith("<svg"):
        faults.append("build/web.svg is no picture")
    left = sorted((directory / "tmp").iterdir()) + list((directory / "build").glob("demo"))
    return faults + [f"left behind: {path}" for path in left]


def main():
    source, bin_directory = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    commands = commands_of((source / "README.md").read_text())
    used = {expected_of(command) for command in commands[1:]}
    unused = [f"README.md has no longer: {start}" for start in EXPECTED if start not in used]
    with tempfile.TemporaryDirectory(prefix="walk-") as directory:
        faults = unused + walk(commands, pathlib.Path(directory), bin_directory)
        stop = pathlib.Path(directory) / "build/demo/stop"
        if faults and stop.exists():
            subprocess.run([stop], timeout=COMMAND_SECONDS_MAX, check=False)
    if faults:
        sys.exit("FAILED: " + "\nFAILED: ".join(faults))


main()
