"""Many pods on a cluster: scale_test.py BIN_DIR NAME, with SHADOWD_CLUSTER_PODS pods a pool.

The pods are objects without a program: a node of 20 pools would not fit into a test's machine.
Counts what shadowd asks of the API server, by that one's audit log. Its cycle and memory are told;
with 50 pods a pool they are figures (tests/bench/README.md).
"""

import http.client
import json
import os
import pathlib
import ssl
import threading
import time
import urllib.request

from control_plane import await_, free_port
from node_player import condition
from world import DIGEST, IMAGE, NAMESPACE, check, main

POOLS = 20
PODS = int(os.environ.get("SHADOWD_CLUSTER_PODS", "2"))  # Of each pool.
PLAYERS = 4  # Threads that bind pods and report them ready.
REST = 10  # Seconds in which requests are counted.
REQUESTS_A_SECOND_MAX = 5
MEMORY_MAX = 256 << 20
DNA = f"""---
name: dnas/still
operating_system: {{image: {IMAGE}, image_digest: "{DIGEST}"}}
network: {{port_min: 8080, port_max: 8080}}
process: {{argv: [/bin/still], ready_check: {{none: {{}}}}, start_timeout: 300s}}
"""
POOL = """---
name: pools/p{number}
dna: dnas/still
provider:
  kubernetes:
    {{namespace: {namespace}, api_server: "{api_server}", token_file: {token}, ca_file: {ca}}}
balancer: {{service: {{}}}}
usage_sources: [{{pushed: {{}}}}]
step: 1m
managed_instances: {base}
instance_capacity: 1
policy: {{max_concurrent_creations: 1000}}
"""


class Crowd:
    """Binds each pod that has no node, and says that it is ready; its own connections are kept."""

    def __init__(self, world):
        self.world, self.lock, self.seen, self.waiting = world, threading.Lock(), set(), []
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.play, daemon=True) for _ in range(PLAYERS)]
        for thread in [threading.Thread(target=self.look, daemon=True), *self.threads]:
            thread.start()

    def look(self):
        while not self.ended.wait(0.3):
            for pod in self.world.pods():
                name = pod["metadata"]["name"]
                if name not in self.seen:
                    self.seen.add(name)
                    with self.lock:
                        self.waiting.append((name, len(self.seen), pod["spec"]["containers"][0]))

    def play(self):
        cluster = self.world.cluster
        connection = http.client.HTTPSConnection(
            "127.0.0.1", cluster.port, timeout=30,
            context=ssl.create_default_context(cafile=str(cluster.ca_file)))
        while not self.ended.is_set():
            with self.lock:
                job = self.waiting.pop(0) if self.waiting else None
            if job:
                self.begin(connection, *job)
            else:
                self.ended.wait(0.05)

    def begin(self, connection, name, number, container):
        def send(method, path, body, content_type="application/json"):
            connection.request(method, path, json.dumps(body), {
                "Authorization": f"Bearer {self.world.cluster.admin_token}",
                "Content-Type": content_type})
            connection.getresponse().read()
        path = self.world.path("Pod", name)
        send("POST", f"{path}/binding", {
            "apiVersion": "v1", "kind": "Binding", "target": {"kind": "Node", "name": "player"},
            "metadata": {"name": name}})
        address = f"10.9.{number // 250}.{number % 250 + 1}"
        send("PATCH", f"{path}/status", {"status": {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
            "conditions": [condition("PodScheduled", True), condition("ContainersReady", True),
                           condition("Ready", True)],
            "containerStatuses": [{
                "name": container["name"], "image": container["image"], "ready": True,
                "imageID": "docker-pullable://" + container["image"], "restartCount": 0,
                "started": True, "state": {"running": {}}}]}}, "application/merge-patch+json")


def requests_of(world):
    """That the daemon's account has made, by the API server's audit log."""
    lines = world.cluster.audit_log.read_text().splitlines()
    return [(entry["verb"], entry["requestURI"])
            for entry in {one["auditID"]: one for one in map(json.loads, lines)}.values()]


def memory_of(daemon):
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) << 10


def metric(port, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.split(" ")[0] == name:
                return float(line.split(" ")[1])
    return 0.0


def many_pods_at_rest(world):
    world.player.kill()  # Their programs would be missing.
    world.player.wait()
    # Pods of a node that is not there are removed.
    await_(lambda: world.admin.call("POST", "/api/v1/nodes", {
        "metadata": {"name": "player"}})[0] in (201, 409), "the node is there")
    world.admin.must("DELETE", world.path("Service", "web"))
    crowd = Crowd(world)
    port = free_port()
    daemon = world.daemon(lease=f'http_listen: "127.0.0.1:{port}"\ninstances_max: 2000')
    daemon.start()
    file = world.directory / "pools.yaml"
    file.write_text(DNA + "".join(POOL.format(
        number=i, namespace=NAMESPACE, api_server=world.cluster.url, token=world.token_file,
        ca=world.cluster.ca_file, base=PODS) for i in range(POOLS)))
    daemon.must("apply", "-f", file)

    def serving():
        pools = daemon.show("pool", "list")["pools"]
        return sum(one["servingBaseInstances"] for one in pools) == POOLS * PODS
    await_(serving, lambda: f"all serve; there are {len(world.pods())} pods\n{daemon.log()}",
           patience=60 + POOLS * PODS / 5)
    check(len(world.pods()) == POOLS * PODS, f"{len(world.pods())} pods")
    made = [verb for verb, _ in requests_of(world)].count("create")
    world.say(f"{POOLS * PODS} pods of {POOLS} pools serve, by {len(requests_of(world))} requests")
    check(made == POOLS * PODS, f"{made} requests to create {POOLS * PODS} pods")

    before = requests_of(world)
    time.sleep(REST)
    at_rest = requests_of(world)[len(before):]
    longest = metric(port, "shadowd_longest_tick_seconds")
    world.say(f"at rest: {len(at_rest) / REST:.1f} requests a second, "
              f"{memory_of(daemon) / (1 << 20):.0f} MiB, longest cycle {longest * 1000:.0f} ms")
    check(len(at_rest) <= REST * REQUESTS_A_SECOND_MAX,
          f"{len(at_rest)} requests, the first {at_rest[:20]}")
    check(memory_of(daemon) <= MEMORY_MAX, f"{memory_of(daemon)} bytes")
    crowd.ended.set()


TESTS = {"pods of 20 pools at rest ask little of the API server": many_pods_at_rest}

if __name__ == "__main__":
    main(TESTS)
