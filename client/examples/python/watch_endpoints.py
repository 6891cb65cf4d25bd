#!/usr/bin/env python3
"""Follows the instances of a pool that serve: watch_endpoints.py ADDRESS POOL

Prints all addresses whenever they change, for a service that balances by itself. Needs the role
VIEWER. How to make the stubs: README.md.
"""

import sys
import time

import grpc

from shadow.v1 import (event_pb2, event_service_pb2, event_service_pb2_grpc, server_service_pb2,
                       server_service_pb2_grpc, shadow_pool_pb2, shadow_pool_service_pb2,
                       shadow_pool_service_pb2_grpc)

SECONDS_BEFORE_RETRY = 1


def list_serving(shadows, pool):
    """Name to address, of all pages."""
    serving, token = {}, ""
    while True:
        page = shadows.ListInstances(shadow_pool_service_pb2.ListInstancesRequest(
            parent=pool, page_size=1000, page_token=token), timeout=5)
        serving |= {instance.name: instance.address for instance in page.instances
                    if instance.state == shadow_pool_pb2.Instance.ACTIVE}
        token = page.next_page_token
        if not token:
            return serving


def follow(channel, pool):
    """The revision is asked for before the list, so nothing between the two is missed; an event
    that the list has already is harmless."""
    server = server_service_pb2_grpc.ServerServiceStub(channel)
    events = event_service_pb2_grpc.EventServiceStub(channel)
    shadows = shadow_pool_service_pb2_grpc.ShadowPoolServiceStub(channel)
    revision = server.GetServerStatus(server_service_pb2.GetServerStatusRequest(),
                                      timeout=5).revision
    serving = list_serving(shadows, pool)
    yield sorted(serving.values())
    for event in events.Watch(event_service_pb2.WatchRequest(since_revision=revision,
                                                             name_prefix=pool)):
        if event.WhichOneof("resource") != "instance":
            continue
        before = dict(serving)
        gone = event.kind == event_pb2.Event.DELETED
        if not gone and event.instance.state == shadow_pool_pb2.Instance.ACTIVE:
            serving[event.name] = event.instance.address
        else:
            serving.pop(event.name, None)
        if serving != before:
            yield sorted(serving.values())


def main():
    address, pool = sys.argv[1:]
    while True:
        try:
            with grpc.insecure_channel(address) as channel:
                for endpoints in follow(channel, pool):
                    print(" ".join(endpoints) or "none", flush=True)
        except grpc.RpcError as error:  # Also OUT_OF_RANGE: it lists again.
            print(f"{error.code().name}: {error.details()}", file=sys.stderr)
        time.sleep(SECONDS_BEFORE_RETRY)


main()
