"""A control plane of Kubernetes on free loopback ports: etcd, API server, controller manager.

The programs are those that build_control_plane has made. Each can be killed and started again.
"""

import ctypes
import http.client
import json
import os
import pathlib
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time

VERSION = "1.20.2"
PROGRAMS = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache",
                        "shadowd", f"kubernetes-{VERSION}")
SKIPPED = 77  # Exit status of a test that cannot run here; ctest reports it by name.
PATIENCE = 60  # Seconds.
ADMIN, CONTROLLERS = "admin-", "controllers-"  # Tokens begin so.
_PR_SET_PDEATHSIG = 1


def await_(condition, what, patience=PATIENCE):
    """Until `condition` holds, and returns what it has returned. Exits if it takes too long; `what`
    is a text, or a function that makes one then."""
    end = time.monotonic() + patience
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            sys.exit(f"FAILED: still not so: {what() if callable(what) else what}")
        time.sleep(0.02)


def enter_own_network():
    """Starts this program again in a network of its own, all of whose 10.0.0.0/8 is local: the API
    server wants pods to have addresses that are not of the loopback device's usual range. Exits
    with SKIPPED where the kernel forbids it."""
    if os.environ.get("SHADOWD_OWN_NETWORK") == "1":
        return
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    up = "ip link set lo up && ip address add 10.0.0.0/8 dev lo"
    made = subprocess.run([*unshare, "sh", "-c", up], capture_output=True, check=False)
    if made.returncode != 0:
        print(f"SKIPPED: no network of its own can be made here: {made.stderr.decode().strip()}")
        sys.exit(SKIPPED)
    os.environ["SHADOWD_OWN_NETWORK"] = "1"
    os.execvp(unshare[0], [*unshare, "sh", "-c", up + ' && exec "$@"', "sh", sys.executable, "-B",
                           *sys.argv])


def need_programs():
    """Exits with SKIPPED where the control plane is not built."""
    if not (PROGRAMS / "etcd").exists():
        print(f"SKIPPED: {PROGRAMS} is missing; tests/cluster/build_control_plane makes it")
        sys.exit(SKIPPED)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _end_with_parent():
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def spawn(command, log, **options):
    """A child that ends with this program, however that ends. It must be started by the main
    thread: the kernel means the parent's thread."""
    with open(log, "ab") as out:
        return subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                stdout=out, stderr=out, preexec_fn=_end_with_parent, **options)


class Api:
    """Requests of one who has a token, one connection each. Any thread."""

    def __init__(self, port, ca_file, token, timeout=10):
        self.port, self.ca_file, self.token, self.timeout = port, ca_file, token, timeout

    def connect(self):
        return http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=self.timeout,
            context=ssl.create_default_context(cafile=str(self.ca_file)))

    def open(self, method, path, body=None, content_type="application/json"):
        """The answer, whose body is not read yet; errors of the connection are OSError or
        http.client.HTTPException."""
        connection = self.connect()
        connection.request(method, path, None if body is None else json.dumps(body),
                           {"Authorization": f"Bearer {self.token}", "Content-Type": content_type})
        return connection.getresponse()

    def call(self, method, path, body=None, content_type="application/json"):
        """(status, what the answer says)."""
        with self.open(method, path, body, content_type) as answer:
            text = answer.read()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, {"message": text.decode(errors="replace")}

    def must(self, method, path, body=None, content_type="application/json"):
        status, answer = self.call(method, path, body, content_type)
        if status >= 400:
            sys.exit(f"FAILED: {method} {path}: {status} {answer.get('message')}")
        return answer

    def merge(self, path, patch):
        return self.must("PATCH", path, patch, "application/merge-patch+json")

    def get(self, path):
        return self.must("GET", path)

    def exists(self, path):
        return self.call("GET", path)[0] == 200


