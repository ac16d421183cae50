//! The intake journal under everything that can happen to it.

mod faults;

use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::audit::tests::config;
use crate::record::Protocol;
use crate::session::event::{Begun, Who};

const NOW: Duration = Duration::ZERO;

fn event(number: u64, text: &str) -> Event {
    let who = Arc::new(Who { session_id: Uuid::from_u128(number.into()), ..Who::default() });
    Event::Begun(Begun {
        who,
        statement_no: number,
        at: Timestamp(number.cast_signed()),
        protocol: Protocol::Simple,
        text: text.as_bytes().into(),
        text_bytes: text.len() as u64,
        parameters: Default::default(),
        bytes_in: 1,
    })
}

fn events(numbers: impl Iterator<Item = u64>) -> Vec<Event> {
    numbers.map(|number| event(number, "select")).collect()
}

/// Everything the reader has now.
fn drain(reader: &mut IntakeReader) -> Vec<(u64, Entry)> {
    std::iter::from_fn(|| reader.next(NOW).unwrap()).map(|(position, entry)| (position.0, entry)).collect()
}

fn expected(numbers: impl Iterator<Item = u64>) -> Vec<(u64, Entry)> {
    numbers.map(|number| (number, Entry::Event(event(number, "select")))).collect()
}

#[test]
fn events_come_out_in_order_live_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let (intake, mut reader) = Intake::open(&config, "w").unwrap();
    intake.append(&mut events(1..=3)).unwrap();
    intake.append(&mut vec![]).unwrap();
    intake.append(&mut events(4..=4)).unwrap();
    assert_eq!(drain(&mut reader), expected(1..=4));
    assert!(reader.was_live(Position(1)));
    assert!(!reader.is_finished());
    drop(intake);
    assert!(reader.is_finished());
    drop(reader);
    let (intake, mut reader) = Intake::open(&config, "w").unwrap();
    intake.append(&mut events(5..=6)).unwrap();
    assert_eq!(drain(&mut reader), expected(1..=6));
    assert!(!reader.was_live(Position(4)) && reader.was_live(Position(5)));
    assert_eq!(reader.live_from(), Position(5));
}

/// Segments this small roll over every few events.
const SMALL: usize = 1024;

fn open_small(config: &Config, segments_max: usize) -> (Intake, IntakeReader) {
    Intake::open_sized(config, "w", Sizes { segment_bytes: SMALL, segments_max, ..SIZES }).unwrap()
}

fn segments(config: &Config) -> Vec<PathBuf> {
    let files = folder::numbered(&folder::intake(&config.path, "w"), EXTENSION).unwrap();
    files.into_iter().map(|(_, path)| path).collect()
}

/// Positions without a hole, gaps counted with what they stand for.
fn assert_gapless(entries: &[(u64, Entry)], from: u64, to: u64) {
    let mut next = from;
    for (position, entry) in entries {
        assert_eq!(*position, next);
        next += match entry {
            Entry::Gap(Gap { cause: GapCause::Damaged, events, .. }) => *events,
            _ => 1,
        };
    }
    assert_eq!(next, to + 1);
}

#[test]
fn many_segments_are_read_in_order_live_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let (intake, mut reader) = open_small(&config, 100);
    for number in 1..=50 {
        intake.append(&mut events(number..=number)).unwrap();
    }
    assert!(segments(&config).len() > 3);
    assert_eq!(drain(&mut reader), expected(1..=50));
    drop((intake, reader));
    let (_intake, mut reader) = open_small(&config, 100);
    assert_eq!(drain(&mut reader), expected(1..=50));
}

#[test]
fn a_full_journal_refuses_and_goes_on_once_a_checkpoint_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let (intake, mut reader) = open_small(&config, 2);
    let mut appended = 0;
    let refused = loop {
        match intake.append(&mut events(appended + 1..=appended + 1)) {
            Ok(_) => appended += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, Unwritable { reason: UnwritableReason::Backlog });
    assert_eq!(drain(&mut reader), expected(1..=appended));
    release(&folder::intake(folder.path(), "w"), Position(appended)).unwrap();
    std::thread::sleep(RETRY);
    intake.append(&mut events(appended + 1..=appended + 1)).unwrap();
    assert_eq!(drain(&mut reader), expected(appended + 1..=appended + 1));
    assert_eq!(intake.passed(), 0);
}

