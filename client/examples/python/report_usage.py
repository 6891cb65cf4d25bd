#!/usr/bin/env python3
"""Reports the demand of a pool: report_usage.py ADDRESS POOL < VALUES

One number a line, in the pool's unit; each is reported as it comes, with the time of then. Needs
the role REPORTER and a pool with `usage_sources: [{pushed: {}}]`. How to make the stubs: README.md.
"""

import sys
import time

import grpc

from shadow.v1 import usage_pb2, usage_service_pb2, usage_service_pb2_grpc

TRIES_MAX = 5
RETRIED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


def sample_of(value):
    sample = usage_pb2.Sample(value=value)
    sample.time.GetCurrentTime()
    return sample


def report(usage, pool, sample):
    """An id makes the retry safe: the sample is taken once, whatever becomes of the answers."""
    request = usage_service_pb2.ReportUsageBatchRequest(
        pool=pool, samples=[sample], request_id=f"report-{sample.time.ToNanoseconds()}")
    for attempt in range(TRIES_MAX):
        try:
            return usage.ReportUsageBatch(request, timeout=5).accepted_samples
        except grpc.RpcError as error:
            if error.code() not in RETRIED or attempt + 1 == TRIES_MAX:
                raise
            time.sleep(2 ** attempt / 10)
    return 0


def main():
    address, pool = sys.argv[1:]
    with grpc.insecure_channel(address) as channel:
        usage = usage_service_pb2_grpc.UsageServiceStub(channel)
        for line in sys.stdin:
            accepted = report(usage, pool, sample_of(float(line)))
            print(f"{pool}: {accepted} sample", flush=True)


main()
