#!/bin/sh
# Installs what is missing, builds Mitsuke and plays its demo. The arguments go to `mitsuke demo` (--once, --folder F).
# Runs from any folder, as root or with sudo, with or without a terminal, as often as you like.
set -u
top=$(cd "$(dirname "$0")/.." && pwd) || exit 2
# shellcheck source=deploy/setup.sh
. "$top/deploy/setup.sh"

set_up
say "Building Mitsuke in $CARGO_TARGET_DIR (a first build takes about 15 minutes on two cores, later ones seconds)."
cargo build --manifest-path "$top/Cargo.toml" --release --locked || fail "the build failed"
exec "$CARGO_TARGET_DIR/release/mitsuke" demo "$@"
