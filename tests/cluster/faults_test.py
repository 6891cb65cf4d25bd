"""What fails on a cluster, under load: faults_test.py BIN_DIR NAME. After each fault nothing has
leaked or doubled, and the base is the pods that it was.
"""

import signal
import time

from admission import Judge
from control_plane import await_
from world import check, main


def serving_world(world, base=2, increase=200):
    """A base that serves and a shadow that is active: (daemon, load)."""
    daemon = world.daemon()
    daemon.start()
    world.create_pool(daemon, base=base)
    world.await_endpoints(base)
    world.base = uids(world, "BASE", daemon)
    load = world.load()
    if increase:
        daemon.must("shadow", "create", "web", "--increase", str(increase), "--wait")
        daemon.must("shadow", "activate", "web", "--level", "100", "--wait")
        world.expect_nothing_leaked(daemon)
    world.say("base and shadow serve")
    return daemon, load


def instances(daemon, role):
    return [one for one in daemon.show("shadow", "instances", "web")["instances"]
            if one["role"] == role]


def uids(world, role, daemon):
    """Of the pods of the instances in this role."""
    ids = {one["name"].rpartition("/")[2] for one in instances(daemon, role)}
    return {pod["metadata"]["uid"] for pod in world.pods() if world.instance_of(pod) in ids}


def expect_whole(world, daemon, load):
    world.expect_nothing_leaked(daemon)
    check(uids(world, "BASE", daemon) == world.base, "the base has other pods than before")
    load.await_answers(20)
    load.expect_no_failure()


def shadowd_is_killed(world):
    daemon, load = serving_world(world)
    pods = {pod["metadata"]["uid"] for pod in world.pods()}
    daemon.kill()
    load.await_answers(30)
    daemon.start()
    world.expect_nothing_leaked(daemon)
    check({pod["metadata"]["uid"] for pod in world.pods()} == pods, "there are other pods")
    world.say("killed and started again")

    # While it creates, suspends and deletes.
    daemon.must("shadow", "delete", "web", "--wait")
    for delay in (0.05, 0.2, 0.5):
        daemon.must("shadow", "create", "web", "--increase", "250")
        time.sleep(delay)
        daemon.kill()
        daemon.start()
        await_(lambda: [one["state"] for one in instances(daemon, "SHADOW")] == ["SUSPENDED"] * 3,
               lambda: f"three are suspended: {instances(daemon, 'SHADOW')}\n{daemon.log()}")
        world.expect_nothing_leaked(daemon)
        daemon.must("shadow", "delete", "web")
        time.sleep(delay)
        daemon.kill()
        daemon.start()
        await_(lambda: not instances(daemon, "SHADOW"), "the shadow is gone")
        world.say("killed while it created and deleted")
    expect_whole(world, daemon, load)


def the_api_server_is_killed(world):
    daemon, load = serving_world(world)
    pods = {pod["metadata"]["uid"] for pod in world.pods()}
    world.cluster.kill_one("kube-apiserver")
    load.await_answers(100)
    check(all(one["state"] == "ACTIVE" for one in instances(daemon, "BASE")), "a base has failed")
    daemon.ctl("shadow", "activate", "web", "--level", "50")
    world.cluster.start_one("kube-apiserver")
    world.cluster.await_ready()
    world.say("the API server is back")
    world.await_endpoints(3)
    world.expect_nothing_leaked(daemon)

    world.cluster.kill_one("etcd", signal.SIGTERM)
    load.await_answers(30)
    world.cluster.start_one("etcd")
    world.cluster.await_ready()
    world.say("etcd is back")
    await_(lambda: daemon.ctl("shadow", "activate", "web", "--level", "100").returncode == 0,
           "it can be activated")
    world.await_endpoints(4)
    check({pod["metadata"]["uid"] for pod in world.pods()} == pods, "there are other pods")
    expect_whole(world, daemon, load)


def the_controller_manager_is_killed(world):
    """Without it no endpoints change."""
    daemon, load = serving_world(world)
    world.cluster.kill_one("kube-controller-manager")
    daemon.must("shadow", "activate", "web", "--level", "50")
    load.await_answers(60)
    world.cluster.start_one("kube-controller-manager")
    world.await_endpoints(3)
    expect_whole(world, daemon, load)


