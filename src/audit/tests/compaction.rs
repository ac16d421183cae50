//! Many files become one: what it holds, what proves it, and every point at which it can be cut short.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ::parquet::file::reader::{FileReader, SerializedFileReader};

use super::crash::copy;
use super::*;
use crate::record::Review;
use crate::system::faults::{Refusal, Scene};

/// When Monday is over, and Tuesday is not.
const TUESDAY: i64 = MONDAY + DAY_US;
/// Files of Monday's statements, by the number of sealings.
const SEALINGS: i64 = 4;

/// Sealings of three statements of Monday each, one of which began long before, and some of Tuesday and findings between; closed.
fn small() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    log.clock().set(Timestamp(TUESDAY));
    for sealing in 0..SEALINGS {
        let at = MONDAY + sealing * 600_000_000;
        for began in [at + 2, at, at - 900_000_000] {
            let mut statement = statement(began);
            statement.query = Some(format!("select {sealing} from t").into());
            statement.common.session_id = Some(format!("0190-{}", sealing % 2).into());
            log.append(statement);
        }
        if sealing % 2 == 1 {
            log.append(statement(TUESDAY + sealing));
        }
        log.append(Finding { common: statement(at).common, finding_id: "f".into(), ..Finding::default() });
        log.commit(&checkpoint(u64::try_from(sealing).unwrap() + 1)).unwrap();
        log.seal().unwrap();
    }
    log.close().unwrap();
    folder
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for table in ["statements", "findings"] {
        for partition in folder::names(&folder.join(table)).unwrap() {
            let below = folder.join(table).join(partition);
            let names = folder::names(&below).unwrap();
            found.extend(names.iter().filter(|name| !name.starts_with('.')).map(|name| below.join(name)));
        }
    }
    found
}

/// What a pattern like `*.parquet` finds.
fn named(folder: &Path) -> Vec<PathBuf> {
    files(folder).into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "parquet")).collect()
}

fn statements(folder: &Path) -> BTreeMap<u64, Statement> {
    let mut found = BTreeMap::new();
    for record in Lake::open(folder).unwrap().records::<Statement>(None) {
        let record = record.unwrap();
        assert!(found.insert(record.common.seq, record).is_none(), "each once");
    }
    found
}

fn proven(folder: &Path) -> Verification {
    verify(&Place::folder(folder), &Held::default(), &mut |_| {}).unwrap()
}

fn faults(folder: &Path) -> Vec<String> {
    proven(folder).faults.iter().map(ToString::to_string).collect()
}

fn now() -> Timestamp {
    Timestamp(TUESDAY)
}

#[test]
fn one_file_holds_what_many_held_in_order_and_the_chain_names_them() {
    let folder = small();
    let (before, many) = (statements(folder.path()), named(folder.path()));
    let listed = Lake::open(folder.path()).unwrap().snapshot::<Statement>().unwrap();
    let [done] = &compact(&config(folder.path()), now()).unwrap()[..] else { panic!("one writer") };
    assert_eq!((done.writer.as_str(), done.files, done.into, done.left_alone), ("w", 8, 2, None));
    assert_eq!(statements(folder.path()), before, "and every column as it was");
    // Monday's statements and findings are one file each, Tuesday's are left: it is not over.
    let few = named(folder.path());
    assert_eq!((many.len(), few.len()), (10, 4));
    let made = folder.path().join("statements/dt=2026-11-23/w-00000000000000000001-00000000000000000013.parquet");
    assert!(few.contains(&made), "{few:?}");
    let times: Vec<i64> = Lake::open(folder.path())
        .unwrap()
        .records::<Statement>(Some((Timestamp(MONDAY - DAY_US), Timestamp(MONDAY + DAY_US / 2))))
        .map(|record| record.unwrap().common.at.0)
        .collect();
    assert_eq!(times.len(), 12);
    assert!(times.is_sorted(), "{times:?}");
    let reader = SerializedFileReader::new(fs::File::open(&made).unwrap()).unwrap();
    let group = reader.metadata().row_group(0);
    assert_eq!(group.sorting_columns().map(Vec::len), Some(2));
    let session = group.columns().iter().find(|column| column.column_path().string() == "session_id").unwrap();
    assert!(session.bloom_filter_offset().is_some() && session.offset_index_offset().is_some());

    let found = proven(folder.path());
    assert_eq!(found.faults, []);
    assert_eq!((found.proofs[0].replaced, found.proofs[0].files, found.proofs[0].records), (8, 4, 18));
    // Engines that read whatever lies in a folder pass over names that begin so.
    let aside: Vec<PathBuf> = files(folder.path()).into_iter().filter(|path| !few.contains(path)).collect();
    let is_hidden = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("_w-");
    assert!(aside.len() == 8 && aside.iter().all(is_hidden), "{aside:?}");
    // Who had listed the files before still reads them, for an hour.
    assert_eq!(listed.clone().into_batches(None).map(|batch| batch.unwrap().num_rows()).sum::<usize>(), before.len());
    let soon = crate::clock::Clock::system().now();
    compact(&config(folder.path()), soon.plus_micros(3_000_000_000)).unwrap();
    assert!(files(folder.path()).len() >= 8, "not yet");
    compact(&config(folder.path()), soon.plus_micros(3_700_000_000)).unwrap();
    assert_eq!(files(folder.path()), named(folder.path()), "nothing is left aside");
    assert_eq!((statements(folder.path()), faults(folder.path()).len()), (before, 0));
}