#[test]
fn what_is_let_through_is_counted_live_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { when_unwritable: WhenUnwritable::Pass, ..config(folder.path()) };
    let (intake, mut reader) = open_small(&config, 2);
    for number in 1..=100 {
        intake.append(&mut events(number..=number)).unwrap();
    }
    let passed = intake.passed();
    let written = 100 - passed;
    assert!(passed > 0 && written > 0);
    let first_at = Some(Timestamp((written + 1).cast_signed()));
    let gap = |last: u64, events| {
        let last_at = Some(Timestamp(i64::try_from(last).unwrap()));
        Entry::Gap(Gap { events, first_at, last_at, cause: GapCause::Passed })
    };
    // Killed here: the count is in the last segment's header.
    let copy = tempfile::tempdir().unwrap();
    let again = Config { path: copy.path().to_path_buf(), ..config.clone() };
    std::fs::create_dir_all(folder::intake(copy.path(), "w")).unwrap();
    for path in segments(&config) {
        std::fs::copy(&path, folder::intake(copy.path(), "w").join(path.file_name().unwrap())).unwrap();
    }
    let (later, mut recovered) = open_small(&again, 10);
    later.append(&mut events(7..=7)).unwrap();
    let mut whole = expected(1..=written);
    whole.push((written + 1, gap(100, passed)));
    whole.push((written + 2, Entry::Event(event(7, "select"))));
    assert_eq!(drain(&mut recovered), whole);
    assert!(!recovered.was_live(Position(written + 1)));
    // Not killed, but given room.
    assert_eq!(drain(&mut reader), expected(1..=written));
    release(&folder::intake(folder.path(), "w"), Position(written)).unwrap();
    std::thread::sleep(RETRY);
    intake.append(&mut events(7..=7)).unwrap();
    assert_eq!(drain(&mut reader), whole[whole.len() - 2..]);
}

#[test]
fn a_folder_that_takes_no_file_refuses_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let (intake, mut reader) = open_small(&config, 100);
    let (place, away) = (folder::intake(folder.path(), "w"), folder.path().join("away"));
    std::fs::rename(&place, &away).unwrap();
    let appended = (1..).find(|number| intake.append(&mut events(*number..=*number)).is_err()).unwrap() - 1;
    let refused = intake.append(&mut events(appended + 1..=appended + 1)).unwrap_err();
    assert!(matches!(refused.reason, UnwritableReason::System(_)) && refused.reason.may_pass());
    std::fs::rename(&away, &place).unwrap();
    std::thread::sleep(RETRY);
    intake.append(&mut events(appended + 1..=appended + 1)).unwrap();
    assert_eq!(drain(&mut reader), expected(1..=appended + 1));
}

fn spent(config: &Config) -> Vec<PathBuf> {
    let files = folder::numbered(&folder::intake(&config.path, "w"), SPENT).unwrap();
    files.into_iter().map(|(_, path)| path).collect()
}

/// Which files they are, whatever they are called.
fn files(paths: &[PathBuf]) -> Vec<u64> {
    paths.iter().map(|path| std::os::unix::fs::MetadataExt::ino(&path.metadata().unwrap())).collect()
}

/// Everything the reader of a journal has that was opened anew, without what was released before: no checkpoint here says that it was.
fn drain_kept(reader: &mut IntakeReader) -> Vec<(u64, Entry)> {
    let mut found = drain(reader);
    if matches!(found.first(), Some((1, Entry::Gap(_)))) {
        found.remove(0);
    }
    found
}

/// What a kill -9 would leave: a copy of its files, opened.
fn after_a_kill(config: &Config) -> Vec<(u64, Entry)> {
    let copy = tempfile::tempdir().unwrap();
    let again = Config { path: copy.path().to_path_buf(), ..config.clone() };
    let place = folder::intake(copy.path(), "w");
    std::fs::create_dir_all(&place).unwrap();
    for path in [segments(config), spent(config)].concat() {
        std::fs::copy(&path, place.join(path.file_name().unwrap())).unwrap();
    }
    let (_intake, mut reader) = open_small(&again, 100);
    assert!(spent(&again).is_empty());
    drain_kept(&mut reader)
}

