#!/usr/bin/env bash
# The HTTP check row: processor time of one check (HTTP/1.1, literal IP, a new connection each time), beside a plain
# curl loop against the same server in the same run. The server is Debian's Prometheus and its `/-/healthy`.
#
#   benches/http_check.sh [SECONDS]        default 20; CHECKS=1000, one run a second each; VITALS=path/to/vitals
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. benches/common.sh
needs "$vitals" prometheus curl

seconds="${1:-20}"
checks="${CHECKS:-1000}"

server_port="$(free_port)"
echo 'global: {}' > "$work/prometheus.yaml"
prometheus --config.file="$work/prometheus.yaml" --storage.tsdb.path="$work/tsdb" \
  --web.listen-address="127.0.0.1:$server_port" --log.level=error > "$work/prometheus.log" 2>&1 &
pids+=("$!")
url="http://127.0.0.1:$server_port/-/healthy"
await_url "$url"

mkdir "$work/resources"
plain_config > "$work/resources/config.yaml"
for check in $(seq "$checks"); do
  printf -- '---\napiVersion: vitals.dev/v1alpha1\nkind: HealthCheck\nmetadata: {name: c%s}\nspec: {interval: 1s, timeout: 1s, http: {url: "%s"}}\n' \
    "$check" "$url"
done > "$work/resources/checks.yaml"

port="$(free_port)"
"$vitals" run "$work/resources" --state-dir "$work/state" --port "$port" > "$work/vitals.log" 2>&1 &
ours=$!
pids+=("$ours")
await_url "http://127.0.0.1:$port/health/live"
sleep 5

runs() {
  curl -s "http://127.0.0.1:$port/metrics" | awk '/^vitals_check_runs_total/ {sum += $NF} END {printf "%d", sum}'
}
hz="$(getconf CLK_TCK)"
runs_before="$(runs)"; ticks_before="$(ticks "$ours")"
sleep "$seconds"
runs_after="$(runs)"; ticks_after="$(ticks "$ours")"

loops=300
curl_seconds="$( { TIMEFORMAT='%U %S'; time for _ in $(seq "$loops"); do curl -s -o /dev/null "$url"; done; } 2>&1 |
  awk '{printf "%.4f", $1 + $2}')"

awk -v hz="$hz" -v s="$seconds" -v t="$((ticks_after - ticks_before))" -v n="$((runs_after - runs_before))" \
  -v c="$curl_seconds" -v loops="$loops" -v mb="$(resident_mb "$ours")" -v checks="$checks" 'BEGIN {
  if (n == 0) { print "no check ran" > "/dev/stderr"; exit 1 }
  ours = 1000 * t / hz / n; curl = 1000 * c / loops
  printf "http check: %d checks, %.0f runs a second, %d s\n", checks, n / s, s
  printf "  vitals  %7.3f ms CPU a check (whole process, goal 0.100)   RSS %.1f MB\n", ours, mb
  printf "  curl    %7.3f ms CPU a check\n", curl
  printf "  ratio   %7.3f\n", ours / curl
  exit ours > 0.1
}'
