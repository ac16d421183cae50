//! Fills a log with made-up statements, by the writer that the sidecar has, to ask questions of it and to see what writing costs.
//!
//! In: `--log FOLDER --statements N [--days D]`, for a shop's ordinary days, a tenth of whose statements read one person's data; or `--accounts A`
//! instead of days, for `pgbench -S` with eight clients over so many accounts, drawn alike; `--beside`: files are compacted beside it, as in a
//! sidecar; then `--compact`. Out: the log, and on standard output its bytes, and those after it was compacted; on standard error the most
//! that each took of anonymous memory (`RssAnon`: all that was allocated, without the pages of files). The same numbers give the same log.

#![allow(clippy::panic, clippy::expect_used, reason = "a bench ends where it cannot go on")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mitsuke::allocator::{self, Allocator};
use mitsuke::audit::{Checkpoint, Config, Durability, Key, Log, Retention, WhenUnwritable, Writer, compact};
use mitsuke::clock::Timestamp;
use mitsuke::record::{CatalogState, Certainty, Common, Kind, Outcome, Parse, Protocol, Statement, Text, Texts};

// As the sidecar has it.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// 2026-08-01, microseconds.
const BEGIN: i64 = 1_785_542_400_000_000;
const DAY: i64 = 86_400_000_000;
/// As many as the sidecar commits at once.
const COMMIT_RECORDS: u64 = 8_192;
const PEOPLE: u64 = 200_000;
/// How often it is looked how much memory there is.
const LOOK_EVERY: Duration = Duration::from_millis(2);

fn main() {
    allocator::keep_small();
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1).cloned();
    // `cargo bench` starts every bench: without a folder there is nothing to fill.
    let (Some(log), Some(statements)) = (value("--log"), value("--statements")) else {
        println!("fill_log: started by benches/vs/lake.py, which says --log and --statements");
        return;
    };
    let statements: u64 = statements.parse().expect("a number of statements");
    let number = |name: &str| value(name).map(|number| number.parse::<u64>().expect("a number"));
    let log = Path::new(&log);
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    watched("writing", || match number("--accounts") {
        Some(accounts) => fill_as_pgbench(log, (statements, has("--beside")), accounts),
        None => fill(log, (statements, has("--beside")), number("--days").unwrap_or(90).cast_signed()),
    });
    println!("{}", bytes_of(&log.join("statements")));
    if has("--compact") {
        watched("compacting", || {
            compact(&config(log), Timestamp(BEGIN + 1_000 * DAY)).expect("room on the disk");
        });
        println!("{}", bytes_of(&log.join("statements")));
    }
}

/// Does it, and tells the most of anonymous memory that the process had meanwhile, and had before.
fn watched(what: &str, act: impl FnOnce()) {
    let (is_over, before) = (AtomicBool::new(false), anonymous_kib());
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut most = before;
            while !is_over.load(Ordering::Relaxed) {
                most = most.max(anonymous_kib());
                std::thread::sleep(LOOK_EVERY);
            }
            most
        });
        act();
        is_over.store(true, Ordering::Relaxed);
        let most = watching.join().expect("a thread that only looks");
        eprintln!("{what}: {:.1} MiB at most, {:.1} before, {:.1} after", mib(most), mib(before), mib(anonymous_kib()));
    });
}

fn mib(kib: u32) -> f64 {
    f64::from(kib) / 1_024.0
}

