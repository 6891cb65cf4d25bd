#!/usr/bin/python3
"""/metrics of a real shadowd: promtool likes it, and the rules and the board name nothing else.

  metrics_test.py BIN_DIR SOURCE_DIR    exit 77: skipped, because there is no promtool
"""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

SKIPPED = 77
PATIENCE_S = 20

DNA = """
name: dnas/web
process:
  argv: [{bin_dir}/shadow-demo-worker]
  ready_check: {{http: {{path: /healthz}}, interval: 50ms}}
  start_timeout: 20s
"""
POOL = """
name: pools/web
dna: dnas/web
demand_unit: requests/s
instance_capacity: 50
managed_instances: 1
step: 1s
policy: {mode: AUTOMATIC, service_level: 0.95, max_shadow_instances: 2, drain_timeout: 1s}
"""
_METRIC = re.compile(r"\bshadowd_[a-z0-9_]+")
_SAMPLE = re.compile(r"^(shadowd_[a-z0-9_]+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class UnixConnection(http.client.HTTPConnection):
    """HTTP over the daemon's Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE_S)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(self._path)


class Daemon:
    """shadowd in a directory of its own."""

    def __init__(self, bin_dir):
        self._bin_dir = bin_dir
        self._directory = tempfile.mkdtemp(prefix="shadow-metrics-")
        with open(self._path("config"), "w", encoding="ascii") as config:
            config.write(f'state_dir: "{self._path("state")}"\n'
                         f'listen: "unix:{self._path("s")}"\n'
                         f'http_listen: "unix:{self._path("http")}"\n')
        with open(self._path("log"), "wb") as log:
            self._process = subprocess.Popen(
                [os.path.join(bin_dir, "shadowd"), "--config", self._path("config")],
                stdout=log, stderr=log)
        self.wait_for(self._ready, "/readyz")

    def _path(self, name):
        return os.path.join(self._directory, name)

    def _ready(self):
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def get(self, path):
        """(status, text)"""
        connection = UnixConnection(self._path("http"))
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()

    def control(self, *arguments, text=None):
        result = subprocess.run(
            [os.path.join(self._bin_dir, "shadowctl"), "--address", f"unix:{self._path('s')}",
             "-o", "json", *arguments], capture_output=True, text=True, input=text, check=False)
        if result.returncode:
            raise AssertionError(f"shadowctl {' '.join(arguments)}: {result.stderr}")
        return result.stdout

    def wait_for(self, condition, what):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end or self._process.poll() is not None:
                with open(self._path("log"), encoding="utf-8", errors="replace") as log:
                    raise AssertionError(f"waited in vain for {what}\n{log.read()[-4000:]}")
            time.sleep(0.05)

    def close(self):
        try:
            if self._process.poll() is None:
                self.control("pool", "delete", "web")
                self.wait_for(lambda: 'pool="web"' not in self.get("/metrics")[1],
                              "the end of the pool")
        finally:
            self._process.terminate()
            self._process.wait(PATIENCE_S)
            shutil.rmtree(self._directory, ignore_errors=True)


def samples_of(text):
    """{(name, label=value, ...): value}"""
    return {(name, *sorted(f"{key}={value}" for key, value in _LABEL.findall(labels))): float(value)
            for name, labels, value in _SAMPLE.findall(text)}


def promtool_likes(text):
    result = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                            text=True, check=False)
    assert result.returncode == 0 and not result.stderr, result.stdout + result.stderr


def named_in(source_dir):
    """Of the rules and the board; the parts of histograms and summaries by their base."""
    directory = os.path.join(source_dir, "systemd", "monitoring")
    names = set()
    for file in ("shadowd-alerts.yml", "shadowd-board.json"):
        with open(os.path.join(directory, file), encoding="utf-8") as content:
            names |= set(_METRIC.findall(content.read()))
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


def conditions_agree(samples, pool):
    for condition in pool["conditions"]:
        key = ("shadowd_pool_condition", "pool=web", f"reason={condition['reason']}",
               f"type={condition['type']}")
        wanted = {"TRUE": 1.0, "FALSE": 0.0}.get(condition["status"])
        assert samples.get(key) == wanted, (key, samples.get(key), wanted)


def agrees_with_get_pool(daemon):
    """What changes by itself may do so between two reads, so it is compared until it agrees."""

    def compare():
        pool = json.loads(daemon.control("pool", "get", "web"))
        samples = samples_of(daemon.get("/metrics")[1])
        of_web = "pool=web"
        assert samples[("shadowd_pool_serving_base_instances", of_web)] == \
            pool["servingBaseInstances"] == 1
        assert samples[("shadowd_pool_instances", of_web, "role=base", "state=active")] == 1
        assert samples[("shadowd_pool_service_level", of_web)] == 0.95
        lead = float(pool["activationLead"].removesuffix("s"))
        assert abs(samples[("shadowd_pool_activation_lead_seconds", of_web)] - lead) < 1e-6
        assert samples[("shadowd_pool_demand", of_web)] == 20
        assert samples[("shadowd_pool_capacity", of_web)] == 50
        conditions_agree(samples, pool)
        assert sum(value for key, value in samples.items()
                   if key[0] == "shadowd_pool_decisions_total") > 0

    def agrees():
        try:
            compare()
            return True
        except (AssertionError, KeyError):
            return False

    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and not agrees():
        time.sleep(0.05)
    compare()


def counts_go_on(daemon):
    def calls():
        samples = samples_of(daemon.get("/metrics")[1])
        return sum(value for key, value in samples.items()
                   if key[0] == "shadowd_call_duration_seconds_count")

    before = calls()
    assert before > 0
    daemon.wait_for(lambda: calls() > before, "another call")


def main(bin_dir, source_dir):
    if shutil.which("promtool") is None:
        print("skipped: no promtool is installed")
        return SKIPPED
    daemon = Daemon(bin_dir)
    try:
        daemon.control("apply", "-f", "-", "--wait",
                       text=DNA.format(bin_dir=bin_dir) + "---" + POOL)
        now = int(time.time())
        daemon.control("usage", "push", "web", "--value", "20")
        assert daemon.get("/healthz") == (200, "ok\n")
        assert daemon.get("/readyz")[0] == 200
        agrees_with_get_pool(daemon)
        counts_go_on(daemon)
        text = daemon.get("/metrics")[1]
        promtool_likes(text)
        exported = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
        missing = named_in(source_dir) - exported
        assert not missing, f"named in systemd/monitoring and not exported: {sorted(missing)}"
        print(f"{len(exported)} metrics, {time.time() - now:.1f} s")
    finally:
        daemon.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
