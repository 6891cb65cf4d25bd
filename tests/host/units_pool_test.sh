#!/bin/bash
# A pool whose instances are units of the host: units_pool_test.sh BUILD_DIR
exec "$(dirname "$(readlink -f "$0")")/units_host.sh" "$1" units_pool.py