class ControlPlane:
    """Its programs live until `stop`, and no longer than this program."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.processes = {}  # By name.
        self.ca_file = self.directory / "certificates" / "apiserver.crt"
        self.admin_token = ADMIN + secrets.token_hex(16)
        controllers_token = CONTROLLERS + secrets.token_hex(16)
        self.audit_log = self.directory / "audit.json"  # What service accounts ask, a line each.
        self._keys(controllers_token)
        self.port, etcd, peer = free_port(), free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.admin = Api(self.port, self.ca_file, self.admin_token)
        self._kubeconfig("kubeconfig", self.admin_token)
        self._kubeconfig("controllers.kubeconfig", controllers_token)
        store, peers = f"http://127.0.0.1:{etcd}", f"http://127.0.0.1:{peer}"
        at = self.directory
        self.commands = {
            "etcd": ["etcd", "--data-dir", at / "etcd", "--listen-client-urls", store,
                     "--advertise-client-urls", store, "--listen-peer-urls", peers,
                     "--initial-advertise-peer-urls", peers,
                     "--initial-cluster", f"default={peers}"],
            "kube-apiserver": [
                "kube-apiserver", f"--etcd-servers={store}", "--bind-address=127.0.0.1",
                f"--secure-port={self.port}", "--advertise-address=10.0.0.1",
                f"--cert-dir={at}/certificates", "--service-cluster-ip-range=10.254.0.0/16",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={at}/accounts.pub",
                f"--service-account-signing-key-file={at}/accounts.key",
                f"--token-auth-file={at}/tokens.csv", "--authorization-mode=RBAC",
                "--disable-admission-plugins=ServiceAccount", "--allow-privileged=true",
                f"--audit-policy-file={at}/audit-policy.json",
                f"--audit-log-path={self.audit_log}"],
            "kube-controller-manager": [
                "kube-controller-manager", f"--kubeconfig={at}/controllers.kubeconfig",
                "--leader-elect=false", f"--service-account-private-key-file={at}/accounts.key",
                "--use-service-account-credentials=false", "--port=0", "--secure-port=0",
                "--node-monitor-grace-period=10m"],
        }

    def _keys(self, controllers_token):
        self.directory.mkdir(parents=True, exist_ok=True)
        key, public = self.directory / "accounts.key", self.directory / "accounts.pub"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        subprocess.run(["openssl", "rsa", "-in", key, "-pubout", "-out", public], check=True,
                       capture_output=True)
        (self.directory / "tokens.csv").write_text(
            f'{self.admin_token},admin,1,"system:masters"\n'
            f'{controllers_token},system:kube-controller-manager,2,"system:masters"\n')

        (self.directory / "audit-policy.json").write_text(json.dumps({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [
                {"level": "Metadata", "userGroups": ["system:serviceaccounts"],
                 "omitStages": ["RequestReceived"]}, {"level": "None"}]}))

    def _kubeconfig(self, name, token):
        (self.directory / name).write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "tests",
            "clusters": [{"name": "tests", "cluster": {
                "server": self.url, "certificate-authority": str(self.ca_file)}}],
            "users": [{"name": "tests", "user": {"token": token}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}]}))

    def start(self):
        for name in self.commands:
            self.start_one(name)
            if name == "kube-apiserver":
                self.await_ready()

    def start_one(self, name):
        program, *arguments = self.commands[name]
        self.processes[name] = spawn([PROGRAMS / program, *arguments],
                                     self.directory / f"{name}.log")

    def kill_one(self, name, by=signal.SIGKILL):
        process = self.processes.pop(name)
        process.send_signal(by)
        process.wait()

    def await_ready(self):
        def ready():
            try:
                return self.admin.call("GET", "/readyz")[0] == 200
            except (OSError, http.client.HTTPException):
                return False
        await_(ready, lambda: "the API server is ready\n" + self.log("kube-apiserver"))

    def log(self, name):
        return (self.directory / f"{name}.log").read_text(errors="replace")[-2000:]

    def stop(self):
        for name in reversed(list(self.processes)):
            self.kill_one(name)
