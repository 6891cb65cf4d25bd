#!/usr/bin/env python3
"""Runs the examples of clients against a real shadowd: client_examples.py SOURCE_DIR BIN_DIR

The stubs for Python are made from the protos as client/examples/README.md says.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

SECONDS_MAX = 60
INSTALLED_WORKER = "/usr/libexec/shadowd/shadow-demo-worker"


class Watcher:
    """A program whose lines of output are waited for."""

    def __init__(self, argv, environment):
        self._lines = []
        self._more = threading.Condition()
        self.process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self):
        for line in self.process.stdout:
            with self._more:
                self._lines.append(line.strip())
                self._more.notify_all()

    def wait_for(self, pattern):
        """A line that is all of `pattern`."""
        with self._more:
            found = self._more.wait_for(
                lambda: any(re.fullmatch(pattern, line) for line in self._lines), SECONDS_MAX)
            assert found, f"no {pattern} in {self._lines}"

    def end(self):
        self.process.kill()
        self.process.wait()
        self._thread.join()


def make_stubs(source, directory):
    protos = sorted((source / "proto/shadow/v1").glob("*.proto"))
    subprocess.run(["protoc", f"-I{source / 'proto'}", f"--python_out={directory}",
                    f"--grpc_python_out={directory}",
                    "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin", *protos],
                   check=True)


def answers(ctl, environment):
    return subprocess.run([*ctl, "status"], env=environment, capture_output=True,
                          check=False).returncode == 0


def check_examples(source, bins, directory, environment):
    address = environment["SHADOWD_ADDRESS"]
    ctl = [bins / "shadowctl"]

    def run(*argv, **options):
        return subprocess.run(argv, env=environment, check=True, text=True, timeout=SECONDS_MAX,
                              stdout=subprocess.PIPE, **options).stdout

    demo = (source / "client/examples/demo.yaml").read_text()
    (directory / "demo.yaml").write_text(
        demo.replace(INSTALLED_WORKER, str(bins / "shadow-demo-worker")))
    deadline = time.monotonic() + SECONDS_MAX
    while not answers(ctl, environment):
        assert time.monotonic() < deadline, "shadowd does not answer"
    run(*ctl, "apply", "-f", directory / "demo.yaml", "--wait")

    examples = source / "client/examples"
    reported = run(sys.executable, examples / "python/report_usage.py", address, "pools/demo",
                   input="60\n")
    assert reported == "pools/demo: 1 sample\n", reported

    watcher = Watcher([sys.executable, examples / "python/watch_endpoints.py", address,
                       "pools/demo"], environment)
    try:
        one = r"127\.0\.0\.1:\d+"
        watcher.wait_for(one)
        run(*ctl, "shadow", "create", "demo", "--increase", "60", "--wait")
        run(*ctl, "shadow", "activate", "demo", "--level", "100", "--wait")
        watcher.wait_for(f"{one}( {one})+")
        run(*ctl, "shadow", "delete", "demo", "--wait")
    finally:
        watcher.end()

    events = run(bins / "example-watch-pool", address, "pools/demo", "61", "3")
    assert re.match(r"\d+ CREATED pools/demo\n", events), events
    run(*ctl, "pool", "delete", "demo", "--wait")


def main():
    source, bins = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="examples-") as name:
        directory = pathlib.Path(name)
        make_stubs(source, directory)
        address = f"unix:{directory}/socket"
        environment = {**os.environ, "SHADOWD_ADDRESS": address, "PYTHONPATH": name,
                       "PYTHONDONTWRITEBYTECODE": "1"}
        with open(directory / "log", "w", encoding="utf-8") as log:
            daemon = subprocess.Popen([bins / "shadowd", "--state-dir", directory / "state",
                                       "--listen", address], stdout=log, stderr=log)
        try:
            check_examples(source, bins, directory, environment)
        except (AssertionError, subprocess.SubprocessError):
            print((directory / "log").read_text())
            raise
        finally:
            subprocess.run([bins / "shadowctl", "pool", "delete", "demo", "--wait"],
                           env=environment, capture_output=True, check=False)
            daemon.terminate()
            daemon.wait()


main()