#[test]
fn what_is_spent_is_the_next_segment_and_nothing_of_it_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let (intake, mut reader) = open_small(&config, 100);
    let (mut next, mut times_reused) = (1, 0);
    for round in 0..20 {
        let (before, spare) = (segments(&config).len(), files(&spent(&config)));
        // Rounds end anywhere in a segment.
        for number in next..=next + round {
            intake.append(&mut events(number..=number)).unwrap();
        }
        assert_eq!(drain(&mut reader), expected(next..=next + round));
        next += round + 1;
        let now = files(&segments(&config));
        if now.len() > before
            && let [spare] = spare[..]
        {
            assert_eq!(now[before], spare);
            assert!(spent(&config).is_empty());
            times_reused += 1;
        }
        release(&folder::intake(folder.path(), "w"), Position(next)).unwrap();
        let found = after_a_kill(&config);
        assert_eq!(found, expected(next - found.len() as u64..=next - 1), "round {round}");
        reader.reuse().unwrap();
        assert_eq!(after_a_kill(&config), found, "round {round}");
        assert!(spent(&config).len() <= 1);
    }
    assert!(times_reused > 8, "{times_reused}");
}

#[test]
fn what_is_spent_and_not_ours_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let (intake, reader) = open_small(&config, 100);
    for number in 1..=20 {
        intake.append(&mut events(number..=number)).unwrap();
    }
    drop((intake, reader));
    let (intake, mut reader) = open_small(&config, 100);
    for number in 21..=40 {
        intake.append(&mut events(number..=number)).unwrap();
    }
    assert_eq!(drain(&mut reader), expected(1..=40));
    // What an earlier process wrote, of which this one has no mapping.
    release(&folder::intake(folder.path(), "w"), Position(21)).unwrap();
    assert_eq!(spent(&config).len(), 1);
    reader.reuse().unwrap();
    assert!(spent(&config).is_empty());
    release(&folder::intake(folder.path(), "w"), Position(40)).unwrap();
    let ours = files(&spent(&config));
    reader.reuse().unwrap();
    // It is still there: no new file can have got the number of a file that is gone.
    assert_eq!(files(&spent(&config)), ours);
    for number in 41..=60 {
        intake.append(&mut events(number..=number)).unwrap();
    }
    assert!(ours.len() == 1 && files(&segments(&config)).contains(&ours[0]));
    assert_eq!(drain(&mut reader), expected(41..=60));
}

#[test]
fn an_event_longer_than_a_segment_is_an_error_that_does_not_pass() {
    let folder = tempfile::tempdir().unwrap();
    let (intake, mut reader) = open_small(&config(folder.path()), 100);
    let refused = intake.append(&mut vec![event(1, &"x".repeat(SMALL))]).unwrap_err();
    assert!(refused.reason == UnwritableReason::TooLong && !refused.reason.may_pass());
    intake.append(&mut events(2..=2)).unwrap();
    assert_eq!(drain(&mut reader), [(1, Entry::Event(event(2, "select")))]);
}

#[test]
fn a_reader_gets_every_event_once_whether_it_keeps_up_or_not() {
    for lately_bytes_max in [0, 100, 300, 700, usize::MAX] {
        for behind in [1, 3, 10, 50] {
            let folder = tempfile::tempdir().unwrap();
            let sizes = Sizes { segment_bytes: SMALL, segments_max: 1_000, lately_bytes_max };
            let (intake, mut reader) = Intake::open_sized(&config(folder.path()), "w", sizes).unwrap();
            let mut found = Vec::new();
            for number in 1..=100 {
                intake.append(&mut events(2 * number - 1..=2 * number)).unwrap();
                // Not everything that is there, so that memory and segment take turns.
                if number % behind == 0 {
                    found.extend((0..behind).filter_map(|_| reader.next(Duration::ZERO).unwrap()));
                }
            }
            found.extend(drain(&mut reader).into_iter().map(|(position, entry)| (Position(position), entry)));
            let expected = expected(1..=200).into_iter().map(|(position, entry)| (Position(position), entry));
            assert!(found.into_iter().eq(expected), "{lately_bytes_max} bytes in memory, {behind} behind");
        }
    }
}

