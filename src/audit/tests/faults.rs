//! Every change to a file is refused in turn, or is the last of a killed process.
//!
//! The same stream of records each time, over two days and three tables, committed in pieces, sealed now and then, deleted when past its time. However
//! the system refuses, and wherever the process dies: no record that was told to be safe is missing, none is there twice, and the chain proves
//! the rest.

use super::crash::copy;
use super::*;
use crate::system::faults::{Refusal, Scene};

const ROUNDS: u64 = 3;
const A_ROUND: u64 = 3;
/// How often something that is refused is tried again.
const TRIES: u32 = 5;

/// What a run came to.
#[derive(Debug, Default)]
struct Run {
    /// Statements that were told to be safe.
    safe: u64,
    /// Whether it came to its end.
    is_over: bool,
}

fn again<T>(mut act: impl FnMut() -> Result<T, Error>, tries: u32) -> Result<T, Error> {
    let mut result = act();
    for _ in 1..tries {
        if result.is_ok() {
            break;
        }
        result = act();
    }
    result
}

/// The stream. `tries`: how often each step is tried, by a process that lives on.
fn run(config: &Config, tries: u32, run: &mut Run) -> Result<(), Error> {
    let mut log = again(|| Log::open(config, "w"), tries)?;
    log.clock().set(Timestamp(MONDAY + 2 * DAY_US));
    for round in 1..=ROUNDS {
        for number in 0..A_ROUND {
            let mut record = statement(MONDAY + i64::try_from(number % 2).unwrap() * DAY_US);
            log.number(&mut record);
            log.append(record);
        }
        log.append(Session { common: statement(MONDAY).common, ..Session::default() });
        if round == 2 {
            let gap = Gap { events: 3, first_at: None, last_at: None, cause: GapCause::Passed };
            log.gap(Position(round), &gap);
        }
        again(|| log.commit(&checkpoint(round)), tries)?;
        run.safe += A_ROUND;
        if round == 2 {
            again(|| log.seal(), tries)?;
        }
    }
    again(|| log.seal(), tries)?;
    log.close()?;
    run.is_over = true;
    Ok(())
}

fn config_of(path: &Path, durability: Durability) -> Config {
    Config { durability, ..config(path) }
}

/// A folder with both keys: making them is another matter.
fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    Key::load_or_create(&folder.path().join("key")).unwrap();
    SigningKey::load_or_create(&folder.path().join("signing.key")).unwrap();
    folder
}

fn asked(durability: Durability) -> Vec<String> {
    let folder = prepared();
    let scene = Scene::watch(folder.path());
    run(&config_of(folder.path(), durability), 1, &mut Run::default()).unwrap();
    scene.asked()
}

/// Opens what is there, goes on with it, and proves it.
fn check(path: &Path, done: &Run, at: &str) {
    let found = seqs_of(path);
    assert_eq!(found, numbers(found.len() as u64), "each once, {at}");
    assert!(found.len() as u64 >= done.safe, "{} of {}, {at}", found.len(), done.safe);
    let mut log = Log::open(&config(path), "w").unwrap();
    log.append(statement(MONDAY));
    log.commit(&checkpoint(99)).unwrap();
    log.close().unwrap();
    assert_eq!(seqs(path), numbers(found.len() as u64 + 1), "and on, {at}");
    let sessions: Vec<u64> =
        Lake::open(path).unwrap().records::<Session>(None).map(|s| s.unwrap().common.seq).collect();
    let mut sorted = sessions.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, numbers(sessions.len() as u64), "{at}");
    let found = verify(&Place::folder(path), &Held::default(), &mut |_| {}).unwrap();
    assert_eq!(found.faults, [], "{at}");
    let gaps = usize::from(done.safe >= 2 * A_ROUND);
    assert!((gaps..=1).contains(&found.proofs[0].gaps.len()), "{at}: {:?}", found.proofs[0].gaps);
}

fn seqs_of(path: &Path) -> Vec<u64> {
    if Lake::open(path).is_ok() { seqs(path) } else { Vec::new() }
}

#[test]
fn a_change_that_is_refused_once_costs_nothing() {
    for (number, what) in asked(Durability::Process).iter().enumerate() {
        // A full device is met by what takes room.
        let takes_room = ["write", "open", "create"].iter().any(|word| what.starts_with(word));
        for refusal in [Refusal::Failed, Refusal::Full].into_iter().take(if takes_room { 2 } else { 1 }) {
            let at = format!("{refusal:?} at {number}, {what}");
            let folder = prepared();
            let scene = Scene::refuse(folder.path(), number, refusal);
            let mut done = Run::default();
            let result = run(&config(folder.path()), TRIES, &mut done);
            drop(scene);
            // A log that cannot say that it is closed has lost nothing.
            assert!(result.is_ok() || done.safe == ROUNDS * A_ROUND, "{at}: {result:?}");
            check(folder.path(), &done, &at);
        }
    }
}

