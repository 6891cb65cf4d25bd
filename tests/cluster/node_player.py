"""A node and its kubelet, played: node_player.py PORT CA_FILE TOKEN LOG_DIRECTORY FIRST_ADDRESS

Registers the node "player", binds every pod that has none to it, and runs each pod's command as a
process of this machine on an address of its own, which the program finds in POD_IP. Readiness
probes, the status, the grace period, and what a pod that ends leaves are as a kubelet has them; a
pod that is not ready yet is probed every 100 ms. What it does not know (images, volumes, limits)
it leaves out. Annotations of a pod: "player/image-id" is the image that its status names.
"""

import base64
import http.client
import ipaddress
import itertools
import json
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

from control_plane import Api, spawn

NODE = "player"
HEARTBEAT = 5  # Seconds.
UNREADY_PERIOD = 0.1  # Seconds between probes of a pod that is not ready yet.
RETRY = 0.1  # Seconds before a request is tried again that the API server did not answer.
BACKOFF = 0.2  # Seconds before a container is started again.
ERRORS = (OSError, http.client.HTTPException, ValueError)
_REFERENCE = re.compile(r"\$\((\w+)\)")


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def image_id(pod, image):
    given = pod["metadata"].get("annotations", {}).get("player/image-id")
    if given:
        return given
    digest = image.partition("@")[2] or "sha256:" + "0" * 64
    return "docker-pullable://" + image.partition("@")[0] + "@" + digest


def condition(kind, true, reason=""):
    return {"type": kind, "status": "True" if true else "False", "reason": reason,
            "lastTransitionTime": now()}


def probe(check, address, ports, timeout):
    """Whether one try of a probe passes."""
    def port_of(action):
        return ports.get(action["port"], action["port"])
    try:
        if "httpGet" in check:
            get = check["httpGet"]
            url = f"http://{get.get('host') or address}:{port_of(get)}{get.get('path', '/')}"
            with urllib.request.urlopen(url, timeout=timeout) as answer:
                return 200 <= answer.status < 400
        if "tcpSocket" in check:
            with socket.create_connection((address, port_of(check["tcpSocket"])), timeout):
                return True
        return subprocess.run(check["exec"]["command"], timeout=timeout, check=False,
                              capture_output=True).returncode == 0
    except (OSError, http.client.HTTPException, subprocess.TimeoutExpired, urllib.error.URLError):
        return False


class Spawner:
    """Children have to be started by the main thread, or they would end with another one."""

    def __init__(self):
        self.wanted = []
        self.changed = threading.Condition()

    def spawn(self, *arguments, **options):
        """Any thread."""
        order = {"arguments": arguments, "options": options}
        with self.changed:
            self.wanted.append(order)
            self.changed.notify_all()
            self.changed.wait_for(lambda: "process" in order)
        if isinstance(order["process"], OSError):
            raise order["process"]
        return order["process"]

    def run(self):
        with self.changed:
            while True:
                self.changed.wait_for(lambda: self.wanted)
                order = self.wanted.pop(0)
                try:
                    order["process"] = spawn(*order["arguments"], **order["options"])
                except OSError as error:
                    order["process"] = error
                self.changed.notify_all()


