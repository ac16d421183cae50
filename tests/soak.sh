#!/usr/bin/env bash
# A sidecar under load, killed with -9 at random and started again: its log against the server's own.
#
# tests/soak.sh [MINUTES] [SEED] [BINARY]     MINUTES: 30 unless given     SEED: when it is killed; printed, to be given again
#                                             BINARY: a mitsuke to try instead of the one that is built, a release say
#
# In: a throwaway PostgreSQL that logs every statement, the sidecar, clients whose statements are numbered. Out: how many statements ran, were seen
# completed and are in the log, or the first that is missing, double or wrong, and exit status 1. tests/integration/soak.rs says what must hold;
# twenty seconds of it are a test of their own.
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 2
cd "$top" || exit 2
# shellcheck source=deploy/setup.sh
. deploy/setup.sh

minutes=${1:-30}
seed=${2:-$RANDOM}
case $minutes$seed in *[!0-9]*) fail "usage: tests/soak.sh [MINUTES] [SEED] [BINARY]" ;; esac
if [ -n "${3:-}" ]; then
    MITSUKE_TEST_BINARY=$(realpath -- "$3") && [ -x "$MITSUKE_TEST_BINARY" ] || fail "$3 is no program"
    export MITSUKE_TEST_BINARY
fi
set_up
say "$minutes minutes of kills under load, seed $seed."
exec env MITSUKE_SOAK_SECONDS=$((minutes * 60)) MITSUKE_SOAK_SEED="$seed" \
    cargo test --locked --test integration -- --exact soak::for_as_long_as_the_script_says --ignored --nocapture
