"""Clients of a Service: service_load.py PORT CA_FILE TOKEN NAMESPACE SERVICE RATE REPORT

GETs from its endpoints in turn, RATE a second over 6 threads, each with one kept-alive connection
to an endpoint. It knows the endpoints from a watch, as a node's proxy does; while the API server is
away it goes by what it knew. Begins with the first endpoint. REPORT is rewritten four times a
second: {"ok", "failed", "errors", "by_address", "by_body", "endpoints", "changes"}.
"""

import http.client
import json
import os
import pathlib
import sys
import threading
import time

from control_plane import Api

THREADS = 6
TIMEOUT = 10  # Seconds for an answer.
RETRY = 0.1  # Seconds before another watch.
REPORT_INTERVAL = 0.25  # Seconds.
ERRORS_MAX = 20  # That are told.
ERRORS = (OSError, http.client.HTTPException)


class ServiceLoad:
    def __init__(self, api, namespace, service, rate):
        self.api, self.namespace, self.service = api, namespace, service
        self.gap = THREADS / rate
        self.lock = threading.Lock()
        self.endpoints = []
        self.turn = 0
        self.result = {"ok": 0, "failed": 0, "errors": [], "by_address": {}, "by_body": {},
                       "changes": 0}

    def watch(self):
        base = f"/api/v1/namespaces/{self.namespace}/endpoints?watch=1" \
               f"&fieldSelector=metadata.name={self.service}"
        while True:
            try:
                with self.api.open("GET", base) as events:
                    for line in events:
                        event = json.loads(line)
                        if event["type"] in ("ADDED", "MODIFIED"):
                            self.take(event["object"])
            except (*ERRORS, ValueError):
                pass
            time.sleep(RETRY)

    def take(self, endpoints):
        found = sorted((address["ip"], port["port"]) for subset in endpoints.get("subsets", [])
                       for address in subset.get("addresses", []) for port in subset["ports"])
        with self.lock:
            self.result["changes"] += found != self.endpoints
            self.endpoints = found

    def next(self):
        with self.lock:
            if not self.endpoints:
                return None
            self.turn += 1
            return self.endpoints[self.turn % len(self.endpoints)]

    def ask(self):
        connections = {}
        due = time.monotonic()
        while True:
            due += self.gap
            time.sleep(max(0, due - time.monotonic()))
            address = self.next()
            if address is None:
                if self.result["changes"] > 0:
                    self.count(("nobody", 0), None, "no endpoint")
                continue
            self.count(address, *self.get(connections, address))

    def get(self, connections, address):
        """(body, error). A kept-alive connection that was closed is replaced once."""
        for reused in ([True] if address in connections else []) + [False]:
            connection = connections.pop(address, None) or http.client.HTTPConnection(
                *address, timeout=TIMEOUT)
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                body = answer.read().decode(errors="replace")
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
                if reused:
                    continue
                return None, repr(error)
            except ERRORS as error:
                return None, repr(error)
            connections[address] = connection
            return (body, None) if answer.status == 200 else (None, f"status {answer.status}")
        return None, "unreachable"

    def count(self, address, body, error):
        with self.lock:
            self.result["ok" if error is None else "failed"] += 1
            if error is None:
                for name, key in (("by_address", address[0]), ("by_body", body.strip())):
                    self.result[name][key] = self.result[name].get(key, 0) + 1
            elif len(self.result["errors"]) < ERRORS_MAX:
                self.result["errors"].append(f"{address[0]}:{address[1]} {error}")

    def run(self, report):
        for job in [self.watch] + [self.ask] * THREADS:
            threading.Thread(target=job, daemon=True).start()
        while True:
            with self.lock:
                text = json.dumps({**self.result, "endpoints": [ip for ip, _ in self.endpoints]})
            fresh = report.with_suffix(".fresh")
            fresh.write_text(text)
            os.replace(fresh, report)
            time.sleep(REPORT_INTERVAL)


if __name__ == "__main__":
    ServiceLoad(Api(int(sys.argv[1]), sys.argv[2], sys.argv[3], timeout=TIMEOUT), sys.argv[4],
                sys.argv[5], float(sys.argv[6])).run(pathlib.Path(sys.argv[7]))
