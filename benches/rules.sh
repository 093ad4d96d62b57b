#!/usr/bin/env bash
# The rules row: ten usual node rules, a hundred times each, every second, on this host's series; ours beside Debian's
# Prometheus in the same run. Prints one line each, and the ratio. Needs a release build and prometheus.
#
#   benches/rules.sh [SECONDS]        default 30; VITALS=path/to/vitals
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds="${1:-30}"
copies="${COPIES:-100}"
warm="${WARM:-20}"
. benches/common.sh
needs "$vitals" prometheus promtool curl

# What the node mixin asks of a host, over collectors that both have.
cat > "$work/exprs" <<'RULES'
node_filesystem_avail_bytes{fstype!=""} / node_filesystem_size_bytes{fstype!=""} * 100 < 5 and node_filesystem_readonly{fstype!=""} == 0
node_filesystem_files_free{fstype!=""} / node_filesystem_files{fstype!=""} * 100 < 5 and node_filesystem_readonly{fstype!=""} == 0
rate(node_network_receive_errs_total[2m]) / rate(node_network_receive_packets_total[2m]) > 0.01
rate(node_network_transmit_errs_total[2m]) / rate(node_network_transmit_packets_total[2m]) > 0.01
100 - (node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes * 100) > 90
rate(node_vmstat_pgmajfault[5m]) > 500
sum without(mode) (avg without(cpu) (rate(node_cpu_seconds_total{mode!~"idle|iowait"}[2m]))) * 100 > 90
node_load1 / count without(cpu, mode) (node_cpu_seconds_total{mode="idle"}) > 2
rate(node_disk_io_time_weighted_seconds_total[5m]) > 10
rate(node_pressure_cpu_waiting_seconds_total[5m]) > 0.5
RULES

mkdir "$work/resources"
echo "groups:" > "$work/rules.yaml"
for copy in $(seq "$copies"); do
  printf -- '- name: g%s\n  interval: 1s\n  rules:\n' "$copy" >> "$work/rules.yaml"
  rule=0
  while IFS= read -r expr; do
    rule=$((rule + 1))
    printf -- '  - alert: R%s\n    expr: %s\n    for: 5m\n' "$rule" "'$expr'" >> "$work/rules.yaml"
    printf -- '---\napiVersion: vitals.dev/v1alpha1\nkind: AlertRule\nmetadata: {name: r%s-%s}\nspec:\n  interval: 1s\n  for: 5m\n  expr: %s\n' \
      "$rule" "$copy" "'$expr'" >> "$work/resources/rules.yaml"
  done < "$work/exprs"
done
plain_config > "$work/resources/config.yaml"

# Ours. Extra arguments (another collection interval, say) by VITALS_RUN_ARGS.
port="$(free_port)"
# shellcheck disable=SC2086
"$vitals" run "$work/resources" --state-dir "$work/state" --port "$port" ${VITALS_RUN_ARGS:-} > "$work/vitals.log" 2>&1 &
ours=$!
pids+=("$ours")

# The peer scrapes ours every second: the same series for both.
peer_port="$(free_port)"
cat > "$work/prometheus.yaml" <<CONFIG
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [$work/rules.yaml]
scrape_configs:
- job_name: node
  static_configs: [{targets: ["127.0.0.1:$port"]}]
CONFIG
promtool check rules --lint=none "$work/rules.yaml" > /dev/null
prometheus --config.file="$work/prometheus.yaml" --storage.tsdb.path="$work/tsdb" \
  --web.listen-address="127.0.0.1:$peer_port" --log.level=error > "$work/prometheus.log" 2>&1 &
peer=$!
pids+=("$peer")

sleep "$warm"
for pid in "$ours" "$peer"; do
  kill -0 "$pid" 2>/dev/null || { tail -n 5 "$work"/*.log >&2; exit 1; }
done
samples="$(curl -s "http://127.0.0.1:$port/metrics" | grep -cE '^[a-zA-Z_]+[{ ]' || true)"
hz="$(getconf CLK_TCK)"
ours_before="$(ticks "$ours")"; peer_before="$(ticks "$peer")"
sleep "$seconds"
ours_after="$(ticks "$ours")"; peer_after="$(ticks "$peer")"

awk -v hz="$hz" -v s="$seconds" -v a="$((ours_after - ours_before))" -v b="$((peer_after - peer_before))" \
  -v am="$(resident_mb "$ours")" -v bm="$(resident_mb "$peer")" -v rules="$((copies * 10))" -v samples="$samples" 'BEGIN {
  printf "rules: %d rules every second over %d series, %d s\n", rules, samples, s
  printf "  vitals      CPU %6.2f %% of a core   RSS %6.1f MB\n", 100 * a / hz / s, am
  printf "  prometheus  CPU %6.2f %% of a core   RSS %6.1f MB\n", 100 * b / hz / s, bm
  if (b > 0) printf "  ratio       CPU %6.3f (goal 0.100)     RSS %6.3f\n", a / b, am / bm
  exit a > b / 10
}'
