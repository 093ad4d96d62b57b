#!/usr/bin/env bash
# The quickstart row: start to first result, and resident memory after a minute, of `vitals run examples/quickstart`.
#
#   benches/quickstart.sh [SECONDS]        default 60; VITALS=path/to/vitals
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. benches/common.sh
needs "$vitals" curl

seconds="${1:-60}"
port="$(free_port)"
begun="$(date +%s%N)"
"$vitals" run examples/quickstart --state-dir "$work/state" --port "$port" > "$work/vitals.log" 2>&1 &
ours=$!
pids+=("$ours")
until curl -s "http://127.0.0.1:$port/health/checks" 2>/dev/null | grep -q '"last_check":"'; do
  kill -0 "$ours" 2>/dev/null || { cat "$work/vitals.log" >&2; exit 1; }
  sleep 0.01
done
first_ms=$((($(date +%s%N) - begun) / 1000000))
before="$(ticks "$ours")"
sleep "$seconds"
after="$(ticks "$ours")"

awk -v first="$first_ms" -v mb="$(resident_mb "$ours")" -v t="$((after - before))" -v hz="$(getconf CLK_TCK)" \
  -v s="$seconds" 'BEGIN {
  printf "quickstart: first result after %d ms (goal 2000), RSS %.1f MB after %d s (goal 24.0), CPU %.2f %% of a core\n",
    first, mb, s, 100 * t / hz / s
  exit (first > 2000 || mb > 24)
}'
