#!/bin/sh
# Builds the node_exporter that the scrape bench compares with. Needs Go; prints the path of the binary.
#   usage: scripts/peers/node_exporter.sh
set -eu

version=1.12.1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/vitals-test
binary=$cache/node_exporter-$version

if [ ! -x "$binary" ]; then
    command -v go >/dev/null || {
        echo "node_exporter.sh: needs Go to build node_exporter $version; install it or set NODE_EXPORTER to a binary" >&2
        exit 1
    }
    building=$cache/node_exporter-building.$$
    mkdir -p "$building"
    trap 'rm -rf "$building"' EXIT
    GOBIN=$building go install "github.com/prometheus/node_exporter@v$version" >&2
    mv "$building/node_exporter" "$binary"
fi
echo "$binary"