class Pod(threading.Thread):
    """One pod from its binding to its end."""

    def __init__(self, player, pod, address):
        super().__init__(daemon=True)
        self.player, self.pod, self.address = player, pod, address
        meta = pod["metadata"]
        self.path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        self.log = player.logs / f"{meta['namespace']}-{meta['name']}.log"
        self.ending = threading.Event()  # It is deleted.
        self.grace = 30
        self.process = None
        self.restarts = 0
        self.start_time = now()
        self.ready_since = None

    def seen(self, pod):
        """What the API server says of it now. Any thread."""
        if pod["metadata"].get("deletionTimestamp"):
            self.grace = pod["metadata"].get("deletionGracePeriodSeconds", 30)
            self.ending.set()

    def run(self):
        if not self.pod["spec"].get("nodeName"):
            self.player.insist("POST", f"{self.path}/binding", {
                "apiVersion": "v1", "kind": "Binding", "target": {"kind": "Node", "name": NODE},
                "metadata": {"name": self.pod["metadata"]["name"]}})
        for container in self.pod["spec"].get("initContainers", []):
            while not self.ending.is_set() and not self.ended_well(container):
                if self.restart_policy() == "Never":
                    return self.end("Failed", "an init container failed")
                time.sleep(BACKOFF)
        while not self.ending.is_set():
            code = self.live()
            if code is None:
                break
            policy = self.restart_policy()
            if policy == "Never" or (policy == "OnFailure" and code == 0):
                return self.end("Failed" if code else "Succeeded", f"exit status {code}", code)
            self.restarts += 1
            time.sleep(BACKOFF)
        return self.end(None, "")

    def restart_policy(self):
        return self.pod["spec"].get("restartPolicy", "Always")

    def environment(self, container):
        values = {"PATH": "/usr/local/bin:/usr/bin:/bin", "POD_IP": self.address,
                  "HOSTNAME": self.pod["metadata"]["name"]}
        for entry in container.get("env", []):
            values[entry["name"]] = self.value(entry, values)
        return values

    def value(self, entry, values):
        source = entry.get("valueFrom", {})
        if "secretKeyRef" in source:
            return self.player.secret(self.pod["metadata"]["namespace"], source["secretKeyRef"])
        if "fieldRef" in source:
            field = source["fieldRef"]["fieldPath"]
            if field == "status.podIP":
                return self.address
            found = self.pod
            for part in field.split("."):
                found = found.get(part, {})
            return str(found or "")
        return _REFERENCE.sub(lambda match: values.get(match[1], match[0]), entry.get("value", ""))

    def start_container(self, container):
        environment = self.environment(container)
        words = [*container.get("command", []), *container.get("args", [])]
        words = [_REFERENCE.sub(lambda match: environment.get(match[1], match[0]), word)
                 for word in words]
        return self.player.spawner.spawn(words, self.log, env=environment, start_new_session=True,
                                         cwd=container.get("workingDir") or "/")

    def ended_well(self, container):
        try:
            return self.start_container(container).wait() == 0
        except OSError:
            return False

    def live(self):
        """Runs the first container until it exits: its status; None: the pod is deleted."""
        container = self.pod["spec"]["containers"][0]
        try:
            self.process = self.start_container(container)
        except OSError as error:
            self.log.write_text(f"{error}\n")
            return 128
        check = container.get("readinessProbe")
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])
                 if "name" in port}
        ready, failures = check is None, 0
        self.tell(ready)
        while True:
            code = self.process.poll()
            if code is not None:
                return code if code >= 0 else 128 - code
            wait = check.get("periodSeconds", 10) if ready and check else UNREADY_PERIOD
            if self.waited(wait):
                return None
            if check is None or self.process.poll() is not None:
                continue
            passed = probe(check, self.address, ports, check.get("timeoutSeconds", 1))
            failures = 0 if passed else failures + 1
            if passed != ready and (passed or failures >= check.get("failureThreshold", 3)):
                ready = passed
                self.tell(ready)

    def waited(self, seconds):
        """True: the pod is deleted. Returns early when its process exits."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.ending.wait(min(0.1, max(0, end - time.monotonic()))):
                return True
            if self.process.poll() is not None:
                return False
        return self.ending.is_set()

    def tell(self, ready):
        if ready and not self.ready_since:
            self.ready_since = now()
        self.status("Running", ready, {"running": {"startedAt": now()}})

    def status(self, phase, ready, state, message=""):
        container = self.pod["spec"]["containers"][0]
        self.player.insist("PATCH", f"{self.path}/status", {"status": {
            "phase": phase, "podIP": self.address, "podIPs": [{"ip": self.address}],
            "hostIP": "10.0.0.1", "startTime": self.start_time, "message": message,
            "conditions": [condition("PodScheduled", True), condition("Initialized", True),
                           condition("ContainersReady", ready), condition("Ready", ready)],
            "containerStatuses": [{
                "name": container["name"], "image": container.get("image", ""), "ready": ready,
                "imageID": image_id(self.pod, container.get("image", "")),
                "containerID": f"player://{self.process.pid if self.process else 0}",
                "restartCount": self.restarts, "started": True, "state": state}]}},
            "application/merge-patch+json")

    def end(self, phase, message, code=0):
        """`phase`: that it stays in until it is deleted; None: it is deleted already."""
        if phase:
            self.status(phase, False, {"terminated": {
                "exitCode": code, "reason": "Completed" if code == 0 else "Error",
                "message": message, "startedAt": self.start_time, "finishedAt": now()}}, message)
            self.ending.wait()
        self.stop_process()
        uid = self.pod["metadata"]["uid"]
        self.player.insist("DELETE", self.path, {"apiVersion": "v1", "kind": "DeleteOptions",
                                                 "gracePeriodSeconds": 0,
                                                 "preconditions": {"uid": uid}})
        self.player.forget(uid)

    def stop_process(self):
        if self.process is None or self.process.poll() is not None:
            return
        hook = self.pod["spec"]["containers"][0].get("lifecycle", {}).get("preStop", {})
        if "exec" in hook:
            subprocess.run(hook["exec"]["command"], check=False, capture_output=True)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(self.grace)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Player:
    def __init__(self, port, ca_file, token, logs, first_address):
        self.api = Api(port, ca_file, token)
        self.logs = pathlib.Path(logs)
        self.addresses = (str(ipaddress.ip_address(first_address) + i) for i in itertools.count())
        self.spawner = Spawner()
        self.lock = threading.Lock()
        self.pods = {}  # By uid.

    def insist(self, method, path, body, content_type="application/json"):
        """Until the API server answers; what it refuses is left so."""
        while True:
            try:
                return self.api.call(method, path, body, content_type)
            except ERRORS:
                time.sleep(RETRY)

    def secret(self, namespace, reference):
        path = f"/api/v1/namespaces/{namespace}/secrets/{reference['name']}"
        data = self.insist("GET", path, None)[1].get("data", {})
        return base64.b64decode(data.get(reference["key"], "")).decode()

    def forget(self, uid):
        with self.lock:
            self.pods.pop(uid, None)

    def see(self, pod):
        if pod["spec"].get("nodeName", NODE) != NODE:
            return
        with self.lock:
            uid = pod["metadata"]["uid"]
            one = self.pods.get(uid)
            if one is None:
                one = self.pods[uid] = Pod(self, pod, next(self.addresses))
                one.start()
            one.seen(pod)

    def uids(self):
        with self.lock:
            return set(self.pods)

    def end_others(self, uids):
        """Pods that the API server does not have any more end at once."""
        with self.lock:
            gone = [pod for uid, pod in self.pods.items() if uid not in uids]
        for pod in gone:
            pod.grace = 0
            pod.ending.set()

    def register(self):
        """A heartbeat, for ever."""
        while True:
            self.insist("POST", "/api/v1/nodes", {
                "apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
            self.insist("PATCH", f"/api/v1/nodes/{NODE}/status", {"status": {
                "capacity": {"cpu": "64", "memory": "256Gi", "pods": "2000"},
                "allocatable": {"cpu": "64", "memory": "256Gi", "pods": "2000"},
                "conditions": [{**condition("Ready", True, "Played"),
                                "lastHeartbeatTime": now()}]}}, "application/merge-patch+json")
            time.sleep(HEARTBEAT)

    def watch(self):
        """All pods, for ever."""
        while True:
            try:
                listed = self.api.get("/api/v1/pods")
                for pod in listed["items"]:
                    self.see(pod)
                self.end_others({pod["metadata"]["uid"] for pod in listed["items"]})
                version = listed["metadata"]["resourceVersion"]
                with self.api.open("GET", f"/api/v1/pods?watch=1&timeoutSeconds=300"
                                          f"&resourceVersion={version}") as events:
                    for line in events:
                        event = json.loads(line)
                        if event["type"] in ("ADDED", "MODIFIED"):
                            self.see(event["object"])
                        elif event["type"] == "DELETED":
                            self.end_others(self.uids() - {event["object"]["metadata"]["uid"]})
            except (SystemExit, *ERRORS):
                pass
            time.sleep(RETRY)

    def run(self):
        for job in (self.register, self.watch):
            threading.Thread(target=job, daemon=True).start()
        self.spawner.run()


if __name__ == "__main__":
    Player(int(sys.argv[1]), *sys.argv[2:]).run()
