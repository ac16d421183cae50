//! The audit oracle: the log against what the server itself logged (`log_statement = all`) and counted (`pg_stat_statements`),
//! statement for statement and row for row.

mod counted;
mod logged;

use std::collections::BTreeMap;
use std::path::PathBuf;

use mitsuke::record::{Kind, Outcome, Protocol, Statement};

use crate::support::programs::{self, psql};
use crate::support::server::{self, direct};
use crate::support::sidecar::{Sidecar, records};

/// Databases whose statements do not come through the sidecar.
const DIRECT: &str = "template1";
/// Where utility statements are prepared once and executed often: `pg_stat_statements` up to version 15 counts the first
/// execution alone (it clears the number that a cached plan's statement is counted under).
const UNCOUNTED: &str = "uncounted";
/// How many of each kind of difference are printed.
const PRINTED_MAX: usize = 25;

/// By database and text, literals out: how often.
type Texts = BTreeMap<(String, String), i64>;

/// What the log has of each text. The server says nothing of an Execute that it passed over, nor of a notification.
fn texts(statements: &[Statement]) -> Texts {
    let mut texts = Texts::new();
    for statement in statements {
        let passed_over = statement.protocol == Some(Protocol::Extended) && statement.outcome == Some(Outcome::Skipped);
        // What came from another session is no statement that the server was sent.
        let heard = statement.kind == Some(Kind::Notification);
        let database = statement.database.as_deref().unwrap_or("").to_owned();
        if !passed_over && !heard && database != DIRECT {
            *texts.entry((database, statement.query.as_deref().unwrap_or("").to_owned())).or_default() += 1;
        }
    }
    texts
}

/// Entries of either that are not in the other as often: (database, text), in `ours`, in `theirs`.
fn differences<'a, K: Ord, V: Default + Copy + PartialEq>(
    ours: &'a BTreeMap<K, V>,
    theirs: &'a BTreeMap<K, V>,
) -> Vec<(&'a K, V, V)> {
    let keys: std::collections::BTreeSet<&K> = ours.keys().chain(theirs.keys()).collect();
    let count = |of: &BTreeMap<K, V>, key: &K| of.get(key).copied().unwrap_or_default();
    keys.into_iter()
        .map(|key| (key, count(ours, key), count(theirs, key)))
        .filter(|(_, ours, theirs)| ours != theirs)
        .collect()
}

/// What pgbench, psql and a driver do in every protocol, errors, cursors, COPY and pipelines among it.
const SCRIPT: &str = "
import sys, psycopg
with psycopg.connect(sys.argv[1], autocommit=True) as c:
    c.execute('create table people (id int primary key, name text)')
    with c.cursor() as cursor:
        cursor.executemany('insert into people values (%s, %s)', [(n, 'name %d' % n) for n in range(50)])
        for _ in range(12):
            cursor.execute('select name from people where id < %s', (7,))
            assert len(cursor.fetchall()) == 7
        with cursor.copy('copy people to stdout') as copy:
            assert sum(1 for _ in copy.rows()) == 50
        with cursor.copy('copy people (id, name) from stdin') as copy:
            [copy.write_row((n, 'copied')) for n in range(100, 110)]
    for wrong in ['select * from nobody', 'selec', 'select 1/0', 'insert into people values (1, null)']:
        try:
            c.execute(wrong)
            assert False
        except psycopg.Error:
            pass
    with c.transaction():
        with c.cursor(name='cursor') as cursor:
            cursor.execute('select * from people order by id')
            assert len(cursor.fetchmany(10)) == 10
            assert len(cursor.fetchmany(25)) == 25
    with c.pipeline():
        for n in range(5):
            c.execute('update people set name = name where id < %s', (n,))
    try:
        with c.pipeline():
            c.execute('delete from people where id = %s', (1,))
            c.execute('select 1 / %s', (0,))
            c.execute('delete from people where id = %s', (2,))
    except psycopg.Error:
        pass
";

const PSQL: &str = "select 1; \\d people
begin; select 2 \\; select 3; rollback;
insert into people select i, 'more' from generate_series(1000, 1099) i returning id;
update people set name = upper(name) where id >= 1000;
delete from people where id >= 1050;
create table copied as select * from people;
declare c cursor with hold for select * from copied; fetch 7 from c; move 3 in c; fetch all from c; close c;
prepare p as select * from people where id = $1; execute p(1); execute p(3); execute p(1001); deallocate p;
\\copy people to '/dev/null'
select count(*) from people \\; select syntax error \\; select 'never';
select 1/0 \\; select 'never either';
explain analyze select * from people; do $$ begin perform * from people; end $$;
select id from people limit 3 \\gset
with gone as (delete from people where id > 1040 returning id) select * from gone;
";