#[test]
fn the_longest_texts_of_one_call_all_fit() {
    let folder = tempfile::tempdir().unwrap();
    let (intake, mut reader) = Intake::open(&config(folder.path()), "w").unwrap();
    let text = "x".repeat(crate::session::TEXT_BYTES_MAX);
    let long: Vec<Event> = (1..=40).map(|number| event(number, &text)).collect();
    intake.append(&mut long.clone()).unwrap();
    let found = drain(&mut reader);
    assert_eq!(found.len(), 40);
    assert!(found.iter().zip(&long).all(|((_, entry), event)| *entry == Entry::Event(event.clone())));
}

const TWO: usize = 440;

/// A journal of two segments, its newest cut off or altered by `harm`, opened again.
fn after(harm: impl Fn(&mut Vec<u8>)) -> Vec<(u64, Entry)> {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let (intake, _reader) = Intake::open_sized(&config, "w", Sizes { segment_bytes: TWO, ..SIZES }).unwrap();
    intake.append(&mut events(1..=2)).unwrap();
    intake.append(&mut events(3..=3)).unwrap();
    intake.append(&mut events(4..=6)).unwrap();
    intake.append(&mut events(7..=7)).unwrap();
    drop(intake);
    assert_eq!(segments(&config).len(), 2);
    let path = segments(&config).pop().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    harm(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    let (intake, mut reader) = Intake::open_sized(&config, "w", Sizes { segment_bytes: TWO, ..SIZES }).unwrap();
    intake.append(&mut vec![event(99, "select")]).unwrap();
    let mut found = drain(&mut reader);
    let last = found.pop().unwrap();
    assert_eq!(last.1, Entry::Event(event(99, "select")), "what comes after is never harmed");
    assert_eq!(last.0, reader.live_from().0);
    assert_gapless(&found, 1, last.0 - 1);
    found
}

/// Whether `found` is a part of the seven events, in order, each as it was.
fn assert_true(found: &[(u64, Entry)]) {
    for (position, entry) in found {
        if let Entry::Event(seen) = entry {
            assert_eq!(*seen, event(*position, "select"));
        }
    }
}

#[test]
fn a_journal_cut_off_anywhere_gives_what_is_whole_and_nothing_else() {
    let whole = after(|_| {});
    assert_eq!(whole, expected(1..=7));
    let mut lengths = std::collections::BTreeSet::new();
    for length in 0..TWO {
        let found = after(|bytes| bytes.truncate(length));
        assert_true(&found);
        let events = found.iter().filter(|(_, entry)| matches!(entry, Entry::Event(_))).count();
        assert!(lengths.last().is_none_or(|last| *last <= events), "longer never holds less");
        lengths.insert(events);
    }
    assert!(lengths.len() > 1, "{lengths:?}");
}

#[test]
fn a_torn_entry_is_never_taken_for_one() {
    // Zeros from anywhere on, as a file system leaves them after the machine lost power.
    for from in 0..TWO {
        assert_true(&after(|bytes| bytes[from..].fill(0)));
    }
}

#[test]
fn a_flipped_byte_costs_its_entry_only_and_is_told() {
    for at in HEADER_BYTES..TWO {
        let found = after(|bytes| bytes[at] ^= 0x41);
        assert_true(&found);
        let lost = expected(1..=7).into_iter().filter(|event| !found.contains(event)).count();
        let told = found.iter().any(|(_, entry)| matches!(entry, Entry::Gap(Gap { cause: GapCause::Damaged, .. })));
        assert!(lost <= 3, "{lost} lost by byte {at}");
        assert!(lost == 0 || told, "byte {at}");
    }
}

#[test]
fn another_key_is_said_so_and_nothing_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let right = config(folder.path());
    let (intake, reader) = open_small(&right, 100);
    // Not more of them than an entry of a small segment holds.
    intake.append(&mut events(1..=10)).unwrap();
    intake.append(&mut events(11..=20)).unwrap();
    drop((intake, reader));
    let wrong = Config { key_file: folder.path().join("other"), ..right.clone() };
    assert!(matches!(Intake::open(&wrong, "w").map(drop), Err(Error::WrongKey(_))));
    let (_intake, mut reader) = open_small(&right, 100);
    assert_eq!(drain(&mut reader), expected(1..=20));
}

