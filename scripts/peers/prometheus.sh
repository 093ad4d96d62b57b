#!/usr/bin/env bash
# Installs Debian's Prometheus (the peer of the rules bench) with promtool (the judge of /metrics). Needs root or sudo.
set -euo pipefail

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  echo "promtool is missing and there is no apt-get here: install Prometheus 2.42 or later by hand" >&2
  [ -z "${CI:-}" ]
  exit
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! sudo -n true 2>/dev/null; then
    echo "promtool is missing and this user may not install it: run 'sudo apt-get install prometheus'" >&2
    [ -z "${CI:-}" ]
    exit
  fi
  as_root=(sudo -n)
fi

# The package would start a server of its own on :9090; nothing here wants it.
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 0755 "$policy"
  made_policy=yes
fi
undo() { if [ -n "$made_policy" ]; then "${as_root[@]}" rm -f "$policy"; fi; }
trap undo EXIT

if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends prometheus >/dev/null 2>&1; then
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends prometheus >/dev/null
fi
promtool --version 2>&1 | head -1
