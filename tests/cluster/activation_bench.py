"""How long a rise takes on a cluster: activation_bench.py BIN_DIR [ROUNDS]

Side by side, in one cluster, with one worker that takes a second to start: a suspended shadow is
activated, and a plain Deployment is scaled up by one. Both are timed from the start of the request
until the Service's endpoints have the pod. Pods are processes on a node that is played, so images,
placing and a kubelet's own delays are missing: they would come on top of the Deployment's time.
"""

import statistics
import sys
import time

from control_plane import await_
from world import IMAGE, ROLE, ROLE_ACTIVE, World, enter_own_network, need_programs

STARTUP = "1s"


def summary(name, times):
    ordered = sorted(times)
    print(f"{name}: median {statistics.median(ordered) * 1000:.0f} ms, "
          f"p99 {ordered[int(0.99 * (len(ordered) - 1))] * 1000:.0f} ms of {len(ordered)}")


def until_endpoints(world, count, act):
    begun = time.monotonic()
    act()
    await_(lambda: len(world.endpoints()) == count, f"{count} endpoints")
    return time.monotonic() - begun


def activations(world, daemon, rounds):
    daemon.must("shadow", "create", "web", "--increase", "100", "--wait")
    times = []
    for _ in range(rounds):
        times.append(until_endpoints(world, 2, lambda: daemon.must(
            "shadow", "activate", "web", "--level", "100")))
        daemon.must("shadow", "activate", "web", "--level", "0", "--wait")
        world.await_endpoints(1)
    return times


def label_flips(world, rounds):
    """What the cluster itself takes for it."""
    pod = next(pod["metadata"]["name"] for pod in world.pods()
               if ROLE not in pod["metadata"]["labels"])
    times = []
    for _ in range(rounds):
        for value, count in ((ROLE_ACTIVE, 2), (None, 1)):
            times.append(until_endpoints(world, count, lambda value=value: world.admin.merge(
                world.path("Pod", pod), {"metadata": {"labels": {ROLE: value}}})))
    return times


def scale_ups(world, rounds):
    labels = {"app": "plain", ROLE: ROLE_ACTIVE}
    world.add("Deployment", {"metadata": {"name": "plain"}, "spec": {
        "replicas": 0, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "main", "image": IMAGE,
                "command": [str(world.binaries / "shadow-demo-worker"), "--port", "8080",
                            "--startup", STARTUP],
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080},
                                   "periodSeconds": 1}}]}}}})
    times = []
    for _ in range(rounds):
        for replicas, count in ((1, 2), (0, 1)):
            took = until_endpoints(world, count, lambda replicas=replicas: world.admin.merge(
                world.path("Deployment", "plain"), {"spec": {"replicas": replicas}}))
            if replicas:
                times.append(took)
    return times


def main():
    need_programs()
    enter_own_network()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 30
    with World(sys.argv[1]) as world:
        daemon = world.daemon()
        daemon.start()
        world.create_pool(daemon, base=1)
        world.await_endpoints(1)
        summary("a shadow is activated", activations(world, daemon, rounds))
        daemon.kill()  # Or it would take the label off.
        summary("a label is set, the cluster alone", label_flips(world, rounds))
        summary("a plain Deployment is scaled up", scale_ups(world, rounds))


if __name__ == "__main__":
    main()
