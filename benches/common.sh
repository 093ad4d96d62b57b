# What the bench scripts share; sourced, not run.
# shellcheck shell=bash

vitals="${VITALS:-${CARGO_TARGET_DIR:-target}/release/vitals}"

# Ends the script when a tool is missing.
needs() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null ||
      { echo "$tool is missing: cargo build --release, scripts/peers/*.sh, apt-get install curl" >&2; exit 2; }
  done
}

# A directory for this run, and the processes that it started; both gone at its end.
work="$(mktemp -d)"
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

# A loopback port on which nobody listens now.
free_port() {
  local port
  for port in $(shuf -i 20000-29999 -n 50); do
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
  done
}

# User and system time of a process so far, in clock ticks.
ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }

# Its resident memory, in MB.
resident_mb() { awk '/^VmRSS/ {printf "%.1f", $2 / 1024}' "/proc/$1/status"; }

# Waits until a URL answers 200; fails after half a minute.
await_url() {
  for _ in $(seq 300); do
    if curl -sf -o /dev/null "$1"; then return; fi
    sleep 0.1
  done
  echo "$1 never answered" >&2
  tail -n 5 "$work"/*.log >&2
  exit 1
}

# Settings without the shipped rules and dashboards, so that only what is measured runs.
plain_config() {
  cat <<'CONFIG'
apiVersion: vitals.dev/v1alpha1
kind: VitalsConfig
metadata: {name: default}
spec: {defaults: {rules: false, dashboards: false}}
CONFIG
}