#[test]
fn the_log_equals_what_the_server_logged_and_what_it_counted_row_for_row() {
    let server = server::start(&[
        ("log_statement", "all"),
        ("log_line_prefix", "%p %d %a|"),
        ("shared_preload_libraries", "pg_stat_statements"),
        ("pg_stat_statements.track", "top"),
        ("max_connections", "60"),
    ]);
    psql(&direct(&server, DIRECT), "create extension pg_stat_statements").expect_success();
    for name in ["oracle", UNCOUNTED] {
        psql(&direct(&server, DIRECT), &format!("create database {name}")).expect_success();
    }
    let mut sidecar = Sidecar::before(&server, "");
    let url = sidecar.url("oracle");
    for mode in ["simple", "extended", "prepared"] {
        let url = if mode == "prepared" { sidecar.url(UNCOUNTED) } else { url.clone() };
        programs::pgbench(&url, &["-i", "-q", "-s", "1"]).expect_success();
        programs::pgbench(&url, &["-n", "-M", mode, "-c", "3", "-j", "1", "-t", "40"]).expect_success();
        programs::pgbench(&url, &["-n", "-S", "-M", mode, "-c", "3", "-j", "1", "-t", "40"]).expect_success();
    }
    programs::pgbench(&url, &["-n", "-S", "-M", "prepared", "-c", "3", "-j", "1", "-t", "40"]).expect_success();
    programs::python(&url, SCRIPT).expect_success();
    programs::psql_script(&url, PSQL);
    let counts = psql(&direct(&server, DIRECT), counted::QUERY).expect_success();
    sidecar.stop();

    let statements = sidecar.records::<Statement>();
    assert!(statements.len() > 1_000);
    let log = std::fs::read_to_string(server.log_file()).expect("the server's log");
    let (ours, theirs) = (texts(&statements), logged::texts(&log));
    let different = differences(&ours, &theirs);
    assert!(different.is_empty(), "(database, text), in the log, in the server's: {different:#?}");
    let (mut ours, mut theirs) = (counted::of_records(&statements), counted::of_server(&counts));
    for counts in [&mut ours, &mut theirs] {
        counts.retain(|(database, _), _| database != UNCOUNTED);
    }
    if server::major(&server) < 17 {
        counted::without_deallocated(&mut ours);
    }
    if server::major(&server) < 14 {
        let names = counted::names(&statements, &counts);
        counted::without_rows_of_utilities(&mut ours, &names);
    }
    let different = differences(&ours, &theirs);
    assert!(theirs.len() > 30, "{theirs:?}");
    assert!(different.is_empty(), "(database, fingerprint), in the log, in pg_stat_statements: {different:#?}");
}

#[allow(clippy::disallowed_methods, reason = "tests/postgres_regress.sh says where its run lies")]
fn folder() -> Option<PathBuf> {
    std::env::var_os("MITSUKE_ORACLE_FOLDER").map(PathBuf::from)
}

/// Holds the log of one of PostgreSQL's own suites against the server. `tests/postgres_regress.sh` makes the run and calls this.
///
/// The texts have to be the same, each as often. What `pg_stat_statements` counted is told beside the log and judged by whoever
/// reads it, because over a suite that tries everything it counts other things than statements sent: once for every query that a
/// rewrite rule makes of one; the rows that REFRESH MATERIALIZED VIEW found, which no client sees; queries that fail after they were
/// run, where their transaction ends; a prepared utility statement once; and it takes texts for one statement that are told
/// apart here, and the other way round (aliases, casts, names by way of search_path).
#[test]
#[ignore = "judges a run of tests/postgres_regress.sh"]
fn a_run_that_a_script_made() {
    let folder = folder().expect("MITSUKE_ORACLE_FOLDER");
    let read = |name: &str| String::from_utf8_lossy(&std::fs::read(folder.join(name)).expect(name)).into_owned();
    let statements: Vec<Statement> = records(&folder.join("sidecar/log"));
    let (ours, theirs) = (texts(&statements), logged::texts(&read("server.log")));
    let different = differences(&ours, &theirs);
    let ran: i64 = theirs.values().sum();
    println!(
        "   {ran} statements in the server's log, {} in ours; different: {}",
        ours.values().sum::<i64>(),
        different.len()
    );
    different.iter().take(PRINTED_MAX).for_each(|((database, text), ours, theirs)| {
        println!("     {database}: {ours} times in the log, {theirs} in the server's: {text:?}");
    });
    let answer = read("counted.tsv");
    let (ours, theirs) = (counted::of_records(&statements), counted::of_server(&answer));
    let uncounted = differences(&ours, &theirs);
    println!(
        "   pg_stat_statements has {} statements, of which {} differ in calls or rows from the log",
        theirs.len(),
        uncounted.len()
    );
    let names = counted::names(&statements, &answer);
    println!("   {:<12} {:>10} {:>10} {:>10} {:>10}", "by verb", "calls, log", "server", "rows, log", "server");
    for (verb, [ours, theirs]) in counted::by_verb([&ours, &theirs], &names) {
        println!("   {verb:<12} {:>10} {:>10} {:>10} {:>10}", ours.calls, theirs.calls, ours.rows, theirs.rows);
    }
    uncounted.iter().take(PRINTED_MAX).for_each(|((database, print), ours, theirs)| {
        let name = names.get(print).map(|text| text.chars().take(100).collect::<String>());
        println!("     {database}: {ours:?} in the log, {theirs:?}: {name:?}");
    });
    assert!(different.is_empty(), "the log is not what the server ran");
}
