//! Fills a log with made-up statements, by the writer that the sidecar has, to ask questions of it and to see what writing costs.
//!
//! In: `--log FOLDER --statements N [--days D]`. Out: the log, and on standard output its bytes.
//! The same numbers give the same log: an ordinary shop's, a tenth of whose statements read one person's data.

#![allow(clippy::panic, clippy::expect_used, reason = "a bench ends where it cannot go on")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use mitsuke::audit::{Checkpoint, Config, Durability, Log, Retention, WhenUnwritable, Writer};
use mitsuke::clock::Timestamp;
use mitsuke::record::{CatalogState, Certainty, Common, Kind, Outcome, Parse, Protocol, Statement, Text, Texts};

/// 2026-08-01, microseconds.
const BEGIN: i64 = 1_785_542_400_000_000;
const DAY: i64 = 86_400_000_000;
/// As many as the sidecar commits at once.
const COMMIT_RECORDS: u64 = 8_192;
const PEOPLE: u64 = 200_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1).cloned();
    // `cargo bench` starts every bench: without a folder there is nothing to fill.
    let (Some(log), Some(statements)) = (value("--log"), value("--statements")) else {
        println!("fill_log: started by benches/vs/lake.py, which says --log and --statements");
        return;
    };
    let statements: u64 = statements.parse().expect("a number of statements");
    let days = value("--days").map_or(90, |days| days.parse().expect("a number of days"));
    fill(Path::new(&log), statements, days);
    println!("{}", bytes_of(&Path::new(&log).join("statements")));
}

fn bytes_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let size = |path: PathBuf| match path.is_dir() {
        true => bytes_of(&path),
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

fn fill(folder: &Path, statements: u64, days: i64) {
    let config = Config {
        path: folder.to_path_buf(),
        durability: Durability::Process,
        when_unwritable: WhenUnwritable::Block,
        flush: Duration::from_secs(3_600),
        retention: Retention::default(),
        key_file: folder.with_extension("key"),
        signing_key: folder.with_extension("signing.key"),
        store: None,
    };
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
        if number % COMMIT_RECORDS == COMMIT_RECORDS - 1 {
            log.commit(&Checkpoint::default()).expect("room on the disk");
            log.seal_if_due(Timestamp(at)).expect("room on the disk");
        }
    }
    log.commit(&Checkpoint::default()).expect("room on the disk");
    log.close().expect("room on the disk");
}
