#!/bin/bash
# promtool's opinion of the alert rules, and each alert for what it is for: rules_test.sh SOURCE_DIR
set -euo pipefail

if ! command -v promtool > /dev/null; then
  echo "skipped: no promtool is installed"
  exit 77
fi
promtool check rules "$1/systemd/monitoring/shadowd-alerts.yml"
# As part of a whole configuration, with the rules where they lie here.
config="$(mktemp)"
trap 'rm -f "$config"' EXIT
sed "s,/usr/share/shadowd/monitoring,$1/systemd/monitoring," \
  "$1/systemd/monitoring/shadowd-scrape.yml" > "$config"
promtool check config "$config"
promtool test rules "$1/tests/systemd/monitoring/alerts_test.yml"
python3 -m json.tool "$1/systemd/monitoring/shadowd-board.json" > /dev/null
