#!/usr/bin/env bash
# Installs cargo-deny into the tests' own cache, unless it is there. Takes about three minutes on two processors.
set -euo pipefail

version=0.20.2
root="${XDG_CACHE_HOME:-$HOME/.cache}/vitals-test"

if [ -x "$root/bin/cargo-deny" ] && "$root/bin/cargo-deny" --version | grep -qF "$version"; then
  exit 0
fi
if command -v cargo-deny >/dev/null; then
  exit 0
fi
# Its own target directory: the project's is not disturbed.
exec cargo install cargo-deny --quiet --locked --version "$version" --root "$root" \
  --target-dir "${TMPDIR:-/tmp}/vitals-cargo-deny"
