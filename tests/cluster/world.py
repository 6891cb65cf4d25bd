"""What the tests of the daemon on a cluster begin with: control plane, node, namespace, Service,
shadowd with the rights of its manifests and no others, and a pool "web".
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import yaml

from control_plane import Api, ControlPlane, await_, enter_own_network, need_programs, spawn

HERE = pathlib.Path(__file__).resolve().parent
MANIFESTS = HERE.parents[1] / "server" / "providers" / "kubernetes" / "manifests"
NAMESPACE = "shop"
ACCOUNT = "shadowd"
SERVICE = "web"
ROLE, ROLE_ACTIVE = "shadow.dev/role", "active"
DIGEST = "sha256:" + "1" * 64
IMAGE = "registry.example/demo-worker"
POOL = """---
name: dnas/web
operating_system: {{image: {image}, image_digest: "{digest}"}}
network: {{port_min: 8080, port_max: 8080}}
process:
  argv: [{worker}, --port, $(PORT), --capacity, "400", --service-time, 5ms]
  ready_check: {{http: {{path: /healthz}}}}
  stop_timeout: 5s
  start_timeout: 20s
warm_up: {{requests: 3}}
---
name: pools/web
dna: dnas/web
provider:
  kubernetes:
    namespace: {namespace}
    api_server: "{api_server}"
    token_file: {token}
    ca_file: {ca}
balancer: {{service: {{}}}}
usage_sources: [{{pushed: {{}}}}]
demand_unit: requests/s
step: 1m
managed_instances: {base}
instance_capacity: 50
policy:
  activation_interval: 0.5s
  max_shadow_instances: 8
  drain_timeout: 5s