fn anonymous_kib() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux 4.5");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn bytes_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let size = |path: PathBuf| match path.is_dir() {
        true => bytes_of(&path),
        // What was replaced is there for an hour more.
        false if path.extension().is_none_or(|extension| extension != "parquet") => 0,
        false => path.metadata().map_or(0, |file| file.len()),
    };
    entries.map(|entry| size(entry.expect("an entry").path())).sum()
}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`; small ones are likelier.
    fn skewed(&mut self, end: u64) -> u64 {
        let (one, two) = (self.next() % end, self.next() % end);
        one.min(two)
    }
}

struct Shape {
    query: Text,
    fingerprint: Text,
    relations: Texts,
    columns: Texts,
    personal: bool,
}

/// What the shop's statements are: the same few hundred texts over and over.
fn shapes() -> Vec<Shape> {
    let tables = ["customers", "orders", "bookings", "events", "venues", "payments", "stock", "reviews"];
    let none: Texts = Texts::from([]);
    (0..400_usize)
        .map(|number| {
            let table = tables[number % tables.len()];
            let personal = number % 10 == 0;
            let name: Text = format!("shop.{table}").into();
            Shape {
                query: format!(
                    "select id, c{number} from shop.{table} where id = $1 and status = $2 order by id limit $3"
                )
                .into(),
                fingerprint: format!("{:016x}", Random(number as u64).next()).into(),
                columns: if personal { [format!("{name}.email").into()].into() } else { none.clone() },
                relations: [name].into(),
                personal,
            }
        })
        .collect()
}

fn subject(person: u64) -> Text {
    let mut random = Random(person);
    format!("{:016x}{:016x}", random.next(), random.next()).into()
}

fn config(folder: &Path) -> Config {
    Config {
        path: folder.to_path_buf(),
        durability: Durability::Process,
        when_unwritable: WhenUnwritable::Block,
        flush: Duration::from_secs(3_600),
        retention: Retention::default(),
        key_file: folder.with_extension("key"),
        signing_key: folder.with_extension("signing.key"),
        store: None,
    }
}

fn commit_now_and_then(log: &mut Log, number: u64, at: i64, beside: bool) {
    if number % COMMIT_RECORDS == COMMIT_RECORDS - 1 {
        log.commit(&Checkpoint::default()).expect("room on the disk");
        log.seal_if_due(Timestamp(at)).expect("room on the disk");
        if beside {
            log.compact_if_due(Timestamp(at), true).expect("room on the disk");
        }
    }
}

/// What eight clients of `pgbench -S` leave: texts alike, one constant each, some ten thousand a second.
fn fill_as_pgbench(folder: &Path, (statements, beside): (u64, bool), accounts: u64) {
    let config = config(folder);
    let writer = Writer::claim(folder).expect("a free name");
    let mut log = Log::open(&config, writer.name()).expect("an empty log");
    let key = Key::load_or_create(&config.key_file).expect("room on the disk");
    let hashes: Vec<Texts> =
        (0..accounts).map(|account| Texts::from([key.subject_hash(&account.to_string())])).collect();
    let sessions: Vec<Text> =
        (0..8_u64).map(|n| uuid::Uuid::from_u64_pair(n, Random(n).next()).to_string().into()).collect();
    let (mut random, mut numbers, mut at) = (Random(1), [0_u64; 8], BEGIN);
    // In the order in which they end, as the sidecar has them: eight are under way at any time.
    let mut under_way = [BEGIN; 8];
    let (none, relations) = (Texts::from([]), Texts::from(["public.pgbench_accounts".into()]));
    for number in 0..statements {
        let session = (0..8).min_by_key(|session| under_way[*session]).unwrap_or(0);
        let micros = 350 + random.skewed(700) + if random.next().is_multiple_of(50) { random.skewed(4_000) } else { 0 };
        let began = under_way[session] + 20 + random.skewed(60).cast_signed();
        at = at.max(began);
        under_way[session] = began + micros.cast_signed();
        numbers[session] += 1;
        log.append(Statement {
            common: Common { at: Timestamp(began), session_id: sessions.get(session).cloned(), ..Common::default() },
            ended_at: Some(Timestamp(under_way[session])),
            duration_us: Some(micros),
            statement_no: numbers[session],
            transaction_no: Some(numbers[session]),
            database: Some("bench".into()),
            db_user: Some("bench".into()),
            role: Some("bench".into()),
            application_name: Some("pgbench".into()),
            client_addr: Some("10.0.0.7".into()),
            protocol: Some(Protocol::Simple),
            kind: Some(Kind::Select),
            query: Some("SELECT abalance FROM pgbench_accounts WHERE aid = $1;".into()),
            fingerprint: Some("50fde20626009aba".into()),
            parse: Some(Parse::Full),
            certainty: Some(Certainty::Exact),
            catalog: Some(CatalogState::Fresh),
            relations: Some(relations.clone()),
            columns: Some(none.clone()),
            functions: Some(none.clone()),
            rows_returned: Some(1),
            rows_affected: Some(0),
            bytes_out: Some(71),
            bytes_in: Some(62 + random.next() % 3),
            personal_rows: Some(0),
            persons: Some(0),
            literals: hashes.get(usize::try_from(random.next() % accounts).expect("small")).cloned(),
            outcome: Some(Outcome::Ok),
            ..Statement::default()
        });
        commit_now_and_then(&mut log, number, at, beside);
    }
    log.commit(&Checkpoint::default()).expect("room on the disk");
    log.close().expect("room on the disk");
}

fn fill(folder: &Path, (statements, beside): (u64, bool), days: i64) {
    let config = config(folder);
    let writer = Writer::claim(folder).expect("a free name");
    let mut log = Log::open(&config, writer.name()).expect("an empty log");
    let (shapes, mut random) = (shapes(), Random(1));
    let texts = |name: &str, count: u64| -> Vec<Text> { (0..count).map(|n| format!("{name}{n}").into()).collect() };
    let (users, apps, addresses) = (texts("user_", 60), texts("app_", 12), texts("10.0.0.", 200));
    let sessions: Vec<Text> =
        (0..500_u64).map(|n| uuid::Uuid::from_u64_pair(n, Random(n).next()).to_string().into()).collect();
    let none: Texts = Texts::from([]);
    let step = DAY * days / i64::try_from(statements.max(1)).expect("few enough");
    for number in 0..statements {
        let session = random.skewed(500);
        let at = BEGIN + step * number.cast_signed();
        let shape = &shapes[usize::try_from(random.skewed(400)).expect("small")];
        let micros = 200 + random.skewed(5_000);
        let person = random.skewed(PEOPLE);
        let pick = |texts: &[Text]| texts.get(usize::try_from(session).expect("small") % texts.len()).cloned();
        log.append(Statement {
            common: Common { at: Timestamp(at), session_id: pick(&sessions), ..Common::default() },
            ended_at: Some(Timestamp(at + micros.cast_signed())),
            duration_us: Some(micros),
            statement_no: number / 500,
            transaction_no: Some(number / 500),
            database: Some("shop".into()),
            db_user: pick(&users),
            role: pick(&users),
            application_name: pick(&apps),
            client_addr: pick(&addresses),
            protocol: Some(Protocol::Extended),
            kind: Some(Kind::Select),
            query: Some(shape.query.clone()),
            fingerprint: Some(shape.fingerprint.clone()),
            parse: Some(Parse::Full),
            certainty: Some(Certainty::Exact),
            catalog: Some(CatalogState::Fresh),
            relations: Some(shape.relations.clone()),
            columns: Some(shape.columns.clone()),
            level: shape.personal.then(|| "personal".into()),
            functions: Some(none.clone()),
            rows_returned: Some(1),
            rows_affected: Some(0),
            bytes_out: Some(80 + random.skewed(200)),
            bytes_in: Some(60 + random.skewed(20)),
            personal_rows: Some(u64::from(shape.personal)),
            persons: Some(u64::from(shape.personal)),
            subjects: shape.personal.then(|| Texts::from([subject(person)])),
            outcome: Some(Outcome::Ok),
            ..Statement::default()
        });
        commit_now_and_then(&mut log, number, at, beside);
    }
    log.commit(&Checkpoint::default()).expect("room on the disk");
    log.close().expect("room on the disk");
}
