#!/usr/bin/python3
"""The live page in a headless Chromium, over a real shadowd with real processes.

  page_test.py BIN_DIR OUTPUT_DIR    exit 77: skipped, because there is no Chromium

Screenshots of two widths stay in OUTPUT_DIR.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # The tree stays as it was.

import browser

SKIPPED = 77
PATIENCE_S = 45
WAKES_MAX = 4
WAKE_S = 1.0  # From the order until the page shows the instance serving.
POOLS = 50
DAY_S = 86400
STEP_S = 60

DNA = """
name: dnas/web
process:
  argv: [{bin_dir}/shadow-demo-worker, --body, {directory}/body.txt]
  ready_check: {{http: {{path: /healthz}}, interval: 50ms}}
  stop_timeout: 5s
  start_timeout: 20s
"""
POOL = """
name: pools/{name}
dna: dnas/web
demand_unit: requests/s
instance_capacity: 50
{base}
time_zone: Europe/Berlin
policy: {{mode: {mode}, max_shadow_instances: 8, drain_timeout: 1s}}
"""


class Daemon:
    """shadowd in a directory of its own, with the page on a port of its own."""

    def __init__(self, bin_dir):
        self.bin_dir = bin_dir
        self._process = None
        self.serving = 0  # Instances of "web", as the last test left them.
        self.directory = tempfile.mkdtemp(prefix="shadow-page-")
        os.chmod(self.directory, 0o755)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        with open(self.path("body.txt"), "w", encoding="ascii") as file:
            file.write("hello")
        with open(self.path("config"), "w", encoding="ascii") as file:
            file.write(f'http_listen: "127.0.0.1:{self.port}"\n')
        self.start()

    def path(self, name):
        return os.path.join(self.directory, name)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def start(self):
        with open(self.path("log"), "ab") as log:
            self._process = subprocess.Popen(
                [os.path.join(self.bin_dir, "shadowd"), "--state-dir", self.path("state"),
                 "--listen", f"unix:{self.path('s')}", "--config", self.path("config")],
                stdout=log, stderr=log, preexec_fn=browser.die_with_parent)
        self.wait_for(lambda: self.control("status", check=False).returncode == 0, "shadowd")

    def kill(self):
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def close(self):
        """Ends all instances, then the daemon."""
        try:
            self.control("shadow", "delete", self.shadow(), "--wait")
            self.control("pool", "delete", "web")
            self.wait_for(lambda: not self.instances(), "the end of all instances")
        finally:
            self._process.terminate()
            self._process.wait(PATIENCE_S)
            shutil.rmtree(self.directory, ignore_errors=True)

    def wait_for(self, condition, what):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end or self._process.poll() is not None:
                with open(self.path("log"), encoding="utf-8", errors="replace") as log:
                    raise AssertionError(f"waited in vain for {what}\n{log.read()[-4000:]}")
            time.sleep(0.05)

    def control(self, *arguments, check=True, text=None):
        """shadowctl; its output is JSON."""
        result = subprocess.run(
            [os.path.join(self.bin_dir, "shadowctl"), "--address", f"unix:{self.path('s')}",
             "-o", "json", *arguments], capture_output=True, text=True, input=text, check=False)
        if check and result.returncode:
            raise AssertionError(f"shadowctl {' '.join(arguments)}: {result.stderr}")
        return result

    def apply(self, *documents, wait=False):
        self.control("apply", "-f", "-", *(["--wait"] if wait else []),
                     text="---".join(documents))

    def instances(self):
        result = self.control("shadow", "instances", "web", check=False)
        return [] if result.returncode else json.loads(result.stdout)["instances"]

    def shadow(self):
        """Its name: of the pool "web"."""
        return json.loads(self.control("shadow", "list", "web").stdout)["shadowPools"][0]["name"]


def pool(name, base="external_capacity: 100", mode="OBSERVE"):
    return POOL.format(name=name, base=base, mode=mode)


def push_two_days(daemon):
    """Of the pool "web", up to now: a day that rises and falls."""
    now = int(time.time()) // STEP_S * STEP_S
    lines = ["timestamp,value"]
    for at in range(now - 2 * DAY_S, now, STEP_S):
        share = abs(at % DAY_S / DAY_S * 2 - 1)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
        lines.append(f"{stamp},{60 + 140 * (1 - share) + at // STEP_S * 7 % 11}")
    with open(daemon.path("day.csv"), "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
    daemon.control("usage", "push", "web", "--csv", daemon.path("day.csv"))


def prepare(daemon):
    daemon.apply(DNA.format(bin_dir=daemon.bin_dir, directory=daemon.directory),
                 pool("web", "managed_instances: 1"), wait=True)
    # Curves are drawn of those on the screen: web comes before these.
    daemon.apply(*(pool(f"worker-{i:02}") for i in range(POOLS - 2)), pool("quiet"))
    push_two_days(daemon)
    daemon.control("shadow", "create", "web", "--increase", "150", "--wait")


def shows_fifty_pools(daemon, tab):
    tab.open(daemon.url)
    tab.wait(f"document.querySelectorAll('.card').length === {POOLS}", PATIENCE_S)
    tab.wait("document.querySelector('[href=\"#/pools/web\"] .spark-line').getAttribute('d')",
             PATIENCE_S)
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


def shows_a_pool_with_its_past_and_its_coming_day(daemon, tab):
    tab.open(daemon.url + "#/pools/web")
    tab.wait("document.querySelector('path.demand')", PATIENCE_S)
    for layer in ("path.band", "path.forecast", "path.needed", "path.ready", "path.active",
                  "line.now"):
        assert tab.evaluate(f"document.querySelector('.plot {layer}') !== null"), layer
    tab.wait(f"document.querySelectorAll('.tile').length === {len(daemon.instances())}", PATIENCE_S)
    tab.wait("document.querySelector('.caption').textContent.includes('Europe/Berlin')", PATIENCE_S)
    tab.wait("document.querySelector('.hold').textContent.includes('holds until')", PATIENCE_S)
    tab.wait("document.querySelectorAll('.list time').length > 3", PATIENCE_S)


def shows_a_wake_within_a_second(daemon, tab):
    serving = "document.querySelectorAll('.tile[data-state=ACTIVE]').length"
    tab.wait(f"{serving} === 1", PATIENCE_S)
    # How many there are depends on the demand of this hour. A busy machine only makes it longer,
    # so the quickest of some wakes counts.
    shadows = len(daemon.instances()) - 1
    waited = []
    while not waited or (waited[-1] >= WAKE_S and len(waited) < min(WAKES_MAX, shadows)):
        level = 100 * (len(waited) + 1) // shadows
        daemon.control("shadow", "activate", daemon.shadow(), "--level", str(level), "--wait")
        waited.append(tab.wait(f"{serving} === {len(waited) + 2}", PATIENCE_S))
        print(f"  the page shows it {waited[-1]:.2f} s after the daemon has said so")
    daemon.serving = 1 + len(waited)
    assert min(waited) < WAKE_S


def survives_a_restart_of_the_daemon(daemon, tab):
    daemon.kill()
    tab.wait("document.querySelector('#link').dataset.link === 'lost'", PATIENCE_S)
    assert tab.evaluate("document.querySelectorAll('.tile').length") > 0
    daemon.start()
    tab.wait("document.querySelector('#link').dataset.link === 'live'", PATIENCE_S)
    tab.wait("document.querySelectorAll('.tile[data-state=ACTIVE]').length === "
             f"{daemon.serving}", PATIENCE_S)


def tells_times_and_values_by_keyboard(daemon, tab):
    tab.evaluate("document.querySelector('.chart').focus()")
    tab.press("ArrowLeft")  # The newest sample may end a minute or more before now.
    past = tab.evaluate("document.querySelector('.chart').getAttribute('aria-valuetext')")
    tab.press("ArrowRight")
    tab.press("ArrowRight")
    ahead = tab.evaluate("document.querySelector('.chart').getAttribute('aria-valuetext')")
    assert "Demand" in past and "Median" in ahead, (past, ahead)
    tab.press("Home")
    assert tab.evaluate("document.querySelector('.chart').getAttribute('aria-valuenow')") == "0"
    tab.press("Escape")
    tab.wait(f"document.querySelectorAll('.card').length === {POOLS}", PATIENCE_S)
    tab.press("/", "/")
    for letter in "quie":
        tab.press(letter, letter)
    tab.wait("document.querySelectorAll('.card').length === 1", PATIENCE_S)
    tab.press("Tab")
    tab.press("Enter", "\r")
    tab.wait("document.querySelector('h1').textContent === 'quiet'", PATIENCE_S)
    assert daemon.url in tab.evaluate("location.href")


def shows_a_pool_without_data(daemon, tab):
    tab.open("about:blank")
    tab.open(daemon.url + "#/pools/quiet")
    tab.wait("!document.querySelector('.chart-note').hidden && "
             "document.querySelector('.chart-note').textContent.startsWith('No usage')", PATIENCE_S)
    tab.wait("document.querySelector('#h-instances .count').textContent === '0'", PATIENCE_S)


def fits_two_widths_in_light_and_dark(daemon, tab, output):
    for width, dark in ((1280, False), (1280, True), (360, False)):
        tab.size(width, 900, dark)
        for name, fragment, ready in (("pools", "", ".spark-line[d]"),
                                      ("pool", "#/pools/web", "path.demand"),
                                      ("quiet", "#/pools/quiet", "line.now")):
            tab.open("about:blank")
            tab.open(daemon.url + fragment)
            tab.wait(f"document.querySelector('{ready}')", PATIENCE_S)
            assert tab.evaluate("document.documentElement.scrollWidth") == width, (name, width)
            mode = "dark" if dark else "light"
            tab.screenshot(os.path.join(output, f"{name}-{width}-{mode}.png"))


def main(bin_dir, output):
    path = browser.find()
    if path is None:
        print("skipped: no chromium is installed")
        return SKIPPED
    os.makedirs(output, exist_ok=True)
    daemon = Daemon(bin_dir)
    try:
        prepare(daemon)
        with browser.Browser(path) as tab:
            tab.size(1280, 900)
            for test in (shows_fifty_pools, shows_a_pool_with_its_past_and_its_coming_day,
                         shows_a_wake_within_a_second, survives_a_restart_of_the_daemon,
                         tells_times_and_values_by_keyboard, shows_a_pool_without_data):
                print(f"the page {test.__name__.replace('_', ' ')}", flush=True)
                test(daemon, tab)
            # While the daemon was away nothing could be loaded; nothing else may have failed.
            wrong = [text for text in tab.problems if "ERR_" not in text]
            assert not wrong, wrong
            tab.problems.clear()
            print("the page fits two widths in light and dark", flush=True)
            fits_two_widths_in_light_and_dark(daemon, tab, output)
            assert not tab.problems, tab.problems
    finally:
        daemon.close()
    print(f"screenshots: {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
