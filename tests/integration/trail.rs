//! The log against the server's own: what ran is in it, once, whatever was killed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mitsuke::record::{Outcome, Session, SessionOutcome, Statement};
use mitsuke::sql;

use crate::support::sidecar::Sidecar;
use crate::support::{programs, server};

/// Texts with their literals out, and how often each ran.
type Counts = BTreeMap<String, usize>;

/// What the server says it ran in `database`: `log_statement = all` (PostgreSQL manual, Error Reporting and Logging).
fn server_counts(database: &str) -> Counts {
    let log = std::fs::read_to_string(server::shared().log_file()).expect("the server's log");
    let mut texts: Vec<String> = Vec::new();
    let mut open = false;
    for line in log.lines() {
        if let Some(more) = line.strip_prefix('\t') {
            if let (true, Some(text)) = (open, texts.last_mut()) {
                text.push('\n');
                text.push_str(more);
            }
            continue;
        }
        // `%p %d %a|LOG:  statement: …` or `…|LOG:  execute NAME: …`
        open = false;
        let Some((prefix, message)) = line.split_once("|LOG:  ") else { continue };
        if prefix.split(' ').nth(1) != Some(database) {
            continue;
        }
        let text = match message.strip_prefix("statement: ") {
            Some(text) => Some(text),
            None => message.strip_prefix("execute ").and_then(|rest| rest.split_once(": ")).map(|(_, text)| text),
        };
        if let Some(text) = text {
            texts.push(text.to_owned());
            open = true;
        }
    }
    let mut counts = Counts::new();
    for text in texts {
        for analysis in sql::analyze(&text) {
            *counts.entry(analysis.query.to_string()).or_default() += 1;
        }
    }
    counts
}

fn logged_counts(statements: &[Statement], database: &str) -> Counts {
    let mut counts = Counts::new();
    for statement in statements.iter().filter(|statement| statement.database.as_deref() == Some(database)) {
        *counts.entry(statement.query.as_deref().unwrap_or("").to_owned()).or_default() += 1;
    }
    counts
}

#[track_caller]
fn assert_same(logged: &Counts, ran: &Counts) {
    let missing: Vec<_> = ran.iter().filter(|(text, times)| logged.get(*text) != Some(times)).collect();
    let invented: Vec<_> = logged.iter().filter(|(text, _)| !ran.contains_key(*text)).collect();
    assert!(missing.is_empty() && invented.is_empty(), "missing or miscounted: {missing:#?}\ninvented: {invented:#?}");
}

const SCRIPT: &str = "
import sys, psycopg
with psycopg.connect(sys.argv[1], application_name='reader') as connection:
    connection.execute('create table people (id int primary key, name text)')
    with connection.cursor() as cursor:
        cursor.executemany('insert into people values (%s, %s)', [(n, 'name %d' % n) for n in range(50)])
        for _ in range(12):
            cursor.execute('select name from people where id = %s', (7,))
        with cursor.copy('copy people to stdout') as copy:
            assert sum(1 for _ in copy.rows()) == 50
        with cursor.copy('copy people (id, name) from stdin') as copy:
            copy.write_row((1000, 'last'))
    with connection.cursor(name='cursor') as cursor:
        cursor.execute('select * from people')
        assert len(cursor.fetchmany(10)) == 10
    with connection.pipeline():
        for n in range(5):
            connection.execute('select %s::int', (n,))
    connection.commit()
";

#[test]
fn the_log_holds_exactly_the_statements_that_the_server_ran() {
    let database = server::database();
    let mut sidecar = Sidecar::start("");
    let url = sidecar.url(&database);
    programs::pgbench(&url, &["-i", "-q", "-s", "1"]).expect_success();
    for mode in ["simple", "extended", "prepared"] {
        programs::pgbench(&url, &["-n", "-M", mode, "-c", "3", "-j", "1", "-t", "40"]).expect_success();
    }
    programs::python(&url, SCRIPT).expect_success();
    if !programs::is_too_old("pg_dump") {
        let mut dump = programs::program("pg_dump");
        dump.arg("-d").arg(&url);
        programs::run(dump, b"").expect_success();
    }
    programs::psql_script(&url, "select 1; \\d people\nbegin; select 2 \\; select 3; commit;\n");
    sidecar.stop();

    let statements = sidecar.records::<Statement>();
    assert_same(&logged_counts(&statements, &database), &server_counts(&database));
    assert!(statements.iter().all(|statement| statement.outcome == Some(Outcome::Ok)));
    let seqs: Vec<u64> = statements.iter().map(|statement| statement.common.seq).collect();
    let mut sorted = seqs.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (1..=seqs.len() as u64).collect::<Vec<_>>(), "no gap, none twice");
}

