# What building and running Mitsuke needs, installed where it is missing. Sourced by deploy/demo.sh and tests/run.sh.
#
# In: the machine. Out: PostgreSQL 13 or newer (installed, never started, no cluster of the system's own made), a C compiler
# and libclang, Rust; CARGO_TARGET_DIR set to a folder that checkouts share. Says what it installs, and why, before it does.
# Touches nothing that is already there. Tested on Debian 12; the other systems go by their packages' names.

POSTGRES_LEAST=13
# As Cargo.toml's rust-version.
RUST_LEAST=95

say() { printf '%s\n' "$*"; }
fail() {
    printf 'mitsuke: %s\n' "$*" >&2
    exit 2
}
have() { command -v "$1" >/dev/null 2>&1; }

cache=${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/mitsuke
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"
[ -n "${CARGO_HOME:-${HOME:-}}" ] && PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"

# Runs a command as root, asking for a password only where somebody can type one.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif ! have sudo; then
        fail "$1 needs root: run this as root, or install sudo"
    elif [ -t 0 ] && [ "${CI:-}" != true ]; then
        sudo "$@"
    elif sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        fail "sudo wants a password and there is no terminal: run this from one, or as root"
    fi
}

package_manager() {
    for manager in apt-get dnf apk pacman zypper brew; do
        have "$manager" && { say "$manager"; return; }
    done
    case $(uname -s) in
        Darwin) fail "install Homebrew (https://brew.sh) first; PostgreSQL and LLVM come from it" ;;
        *) fail "no known package manager here; install PostgreSQL $POSTGRES_LEAST or newer, a C compiler and libclang by hand" ;;
    esac
}

refreshed=
# Installs system packages. $1: why. The rest: their names.
install() {
    why=$1
    shift
    manager=$(package_manager) || exit 2
    say "Installing $* with $manager: $why."
    case $manager in
        apt-get)
            [ -n "$refreshed" ] || as_root apt-get update -qq || say "(the package lists could not be refreshed; going on)"
            as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
            ;;
        dnf) as_root dnf install -y -q "$@" ;;
        apk) as_root apk add --quiet "$@" ;;
        pacman) as_root pacman -S --needed --noconfirm --quiet "$@" ;;
        zypper) as_root zypper --quiet --non-interactive install --no-recommends "$@" ;;
        brew) brew install --quiet "$@" ;;
    esac || fail "$manager could not install: $*"
    refreshed=yes
}

# The packages of this system: $1 is what is wanted.
packages() {
    case $1/$(package_manager) in
        postgres/apt-get) say postgresql ;;
        postgres/dnf) say postgresql-server postgresql ;;
        postgres/apk) say postgresql postgresql-client ;;
        postgres/pacman) say postgresql ;;
        postgres/zypper) say postgresql-server postgresql ;;
        postgres/brew) say postgresql@17 ;;
        compiler/apt-get) say gcc libc6-dev ;;
        compiler/dnf | compiler/zypper) say gcc gcc-c++ ;;
        compiler/apk) say build-base ;;
        compiler/pacman) say base-devel ;;
        clang/apt-get) say libclang-dev clang ;;
        clang/dnf | clang/zypper) say clang clang-devel ;;
        clang/apk) say clang-dev linux-headers ;;
        clang/pacman) say clang ;;
        clang/brew) say llvm ;;
        python/apt-get) say python3-venv ;;
        python/apk | python/brew) say python3 ;;
        python/pacman) say python ;;
        python/*) say python3 python3-pip ;;
        node/brew) say node ;;
        node/*) say nodejs npm ;;
    esac
}

# The highest major version of a PostgreSQL server here; 0 where there is none. The demo looks in the same places.
postgres_version() {
    highest=0
    for server in "$(command -v postgres)" /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres \
        /usr/lib/postgresql*/bin/postgres /usr/lib64/postgresql*/bin/postgres /usr/libexec/postgresql*/postgres \
        /usr/local/pgsql/bin/postgres /opt/homebrew/opt/postgresql*/bin/postgres /usr/local/opt/postgresql*/bin/postgres \
        /home/linuxbrew/.linuxbrew/opt/postgresql*/bin/postgres /Applications/Postgres.app/Contents/Versions/*/bin/postgres; do
        [ -x "$server" ] && [ -x "${server%/*}/initdb" ] || continue
        version=$("$server" --version 2>/dev/null | sed -n 's/.*(PostgreSQL) \([0-9]*\).*/\1/p')
        [ "${version:-0}" -gt "$highest" ] && highest=$version
    done
    say "$highest"
}

