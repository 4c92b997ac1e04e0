# shellcheck shell=bash
# Sourced by the other scripts: strict mode, the repository as working directory, and tools that were put under target/.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
export ROOT

# Tools that this repository installs for itself stay beneath its own target folder.
export TOOLS="$ROOT/target/tools"
export PATH="$TOOLS/bin:${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"

say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "$*"
    exit 3
}

have() {
    command -v "$1" >/dev/null 2>&1
}
