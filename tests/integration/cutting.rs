//! A cut ends a result at its limit, with a FATAL behind the last row that may pass, and the session with it.

use std::time::Duration;

use mitsuke::proxy::Gate;
use mitsuke::record::{Outcome, SessionOutcome};
use mitsuke::session::event::{Closed, Ended};
use mitsuke::session::{Event, SharedSubjectColumns, SubjectColumns};

use crate::support::gate::{CUT, TestGate};
use crate::support::programs::{Ran, node, psql, psql_script, python};
use crate::support::server::{SUPERUSER, database, direct, shared};
use crate::support::through::Through;
use crate::support::wait_for;
use crate::support::wire::{Client, bind, describe, execute, last_error, messages, parse, query, sync};

/// A database with people of whom each has two visits.
fn with_visits() -> String {
    let name = database();
    let set_up = "create table visits (person int, note text);
        insert into visits select i / 2, repeat('n', 50) from generate_series(2, 20001) i";
    psql(&direct(shared(), &name), set_up).expect_success();
    name
}

/// The column `person`.
fn person(database: &str) -> SharedSubjectColumns {
    let oid = psql(&direct(shared(), database), "select 'visits'::regclass::oid").expect_success();
    let oid = oid.trim().parse().unwrap();
    SharedSubjectColumns::new(SubjectColumns { columns: [((oid, 1), oid)].into(), ..SubjectColumns::default() })
}

struct Cut {
    rows: usize,
    ended: Ended,
    closed: Closed,
}

/// Says `bytes` in a session behind this gate, and hears it cut.
fn cut(name: &str, gate: impl Gate + 'static, bytes: &[u8]) -> Cut {
    let through = Through::gated(gate, person(name));
    let mut client = Client::session(&through.address(), SUPERUSER, name);
    client.heard.clear();
    client.say(bytes);
    let heard = client.hear_to_the_end();
    let all = messages(&heard);
    let whole: usize = all.iter().map(|(_, body)| body.len() + 5).sum();
    assert_eq!(whole, heard.len(), "a message is cut off");
    assert_eq!(all.last().unwrap().0, b'E');
    let (severity, sqlstate, message) = last_error(&heard).unwrap();
    assert_eq!((severity.as_str(), sqlstate.as_str(), message.as_str()), ("FATAL", "42501", CUT));
    let rows = all.iter().filter(|(kind, _)| *kind == b'D' || *kind == b'd').count();
    // Cancelled in the server, and gone there.
    let count = format!("select count(*) from pg_stat_activity where datname = '{name}'");
    wait_for("the end of the server's session", || {
        (psql(&direct(shared(), "postgres"), &count).expect_success().trim() == "0").then_some(())
    });
    let events = through.stop();
    let ended = events.iter().find_map(|event| match event {
        Event::Ended(ended) if ended.outcome == Outcome::Cut => Some(ended.clone()),
        _ => None,
    });
    let closed = events.iter().find_map(|event| if let Event::Closed(closed) = event { Some(closed) } else { None });
    Cut { rows, ended: ended.expect("it is told"), closed: closed.unwrap().clone() }
}

#[track_caller]
fn assert_cut(cut: &Cut, rows: usize) {
    assert_eq!(cut.rows, rows);
    assert_eq!((cut.ended.outcome, cut.ended.sqlstate.as_deref()), (Outcome::Cut, Some("42501")));
    assert_eq!(cut.ended.rows_returned, u64::try_from(rows).unwrap(), "what was sent is what is told");
    assert_eq!((cut.closed.outcome, cut.closed.sqlstate.as_deref()), (SessionOutcome::Terminated, Some("42501")));
}

#[test]
fn a_result_is_cut_behind_its_last_row_within_the_limit() {
    let name = with_visits();
    // In one read with the result's beginning; many reads later; and nothing of it at all.
    for rows in [10, 15_000, 0] {
        let limit = u64::try_from(rows).unwrap();
        assert_cut(&cut(&name, TestGate::cutting_rows(limit), &query("select * from visits")), rows);
    }
    // What came before in the same breath is told and heard as it was.
    let several = query("select 1; select * from visits");
    assert_cut(&cut(&name, TestGate::cutting_rows(7), &[several, query("select 2")].concat()).less(1), 7);
}

impl Cut {
    /// Without the rows of another result.
    fn less(mut self, rows: usize) -> Cut {
        self.rows -= rows;
        self
    }
}

#[test]
fn people_are_counted_to_the_limit_and_no_further() {
    let name = with_visits();
    let gate = || TestGate { people_max: Some(1_000), ..TestGate::default() };
    // Two visits each: the first visit of the 1,001st is the 2,001st row.
    let simple = cut(&name, gate(), &query("select person, note from visits order by person"));
    let pipeline = [parse("", "select person from visits order by person"), bind("", "", &[]), describe(b'P', "")];
    let extended = cut(&name, gate(), &[pipeline.concat(), execute("", 0), sync()].concat());
    for cut in [simple, extended] {
        assert_cut(&cut, 2_000);
        let people = cut.ended.people.unwrap();
        assert_eq!((people.distinct, people.is_exact(), people.values.len()), (1_000, true, 100));
    }
}

#[test]
fn a_portal_is_cut_over_all_its_executes() {
    let name = with_visits();
    let fetch = [execute("p", 30), execute("p", 30), execute("p", 30)].concat();
    let bytes = [query("begin"), parse("", "select * from visits"), bind("p", "", &[]), fetch, sync()].concat();
    assert_cut(&cut(&name, TestGate::cutting_rows(70), &bytes), 70);
}

