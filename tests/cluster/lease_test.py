"""Two daemons with one Lease never both act: lease_test.py BIN_DIR NAME."""

import os
import select
import signal
import socket
import threading
import time

from control_plane import await_, free_port
from world import NAMESPACE, check, main

LOST = 75  # Exit status.
DURATION = 4  # Seconds; the deadline of a renewal is 2.
LEASE = """
kubernetes_lease {{
  namespace: "{namespace}"
  api_server: "https://127.0.0.1:{port}"
  token_file: "{token}"
  ca_file: "{ca}"
  duration {{ seconds: {duration} }}
  renew_deadline {{ seconds: 2 }}
}}"""


class Network:
    """Of one daemon: TCP to the API server, until it is cut. Then nothing passes, and nobody is
    told. When it heals, what was sent meanwhile arrives, unless the sender has reset it."""

    def __init__(self, target):
        self.target, self.port = target, free_port()
        self.open = threading.Event()
        self.open.set()
        listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client):
        self.open.wait()
        try:
            with client, socket.create_connection(("127.0.0.1", self.target)) as server:
                peers = {client: server, server: client}
                while True:
                    for ready in select.select(list(peers), [], [])[0]:
                        data = ready.recv(65536)
                        self.open.wait()
                        reset = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
                        if not data or reset:
                            return
                        peers[ready].sendall(data)
        except OSError:
            pass  # One of them has ended.


class Fenced:
    """A daemon whose way to the API server can be cut, for its Lease and its pods alike."""

    def __init__(self, world, name):
        self.world = world
        self.network = Network(world.cluster.port)
        self.daemon = world.daemon(name, LEASE.format(
            namespace=NAMESPACE, port=self.network.port, token=world.token_file,
            ca=world.cluster.ca_file, duration=DURATION))
        self.daemon.begin()

    def holds(self):
        return "holding the Lease" in self.daemon.log()

    def ended(self):
        return self.daemon.process.poll() is not None

    def create_pool(self):
        await_(self.daemon.serves, lambda: "the holder serves\n" + self.daemon.log())
        self.world.create_pool(self.daemon, base=1,
                               api_server=f"https://127.0.0.1:{self.network.port}")
        self.world.await_endpoints(1)


def holder_and_other(world):
    one = Fenced(world, "one")
    await_(one.holds, lambda: "the first holds the Lease\n" + one.daemon.log())
    one.create_pool()
    other = Fenced(world, "other")
    await_(lambda: "waiting for the Lease" in other.daemon.log(), "the other waits")
    check(not other.daemon.socket.exists(), "who waits serves")
    world.say("one holds the Lease, the other waits")
    return one, other


def await_turn(world, one, other, patience=30):
    """Until the other holds it; `one` must have ended before. Its exit status."""
    def turned():
        ended = one.ended()  # Looked at first.
        if other.holds():
            check(ended, "both hold the Lease")
            return True
        return False
    await_(turned, lambda: "the other holds the Lease\n" + other.daemon.log(), patience)
    world.say("the other holds it")
    return one.daemon.process.returncode


def a_cut_network(world):
    one, other = holder_and_other(world)
    one.network.open.clear()
    begun = time.monotonic()
    one.daemon.ctl("shadow", "create", "web", "--increase", "100")  # What it sends for it waits.
    await_(one.ended, lambda: "who cannot renew ends\n" + one.daemon.log(), 10)
    took = time.monotonic() - begun
    check(one.daemon.process.returncode == LOST, f"exit status {one.daemon.process.returncode}")
    check("is lost" in one.daemon.log(), one.daemon.log())
    check(took < DURATION, f"it has ended {took:.1f} s after the cut")
    await_turn(world, one, other)
    # What it had sent before is not carried out when the network heals.
    pods = world.pods()
    one.network.open.set()
    time.sleep(1)
    check(world.pods() == pods, f"{len(pods)} pods have become others: {len(world.pods())}")
    world.say("nothing came late")
    third = Fenced(world, "one-again")
    await_(lambda: "waiting for the Lease" in third.daemon.log(), "it waits for its turn")


def a_holder_that_was_stopped(world):
    """It wakes after another has taken the Lease, and there is something to do: its pod is gone."""
    one, other = holder_and_other(world)
    os.kill(one.daemon.process.pid, signal.SIGSTOP)
    await_(other.holds, lambda: "the other holds the Lease\n" + other.daemon.log(), 30)
    pod = world.pods()[0]["metadata"]["name"]
    world.admin.must("DELETE", world.path("Pod", pod))
    await_(lambda: not world.pods(), "its pod is gone")
    os.kill(one.daemon.process.pid, signal.SIGCONT)
    await_(one.ended, lambda: "who was stopped ends\n" + one.daemon.log(), 5)
    check(one.daemon.process.returncode == LOST, f"exit status {one.daemon.process.returncode}")
    time.sleep(0.5)
    check(world.pods() == [], "it has made a pod without the Lease")


def an_end_and_a_kill(world):
    one, other = holder_and_other(world)
    begun = time.monotonic()
    check(one.daemon.kill(by=signal.SIGTERM) == 0, one.daemon.log())
    await_turn(world, one, other)
    check(time.monotonic() - begun < DURATION, "who ends well does not release the Lease")
    third = Fenced(world, "third")
    other.daemon.kill()
    await_turn(world, other, third)
    check(third.daemon.kill(by=signal.SIGTERM) == 0, third.daemon.log())


TESTS = {
    "a holder whose network is cut ends before another acts": a_cut_network,
    "a holder that was stopped does nothing when it wakes": a_holder_that_was_stopped,
    "a holder that ends lets the next one in at once, one that is killed later": an_end_and_a_kill,
}

if __name__ == "__main__":
    main(TESTS)
