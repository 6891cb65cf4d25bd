"""A Deployment that runs becomes a pool: adopt_test.py BIN_DIR NAME."""

import json
import subprocess

import yaml

from control_plane import await_
from world import DIGEST, IMAGE, ROLE, ROLE_ACTIVE, check, main

LABELS = {"app": "plain", ROLE: ROLE_ACTIVE}


def printed(world):
    """What `kubectl get deployments,pods,services -o json` prints."""
    kinds = {"Deployment": "apps/v1", "Pod": "v1", "Service": "v1"}
    return json.dumps({"kind": "List", "apiVersion": "v1", "items": [
        {"kind": kind, "apiVersion": version, **one} for kind, version in kinds.items()
        for one in world.admin.get(world.path(kind))["items"]]})


def a_deployment_is_adopted(world):
    daemon = world.daemon()
    daemon.start()
    world.add("Deployment", {"metadata": {"name": "plain"}, "spec": {
        "replicas": 2, "selector": {"matchLabels": LABELS},
        "template": {"metadata": {
            "labels": LABELS, "annotations": {"player/image-id": f"docker://{IMAGE}@{DIGEST}"}},
            "spec": {"containers": [{
                "name": "main", "image": f"{IMAGE}:1",
                "command": [str(world.binaries / "shadow-demo-worker")],
                "args": ["--port", "8080"], "ports": [{"containerPort": 8080}],
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}}}]}}}})
    base = world.await_endpoints(2)
    uids = {pod["metadata"]["uid"] for pod in world.pods()}
    await_(lambda: world.admin.get(world.path("Deployment", "plain"))["status"]
           .get("readyReplicas") == 2, "the Deployment is ready")

    adopted = subprocess.run(
        [world.binaries / "shadowctl", "pool", "adopt", "deployment/plain", "-f", "-"],
        input=printed(world), capture_output=True, text=True, check=False, timeout=30)
    check(adopted.returncode == 0, adopted.stderr)
    dna, pool = list(yaml.safe_load_all(adopted.stdout))
    check(dna["operating_system"]["image_digest"] == DIGEST, f"the DNA: {dna}")
    check(pool["external_capacity"] == 2 and pool["policy"]["mode"] == "OBSERVE", f"{pool}")
    # The daemon of this test runs in no pod.
    pool["provider"]["kubernetes"].update({
        "api_server": world.cluster.url, "token_file": str(world.token_file),
        "ca_file": str(world.cluster.ca_file)})
    pool["policy"]["drain_timeout"] = "2s"
    file = world.directory / "adopted.yaml"
    file.write_text(yaml.safe_dump_all([dna, pool]))
    daemon.must("apply", "-f", file)
    check({pod["metadata"]["uid"] for pod in world.pods()} == uids, "there are other pods")
    world.say("the pool observes")

    # By hand, to see that such a pod runs and serves as those of the Deployment do.
    daemon.must("shadow", "create", "plain", "--increase", "1", "--wait")
    check(world.endpoints() == base, f"a suspended pod is in the Service: {world.endpoints()}")
    daemon.must("shadow", "activate", "plain", "--level", "100", "--wait")
    await_(lambda: len(world.endpoints()) > 2, lambda: f"it serves: {world.endpoints()}")
    daemon.must("shadow", "delete", "plain", "--wait")
    check(world.await_endpoints(2) == base, f"endpoints: {world.endpoints()}")
    check({pod["metadata"]["uid"] for pod in world.pods()} == uids, "other pods are left")


TESTS = {"a Deployment is adopted, and a shadow serves beside it": a_deployment_is_adopted}

if __name__ == "__main__":
    main(TESTS)
