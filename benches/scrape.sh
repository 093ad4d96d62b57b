#!/usr/bin/env bash
# The scrape row: our collectors and exposition beside node_exporter with the same collectors.
#
#   benches/scrape.sh        SCRAPES=100 INTERVAL_MS=1000; NODE_EXPORTER=path/to/node_exporter
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export INTERVAL_MS="${INTERVAL_MS:-1000}"
exec cargo bench --quiet --locked --bench scrape