#[test]
fn a_log_goes_on_behind_a_compaction_of_its_newest_file() {
    let folder = small();
    let config = config(folder.path());
    compact(&config, Timestamp(TUESDAY + 2 * DAY_US)).unwrap();
    let mut log = Log::open(&config, "w").unwrap();
    // Old times, too: they belong into folders that are compacted.
    for at in [MONDAY, TUESDAY, TUESDAY + DAY_US] {
        log.append(statement(at));
    }
    log.commit(&checkpoint(90)).unwrap();
    assert_eq!(statements(folder.path()).len(), 17, "from the journal");
    assert_eq!(log.seal().unwrap(), 3);
    log.close().unwrap();
    assert_eq!((statements(folder.path()).len(), faults(folder.path()).len()), (17, 0));
    compact(&config, Timestamp(TUESDAY + 9 * DAY_US)).unwrap();
    assert_eq!((statements(folder.path()).len(), faults(folder.path()).len()), (17, 0));
}

#[test]
fn what_was_altered_is_not_signed_anew() {
    let folder = small();
    let altered =
        named(folder.path()).into_iter().find(|path| path.ends_with("w-00000000000000000004.parquet")).unwrap();
    let mut bytes = fs::read(&altered).unwrap();
    bytes[100] ^= 1;
    fs::write(&altered, bytes).unwrap();
    let done = &compact(&config(folder.path()), now()).unwrap()[0];
    assert_eq!((done.files, done.into, done.refused.len()), (4, 1, 1), "{done:?}");
    assert!(done.refused[0].contains("w-00000000000000000004.parquet") && done.refused[0].contains("was altered"));
    let [fault] = &faults(folder.path())[..] else { panic!("one fault") };
    assert!(fault.contains("w-00000000000000000004.parquet: was altered"), "{fault}");
}

#[test]
fn whatever_is_done_to_a_compacted_log_is_found() {
    let folder = small();
    let copied = tempfile::tempdir().unwrap();
    copy(folder.path(), copied.path());
    compact(&config(folder.path()), now()).unwrap();
    let made = named(folder.path())
        .into_iter()
        .find(|path| path.ends_with("w-00000000000000000001-00000000000000000013.parquet"))
        .unwrap();
    let whole = fs::read(&made).unwrap();
    for at in (0..whole.len()).step_by(997) {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        fs::write(&made, bytes).unwrap();
        assert!(faults(folder.path())[0].contains("was altered"), "byte {at}");
    }
    fs::remove_file(&made).unwrap();
    assert!(faults(folder.path())[0].contains("is missing: it held 12 records"), "{:?}", faults(folder.path()));
    fs::write(&made, &whole).unwrap();
    // A file that was replaced comes back: other engines would see its rows twice.
    let source = "statements/dt=2026-11-23/w-00000000000000000004.parquet";
    fs::copy(copied.path().join(source), folder.path().join(source)).unwrap();
    let [fault] = &faults(folder.path())[..] else { panic!("one fault") };
    assert!(fault.contains("was replaced by") && fault.contains("see its records twice"), "{fault}");
    assert_eq!(statements(folder.path()).len(), 14, "readers of ours pass over it");
    fs::write(folder.path().join(source), "another").unwrap();
    assert!(faults(folder.path())[0].contains("put another file in its place"), "{:?}", faults(folder.path()));
    fs::remove_file(folder.path().join(source)).unwrap();
    // The line itself.
    let chain = folder.path().join("chain/w.jsonl");
    let text = fs::read_to_string(&chain).unwrap();
    let line = text.lines().find(|line| line.contains("\"compacted\"")).unwrap();
    for at in (0..line.len()).step_by(13) {
        let mut altered = line.as_bytes().to_vec();
        altered[at] ^= 2;
        let altered = String::from_utf8_lossy(&altered).into_owned();
        fs::write(&chain, text.replace(line, &altered)).unwrap();
        assert!(!faults(folder.path()).is_empty(), "byte {at}");
    }
}

