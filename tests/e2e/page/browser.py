"""A headless Chromium, driven over its debugging port with the standard library alone."""

import base64
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

NAMES = ("chromium", "chromium-browser", "google-chrome")
START_S = 60
CALL_S = 60  # A busy machine lets a browser wait long; a dead one is found by its socket.
POLL_S = 0.02


PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def die_with_parent():
    """For preexec_fn: nothing is left behind by a test that is killed."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def find():
    """The path of the browser; None: there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class WebSocket:
    """A client of RFC 6455 for text messages on loopback."""

    def __init__(self, port, path):
        self._socket = socket.create_connection(("127.0.0.1", port), CALL_S)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall((f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                              "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                              f"Sec-WebSocket-Key: {key}\r\n"
                              "Sec-WebSocket-Version: 13\r\n\r\n").encode())
        self._buffer = b""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise RuntimeError(f"no WebSocket: {head[:200]!r}")

    def _more(self):
        data = self._socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the browser has closed the connection")
        self._buffer += data

    def _take(self, count):
        while len(self._buffer) < count:
            self._more()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def send(self, text):
        data = text.encode()
        mask = os.urandom(4)
        if len(data) < 126:
            head = bytes([0x81, 0x80 | len(data)])
        elif len(data) < 1 << 16:
            head = bytes([0x81, 0x80 | 126]) + len(data).to_bytes(2, "big")
        else:
            head = bytes([0x81, 0x80 | 127]) + len(data).to_bytes(8, "big")
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
        self._socket.sendall(head + mask + masked)

    def receive(self):
        """The next text message, whole."""
        message = b""
        while True:
            first, second = self._take(2)
            length = second & 0x7F
            if length == 126:
                length = int.from_bytes(self._take(2), "big")
            elif length == 127:
                length = int.from_bytes(self._take(8), "big")
            payload = self._take(length)
            if first & 0x0F == 8:
                raise ConnectionError("the browser has closed the connection")
            if first & 0x0F > 2:
                continue  # A ping; the browser does not insist on an answer.
            message += payload
            if first & 0x80:
                return message.decode()

    def close(self):
        self._socket.close()


class Browser:
    """One tab. `problems`: what its console and its loading complained of."""

    def __init__(self, path):
        self.problems = []
        self._calls = 0
        self._home = tempfile.TemporaryDirectory(prefix="shadow-browser-",
                                                 ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--hide-scrollbars", "--no-first-run", "--disable-extensions",
             "--disable-background-networking", "--disable-component-update",
             "--remote-debugging-port=0", f"--user-data-dir={self._home.name}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent)
        port = self._port()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=CALL_S) as answer:
            tab = next(tab for tab in json.load(answer) if tab["type"] == "page")
        self._socket = WebSocket(port, tab["webSocketDebuggerUrl"].split(str(port), 1)[1])
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)  # As a window in front.

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()
        self._process.kill()
        self._process.wait()
        self._home.cleanup()

    def _port(self):
        path = os.path.join(self._home.name, "DevToolsActivePort")
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            try:
                with open(path, encoding="ascii") as file:
                    return int(file.readline())
            except (OSError, ValueError):
                time.sleep(POLL_S)
        raise RuntimeError("the browser does not start")

    def call(self, method, **parameters):
        self._calls += 1
        self._socket.send(json.dumps({"id": self._calls, "method": method,
                                      "params": parameters}))
        while True:
            message = json.loads(self._socket.receive())
            if message.get("id") == self._calls:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self._note(message)

    def _note(self, message):
        parameters = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description", details["text"]))
        if message.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.problems.append(parameters["entry"]["text"])

    def size(self, width, height, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, url):
        self.call("Page.navigate", url=url)

    def evaluate(self, expression):
        """The value of a JavaScript expression."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, expression, patience_s):
        """Seconds until `expression` is true; fails after `patience_s`."""
        start = time.monotonic()
        while True:
            try:
                if self.evaluate(f"Boolean({expression})"):
                    return time.monotonic() - start
            except RuntimeError:
                pass  # The page is being replaced, or the node is not there yet.
            if time.monotonic() - start > patience_s:
                text = self.evaluate("`${document.visibilityState}, loaded ${performance.now()} ms "
                                     "ago\n${document.body.innerText}`")
                raise AssertionError(f"not within {patience_s} s: {expression}\n{text[:1500]}")
            time.sleep(POLL_S)

    def press(self, key, text=None):
        extra = {"text": text} if text else {}
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowLeft": 37,
                 "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        code = codes.get(key, 0)
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code,
                      code=key, **(extra if kind == "keyDown" else {}))

    def screenshot(self, path):
        """Of the whole page, not of the window alone."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                         clip={"x": 0, "y": 0, "width": size["width"],
                               "height": min(size["height"], 6000), "scale": 1})["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