"""


def check(condition, message):
    if not condition:
        sys.exit(f"FAILED: {message}")


def documents(path):
    """The objects of a file of YAML."""
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


def collection(kind):
    """Where objects of this kind are in the API: (prefix, plural)."""
    return {
        "Role": ("/apis/rbac.authorization.k8s.io/v1", "roles"),
        "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
        "ServiceAccount": ("/api/v1", "serviceaccounts"),
        "Service": ("/api/v1", "services"),
        "Secret": ("/api/v1", "secrets"),
        "ConfigMap": ("/api/v1", "configmaps"),
        "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims"),
        "StatefulSet": ("/apis/apps/v1", "statefulsets"),
        "Deployment": ("/apis/apps/v1", "deployments"),
        "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets"),
        "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies"),
        "Namespace": ("/api/v1", "namespaces"),
        "Pod": ("/api/v1", "pods"),
        "Endpoints": ("/api/v1", "endpoints"),
        "ResourceQuota": ("/api/v1", "resourcequotas"),
        "Lease": ("/apis/coordination.k8s.io/v1", "leases"),
    }[kind]


class Daemon:
    """A shadowd with a state directory of its own. `lease`: text of kubernetes_lease."""

    def __init__(self, binaries, directory, lease=""):
        self.binaries, self.directory = binaries, pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        self.socket, self.log_path = self.directory / "socket", self.directory / "log"
        self.config = self.directory / "shadowd.textproto"
        self.config.write_text(f'log_level: "debug"\nlisten: "unix:{self.socket}"\n'
                               f'state_dir: "{self.directory}/state"\n{lease}\n')
        self.process = None

    def begin(self):
        self.process = spawn([self.binaries / "shadowd", "--config", self.config], self.log_path)

    def start(self):
        self.begin()
        await_(self.serves, lambda: "shadowd serves\n" + self.log())

    def serves(self):
        check(self.process.poll() is None, f"shadowd has ended\n{self.log()}")
        return self.socket.exists() and self.ctl("status").returncode == 0

    def kill(self, by=signal.SIGKILL):
        self.process.send_signal(by)
        return self.process.wait(30)

    def log(self):
        return self.log_path.read_text()[-4000:] if self.log_path.exists() else ""

    def ctl(self, *words, patience=60):
        return subprocess.run([self.binaries / "shadowctl", "--address", f"unix:{self.socket}",
                               *words], capture_output=True, text=True, check=False,
                              timeout=patience)

    def must(self, *words):
        done = self.ctl(*words)
        check(done.returncode == 0,
              f"shadowctl {' '.join(map(str, words))}: {done.stdout}{done.stderr}\n{self.log()}")
        return done.stdout

    def show(self, *words):
        return json.loads(self.must(*words, "--output", "json"))


class World:
    """One cluster. Everything ends with this program."""

    def __init__(self, binaries):
        self.binaries = pathlib.Path(binaries)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="shadow-cluster-"))
        self.directory.chmod(0o755)
        self.cluster = ControlPlane(self.directory / "cluster")
        self.loads = 0
        self.players = 0
        self.player = None

    def __enter__(self):
        self.begun = time.monotonic()
        self.cluster.start()
        self.admin = self.cluster.admin
        self.admin.must("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        self.start_player()
        self.grant()
        self.token_file = self.directory / "token"
        self.token_file.write_text(self.fresh_token())
        self.add("Service", {"metadata": {"name": SERVICE}, "spec": {
            "selector": {ROLE: ROLE_ACTIVE}, "ports": [{"port": 80, "targetPort": 8080}]}})
        self.say("the cluster is up")
        return self

    def __exit__(self, *error):
        for log in sorted(self.directory.rglob("*log")) if error[0] else []:
            print(f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}")
        if self.player:
            self.player.terminate()  # Its pods end with it.
        self.cluster.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def say(self, what):
        print(f"[{time.monotonic() - self.begun:6.2f} s] {what}", flush=True)

    def start_player(self):
        """Pods have other addresses than those of the player before."""
        self.players += 1
        self.player = spawn(
            [sys.executable, "-B", HERE / "node_player.py", self.cluster.port, self.cluster.ca_file,
             self.cluster.admin_token, self.directory, f"10.{self.players}.0.1"],
            self.directory / "player.log")

    # Objects of the namespace.

    def path(self, kind, name=""):
        prefix, plural = collection(kind)
        return f"{prefix}/namespaces/{NAMESPACE}/{plural}" + (f"/{name}" if name else "")

    def add(self, kind, body):
        return self.admin.must("POST", self.path(kind), body)

    def grant(self):
        """Service account and rights as the manifests have them."""
        for one in documents(MANIFESTS / "base" / "rbac.yaml"):
            one["metadata"].pop("namespace", None)
            for subject in one.get("subjects", []):
                subject["namespace"] = NAMESPACE
            self.add(one["kind"], one)

    def fresh_token(self, bound_to=None):
        """`bound_to`: (name, uid) of a Secret; the token is void once that is deleted."""
        spec = {"expirationSeconds": 3600}
        if bound_to:
            spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Secret", "name": bound_to[0],
                                      "uid": bound_to[1]}
        answer = self.admin.must("POST", self.path("ServiceAccount", ACCOUNT) + "/token",
                                 {"spec": spec})
        return answer["status"]["token"]

    def replace_token(self, token):
        fresh = self.token_file.with_suffix(".fresh")
        fresh.write_text(token)
        os.replace(fresh, self.token_file)

    def pods(self):
        return self.admin.get(self.path("Pod"))["items"]

    def endpoints(self):
        status, found = self.admin.call("GET", self.path("Endpoints", SERVICE))
        subsets = found.get("subsets", []) if status == 200 else []
        return sorted(address["ip"] for subset in subsets
                      for address in subset.get("addresses", []))

    # The daemon and its pool.

    def daemon(self, name="a", lease=""):
        return Daemon(self.binaries, self.directory / f"daemon-{name}", lease)

    def create_pool(self, daemon, base=2, **changes):
        file = self.directory / "pool.yaml"
        values = {"image": IMAGE, "digest": DIGEST, "namespace": NAMESPACE, "base": base,
                  "worker": self.binaries / "shadow-demo-worker", "api_server": self.cluster.url,
                  "token": self.token_file, "ca": self.cluster.ca_file}
        file.write_text(POOL.format(**{**values, **changes}))
        daemon.must("apply", "-f", file, "--wait")

    def load(self, rate=60):
        self.loads += 1
        return Load(self, rate, self.directory / f"load-{self.loads}.json")

    def await_endpoints(self, count):
        return await_(lambda: len(self.endpoints()) == count and self.endpoints(),
                      lambda: f"{count} endpoints; there are {self.endpoints()}")

    def expect_nothing_leaked(self, daemon):
        """Each pod is an instance that the daemon knows, each instance a pod, and the Service has
        those that serve and no others."""
        await_(lambda: self.mismatch(daemon) == "", lambda: self.mismatch(daemon) + "\n"
               + daemon.log(), patience=30)

    def mismatch(self, daemon):
        known = [one for one in daemon.show("shadow", "instances", "web")["instances"]
                 if one["state"] != "FAILED"]
        ids = sorted(one["name"].rpartition("/")[2] for one in known)
        pods = sorted(self.instance_of(pod) for pod in self.pods())
        if ids != pods:
            return f"instances {ids}, pods {pods}"
        serving = sorted(one["address"].partition(":")[0] for one in known
                         if one["state"] == "ACTIVE")
        found = self.endpoints()
        return "" if serving == found else f"serving {serving}, endpoints {found}"

    @staticmethod
    def instance_of(pod):
        return pod["metadata"]["labels"].get("shadow.dev/instance", pod["metadata"]["name"])


class Load:
    def __init__(self, world, rate, report):
        self.world, self.report = world, report
        cluster = world.cluster
        self.process = spawn(
            [sys.executable, "-B", HERE / "service_load.py", cluster.port, cluster.ca_file,
             cluster.admin_token, NAMESPACE, SERVICE, rate, report], report.with_suffix(".log"))
        self.await_answers(1)

    def result(self):
        return json.loads(self.report.read_text()) if self.report.exists() else {"ok": 0}

    def await_answers(self, more):
        before = self.result()["ok"]
        await_(lambda: self.result()["ok"] >= before + more, f"{more} more answers")

    def expect_no_failure(self):
        time.sleep(0.5)  # Two reports.
        result = self.result()
        self.world.say(f"load: {result['ok']} answers, {result['failed']} failed, "
                       f"{len(result['by_address'])} addresses")
        check(result["failed"] == 0, f"{result['failed']} requests failed: {result['errors']}")
        return result


def main(tests):
    """Runs the test that the arguments name: FILE BIN_DIR NAME."""
    need_programs()
    enter_own_network()
    with World(sys.argv[1]) as world:
        tests[sys.argv[2]](world)
        world.say("passed")