#[test]
fn kill_9_loses_nothing_that_a_client_had_seen_completed() {
    const WORKERS: usize = 4;
    let database = server::database();
    let mut sidecar = Sidecar::start("");
    let completed = Arc::new(Mutex::new(Vec::<String>::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let (url, completed, stop) = (sidecar.url(&database), Arc::clone(&completed), Arc::clone(&stop));
            std::thread::spawn(move || load(&url, worker, &completed, &stop))
        })
        .collect();
    std::thread::sleep(Duration::from_millis(1_500));
    sidecar.kill();
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.join().expect("a worker ends when its connection does");
    }

    let completed = Arc::try_unwrap(completed).expect("the workers ended").into_inner().expect("not poisoned");
    assert!(completed.len() > WORKERS * 10, "only {} statements completed", completed.len());
    sidecar.launch();
    sidecar.stop();
    let statements = sidecar.records::<Statement>();
    let mut times: BTreeMap<&str, Vec<Outcome>> = BTreeMap::new();
    for statement in &statements {
        times
            .entry(statement.query.as_deref().expect("a text"))
            .or_default()
            .push(statement.outcome.expect("an outcome"));
    }
    for text in &completed {
        assert_eq!(times.get(text.as_str()), Some(&vec![Outcome::Ok]), "{text}");
    }
    // What was under way may have ended without the client having seen it, and may not.
    assert!(statements.len() <= completed.len() + WORKERS, "{} records", statements.len());
    let sessions = sidecar.records::<Session>();
    let lost = sessions.iter().filter(|session| session.outcome == Some(SessionOutcome::Lost)).count();
    assert_eq!(lost, WORKERS, "sessions that died with the sidecar");
}

const CLIENTS: usize = 6;

/// `pgbench` writes a line for each transaction whose end it has seen; a client of it is a session here.
#[test]
fn kill_9_under_pgbench_loses_no_transaction_that_it_had_seen_completed() {
    for mode in ["simple", "extended", "prepared"] {
        let database = server::database();
        let mut sidecar = Sidecar::start("");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = folder.path().join("probe.sql");
        std::fs::write(&script, "select 1 as probe;\n").expect("a script");
        let mut pgbench = programs::program("pgbench");
        pgbench.args(["-n", "-M", mode, "-j", "2", "-T", "60", "-l"]).args([
            "-c",
            &CLIENTS.to_string(),
            "--log-prefix",
        ]);
        pgbench.arg(folder.path().join("seen")).arg("-f").arg(&script).arg(sidecar.url(&database));
        let running = std::thread::spawn(move || programs::run(pgbench, b""));
        std::thread::sleep(Duration::from_millis(1_500));
        sidecar.kill();
        let ran = running.join().expect("it ends when its connections do");
        assert!(!ran.output.status.success() && ran.err().contains("aborted"), "{mode}: {}", ran.err());

        let mut seen: Vec<usize> = seen_by_client(folder.path()).into_values().collect();
        sidecar.launch();
        sidecar.stop();
        let mut logged: BTreeMap<String, usize> = BTreeMap::new();
        for statement in sidecar.records::<Statement>() {
            if statement.query.as_deref().is_some_and(|query| query.contains("probe")) {
                let ended = usize::from(statement.outcome == Some(Outcome::Ok));
                *logged.entry(statement.common.session_id.as_deref().unwrap_or_default().to_owned()).or_default() +=
                    ended;
            }
        }
        let mut logged: Vec<usize> = logged.into_values().collect();
        assert!(seen.len() <= CLIENTS && logged.len() <= CLIENTS, "{mode}: seen {seen:?}, logged {logged:?}");
        // A client that was still waiting for its first answer has no line, and one that had asked nothing no record.
        seen.resize(CLIENTS, 0);
        logged.resize(CLIENTS, 0);
        seen.sort_unstable();
        logged.sort_unstable();
        assert!(seen.iter().sum::<usize>() > 100, "{mode}: {seen:?}");
        // One more may have ended without the client having heard of it.
        let all = seen.iter().zip(&logged).all(|(seen, logged)| (*seen..=seen + 1).contains(logged));
        assert!(all, "{mode}: seen {seen:?}, logged {logged:?}");
    }
}

/// Every session waits for the disk by itself, and all that wait share its word.
#[test]
fn with_the_disk_s_promise_many_sessions_at_once_are_served_and_logged() {
    let mut sidecar = Sidecar::start("durability = \"disk\"\n");
    let url = sidecar.url("postgres");
    let script = sidecar.config().with_file_name("one.sql");
    std::fs::write(&script, "select 1 as on_disk;\n").expect("a script");
    let file = script.display().to_string();
    for mode in ["simple", "prepared"] {
        programs::pgbench(&url, &["-n", "-M", mode, "-c", "24", "-j", "1", "-t", "20", "-f", &file]).expect_success();
    }
    sidecar.stop();
    let statements = sidecar.records::<Statement>();
    let counts = logged_counts(&statements, "postgres");
    assert_eq!(counts.get("select $1 as on_disk"), Some(&(2 * 24 * 20)), "{counts:?}");
}

/// Lines by client, of the files that `pgbench -l` wrote: `client_id transaction_no …`.
fn seen_by_client(folder: &std::path::Path) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    for file in std::fs::read_dir(folder).expect("a folder") {
        let path = file.expect("a file").path();
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("seen")) {
            continue;
        }
        for line in std::fs::read_to_string(path).expect("a log").lines() {
            *seen.entry(line.split(' ').next().unwrap_or_default().to_owned()).or_default() += 1;
        }
    }
    seen
}

/// Runs statements that differ in a name, since literals leave the log, until the connection breaks.
fn load(url: &str, worker: usize, completed: &Mutex<Vec<String>>, stop: &AtomicBool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("connects");
        tokio::spawn(connection);
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let alias = format!("w{worker}_{number}");
            let done = match number % 2 {
                0 => client.simple_query(&format!("select 1 as {alias}")).await.is_ok(),
                _ => client.query(&format!("select 1 as {alias}"), &[]).await.is_ok(),
            };
            if !done {
                return;
            }
            completed.lock().expect("not poisoned").push(format!("select $1 as {alias}"));
        }
    });
}
