#!/usr/bin/env bash
# Installs what is missing and checks everything: format, lints, docs, tests, the policies' cases, the demo.
# Ends at the first check that fails. Unattended; about 20 minutes on two cores from nothing, a few after that.
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 2
cd "$top" || exit 2
# shellcheck source=deploy/setup.sh
. deploy/setup.sh

done_so_far=
# Runs one check. $1: its name. The rest: a command.
step() {
    name=$1
    shift
    say "" "== $name"
    before=$SECONDS
    "$@" || {
        say "" "== FAILED: $name (after $((SECONDS - before)) s)" "$done_so_far"
        exit 1
    }
    done_so_far="$done_so_far
   ok  $(printf '%5d' $((SECONDS - before))) s  $name"
}

need_python() {
    have python3 && python3 -c 'import venv, ensurepip' 2>/dev/null && return
    # shellcheck disable=SC2046
    install "Python, for the drivers and readers that the tests compare with" $(packages python)
}

# One environment for each content of requirements.txt, in the cache.
python_environment() {
    need_python
    wanted=$(cksum <tests/requirements.txt | tr ' ' -)
    environment=$cache/python/$wanted
    if ! [ -e "$environment/complete" ]; then
        rm -rf "$environment"
        python3 -m venv "$environment" &&
            "$environment/bin/pip" install --quiet --disable-pip-version-check -r tests/requirements.txt &&
            touch "$environment/complete" || return 1
    fi
    export MITSUKE_TEST_PYTHON="$environment/bin/python"
}

# The same for Node.js: one environment for each content of package.json.
node_environment() {
    if ! have node || ! have npm; then
        # shellcheck disable=SC2046
        install "Node.js, for the driver that the tests compare with" $(packages node)
    fi
    wanted=$(cksum <tests/package.json | tr ' ' -)
    environment=$cache/node/$wanted
    if ! [ -e "$environment/complete" ]; then
        rm -rf "$environment"
        mkdir -p "$environment" && cp tests/package.json "$environment" &&
            (cd "$environment" && npm install --silent --no-audit --no-fund --no-package-lock) &&
            touch "$environment/complete" || return 1
    fi
    export MITSUKE_TEST_NODE="$environment/node_modules"
}

# What the tests talk to besides PostgreSQL, unpacked into the cache: nothing is installed, and no service of the system's started.
# Without apt-get, or these packages, the tests take what is on the PATH.
debian_packages() {
    have apt-get || return 0
    wanted="rsyslog rsyslog-openssl libestr0 libfastjson4 liblognorm5 libpostgresql-jdbc-java prometheus redis-server redis-tools libatomic1 libjemalloc2 liblzf1"
    programs=$cache/debian/$(say "$wanted" | cksum | tr ' ' -)
    if ! [ -e "$programs/complete" ]; then
        rm -rf "$programs"
        mkdir -p "$programs/packages" || return 1
        if ! fetch_packages; then
            as_root apt-get update -qq
            fetch_packages || { say "($wanted could not be fetched; install rsyslog with its OpenSSL driver)"; return 0; }
        fi
        for package in "$programs"/packages/*.deb; do
            dpkg -x "$package" "$programs" || return 1
        done
        rm -r "$programs/packages" && touch "$programs/complete" || return 1
    fi
    export MITSUKE_TEST_PROGRAMS="$programs"
}

# shellcheck disable=SC2086 # a list of words
fetch_packages() { (cd "$programs/packages" && apt-get download -qq $wanted 2>/dev/null); }

need_lints() {
    cargo clippy --version >/dev/null 2>&1 && cargo fmt --version >/dev/null 2>&1 && return
    have rustup || fail "clippy and rustfmt are missing; install them with your system's Rust"
    rustup component add clippy rustfmt
}

clippy() { cargo clippy --locked --all-targets "$@" -- -D warnings; }

tests() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --locked
    else
        cargo test --locked --lib --bins --tests
    fi
}

policy_cases() { "$CARGO_TARGET_DIR/debug/mitsuke" policy test; }

# The demo with the debug binary, twice in a row into the same folder: it must name the insider, the people and the policy.
demo() {
    folder=$(mktemp -d) || return 1
    for time in first second; do
        "$CARGO_TARGET_DIR/debug/mitsuke" demo --once --folder "$folder/demo" | tee "$folder/said" || return 1
        for word in clerk 20000 bulk-personal-read "confirmed by the database"; do
            grep -q "$word" "$folder/said" || { say "the demo ($time run) does not say: $word"; return 1; }
        done
    done
    rm -rf "$folder"
}

# Crates in more than one version must be ones we know of.
duplicates() {
    found=$(cargo tree --locked --duplicates --depth 0 --prefix none --edges normal,build | awk 'NF {print $1, $2}' | sort -u |
        awk '{print $1}' | uniq -d)
    [ -n "$found" ] || return 0
    new=$(printf '%s\n' "$found" | grep -vxF -f <(grep -v '^#' tests/duplicates.txt)) || return 0
    say "in the tree in two versions, and not in tests/duplicates.txt:" "$new"
    return 1
}

set_up
step "set-up: Python" python_environment
step "set-up: Node.js" node_environment
step "set-up: rsyslog, JDBC" debian_packages
step "set-up: lints" need_lints
step "format" cargo fmt --all --check
step "clippy" clippy
step "clippy, without the default features" clippy --no-default-features
step "docs" env RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
step "duplicate dependencies" duplicates
step "build" cargo build --locked
step "tests" tests
step "doc tests" cargo test --locked --doc
step "policies' cases" policy_cases
step "demo" demo
say "" "All is well, in $((SECONDS / 60)) min:" "$done_so_far"