#[test]
fn nothing_raw_lies_on_the_disk() {
    const MARKER: &str = "4711-mynumber-secret";
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let (intake, mut reader) = open_small(&config, 100);
    for number in 1..=20 {
        intake.append(&mut vec![event(number, MARKER)]).unwrap();
    }
    assert_eq!(drain(&mut reader).len(), 20);
    for path in segments(&config) {
        let bytes = std::fs::read(path).unwrap();
        assert!(!bytes.windows(8).any(|window| MARKER.as_bytes().windows(8).any(|part| part == window)));
    }
}

#[test]
fn threads_append_while_the_reader_reads_and_no_event_is_lost_or_doubled() {
    const THREADS: u64 = 4;
    const EACH: u64 = 3_000;
    for durability in [Durability::Process, Durability::Disk] {
        let each = if durability == Durability::Disk { EACH / 100 } else { EACH };
        let folder = tempfile::tempdir().unwrap();
        let config = Config { durability, ..config(folder.path()) };
        let (intake, mut reader) =
            Intake::open_sized(&config, "w", Sizes { segment_bytes: 64 << 10, segments_max: usize::MAX, ..SIZES })
                .unwrap();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let intake = intake.clone();
                scope.spawn(move || {
                    for number in 0..each {
                        intake.append(&mut events(std::iter::once(thread * EACH + number))).unwrap();
                    }
                });
            }
            drop(intake);
            let (mut next, mut position) = ([0; THREADS as usize], 1);
            while !reader.is_finished() {
                let Some((found, entry)) = reader.next(Duration::from_millis(100)).unwrap() else { continue };
                let Entry::Event(Event::Begun(begun)) = entry else { panic!("{entry:?}") };
                assert_eq!(found.0, position);
                position += 1;
                let thread = usize::try_from(begun.statement_no / EACH).unwrap();
                assert_eq!(begun.statement_no % EACH, next[thread], "in the order of its thread");
                next[thread] += 1;
            }
            assert_eq!(next, [each; THREADS as usize]);
        });
    }
}

#[test]
fn a_sleeping_reader_is_woken() {
    let folder = tempfile::tempdir().unwrap();
    let (intake, mut reader) = Intake::open(&config(folder.path()), "w").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=3 {
                std::thread::sleep(Duration::from_millis(120));
                intake.append(&mut events(number..=number)).unwrap();
            }
        });
        for number in 1..=3 {
            let (position, _) = reader.next(Duration::from_secs(60)).unwrap().unwrap();
            assert_eq!(position, Position(number));
        }
    });
    let began = Instant::now();
    assert_eq!(reader.next(Duration::from_millis(80)).unwrap(), None);
    assert!(began.elapsed() >= Duration::from_millis(80) && began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_checkpoint_removes_what_it_covers_and_a_restart_begins_at_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let mut log = crate::audit::Log::open(&config, "w").unwrap();
    let (intake, reader) = open_small(&config, 100);
    for number in 1..=50 {
        intake.append(&mut events(number..=number)).unwrap();
    }
    let before = segments(&config).len();
    let position = Position(40);
    let checkpoint = crate::audit::Checkpoint { replay_from: position, emitted_through: position, state: Vec::new() };
    log.commit(&checkpoint).unwrap();
    assert!(segments(&config).len() < before - 1);
    drop((intake, reader, log));
    let (intake, mut reader) = open_small(&config, 100);
    assert_eq!(drain(&mut reader), expected(40..=50), "none of those before, though their segment is still there");
    assert_eq!(reader.live_from(), Position(51));
    intake.append(&mut events(51..=51)).unwrap();
    assert_eq!(drain(&mut reader), expected(51..=51));
}

#[test]
fn restarts_without_an_event_pile_up_no_segments() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    for _ in 0..5 {
        let (_intake, mut reader) = open_small(&config, 100);
        assert_eq!(drain(&mut reader), []);
        assert_eq!(segments(&config).len(), 1);
    }
}
