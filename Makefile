# The two commands: `make test` (everything, what CI runs) and `make test-fast` (while you work).

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
CARGO ?= cargo
# Tools that the tests install for themselves, outside the repository.
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/vitals-test/bin
export PATH := $(TOOLS):$(PATH)
# Tests of the built program mostly wait for one-second intervals: more of them than processors fit side by side.
export RUST_TEST_THREADS ?= 8

.PHONY: help test test-fast test-program lint doc deny tools fmt crds bench

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

test: lint doc deny ## everything: format, lints, documentation, dependencies, all tests
	$(CARGO) test --workspace --locked --no-fail-fast

test-fast: ## the pure parts, the house rules and the golden files; under a minute when warm
	$(CARGO) test --locked --lib
	$(CARGO) test --locked $(addprefix --test ,$(filter architecture crds golden,$(basename $(notdir $(wildcard tests/*.rs)))))

test-program: ## the built program from outside; NAME=part of a test's name
	$(CARGO) test --locked --test program $(NAME)

lint: ## format and lints, as CI sees them
	$(CARGO) fmt --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

doc: ## the documentation, without a dead link
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --document-private-items

deny: ## licences, bans and sources of all dependencies
	@if ! command -v cargo-deny >/dev/null; then \
	  if [ -n "$${CI:-}" ]; then echo "cargo-deny is missing; 'make tools' installs it" >&2; exit 1; fi; \
	  echo "skipped: cargo-deny is missing; 'make tools' installs it"; \
	else $(CARGO) deny --locked check --hide-inclusion-graph bans licenses sources; fi

tools: ## installs what `make test` uses beyond Rust (promtool by apt as root, cargo-deny by cargo)
	scripts/cargo-deny.sh
	scripts/peers/prometheus.sh

fmt: ## formats everything
	$(CARGO) fmt

crds: ## writes crds/ anew from the Rust types
	UPDATE_GOLDEN=1 $(CARGO) test --locked --test crds

bench: ## measures against the peers and prints the table of docs/performance.md
	benches/run.sh
