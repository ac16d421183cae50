#!/usr/bin/env bash
# Mitsuke beside what a user would pick instead: direct, pgbouncer, a plain relay, PostgreSQL with pgaudit. Prints a table.
# Installs what is missing, builds in release, starts throwaway clusters on loopback, removes everything afterwards.
# The arguments go to compare.py: --quick, --rounds N, --seconds N, --clients 1,8, --modes simple,prepared, --only latency,bulk,idle.
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 2
# shellcheck source=deploy/setup.sh
. "$top/deploy/setup.sh"
set_up
have python3 || install "the comparison is written in it" python3
have pgbouncer || [ -x /usr/sbin/pgbouncer ] || install "what Mitsuke is held against" pgbouncer
if have apt-get && ! ls /usr/lib/postgresql/*/lib/pgaudit.so >/dev/null 2>&1; then
    install "PostgreSQL's own audit, to compare with" "postgresql-$(postgres_version)-pgaudit"
fi
cargo build --manifest-path "$top/Cargo.toml" --release --locked --bin mitsuke --bench plain_copy || fail "the build failed"
plain=$(find "$CARGO_TARGET_DIR/release/deps" -maxdepth 1 -type f -perm -u+x -name 'plain_copy-*' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2)
exec python3 "$top/benches/vs/compare.py" --mitsuke "$CARGO_TARGET_DIR/release/mitsuke" --plain-copy "$plain" "$@"
