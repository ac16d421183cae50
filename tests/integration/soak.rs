//! A sidecar under load, killed at random and started again, for as long as one likes: its log against the server's own.
//!
//! What must hold in the end, whatever was killed when: each statement that the server ran is in the log, once; one that a client has seen
//! completed is in it as completed; one that the server never ran is in it as `unknown`, and there are no more of those than could have
//! been under way; `mitsuke verify` finds nothing, in between and in the end. Between two lives, small files are compacted by hand.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, RecordBatch};
use mitsuke::audit::Lake;
use mitsuke::record::Statement;

use crate::support::programs::psql;
use crate::support::server::{self, direct};
use crate::support::sidecar::Sidecar;

const WORKERS: usize = 4;
/// Between two statements of a worker: the log of a debug build has to keep up.
const PAUSE: Duration = Duration::from_millis(3);
/// How long a life of the sidecar lasts, at least and at most.
const LIFE_MS: (u64, u64) = (400, 6_000);
const DATABASE: &str = "soak";

/// The numbers of a worker's statements: how often each was seen.
type Numbers = Vec<BTreeMap<u32, u8>>;

/// The twenty seconds that belong to the tests.
#[test]
fn twenty_seconds_of_kills_under_load_lose_no_statement_and_double_none() {
    soak(Duration::from_secs(20), 4711);
}

#[allow(clippy::disallowed_methods, reason = "tests/soak.sh says for how long")]
fn given(name: &str) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).expect(name)
}

#[test]
#[ignore = "run by tests/soak.sh, which says for how long"]
fn for_as_long_as_the_script_says() {
    soak(Duration::from_secs(given("MITSUKE_SOAK_SECONDS")), given("MITSUKE_SOAK_SEED"));
}

fn soak(time: Duration, seed: u64) {
    println!("   seed {seed}");
    let server = server::start(&[
        ("log_statement", "all"),
        ("log_line_prefix", "%p %d %a|"),
        ("max_connections", "60"),
        // Whether the disk has it is not what is asked here.
        ("fsync", "off"),
    ]);
    psql(&direct(&server, "postgres"), &format!("create database {DATABASE}")).expect_success();
    psql(&direct(&server, DATABASE), "create table t (id int primary key, n int); insert into t values (1, 0)")
        .expect_success();
    let mut sidecar = Sidecar::before(&server, "flush = \"1s\"\n");
    let stop = Arc::new(AtomicBool::new(false));
    let completed: Vec<Arc<Mutex<BTreeMap<u32, u8>>>> = (0..WORKERS).map(|_| Arc::default()).collect();
    let begun = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = completed
        .iter()
        .enumerate()
        .map(|(worker, completed)| {
            let (url, completed, stop, begun) =
                (sidecar.url(DATABASE), Arc::clone(completed), Arc::clone(&stop), Arc::clone(&begun));
            std::thread::spawn(move || load(&url, worker, &completed, &stop, &begun))
        })
        .collect();
    let kills = lives(&mut sidecar, time, seed);
    stop.store(true, Ordering::Relaxed);
    workers.into_iter().for_each(|worker| worker.join().expect("a worker ends"));
    sidecar.stop();
    let (ran, logged) = (server_ran(&server), logged(&sidecar));
    let completed: Numbers = completed.iter().map(|of| of.lock().expect("not poisoned").clone()).collect();
    judge(&ran, &logged, &completed, kills);
    let proven = sidecar.command(["verify"]).expect_success();
    assert!(proven.contains("Complete and unaltered"), "{proven}");
    println!(
        "   {kills} kills; {} statements begun, {} seen completed, {} ran on the server, {} in the log; verify finds nothing",
        begun.load(Ordering::Relaxed),
        completed.iter().map(BTreeMap::len).sum::<usize>(),
        ran.iter().map(BTreeMap::len).sum::<usize>(),
        logged.iter().map(BTreeMap::len).sum::<usize>(),
    );
}

/// Kills it and starts it again until the time is over. How often.
fn lives(sidecar: &mut Sidecar, time: Duration, seed: u64) -> u64 {
    let mut random = seed;
    let mut draw = |(from, to): (u64, u64)| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        from + (random >> 33) % (to - from)
    };
    let (began, mut kills) = (Instant::now(), 0);
    while began.elapsed() < time {
        std::thread::sleep(Duration::from_millis(draw(LIFE_MS)));
        if draw((0, 4)) == 0 {
            let proven = sidecar.command(["verify"]);
            assert!(proven.output.status.success(), "after {kills} kills, while it runs: {}", proven.out());
        }
        sidecar.kill();
        kills += 1;
        if draw((0, 3)) == 0 {
            sidecar.command(["log", "compact"]).expect_success();
        }
        if draw((0, 3)) == 0 {
            let proven = sidecar.command(["verify"]);
            assert!(proven.output.status.success(), "after {kills} kills, killed: {}", proven.out());
        }
        sidecar.launch();
    }
    kills
}

