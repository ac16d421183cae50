//! What the log takes of memory while it is written, sealed and compacted at the same time, and when it is opened.
//!
//! The test binary runs itself again, so that nothing else is in the process. What is measured is anonymous memory (`RssAnon`): all that was
//! allocated and not given back, without the pages of files.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::kill::{child, given, tell, told_last};
use super::*;
use crate::allocator::{self, Allocator};
use crate::record::Text;

// As the sidecar has it.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// What the whole stage may take at any load, bytes.
const STAGE_BYTES_MAX: u64 = 64 << 20;
/// Journals that are filled: the first are compacted while the last are written.
const JOURNALS: u64 = 6;
/// As the analysis commits.
const COMMIT_TEXT_BYTES: usize = 2 << 20;
/// Of a statement's text.
const TEXT_BYTES: u64 = 6_000;
const MINUTE_US: i64 = 60_000_000;

/// Statements that compress badly, each with a text of its own: what fills journals, pages and dictionaries fastest. Every tenth began an
/// hour before the others: files overlap in time, and many are read at once.
fn long_statement(random: &mut u64, at: i64) -> Statement {
    let mut next = || {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *random >> 16
    };
    let mut statement = statement(if next().is_multiple_of(10) { at - 60 * MINUTE_US } else { at });
    let length = usize::try_from(next() % TEXT_BYTES).unwrap();
    let mut text = "select ".to_owned();
    while text.len() < length {
        write!(text, "c{:x}, ", next()).unwrap();
    }
    statement.query = Some(text.into());
    statement.literals = Some((0..4).map(|_| Text::from(format!("{:032x}", next()))).collect());
    statement.subjects = Some([Text::from(format!("{:032x}", next() % 5_000))].into());
    statement
}

fn anonymous_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

