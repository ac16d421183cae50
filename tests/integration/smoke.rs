//! A small part of what `tests/postgres_regress.sh` does with PostgreSQL's own suites, every time: scripts of ours, run by psql
//! directly and through the sidecar, print the same.

use crate::support::programs::{psql, psql_script};
use crate::support::server::{database, direct, shared};
use crate::support::through::Through;

/// Name and text. Each finds an empty database.
const SCRIPTS: [(&str, &str); 4] = [
    ("schema", include_str!("smoke/schema.sql")),
    ("queries", include_str!("smoke/queries.sql")),
    ("routines", include_str!("smoke/routines.sql")),
    ("client", include_str!("smoke/client.sql")),
];

#[test]
fn every_script_prints_the_same() {
    let through = Through::start();
    for (name, script) in SCRIPTS {
        let (first, second) = (database(), database());
        let (direct, passed) =
            (psql_script(&direct(shared(), &first), script), psql_script(&through.url(&second), script));
        let port = through.address().rsplit_once(':').expect("host:port").1.to_owned();
        // What differs between two connections: the database and the port that messages name, and the server's process.
        let same = |text: String| {
            without_processes(&text.replace(&second, &first).replace(&port, &shared().port().to_string()))
        };
        assert_eq!(same(passed.out()), same(direct.out()), "{name}");
        assert_eq!(same(passed.err()), same(direct.err()), "{name}");
        assert!(direct.out().lines().count() > 60, "{name} did not run: {}", direct.err());
    }
}

/// `… from server process with PID 4711`: any number.
fn without_processes(text: &str) -> String {
    let mut pieces = text.split("PID ");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + "PID " + piece.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// Two sessions that wait for each other: whoever waited directly waits, gets on or fails with the same words.
#[test]
fn two_sessions_wait_for_each_other_as_without_the_sidecar() {
    let through = Through::start();
    let outcomes = |url: &dyn Fn(&str) -> String| {
        let name = database();
        psql(
            &direct(shared(), &name),
            "create table t (id int primary key, v int); insert into t values (1, 0), (2, 0)",
        )
        .expect_success();
        let url = url(&name);
        let sides = [("1", "2"), ("2", "1")].map(|(mine, other)| {
            let script = format!(
                "set deadlock_timeout = '100ms'; begin; update t set v = v + 1 where id = {mine};
                 select pg_sleep(0.5); update t set v = v + 1 where id = {other}; commit;"
            );
            let url = url.clone();
            std::thread::spawn(move || psql_script(&url, &script))
        });
        let mut ends = sides.map(|side| {
            let ran = side.join().expect("psql runs");
            let deadlock = ran.err().contains("deadlock detected");
            (deadlock, ran.out().lines().last().unwrap_or_default().to_owned())
        });
        ends.sort();
        let left = psql(&direct(shared(), &name), "select sum(v) from t").expect_success();
        (ends, left)
    };
    let without = outcomes(&|name| direct(shared(), name));
    let with = outcomes(&|name| through.url(name));
    assert_eq!(with, without);
    let [(first, _), (second, _)] = &with.0;
    assert!(!*first && *second, "one of two goes on: {with:?}");
}