/// Whoever has the key can sign anything; that records are missing is found all the same.
#[test]
fn a_compaction_that_holds_less_than_what_it_replaces_is_found() {
    let folder = small();
    let chain = folder.path().join("chain/w.jsonl");
    let text = fs::read_to_string(&chain).unwrap();
    compact(&config(folder.path()), now()).unwrap();
    let after = fs::read_to_string(&chain).unwrap();
    let key = SigningKey::load(&config(folder.path()).signing_key).unwrap();
    let line = after.lines().find(|line| line.contains("\"compacted\"") && line.contains("statements")).unwrap();
    let previous = super::super::chain::hash(text.lines().last().unwrap().as_bytes());
    let number = text.lines().count() + 1;
    let forged = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
        value["number"] = number.into();
        value["previous"] = previous.clone().into();
        value.as_object_mut().unwrap().remove("signature");
        change(&mut value);
        let signed = value.to_string();
        let signed = signed.strip_suffix('}').unwrap();
        let forged = format!("{signed},\"signature\":\"{}\"}}\n", key.sign(signed.as_bytes()));
        fs::write(&chain, format!("{text}{forged}")).unwrap();
        faults(folder.path())
    };
    let none = forged(&|_| {});
    assert!(!none.iter().any(|fault| fault.contains(".jsonl")), "the line is as it should be: {none:?}");
    for (change, told) in [
        (
            &(|line: &mut serde_json::Value| line["records"] = 11.into()) as &dyn Fn(&mut serde_json::Value),
            "holds 11 records",
        ),
        (&|line| line["last_seq"] = 12.into(), "numbers 1 to 12"),
        (&|line| line["first_at"] = "2026-11-23T10:00:00.000000Z".into(), "holds 12 records"),
        (&|line| drop(line["replaces"].as_array_mut().unwrap().remove(2)), "covers the numbers of"),
        (&|line| line["replaces"][1]["sha256"] = "00".into(), "no line before it tells of such a file"),
        (&|line| line["path"] = "../../x".into(), "is no file of a log"),
    ] {
        let found = forged(change);
        assert!(found.iter().any(|fault| fault.contains(told)), "{told}: {found:?}");
    }
}

#[test]
fn what_is_held_stays_as_it_is_and_nothing_is_kept_longer_for_being_compacted() {
    let folder = small();
    let config = config(folder.path());
    fs::create_dir(folder.path().join("hold")).unwrap();
    fs::write(folder.path().join("hold/case"), "tables = ['statements']\nreason = 'a case'\n").unwrap();
    let done = &compact(&config, Timestamp(TUESDAY + 2 * DAY_US)).unwrap()[0];
    assert_eq!((done.files, done.into), (4, 1), "the findings");
    fs::remove_file(folder.path().join("hold/case")).unwrap();
    // Compacted long after: the records are as old as ever.
    let late = Timestamp(TUESDAY + 399 * DAY_US);
    let mut log = Log::open(&config, "w").unwrap();
    log.clock().set(late);
    log.append(statement(late.0));
    log.commit(&checkpoint(77)).unwrap();
    log.close().unwrap();
    assert_eq!(compact(&config, late).unwrap()[0].files, 6);
    let mut log = Log::open(&config, "w").unwrap();
    let mut deleted = 0;
    while let count @ 1.. = log.delete_if_due(Timestamp(TUESDAY + 401 * DAY_US)).unwrap() {
        deleted += count;
    }
    drop(log);
    assert_eq!(deleted, 3, "Monday's statements and findings, and Tuesday's");
    assert_eq!((statements(folder.path()).len(), faults(folder.path()).len()), (1, 0));
}

