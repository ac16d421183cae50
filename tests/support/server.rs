//! A real PostgreSQL for a test process: one shared cluster, a database a test.
//!
//! The cluster is `mitsuke::demo::Postgres`: loopback only, removed with the process, however it ends.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use mitsuke::demo::{Options, Postgres};

use super::programs;

/// The superuser. `trust` lets it in.
pub const SUPERUSER: &str = "postgres";

/// A server with settings of its own.
pub fn start(settings: &[(&str, &str)]) -> Postgres {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let kept_clusters = Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")));
    Postgres::start(&Options { settings, kept_clusters, ..Options::default() }).expect("a throwaway PostgreSQL starts")
}

/// The server that the tests of this process share. Logs every statement.
pub fn shared() -> &'static Postgres {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    SHARED
        .get_or_init(|| start(&[("log_statement", "all"), ("log_line_prefix", "%p %d %a|"), ("max_connections", "60")]))
}

/// A new, empty database of the shared server.
pub fn database() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    programs::psql(&direct(shared(), "postgres"), &format!("create database {name}")).expect_success();
    name
}

/// A new database of the shared server, with a table `t` of 20 rows: `id` from 1, `v` a text.
pub fn database_with_table() -> String {
    let name = database();
    let set_up =
        "create table t (id int primary key, v text); insert into t select i, 'v' || i from generate_series(1, 20) i";
    programs::psql(&direct(shared(), &name), set_up).expect_success();
    name
}

/// A connection string that leads to the server itself.
pub fn direct(server: &Postgres, database: &str) -> String {
    server.url(SUPERUSER, database)
}

/// `127.0.0.1:port` of the server itself.
pub fn address(server: &Postgres) -> String {
    format!("127.0.0.1:{}", server.port())
}

/// The server's major version.
pub fn major(server: &Postgres) -> u32 {
    let version = programs::psql(&direct(server, "postgres"), "show server_version_num").expect_success();
    version.trim().parse::<u32>().expect("a number") / 10_000
}

/// Replaces the server's `pg_hba.conf` and has it read; the lines go before `trust` for everybody.
pub fn set_hba(server: &Postgres, lines: &str) {
    let path = server.socket_folder().join("data/pg_hba.conf");
    let rest = "local all all trust\nhost all all 127.0.0.1/32 trust\n";
    fs::write(path, format!("{lines}\n{rest}")).expect("pg_hba.conf can be written");
    programs::psql(&direct(server, "postgres"), "select pg_reload_conf()").expect_success();
}