/// Statements of a worker, numbered by a name, since literals leave the log: by either protocol, and a transaction now and then.
fn load(url: &str, worker: usize, completed: &Mutex<BTreeMap<u32, u8>>, stop: &AtomicBool, begun: &AtomicU64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut number = 0_u32;
        while !stop.load(Ordering::Relaxed) {
            let Ok((client, connection)) = tokio_postgres::connect(url, tokio_postgres::NoTls).await else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let connection = tokio::spawn(connection);
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                begun.fetch_add(1, Ordering::Relaxed);
                let name = format!("w{worker}_{number}");
                let done = match number % 4 {
                    0 => client.simple_query(&format!("select 1 as {name}")).await.is_ok(),
                    1 => client.query(&format!("select $1::int as {name}"), &[&7_i32]).await.is_ok(),
                    2 => client.simple_query(&format!("begin; update t as {name} set n = n + 1; commit")).await.is_ok(),
                    _ => client.query(&format!("select n as {name} from t where id = $1"), &[&1_i32]).await.is_ok(),
                };
                if !done {
                    break;
                }
                completed.lock().expect("not poisoned").insert(number, 1);
                tokio::time::sleep(PAUSE).await;
            }
            drop(client);
            let _ = connection.await;
        }
    });
}

/// The worker and the number that a text names.
fn numbered(text: &str) -> Option<(usize, u32)> {
    text.match_indices('w').find_map(|(at, _)| {
        let (worker, rest) = text[at + 1..].split_once('_')?;
        let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some((worker.parse().ok().filter(|worker| *worker < WORKERS)?, number.parse().ok()?))
    })
}

fn count(numbers: &mut Numbers, (worker, number): (usize, u32)) {
    let times = numbers[worker].entry(number).or_default();
    *times = times.saturating_add(1);
}

/// What the server says it ran: a statement of several is one line of its log.
fn server_ran(server: &mitsuke::demo::Postgres) -> Numbers {
    let mut ran = vec![BTreeMap::new(); WORKERS];
    let log = std::fs::read_to_string(server.log_file()).expect("the server's log");
    for line in log.lines() {
        let Some((prefix, message)) = line.split_once("|LOG:  ") else { continue };
        let is_ours = prefix.split(' ').nth(1) == Some(DATABASE);
        if is_ours
            && (message.starts_with("statement: ") || message.starts_with("execute "))
            && let Some(of) = numbered(message)
        {
            count(&mut ran, of);
        }
    }
    ran
}

/// What the log holds, with the outcome of each; twice the same is counted as 100 and more.
fn logged(sidecar: &Sidecar) -> Vec<BTreeMap<u32, (u8, String)>> {
    let mut logged: Vec<BTreeMap<u32, (u8, String)>> = vec![BTreeMap::new(); WORKERS];
    for batch in Lake::open(&sidecar.log()).expect("a log").batches::<Statement>(None) {
        let batch: RecordBatch = batch.expect("it can be read");
        let text = |name: &str| batch.column_by_name(name).expect("a column").as_string::<i32>().clone();
        let (queries, outcomes) = (text("query"), text("outcome"));
        for row in 0..batch.num_rows() {
            if queries.is_null(row) {
                continue;
            }
            let Some((worker, number)) = numbered(queries.value(row)) else { continue };
            let entry = logged[worker].entry(number).or_default();
            *entry = (entry.0.saturating_add(1), outcomes.value(row).to_owned());
        }
    }
    logged
}

fn judge(ran: &Numbers, logged: &[BTreeMap<u32, (u8, String)>], completed: &Numbers, kills: u64) {
    let mut never_ran = 0;
    for worker in 0..WORKERS {
        for (number, times) in &ran[worker] {
            let found = logged[worker].get(number).map(|(times, _)| *times);
            let beside =
                || (number.saturating_sub(2)..number + 3).map(|of| (of, logged[worker].get(&of))).collect::<Vec<_>>();
            assert_eq!(found, Some(*times), "w{worker}_{number}: the server ran it {times} times; {:?}", beside());
        }
        for number in completed[worker].keys() {
            let found = logged[worker].get(number);
            assert!(
                found.is_some_and(|(times, outcome)| *times == 1 && outcome == "ok"),
                "w{worker}_{number}: {found:?}"
            );
        }
        for (number, (times, outcome)) in logged[worker].iter().filter(|(number, _)| !ran[worker].contains_key(number))
        {
            assert_eq!((*times, outcome.as_str()), (1, "unknown"), "w{worker}_{number} never ran");
            never_ran += 1;
        }
    }
    let all: usize = completed.iter().map(BTreeMap::len).sum();
    assert!(all as u64 > kills * 20, "only {all} statements in {kills} lives");
    assert!(never_ran <= kills * WORKERS as u64, "{never_ran} statements that never ran");
}