def a_token_is_void(world):
    """It is bound to a Secret that is deleted; another is put in its place later."""
    secret = world.add("Secret", {"metadata": {"name": "bound"}})["metadata"]
    world.replace_token(world.fresh_token((secret["name"], secret["uid"])))
    daemon, load = serving_world(world)
    world.admin.must("DELETE", world.path("Secret", "bound"))
    await_(lambda: "ProviderReachable" in daemon.ctl("pool", "get", "web").stdout,
           lambda: "the pool says that the cluster does not answer\n" + daemon.log())
    load.await_answers(30)
    world.say("the token is void")
    world.replace_token(world.fresh_token())
    await_(lambda: "ProviderReachable" not in daemon.ctl("pool", "get", "web").stdout,
           lambda: "the cluster answers again\n" + daemon.log())
    daemon.must("shadow", "activate", "web", "--level", "50", "--wait")
    world.await_endpoints(3)
    expect_whole(world, daemon, load)


def a_quota_is_full(world):
    """Of the two that a shadow wants there is room for one, until the quota grows."""
    world.add("ResourceQuota", {"metadata": {"name": "pods"}, "spec": {"hard": {"pods": "3"}}})
    daemon, load = serving_world(world, increase=0)
    await_(lambda: world.admin.get(world.path("ResourceQuota", "pods"))["status"]["used"]["pods"]
           == "2", "the quota counts the base")
    daemon.must("shadow", "create", "web", "--increase", "200")
    await_(lambda: len(world.pods()) == 3, "the first one is there")
    time.sleep(2)  # Tries in vain.
    states = [one["state"] for one in instances(daemon, "SHADOW")]
    check("FAILED" not in states, f"a full quota fails instances: {states}")
    check(len(world.pods()) == 3, f"{len(world.pods())} pods")
    world.admin.merge(world.path("ResourceQuota", "pods"), {"spec": {"hard": {"pods": "4"}}})
    await_(lambda: [one["state"] for one in instances(daemon, "SHADOW")] == ["SUSPENDED"] * 2,
           lambda: f"both are suspended: {instances(daemon, 'SHADOW')}\n{daemon.log()}")
    expect_whole(world, daemon, load)


def pods_are_deleted_by_others(world):
    """One that serves, with its grace period; one that is suspended, without any."""
    daemon, load = serving_world(world, base=1, increase=150)
    daemon.must("shadow", "activate", "web", "--level", "50", "--wait")
    world.expect_nothing_leaked(daemon)
    for state in ("ACTIVE", "SUSPENDED"):
        victim = next(one for one in instances(daemon, "SHADOW") if one["state"] == state)
        pod = next(pod for pod in world.pods()
                   if world.instance_of(pod) == victim["name"].rpartition("/")[2])
        world.admin.must("DELETE", world.path("Pod", pod["metadata"]["name"]),
                         {"apiVersion": "v1", "kind": "DeleteOptions",
                          "gracePeriodSeconds": 5 if state == "ACTIVE" else 0})
        # What has failed is kept for people to read.
        await_(lambda victim=victim: sorted(
                   one["state"] for one in instances(daemon, "SHADOW")
                   if one["state"] != "FAILED" and one["name"] != victim["name"])
               == ["ACTIVE", "SUSPENDED"],
               lambda victim=victim:
               f"{victim['name']} is replaced: {instances(daemon, 'SHADOW')}")
        world.say(f"one that was {state} is replaced")
    world.expect_nothing_leaked(daemon)
    check(uids(world, "BASE", daemon) == world.base, "the base has other pods than before")


def webhooks_judge(world):
    """One that says no, and one that does not answer in time."""
    daemon, load = serving_world(world, base=1, increase=0)
    for reason in ("no such thing here", None):
        judge = Judge(world, reason)
        daemon.must("shadow", "create", "web", "--increase", "100")
        await_(lambda judge=judge: judge.asked >= 2, lambda: "it is asked again\n" + daemon.log())
        check(len(world.pods()) == 1, f"{len(world.pods())} pods")
        if reason:
            check(reason in daemon.must("events"), f"nobody says why\n{daemon.log()}")
        asked = judge.asked
        time.sleep(2)
        check(judge.asked < asked + 20, f"it is asked {judge.asked - asked} times in 2 s")
        judge.remove()
        await_(lambda: "SUSPENDED" in [one["state"] for one in instances(daemon, "SHADOW")],
               lambda: f"the shadow is there: {instances(daemon, 'SHADOW')}\n{daemon.log()}")
        daemon.must("shadow", "delete", "web", "--wait")
        world.say(f"a webhook that {'says no' if reason else 'is slow'} was outlasted")
    expect_whole(world, daemon, load)


TESTS = {
    "shadowd is killed": shadowd_is_killed,
    "the API server is killed, and etcd restarts": the_api_server_is_killed,
    "the controller manager is killed": the_controller_manager_is_killed,
    "the token is void until another one is there": a_token_is_void,
    "the quota is full": a_quota_is_full,
    "others delete pods": pods_are_deleted_by_others,
    "an admission webhook says no, and one is slow": webhooks_judge,
}

if __name__ == "__main__":
    main(TESTS)
