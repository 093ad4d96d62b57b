#!/usr/bin/env bash
# `make bench`: builds the release binary, runs every bench beside its peer, prints the table of docs/performance.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo build --release --locked --bin vitals
echo "machine: $(nproc) processors, $(awk '/^model name/ {sub(/.*: /, ""); print; exit}' /proc/cpuinfo), Linux $(uname -r)"

failed=()
# Each bench is a script of its own that can be run alone; one whose peer is missing says so and is counted.
for bench in benches/*.sh; do
  case "$bench" in benches/run.sh | benches/common.sh) continue ;; esac
  echo
  "$bench" || failed+=("$bench")
done
if [ "${#failed[@]}" -gt 0 ]; then
  echo
  echo "did not finish, or missed a goal: ${failed[*]}" >&2
  exit 1
fi
