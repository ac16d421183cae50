#!/usr/bin/env bash
# The log in a store of Azure's blobs: Azurite, Microsoft's own emulator, stopped and started again while a sidecar writes.
#
# tests/stores.sh [BINARY]     BINARY: a mitsuke to try instead of the one that is built
#
# In: Azurite, from npm, put into the cache; a throwaway PostgreSQL and a throwaway sidecar. Out: that each statement is in the store once, those
# too that ran while the store was away and the sidecar was killed; that it is proven and compacted there; or what is not, and exit status 1.
# The quick suite does the same with an S3 server (tests/integration/store.rs). Google's storage has no emulator that knows the requests
# of its XML API, which are the ones that are made.
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 2
cd "$top" || exit 2
# shellcheck source=deploy/setup.sh
. deploy/setup.sh

AZURITE=3.37.0
if [ -n "${1:-}" ]; then
    mitsuke=$(realpath -- "$1") && [ -x "$mitsuke" ] || fail "$1 is no program"
    need_postgres
else
    set_up
    cargo build --locked || exit 2
    mitsuke=$CARGO_TARGET_DIR/debug/mitsuke
fi
have node && have npm || install "Node.js, for Azurite" nodejs npm
have python3 || install "Python, which makes the container" python3
azurite=$cache/azurite/$AZURITE
if ! [ -e "$azurite/complete" ]; then
    say "Installing Azurite $AZURITE into $azurite."
    rm -rf "$azurite" && mkdir -p "$azurite" &&
        (cd "$azurite" && npm install --silent --no-audit --no-fund --no-package-lock "azurite@$AZURITE") &&
        touch "$azurite/complete" || exit 2
fi

bin=$(dirname "$(command -v "/usr/lib/postgresql/$(postgres_version)/bin/postgres" || command -v postgres)")
as_account=()
# PostgreSQL refuses root.
[ "$(id -u)" = 0 ] && as_account=(setpriv --reuid postgres --regid "$(id -g postgres)" --clear-groups env HOME=/)
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
blob_port=$(free_port) server_port=$(free_port) sidecar_port=$(free_port)

work=$(mktemp -d) && chmod 755 "$work" || exit 2
store=
server=
sidecar=
end() { for process in $sidecar $server $store; do kill "$process" 2>/dev/null && wait "$process" 2>/dev/null; done; }
trap 'end; rm -rf "$work"' EXIT
wrong() {
    say "$*"
    tail -n 5 "$work/errors" "$work/azurite.out" "$work/query.errors" 2>/dev/null
    exit 1
}
# Waits until a command succeeds. $1: what for.
await() {
    what=$1 && shift
    for _ in $(seq 600); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.2
    done
    wrong "$what: not within two minutes"
}

# Made up.
account=audit
key=$(printf 'a key of the test, made up: no one else has it' | base64 -w 0)
export AZURE_STORAGE_ACCOUNT_NAME=$account AZURE_STORAGE_ACCOUNT_KEY=$key AZURE_STORAGE_ENDPOINT="http://127.0.0.1:$blob_port/$account" AZURE_ALLOW_HTTP=true
export AZURITE_ACCOUNTS="$account:$key"

start_store() {
    "$azurite/node_modules/.bin/azurite-blob" --silent --skipApiVersionCheck --disableTelemetry --location "$work/blobs" --blobHost 127.0.0.1 \
        --blobPort "$blob_port" >"$work/azurite.out" 2>&1 &
    store=$!
    await "Azurite" python3 -c "import socket; socket.create_connection(('127.0.0.1', $blob_port))"
}
# Not killed: it writes down what it holds every few seconds, and when it ends.
stop_store() { kill -TERM "$store" && wait "$store" 2>/dev/null; store=; }
make_container() {
    python3 - "$account" "$key" "$blob_port" <<'PY'
import base64, datetime, hashlib, hmac, sys, urllib.request
account, key, port = sys.argv[1:]
date = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
headers = {"x-ms-date": date, "x-ms-version": "2021-08-06"}
signed = "PUT" + "\n" * 12 + "".join(f"{name}:{value}\n" for name, value in headers.items())
signed += f"/{account}/{account}/log\nrestype:container"
signature = base64.b64encode(hmac.new(base64.b64decode(key), signed.encode(), hashlib.sha256).digest()).decode()
headers["Authorization"] = f"SharedKey {account}:{signature}"
urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/{account}/log?restype=container", method="PUT", headers=headers))
PY
}
start_sidecar() {
    "$mitsuke" run --config "$work/mitsuke.toml" >"$work/out" 2>>"$work/errors" </dev/null &
    sidecar=$!
    await "the sidecar" "$bin/pg_isready" -q -h 127.0.0.1 -p "$sidecar_port"
}
# $1: the phase; $2: how many statements.
load() {
    for number in $(seq "$2"); do printf 'select %d as in_phase_%d;\n' "$number" "$1"; done |
        "$bin/psql" -qAtX -h 127.0.0.1 -p "$sidecar_port" -U postgres postgres >"$work/answers" || wrong "phase $1 failed"
}
# From another machine: no configuration, no spool.
elsewhere() { (mkdir -p "$work/elsewhere" && cd "$work/elsewhere" && "$mitsuke" "$@" --log az://log/fleet/db); }
counted() {
    elsewhere query --format csv "select count(*) as n, count(distinct concat(writer, '/', seq)) as once from statements
        where query like 'select % as in_phase%'" 2>"$work/query.errors" | tail -n 1
}
has() { [ "$(counted)" = "$1,$1" ]; }

start_store
make_container || wrong "the container was not made"
"${as_account[@]}" true
mkdir "$work/server" && { [ "$(id -u)" != 0 ] || chown postgres "$work/server"; }
"${as_account[@]}" "$bin/initdb" -D "$work/server/data" -U postgres -A trust --locale=C --encoding=UTF8 >"$work/initdb.log" 2>&1 || { cat "$work/initdb.log"; exit 2; }
"${as_account[@]}" "$bin/postgres" -D "$work/server/data" -c listen_addresses=127.0.0.1 -c port="$server_port" -c unix_socket_directories= -c fsync=off \
    </dev/null >"$work/server.log" 2>&1 &
server=$!
await "the server" "$bin/pg_isready" -q -h 127.0.0.1 -p "$server_port"
cat >"$work/mitsuke.toml" <<CONF
[listen]
address = "127.0.0.1:$sidecar_port"
[upstream]
address = "127.0.0.1:$server_port"
[log]
path = "az://log/fleet/db"
spool = "$work/spool"
flush = "1s"
store = { endpoint = "$AZURE_STORAGE_ENDPOINT", allow_http = true }
CONF

start_sidecar
load 1 200
await "the first phase in the store" has 200
say "written and read: 200 statements"
stop_store
load 2 300
sleep 2
kill -KILL "$sidecar" && wait "$sidecar" 2>/dev/null
start_sidecar
load 3 300
start_store
load 4 200
await "what ran while the store was away" has 1000
say "the store stopped, the sidecar killed: 1000 statements, each once"
kill -TERM "$sidecar" && wait "$sidecar"
sidecar=
elsewhere verify >"$work/proof" 2>&1 || { cat "$work/proof"; wrong "it is not proven"; }
say "proven"
"$mitsuke" log compact --config "$work/mitsuke.toml" >"$work/compacted" 2>&1 || { cat "$work/compacted"; wrong "it is not compacted"; }
has 1000 || wrong "after compacting there are $(counted)"
elsewhere verify >"$work/proof" 2>&1 || { cat "$work/proof"; wrong "it is not proven once it is compacted"; }
say "compacted, and proven again"
