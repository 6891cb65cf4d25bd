#!/bin/bash
# shadowd-units on a host, and whoever wants more of it than root grants:
# units_attack_test.sh BUILD_DIR
exec "$(dirname "$(readlink -f "$0")")/units_host.sh" "$1" units_attack.py