#[test]
fn a_process_killed_at_any_change_has_lost_nothing_that_was_safe() {
    for durability in [Durability::Process, Durability::Disk] {
        // A loss of power takes what a kill leaves, and more: without it, some points will do.
        let every = if durability == Durability::Disk { 1 } else { 3 };
        for (number, what) in asked(durability).iter().enumerate().step_by(every) {
            let at = format!("{durability:?}, killed at {number}, {what}");
            let folder = prepared();
            let scene = Scene::refuse(folder.path(), number, Refusal::Killed);
            let mut done = Run::default();
            let result = run(&config_of(folder.path(), durability), 1, &mut done);
            assert!(result.is_err() || done.is_over, "{at}");
            if durability == Durability::Disk {
                scene.lose_power();
            }
            drop(scene);
            check(folder.path(), &done, &at);
        }
    }
}

/// The making of the two keys: each change of it is refused, or the last one. What was made is kept, and is whole.
#[test]
fn keys_whose_making_was_refused_or_cut_short_anywhere_are_made_by_the_next_start_and_never_twice() {
    let make = |folder: &Path| -> Result<(String, String), Error> {
        let key = Key::load_or_create(&folder.join("deep/key"))?.name();
        Ok((key, SigningKey::load_or_create(&folder.join("deep/signing.key"))?.public().to_string()))
    };
    let made = |folder: &Path| {
        let key = Key::load(&folder.join("deep/key")).ok().map(|key| key.name());
        (key, SigningKey::load(&folder.join("deep/signing.key")).ok().map(|key| key.public().to_string()))
    };
    let watched = tempfile::tempdir().unwrap();
    let scene = Scene::watch(watched.path());
    make(watched.path()).unwrap();
    let asked = scene.asked();
    drop(scene);
    assert!(asked.len() >= 16, "a folder, three files of five changes each: {asked:?}");
    for (number, what) in asked.iter().enumerate() {
        for refusal in [Refusal::Full, Refusal::Failed, Refusal::Killed] {
            let at = format!("{refusal:?} at {number}, {what}");
            let folder = tempfile::tempdir().unwrap();
            let scene = Scene::refuse(folder.path(), number, refusal);
            assert!(matches!(make(folder.path()), Err(Error::Io { .. })), "{at}");
            drop(scene);
            let before = made(folder.path());
            let after = make(folder.path()).unwrap();
            assert!(before.0.is_none_or(|key| key == after.0), "another key, {at}");
            assert!(before.1.is_none_or(|key| key == after.1), "another signing key, {at}");
            let public = PublicKey::load(&public_beside(&folder.path().join("deep/signing.key"))).unwrap();
            assert_eq!((public.to_string(), make(folder.path()).unwrap()), (after.1.clone(), after), "{at}");
            let left = folder::names(&folder.path().join("deep")).unwrap();
            assert_eq!(left, ["key", "signing.key", "signing.pub"], "{at}");
        }
    }
}

/// Deletion: each change of it is refused, or the last one.
#[test]
fn a_deletion_refused_or_cut_short_anywhere_is_made_up_for() {
    let folder = prepared();
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    let late = Timestamp(MONDAY + 403 * DAY_US);
    for (sealed_at, at) in [(MONDAY, MONDAY), (MONDAY, MONDAY + 1), (late.0 - 2 * DAY_US, late.0)] {
        log.clock().set(Timestamp(sealed_at));
        log.append(statement(at));
        log.commit(&checkpoint(1)).unwrap();
        log.seal().unwrap();
    }
    log.close().unwrap();
    let delete = |path: &Path| -> Result<(), Error> {
        let mut log = Log::open(&config(path), "w")?;
        while log.delete_if_due(late)? > 0 {}
        log.close()
    };
    let watched = tempfile::tempdir().unwrap();
    copy(folder.path(), watched.path());
    let scene = Scene::watch(watched.path());
    delete(watched.path()).unwrap();
    let asked = scene.asked();
    drop(scene);
    for (number, what) in asked.iter().enumerate() {
        for refusal in [Refusal::Full, Refusal::Failed, Refusal::Killed] {
            let cut = tempfile::tempdir().unwrap();
            copy(folder.path(), cut.path());
            let scene = Scene::refuse(cut.path(), number, refusal);
            let _ = delete(cut.path());
            drop(scene);
            let found = verify(&Place::folder(cut.path()), &Held::default(), &mut |_| {}).unwrap();
            assert_eq!(found.faults, [], "{refusal:?} at {number}, {what}");
            delete(cut.path()).unwrap();
            let found = verify(&Place::folder(cut.path()), &Held::default(), &mut |_| {}).unwrap();
            assert_eq!((found.faults, seqs(cut.path())), (vec![], vec![3]), "{refusal:?} at {number}, {what}");
        }
    }
}