#[test]
fn a_copy_is_cut_too() {
    let name = with_visits();
    assert_cut(&cut(&name, TestGate::cutting_rows(500), &query("copy visits to stdout")), 500);
}

/// A row so large that its beginning is with the client before its end is known: it is let out whole, and counted.
#[test]
fn a_row_that_has_begun_to_go_out_goes_out_whole() {
    let name = with_visits();
    let large = query("select repeat('x', 1000000) from visits");
    assert_cut(&cut(&name, TestGate::cutting_rows(3), &large), 4);
}

/// The server's statement is cancelled at once, not when its next row finds nobody.
#[test]
fn what_runs_in_the_server_is_cancelled() {
    let name = with_visits();
    // Some kilobytes of rows come out; then it sleeps, without sending anything.
    let sleeps = query("select repeat('x', 1000) from generate_series(1, 20) union all select pg_sleep(600)::text");
    let started = std::time::Instant::now();
    assert_cut(&cut(&name, TestGate::cutting_rows(3), &sleeps), 3);
    assert!(started.elapsed() < Duration::from_secs(60));
}

/// A client that reads nothing is cut all the same, and its server session ended.
#[test]
fn a_client_that_does_not_read_is_cut() {
    let name = with_visits();
    let through = Through::gated(TestGate::cutting_rows(100_000), SharedSubjectColumns::default());
    let mut client = Client::session(&through.address(), SUPERUSER, &name);
    client.say(&query("select generate_series(1, 100000000), repeat('x', 100)"));
    std::thread::sleep(Duration::from_millis(500));
    let rows = messages(&client.hear_to_the_end()).iter().filter(|message| message.0 == b'D').count();
    assert_eq!(rows, 100_000);
    through.stop();
}

/// What a driver does with `select n from many`, of which a hundred rows may pass: rows, the error, and a closed connection.
fn of_driver(run: impl FnOnce(&str) -> Ran) -> (String, String) {
    let name = database();
    let many = "create table many as select generate_series(1, 100000) n";
    psql(&direct(shared(), &name), many).expect_success();
    let through = Through::gated(TestGate::cutting_rows(100), SharedSubjectColumns::default());
    let ran = run(&through.url(&name));
    let cut = |event: &Event| matches!(event, Event::Ended(ended) if ended.outcome == Outcome::Cut && ended.rows_returned == 100);
    assert!(through.stop().iter().any(cut));
    (ran.out(), ran.err())
}

#[test]
fn psql_says_why_and_that_the_connection_is_gone() {
    let (_, errors) = of_driver(|url| psql_script(url, "\\set VERBOSITY verbose\nselect n from many;\nselect 1;\n"));
    assert!(errors.contains(&format!("FATAL:  42501: {CUT}")), "{errors}");
    assert!(errors.contains("server closed the connection"), "{errors}");
}

#[test]
fn psycopg_raises_and_closes() {
    let script = "
import sys, psycopg
db = psycopg.connect(sys.argv[1])
rows = 0
try:
    for row in db.cursor().stream('select n from many'):
        rows += 1
except psycopg.Error as error:
    print(type(error).__name__, error.sqlstate, error.diag.severity_nonlocalized, rows)
try:
    db.execute('select 1')
except psycopg.OperationalError as error:
    print('closed', db.closed)
";
    let (said, errors) = of_driver(|url| python(url, script));
    assert_eq!(said, "InsufficientPrivilege 42501 FATAL 100\nclosed True\n", "{errors}");
}

#[test]
fn asyncpg_raises_and_closes() {
    let script = "
import asyncio, sys, asyncpg
async def main():
    db = await asyncpg.connect(sys.argv[1])
    try:
        await db.fetch('select n from many')
    except asyncpg.PostgresError as error:
        print(type(error).__name__, error)
    await asyncio.sleep(0.5)
    print(db.is_closed())
asyncio.run(main())
";
    let (said, errors) = of_driver(|url| python(url, script));
    // As after any FATAL: its words in an error of the driver's own.
    let closed = format!("ConnectionDoesNotExistError connection was closed in the middle of operation: {CUT}\nTrue\n");
    assert_eq!(said, closed, "{errors}");
}

#[test]
fn node_postgres_raises_and_closes() {
    let script = "
const { Client } = require('pg')
const db = new Client({ connectionString: process.argv[2] })
db.on('error', () => {})
db.on('end', () => console.log('ended'))
db.connect()
  .then(() => db.query('select n from many'))
  .catch(error => console.log(error.constructor.name, error.code, error.severity))
";
    let (said, errors) = of_driver(|url| node(url, script));
    assert_eq!(said, "DatabaseError 42501 FATAL\nended\n", "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokio_postgres_fails_and_closes() {
    let name = with_visits();
    let through = Through::gated(TestGate::cutting_rows(100), SharedSubjectColumns::default());
    let (db, connection) = tokio_postgres::connect(&through.url(&name), tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let error = db.query("select * from visits", &[]).await.unwrap_err();
    let said = error.as_db_error().unwrap();
    assert_eq!((said.severity(), said.code().code(), said.message()), ("FATAL", "42501", CUT));
    let _ = connection.await.unwrap();
    assert!(db.query("select 1", &[]).await.is_err());
    assert!(db.is_closed());
}