need_postgres() {
    [ "$(postgres_version)" -ge "$POSTGRES_LEAST" ] && return
    purpose="the throwaway PostgreSQL of demo and tests; it is not started, and no cluster is made"
    cluster=/etc/postgresql-common/createcluster.conf
    if have apt-get && ! [ -e "$cluster" ]; then
        # Debian's package makes a cluster and starts it, unless told not to; afterwards its file is as it came.
        install "it keeps the next package from starting a server" postgresql-common
        as_root cp -p "$cluster" "$cluster.before-mitsuke"
        as_root sh -c "echo 'create_main_cluster = false' >>$cluster"
        # shellcheck disable=SC2046 # a list of words
        install "$purpose" $(packages postgres)
        as_root mv "$cluster.before-mitsuke" "$cluster"
    else
        # shellcheck disable=SC2046
        install "$purpose" $(packages postgres)
    fi
    [ "$(postgres_version)" -ge "$POSTGRES_LEAST" ] ||
        fail "this system's PostgreSQL is older than $POSTGRES_LEAST; install a newer one from postgresql.org's repository"
}

# libclang itself: neither llvm-config nor libclang-cpp, which may be there alone, is enough.
have_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return
    for folder in $(have llvm-config && llvm-config --libdir) /usr/lib/llvm*/lib /usr/lib/*-linux-* /usr/lib64 /usr/lib \
        /opt/homebrew/opt/llvm/lib /usr/local/opt/llvm/lib /Library/Developer/CommandLineTools/usr/lib; do
        for library in "$folder"/libclang.so* "$folder"/libclang-[0-9]*.so* "$folder"/libclang.dylib; do
            [ -e "$library" ] && return
        done
    done
    return 1
}

need_compiler() {
    if ! have cc; then
        [ "$(uname -s)" = Darwin ] && fail "no C compiler: run \`xcode-select --install\` first"
        # shellcheck disable=SC2046
        install "a C compiler, for PostgreSQL's own grammar (pg_query), zstd and ring" $(packages compiler)
    fi
    # shellcheck disable=SC2046
    have_libclang || install "libclang, which reads the C headers of PostgreSQL's grammar" $(packages clang)
    # Alpine: a build script can load libclang only where it is linked dynamically itself.
    have apk && export RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=-crt-static"
    return 0
}

rust_minor() { cargo --version 2>/dev/null | sed -n 's/^cargo 1\.\([0-9]*\).*/\1/p'; }

need_rust() {
    if ! have cargo; then
        have curl || install "it fetches Rust's installer" curl ca-certificates
        say "Installing Rust into ${CARGO_HOME:-$HOME/.cargo} with its official installer (https://rustup.rs): Mitsuke is built from source."
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
            sh -s -- -y --no-modify-path --profile minimal --component clippy,rustfmt || fail "Rust's installer failed; see https://rustup.rs"
    fi
    minor=$(rust_minor)
    if [ "${minor:-0}" -lt "$RUST_LEAST" ] && have rustup; then
        say "Rust 1.${minor:-?} is older than 1.$RUST_LEAST: bringing the stable toolchain up to date with rustup."
        rustup update stable --no-self-update && export RUSTUP_TOOLCHAIN=stable
        minor=$(rust_minor)
    fi
    [ "${minor:-0}" -ge "$RUST_LEAST" ] || fail "Rust 1.$RUST_LEAST or newer is needed, here is 1.${minor:-?}; see https://rustup.rs"
}

# Everything that a build needs.
set_up() {
    need_postgres
    need_compiler
    need_rust
    mkdir -p "$CARGO_TARGET_DIR" || fail "cannot write $CARGO_TARGET_DIR; set CARGO_TARGET_DIR to a folder of yours"
}
