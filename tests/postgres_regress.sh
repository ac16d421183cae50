#!/usr/bin/env bash
# PostgreSQL's own suites, run directly and through Mitsuke: whatever a client saw must be the same.
#
# tests/postgres_regress.sh [VERSION] [SUITE…]     VERSION: the server's major version, the newest one installed unless given
#                                                  SUITE: regress, isolation, libpq_pipeline; all three unless given
#
# In: Debian's source package of the installed server, fetched into the cache and built as far as the suites need it; a throwaway
# server and a throwaway sidecar for each run. Out: "no difference", or the differences, and exit status 1. Then the log is held against
# what the server logged and counted (tests/integration/oracle.rs). Both runs use TCP and the same port, so that a difference can only
# come from the sidecar. Takes about ten minutes on two cores after the first time.
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 2
cd "$top" || exit 2
# shellcheck source=deploy/setup.sh
. deploy/setup.sh

version=
case ${1:-} in [0-9]*) version=$1 && shift ;; esac
suites=${*:-regress isolation libpq_pipeline}

# Debian's sources of the version that is installed, unpacked and built where the cache does not have them yet. A package list of its
# own, made from where this system's packages come from, so that the system's lists stay as they are.
need_sources() {
    for tool in apt-get dpkg-source make cc perl; do
        have "$tool" || install "PostgreSQL's test programs are built from Debian's source package" dpkg-dev make gcc libc6-dev perl
    done
    package=postgresql-$version
    installed=$(dpkg-query -W -f '${Version}' "$package" 2>/dev/null) || fail "$package is not installed; apt-get install $package"
    work=$cache/postgres-sources/$installed
    source=$work/source
    [ -e "$work/complete" ] && return
    say "Fetching and building the test programs of $package $installed into $work."
    rm -rf "$work"
    mkdir -p "$work/lists/partial" && cd "$work" || return 1
    apt-get indextargets --format 'deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
        sort -u >sources.list
    [ -s sources.list ] || fail "apt knows no package lists of Debian's; apt-get update first"
    apt() { apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$work/lists" "$@"; }
    apt update && apt source --download-only --only-source "$package=$installed" || return 1
    dpkg-source --extract ./*.dsc source >unpack.log 2>&1 || { cat unpack.log; return 1; }
    cd source && ./configure --quiet --without-readline --without-icu --without-zlib >../configure.log 2>&1 || { tail ../configure.log; return 1; }
    for part in regress isolation modules/libpq_pipeline; do
        nice -n 5 make -j2 -C "src/test/$part" all >>../make.log 2>&1 || { tail ../make.log; return 1; }
    done
    touch "$work/complete"
    cd "$top" || return 1
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Whom the server and what it reads and writes belong to: PostgreSQL refuses root.
account=$(id -un)
as_account=()
if [ "$(id -u)" = 0 ]; then
    account=postgres
    as_account=(setpriv --reuid "$account" --regid "$(id -g "$account")" --clear-groups env HOME=/)
fi

# Waits for the end of a process. $1: its number. A sidecar that ends writes its log to the end first: after 300,000 statements that
# takes a debug build minutes.
await_end() {
    for _ in $(seq 12000); do
        kill -0 "$1" 2>/dev/null || return
        sleep 0.1
    done
    say "process $1 does not end" && return 1
}

sidecar=
server=
# The sidecar first: it drains, and its log is complete when it is gone.
stop_all() {
    [ -z "$sidecar" ] || { kill -TERM "$sidecar" && await_end "$sidecar"; }
    [ -z "$server" ] || { kill -INT "$server" && await_end "$server"; }
    sidecar=
    server=
}

# Waits until somebody answers. $1: the port.
await_listener() {
    for _ in $(seq 300); do
        "$bin/pg_isready" -q -h 127.0.0.1 -p "$1" && return
        sleep 0.1
    done
    return 1
}

# A fresh server. $1: its folder; $2: its port.
start_server() {
    "${as_account[@]}" "$bin/initdb" -D "$1/data" -U postgres -A trust --locale=C --encoding=UTF8 >"$1/initdb.log" 2>&1 || { cat "$1/initdb.log"; return 1; }
    cat >>"$1/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $2
unix_socket_directories = '$1'
fsync = off
max_prepared_transactions = 10
log_statement = all
log_line_prefix = '%p %d %a|'
log_lock_waits = on
shared_preload_libraries = 'pg_stat_statements'
compute_query_id = regress
pg_stat_statements.track = top
pg_stat_statements.max = 200000
pg_stat_statements.save = off
CONF
    "${as_account[@]}" "$bin/postgres" -D "$1/data" </dev/null >"$1/server.log" 2>&1 &
    server=$!
    await_listener "$2" && return
    tail "$1/server.log"
    return 1
}

# The sidecar. $1: its folder; $2: where it listens; $3: the server's port.
start_sidecar() {
    mkdir "$1/sidecar"
    cat >"$1/sidecar/mitsuke.toml" <<CONF
[listen]
address = "127.0.0.1:$2"
[upstream]
address = "127.0.0.1:$3"
[log]
path = "$1/sidecar/log"
CONF
    "$CARGO_TARGET_DIR/debug/mitsuke" run --config "$1/sidecar/mitsuke.toml" >"$1/sidecar/out" 2>"$1/sidecar/errors" </dev/null &
    sidecar=$!
    await_listener "$2" && return
    cat "$1/sidecar/errors"
    return 1
}

suite_regress() {
    "${as_account[@]}" ./pg_regress --bindir="$bin" --inputdir=. --outputdir=. --dlpath=. --schedule=parallel_schedule \
        --max-concurrent-tests=20 --host=127.0.0.1 --port="$1" --user=postgres
}

suite_isolation() {
    "${as_account[@]}" ./pg_isolation_regress --bindir="$bin" --inputdir=. --outputdir=. --schedule=isolation_schedule \
        --host=127.0.0.1 --port="$1" --user=postgres
}

# Every test with a trace of every message that libpq sent and took. `uniqviol` sends until its socket takes no more, so that how much
# it sends is the system's business: its outcome counts alone.
suite_libpq_pipeline() {
    export LD_LIBRARY_PATH=$source/src/interfaces/libpq
    mkdir results
    for test in $(./libpq_pipeline tests); do
        PGTZ=UTC ./libpq_pipeline -r 700 -t "results/$test.trace" "$test" "host=127.0.0.1 port=$1 user=postgres dbname=postgres" \
            >"results/$test.out" 2>&1 && say "test $test ... ok" || say "test $test ... FAILED"
    done | tee results/outcomes
    rm -f results/uniqviol.*
    unset LD_LIBRARY_PATH
}

# One suite against one leg. $1: the suite; $2: direct or through.
run() {
    folder=$scratch/$1-$2
    case $1 in
        libpq_pipeline) files=$source/src/test/modules/libpq_pipeline ;;
        *) files=$source/src/test/$1 ;;
    esac
    mkdir "$folder" && cp -R "$files" "$folder/suite" && rm -rf "$folder/suite/results" || return 1
    [ "$(id -u)" = 0 ] && chown -R "$account" "$folder"
    if [ "$2" = direct ]; then
        start_server "$folder" "$port" || return 1
    else
        start_server "$folder" "$server_port" && start_sidecar "$folder" "$port" "$server_port" || return 1
    fi
    (cd "$folder/suite" && "suite_$1" "$port") >"$folder/said" 2>&1
    # What the server counted, before it forgets.
    counted "$([ "$2" = direct ] && say "$port" || say "$server_port")" >"$folder/counted.tsv" || return 1
    stop_all
    say "   $1, $2: $(grep -cE '^ok |\.\.\. +ok' "$folder/said") as PostgreSQL's own expected output, $(grep -cE '^not ok|FAILED( |$)' "$folder/said") not"
}

# Calls and rows by statement, of pg_stat_statements: database, calls, rows, text, in COPY's text format. $1: the server's port.
counted() {
    "$bin/psql" -XAtq -h 127.0.0.1 -p "$1" -U postgres -d template1 -v ON_ERROR_STOP=1 <<'SQL'
create extension pg_stat_statements;
do $$ begin if (select dealloc from pg_stat_statements_info) > 0 then raise 'pg_stat_statements.max is too low'; end if; end $$;
copy (select coalesce(d.datname, '?'), calls, rows, query from pg_stat_statements s left join pg_database d on d.oid = s.dbid order by 1, 4) to stdout
SQL
}

# What a client saw: every result file, byte for byte.
compare() {
    diff -r "$scratch/$1-direct/suite/results" "$scratch/$1-through/suite/results" >"$scratch/$1.diff" && [ -n "$(ls "$scratch/$1-direct/suite/results")" ]
}

# Sessions that the sidecar could not follow, and anything else that it complained of.
complaints() {
    grep -E 'WARN|ERROR|panicked' "$scratch/$1-through/sidecar/errors"
}

set_up
[ -n "$version" ] || version=$(postgres_version)
bin=/usr/lib/postgresql/$version/bin
[ -x "$bin/postgres" ] || fail "no server in $bin; this script knows Debian's packages only"
need_sources || fail "the sources of PostgreSQL $version could not be made ready"
cargo build --locked --quiet || fail "mitsuke does not build"

scratch=$(mktemp -d) && chmod 755 "$scratch" || exit 2
trap 'stop_all' EXIT
port=$(free_port)
server_port=$(free_port)
say "PostgreSQL $installed, in $scratch"
worst=0
for suite in $suites; do
    say "== $suite"
    for leg in direct through; do
        run "$suite" "$leg" || fail "$suite, $leg: could not be run"
    done
    if compare "$suite"; then
        say "   no difference in $(find "$scratch/$suite-direct/suite/results" -type f | wc -l) files"
    else
        worst=1
        say "   DIFFERENCES: $scratch/$suite.diff" && head -n 40 "$scratch/$suite.diff"
    fi
    if complaints "$suite" >"$scratch/$suite.complaints"; then
        worst=1
        say "   the sidecar complained:" && head -n 20 "$scratch/$suite.complaints"
    fi
    say "   the log against the server's own, and against pg_stat_statements:"
    MITSUKE_ORACLE_FOLDER="$scratch/$suite-through" cargo test --locked --quiet --test integration oracle::a_run_that_a_script_made -- --ignored --nocapture ||
        worst=1
done
[ "$worst" = 0 ] && rm -rf "$scratch" && say "All is the same."
exit "$worst"