/// A compaction killed at each change to a file, and after a loss of power there; and each change refused once.
#[test]
fn a_compaction_cut_short_anywhere_loses_and_doubles_nothing() {
    let folder = small();
    let before = statements(folder.path());
    let watched = tempfile::tempdir().unwrap();
    copy(folder.path(), watched.path());
    let scene = Scene::watch(watched.path());
    compact(&config(watched.path()), now()).unwrap();
    let asked = scene.asked();
    drop(scene);
    assert!(asked.len() > 25, "{asked:?}");
    for (number, what) in asked.iter().enumerate() {
        // A loss of power takes what a kill leaves; a full device is met by what takes room.
        let takes_room = ["write", "open", "create"].iter().any(|word| what.starts_with(word));
        let ways = [(Refusal::Killed, number % 2 == 0), (Refusal::Failed, false), (Refusal::Full, false)];
        for (refusal, power) in ways.into_iter().take(if takes_room { 3 } else { 2 }) {
            let at = format!("{refusal:?} at {number}, {what}");
            let cut = tempfile::tempdir().unwrap();
            copy(folder.path(), cut.path());
            let scene = Scene::refuse(cut.path(), number, refusal);
            let _ = compact(&config(cut.path()), now());
            if power {
                scene.lose_power();
            }
            drop(scene);
            assert_eq!(statements(cut.path()), before, "{at}");
            let told = faults(cut.path());
            assert!(told.iter().all(|fault| fault.contains("see its records twice")), "{at}: {told:?}");
            // The next start, and the next compaction.
            Log::open(&config(cut.path()), "w").unwrap().close().unwrap();
            compact(&config(cut.path()), now()).unwrap();
            assert_eq!((statements(cut.path()), faults(cut.path())), (before.clone(), vec![]), "{at}, again");
            assert_eq!(named(cut.path()).len(), 4, "{at}");
        }
    }
}

#[test]
fn a_sidecar_compacts_by_itself_while_others_read_and_seals_on() {
    let folder = small();
    let config = config(folder.path());
    let at_least = statements(folder.path()).len();
    let reading = format!("{}-read", super::super::writer::host());
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut log = Log::open(&config, "w").unwrap();
            // A command of this host that reads leaves a file of its own each time.
            for _ in 0..2 {
                let mut other = Log::open(&config, &reading).unwrap();
                other.append(Review { common: statement(MONDAY).common, ..Review::default() });
                other.commit(&Checkpoint::default()).unwrap();
                other.close().unwrap();
            }
            let reviews = || {
                let names = folder::names(&folder.path().join("reviews/dt=2026-11-23")).unwrap();
                names.iter().filter(|name| name.ends_with(".parquet")).count()
            };
            let (mut replaced, mut now) = (0, TUESDAY);
            for round in 0..2_000 {
                replaced += log.compact_if_due(Timestamp(now), false).unwrap();
                if round == 0 {
                    assert_eq!(
                        log.compact_if_due(Timestamp(now + 600_000_000), false).unwrap(),
                        0,
                        "not while it is busy"
                    );
                    now += 7 * 3_600_000_000;
                }
                if round % 100 == 0 {
                    log.append(statement(TUESDAY + round));
                    log.commit(&checkpoint(100)).unwrap();
                    log.seal().unwrap();
                }
                std::thread::sleep(Duration::from_millis(1));
                if replaced == 8 && reviews() == 1 {
                    break;
                }
            }
            assert_eq!(replaced, 8);
            log.close().unwrap();
            is_done.store(true, std::sync::atomic::Ordering::Release);
        });
        while !is_done.load(std::sync::atomic::Ordering::Acquire) {
            let found = seqs(folder.path());
            assert_eq!(found, numbers(found.len() as u64));
            assert!(found.len() >= at_least);
            assert_eq!(proven(folder.path()).faults, []);
        }
    });
    assert_eq!(Lake::open(folder.path()).unwrap().snapshot::<Review>().unwrap().files.len(), 1);
    assert_eq!(proven(folder.path()).faults, []);
}

#[test]
fn a_chain_of_another_key_and_a_writer_that_runs_are_left_alone() {
    let folder = small();
    let elsewhere = Config { signing_key: folder.path().join("elsewhere.key"), ..config(folder.path()) };
    SigningKey::load_or_create(&elsewhere.signing_key).unwrap();
    let before = named(folder.path());
    let left = |config: &Config| compact(config, now()).unwrap()[0].left_alone;
    assert_eq!(left(&elsewhere), Some(LeftAlone::OtherKey));
    let runs = Writer::claim_named(folder.path(), "w").unwrap().unwrap();
    assert_eq!(left(&config(folder.path())), Some(LeftAlone::Running));
    drop(runs);
    assert_eq!((named(folder.path()), faults(folder.path()).len()), (before, 0));
    assert_eq!(left(&config(folder.path())), None);
}
