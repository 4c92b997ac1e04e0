# The one door to every chore. `script/install build test` brings what the recipes need.

set shell := ["bash", "-euo", "pipefail", "-c"]

# Queries are checked against .sqlx, so that nothing but `sqlx-prepare` needs a database to compile.
export SQLX_OFFLINE := "true"

# A failing test says what it waited for; the way there is noise.
export RUST_BACKTRACE := "0"

export CARGO_TERM_COLOR := env("CARGO_TERM_COLOR", "auto")

scripts := "script/env.sh script/install script/test script/run script/demo script/with-postgres script/sqlx-prepare script/stats script/nightly-fresh-root .ci/run"

# List the recipes
default:
    @just --list

# Is everything formatted?
fmt:
    cargo fmt --all -- --check

# Format everything
fmt-fix:
    cargo fmt --all

# Clippy and shellcheck, warnings denied
lint: shellcheck
    cargo clippy --workspace --all-targets --locked -- -D warnings

shellcheck:
    shellcheck -x -P SCRIPTDIR {{ scripts }}

# Does it compile?
check:
    cargo check --workspace --all-targets --locked

# Unit and integration tests, over a throwaway PostgreSQL
test *ARGS:
    script/with-postgres cargo nextest run --workspace --locked -E 'not (package(revaer-e2e) & kind(test))' {{ ARGS }}

# End-to-end tests against the release binaries
e2e *ARGS: build-release
    REVAER_E2E_BIN_DIR=target/release script/with-postgres cargo nextest run --workspace --locked -E 'package(revaer-e2e) & kind(test)' {{ ARGS }}

build:
    cargo build --workspace --locked

build-release:
    cargo build --release --locked -p revaer-app -p revaer-cli

alias build-rel := build-release

# From a change of the settings to the engine that works by it, beside qBittorrent: a table
bench-config: build-release
    REVAER_E2E_BIN_DIR=target/release cargo bench --locked -p revaer-bench --bench config

# What authentication costs, beside a thousand wrong secrets per second too: a table
bench-auth: build-release
    REVAER_E2E_BIN_DIR=target/release cargo bench --locked -p revaer-bench --bench auth

# Start a server for keeps
run *ARGS:
    script/run {{ ARGS }}

# From a magnet to a library entry, shown
demo *ARGS:
    script/demo {{ ARGS }}

# Write .sqlx after a query or a migration changed; `--check` only compares
sqlx-prepare *ARGS:
    script/sqlx-prepare {{ ARGS }}

# Licenses, sources and banned crates
deny:
    cargo deny --locked check --hide-inclusion-graph bans licenses sources

# Known vulnerabilities, where an advisory database is at hand (REVAER_ADVISORY_DB, else cargo's own)
audit:
    #!/usr/bin/env bash
    set -euo pipefail
    db=${REVAER_ADVISORY_DB:-${CARGO_HOME:-$HOME/.cargo}/advisory-db}
    if [ ! -d "$db" ]; then
        echo "no advisory database in $db: nothing audited (set REVAER_ADVISORY_DB to a checkout of rustsec/advisory-db)"
        exit 0
    fi
    cargo audit --db "$db" --no-fetch --stale

# Figures of the house style
stats:
    script/stats

# What CI runs
ci: fmt lint deny (sqlx-prepare "--check") test e2e

# What takes long: crash loops, and the demonstration in a fresh Debian
nightly: build-release
    REVAER_E2E_LOOPS=25 REVAER_E2E_BIN_DIR=target/release script/with-postgres cargo nextest run --profile nightly --workspace --locked -E 'package(revaer-e2e) & kind(test)'
    script/nightly-fresh-root
