"""The life of a shadow on a cluster, under load: life_test.py BIN_DIR NAME."""

from world import ROLE, ROLE_ACTIVE, check, main


def states(daemon):
    return sorted(one["state"] for one in daemon.show("shadow", "instances", "web")["instances"]
                  if one["role"] == "SHADOW")


def a_shadow_lives_its_whole_life(world):
    daemon = world.daemon()
    daemon.start()
    world.create_pool(daemon, base=2)
    base = world.await_endpoints(2)
    world.say("the base serves")
    load = world.load()

    daemon.must("shadow", "create", "web", "--increase", "200", "--wait")
    check(states(daemon) == ["SUSPENDED", "SUSPENDED"], f"the shadow: {states(daemon)}")
    check(world.endpoints() == base, f"endpoints: {world.endpoints()}")
    pods = {pod["metadata"]["uid"] for pod in world.pods()}
    check(len(pods) == 4, f"{len(pods)} pods")
    world.say("the shadow is suspended")

    daemon.must("shadow", "activate", "web", "--level", "50", "--wait")
    world.await_endpoints(3)
    daemon.must("shadow", "activate", "web", "--level", "100", "--wait")
    world.await_endpoints(4)
    world.expect_nothing_leaked(daemon)
    load.await_answers(30)
    daemon.must("shadow", "activate", "web", "--level", "0", "--wait")
    check(world.await_endpoints(2) == base, f"endpoints: {world.endpoints()}")
    daemon.must("shadow", "activate", "web", "--level", "100", "--wait")
    world.await_endpoints(4)
    same = {pod["metadata"]["uid"] for pod in world.pods()}
    check(same == pods, "an activation has made new pods")
    world.say("promoted, suspended and promoted again, the same pods")

    daemon.must("shadow", "delete", "web", "--wait")
    check(world.await_endpoints(2) == base, f"endpoints: {world.endpoints()}")
    world.expect_nothing_leaked(daemon)
    result = load.expect_no_failure()
    check(len(result["by_address"]) == 4, f"answers by address: {result['by_address']}")
    daemon.must("pool", "delete", "web", "--wait")
    check(world.pods() == [], f"{len(world.pods())} pods are left")
    check(daemon.kill(by=15) == 0, "shadowd ends with another status than 0")


def only_pods_with_the_role_serve(world):
    """Whoever takes the label off takes the traffic, and shadowd puts it back."""
    daemon = world.daemon()
    daemon.start()
    world.create_pool(daemon, base=1)
    world.await_endpoints(1)
    pod = world.pods()[0]
    check(pod["metadata"]["labels"].get(ROLE) == ROLE_ACTIVE, f"labels: {pod['metadata']}")
    world.admin.merge(world.path("Pod", pod["metadata"]["name"]),
                      {"metadata": {"labels": {ROLE: None}}})
    world.await_endpoints(1)
    world.expect_nothing_leaked(daemon)


TESTS = {
    "a shadow lives its whole life under load and no request fails": a_shadow_lives_its_whole_life,
    "a pod whose role somebody takes gets it back": only_pods_with_the_role_serve,
}

if __name__ == "__main__":
    main(TESTS)