struct Over<'o>(&'o AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How much more memory there is at most while it is done.
fn most(act: impl FnOnce()) -> u64 {
    let (before, most, is_over) = (anonymous_bytes(), AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                most.fetch_max(anonymous_bytes(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        // Also where it panics: nobody is to wait for who looks.
        let _over = Over(&is_over);
        act();
    });
    most.into_inner().saturating_sub(before)
}

#[test]
#[ignore = "run by the test below, in a process of its own"]
fn fills_and_compacts() {
    let Some(folder) = given() else { return };
    allocator::keep_small();
    let mut compacted = 0;
    let most = most(|| {
        let mut log = Log::open(&config(&folder), "w").unwrap();
        let (mut random, mut at, mut now) = (1, MONDAY, Timestamp(MONDAY + 2 * DAY_US));
        let (mut sealed, mut number, mut bytes) = (0, 0, 0);
        while sealed < JOURNALS {
            at += MINUTE_US / 600;
            let statement = long_statement(&mut random, at);
            bytes += statement.query.as_ref().map_or(0, |text| text.len());
            log.append(statement);
            if bytes < COMMIT_TEXT_BYTES {
                continue;
            }
            (bytes, number) = (0, number + 1);
            log.commit(&checkpoint(number)).unwrap();
            sealed += log.seal_if_due(now).unwrap() as u64;
            if sealed == 0 {
                continue;
            }
            now = now.plus_micros(MINUTE_US / 60);
            if sealed + 2 >= JOURNALS {
                // The first look is one of waiting.
                now = now.plus_micros(11 * MINUTE_US);
            }
            compacted += log.compact_if_due(now, true).unwrap();
        }
        let began = std::time::Instant::now();
        while compacted == 0 && began.elapsed() < Duration::from_secs(120) {
            compacted += log.compact_if_due(now, true).unwrap();
            std::thread::sleep(Duration::from_millis(10));
        }
        log.close().unwrap();
    });
    assert!(compacted > 1, "nothing was compacted");
    tell(most);
}

#[test]
fn writing_sealing_and_compacting_together_take_no_more_memory_than_they_may() {
    let folder = tempfile::tempdir().unwrap();
    let most = told_last(child("memory::fills_and_compacts", folder.path(), None)).expect("it came to no end");
    assert!(most <= STAGE_BYTES_MAX, "{} MiB", most >> 20);
}

/// Lines of a chain: those of many years of one table.
const LINES: u64 = 20_000;
/// What opening such a chain may take, bytes; it has eight million.
const OPENED_BYTES_MAX: u64 = 4 << 20;

/// Writes a chain of files that were sealed a quarter of an hour apart, and are long gone.
fn long_chain(folder: &Path) {
    let key = SigningKey::load_or_create(&config(folder).signing_key).unwrap();
    let (mut previous, mut text) = (chain::BEGINNING.to_owned(), String::new());
    for number in 1..=LINES {
        let at = Timestamp(MONDAY + 15 * MINUTE_US * i64::try_from(number).unwrap());
        let told = Sealed {
            path: format!("statements/dt={}/{}", at.utc_date(), parquet::file_name("w", number)),
            sha256: previous.clone(),
            bytes: 1 << 20,
            records: 1,
            first_seq: number,
            last_seq: number,
            first_at: at.to_string(),
            last_at: at.to_string(),
        };
        let entry = chain::Entry { number, at: at.to_string(), told: chain::Told::Sealed(told), previous };
        let signed = serde_json::to_string(&entry).unwrap();
        let signed = signed.strip_suffix('}').unwrap();
        let line = format!("{signed},\"signature\":\"{}\"}}", key.sign(signed.as_bytes()));
        previous = chain::hash(line.as_bytes());
        writeln!(text, "{line}").unwrap();
    }
    let path = chain::path(folder, "w");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    // The last one is gone into a store.
    let journal = folder::journal(folder, "w");
    std::fs::create_dir_all(&journal).unwrap();
    std::fs::write(journal.join("uploaded"), LINES.to_string()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
#[ignore = "run by the test below, in a process of its own"]
fn opens_what_has_a_long_chain() {
    let Some(folder) = given() else { return };
    let most = most(|| drop(Log::open(&config(&folder), "w").unwrap()));
    tell(most);
}

#[test]
fn a_long_chain_is_gone_through_and_not_held() {
    let folder = tempfile::tempdir().unwrap();
    long_chain(folder.path());
    let most = told_last(child("memory::opens_what_has_a_long_chain", folder.path(), None)).expect("it came to no end");
    assert!(most <= OPENED_BYTES_MAX, "{} KiB", most >> 10);
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    // Of Monday's folder more is sealed than this writer has numbers.
    log.append(statement(MONDAY - DAY_US));
    log.commit(&checkpoint(1)).unwrap();
    log.close().unwrap();
    let text = std::fs::read_to_string(chain::path(folder.path(), "w")).unwrap();
    assert!(text.len() > 7_000_000, "{}", text.len());
    let numbers = text.lines().map(|line| chain::Line::parse(line).unwrap().entry.number);
    assert!(numbers.eq(1..=LINES + 4), "opened twice, sealed and closed");
}

/// Long texts that are rare among short ones, and lie side by side in time.
const LONG: i64 = 12;

#[test]
#[ignore = "run by the test below, in a process of its own"]
fn seals_and_compacts_long_texts() {
    let Some(folder) = given() else { return };
    allocator::keep_small();
    let mut log = Log::open(&config(&folder), "w").unwrap();
    let most = most(|| {
        for file in 0..4 {
            for one in 0..LONG {
                let long = format!("{file:08}{one:08}{}", "x".repeat((1 << 20) - 16));
                log.append(Statement { query: Some(long.into()), ..statement(MONDAY + file * LONG + one) });
                (0..700).for_each(|row| log.append(statement(MONDAY + MINUTE_US * (1 + file) + row)));
                log.commit(&checkpoint(file.cast_unsigned() * 100 + one.cast_unsigned() + 1)).unwrap();
            }
            log.seal().unwrap();
        }
        log.close().unwrap();
        let now = Timestamp(MONDAY + 2 * DAY_US);
        assert_eq!(compact(&config(&folder), now).unwrap().iter().map(|done| done.files).sum::<u64>(), 4);
    });
    tell(most);
}

#[test]
fn long_texts_side_by_side_among_short_ones_are_sealed_and_compacted_a_few_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let most =
        told_last(child("memory::seals_and_compacts_long_texts", folder.path(), None)).expect("it came to no end");
    assert!(most <= STAGE_BYTES_MAX, "{} MiB", most >> 20);
    let records = Lake::open(folder.path()).unwrap().records::<Statement>(None).map(Result::unwrap);
    let long = records.filter(|one| one.query.as_ref().is_some_and(|text| text.len() == 1 << 20)).count();
    assert_eq!(long, 4 * usize::try_from(LONG).unwrap());
}

#[test]
fn a_long_text_that_many_statements_share_is_written_and_sealed_in_parts() {
    const STATEMENTS: usize = 12;
    let folder = tempfile::tempdir().unwrap();
    let text: Text = "x".repeat(1 << 20).into();
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    for number in 0..STATEMENTS {
        // In the order of time they are not.
        let at = MONDAY + i64::try_from(number * 7 % STATEMENTS).unwrap();
        log.append(Statement { query: Some(text.clone()), ..statement(at) });
    }
    log.append(statement(MONDAY));
    log.append(statement(MONDAY));
    log.commit(&checkpoint(1)).unwrap();
    let lies = folder::numbered(&folder::records(folder.path(), "w"), journal::EXTENSION).unwrap();
    let rows: Vec<usize> =
        journal::read(&lies[0].1).unwrap().batches.iter().map(|(_, batch)| batch.num_rows()).collect();
    assert_eq!(rows, [[1].repeat(STATEMENTS), vec![2]].concat(), "a text each, and what is short together");
    log.seal().unwrap();
    let records = Lake::open(folder.path()).unwrap().records::<Statement>(None).map(Result::unwrap);
    let found: Vec<(i64, usize)> =
        records.map(|one| (one.common.at.0, one.query.map_or(0, |text| text.len()))).collect();
    assert!(found.is_sorted_by_key(|(at, _)| *at) && found.len() == STATEMENTS + 2, "{found:?}");
    assert_eq!(found.iter().filter(|(_, length)| *length == 1 << 20).count(), STATEMENTS);
}
