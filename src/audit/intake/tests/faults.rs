//! The intake journal where the system refuses each of its changes in turn: a segment that cannot be made, reserved or synced.

use super::*;
use crate::system::faults::{Refusal, Scene};

const EVENTS: u64 = 40;

/// Appends all events, each until it is taken, unless `tries` are over; the last that was taken.
fn append_all(config: &Config, tries: u32) -> Result<u64, Error> {
    let sizes = || Sizes { segment_bytes: SMALL, segments_max: 100, ..SIZES };
    let mut opened = Intake::open_sized(config, "w", sizes());
    for _ in 1..tries {
        if opened.is_err() {
            opened = Intake::open_sized(config, "w", sizes());
        }
    }
    let (intake, _reader) = opened?;
    for number in 1..=EVENTS {
        let mut left = events(number..=number);
        for _ in 0..tries {
            if intake.append(&mut left).is_ok() {
                break;
            }
            // Before that it is not tried again.
            std::thread::sleep(RETRY + RETRY / 2);
        }
        if !left.is_empty() {
            return Ok(number - 1);
        }
    }
    Ok(EVENTS)
}

fn config_of(path: &std::path::Path, durability: Durability, when_unwritable: WhenUnwritable) -> Config {
    Config { durability, when_unwritable, ..config(path) }
}

fn asked(durability: Durability) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    Key::load_or_create(&folder.path().join("key")).unwrap();
    let scene = Scene::watch(folder.path());
    assert_eq!(append_all(&config_of(folder.path(), durability, WhenUnwritable::Block), 1).unwrap(), EVENTS);
    scene.asked()
}

#[test]
fn a_segment_that_is_refused_costs_no_event_whoever_waits_for_it_or_dies() {
    for durability in [Durability::Process, Durability::Disk] {
        let asked = asked(durability);
        assert!(asked.len() > 10, "{asked:?}");
        for (number, what) in asked.iter().enumerate() {
            for refusal in [Refusal::Full, Refusal::Failed, Refusal::Killed] {
                let at = format!("{durability:?}, {refusal:?} at {number}, {what}");
                let folder = tempfile::tempdir().unwrap();
                Key::load_or_create(&folder.path().join("key")).unwrap();
                let config = config_of(folder.path(), durability, WhenUnwritable::Block);
                let scene = Scene::refuse(folder.path(), number, refusal);
                let tries = if refusal == Refusal::Killed { 1 } else { 5 };
                let safe = append_all(&config, tries).unwrap_or(0);
                drop(scene);
                if refusal != Refusal::Killed {
                    assert_eq!(safe, EVENTS, "{at}");
                }
                let (intake, mut reader) = open_small(&config, 100);
                assert_eq!(drain(&mut reader), expected(1..=safe), "{at}");
                intake.append(&mut events(safe + 1..=safe + 1)).unwrap();
                assert_eq!(drain(&mut reader), expected(safe + 1..=safe + 1), "{at}");
            }
        }
    }
}

/// Appends all events and reads them, and has what is read be used again, as checkpoints do; the last event that was taken.
fn append_all_and_use_again(config: &Config, tries: u32) -> Result<u64, Error> {
    let sizes = Sizes { segment_bytes: SMALL, segments_max: 100, ..SIZES };
    let (intake, mut reader) = Intake::open_sized(config, "w", sizes)?;
    let (mut safe, mut read) = (0, 0);
    for number in 1..=EVENTS {
        let mut left = events(number..=number);
        for _ in 0..tries {
            if intake.append(&mut left).is_ok() {
                safe = number;
                break;
            }
            std::thread::sleep(RETRY + RETRY / 2);
        }
        if safe < number {
            break;
        }
        if number % 7 == 0 {
            assert_eq!(drain(&mut reader), expected(read + 1..=number));
            read = number;
            // Refused or not: what is appended next does not depend on it.
            let _ = release(&folder::intake(&config.path, "w"), Position(number + 1)).and_then(|()| reader.reuse());
        }
    }
    assert_eq!(drain(&mut reader), expected(read + 1..=safe));
    Ok(safe)
}

#[test]
fn a_segment_that_cannot_be_used_again_costs_no_event() {
    let folder = tempfile::tempdir().unwrap();
    Key::load_or_create(&folder.path().join("key")).unwrap();
    let scene = Scene::watch(folder.path());
    let durability = Durability::Process;
    let config = config_of(folder.path(), durability, WhenUnwritable::Block);
    assert_eq!(append_all_and_use_again(&config, 1).unwrap(), EVENTS);
    let asked = scene.asked();
    drop(scene);
    let renamed = asked.iter().filter(|what| what.starts_with("rename")).count();
    assert!(renamed > 4, "some are spent, and are the next: {asked:?}");
    for (number, what) in asked.iter().enumerate() {
        for refusal in [Refusal::Full, Refusal::Failed, Refusal::Killed] {
            let at = format!("{refusal:?} at {number}, {what}");
            let folder = tempfile::tempdir().unwrap();
            Key::load_or_create(&folder.path().join("key")).unwrap();
            let config = config_of(folder.path(), durability, WhenUnwritable::Block);
            let scene = Scene::refuse(folder.path(), number, refusal);
            let opened = append_all_and_use_again(&config, if refusal == Refusal::Killed { 1 } else { 5 });
            drop(scene);
            let safe = opened.as_ref().copied().unwrap_or(0);
            assert!(refusal == Refusal::Killed || opened.is_err() || safe == EVENTS, "{at}");
            let (_intake, mut reader) = open_small(&config, 100);
            let found = drain_kept(&mut reader);
            assert_eq!(found, expected(safe + 1 - found.len() as u64..=safe), "{at}");
            assert!(spent(&config).is_empty(), "{at}");
        }
    }
}

/// Where clients are let through, what passed while the system refused is counted, to the event.
#[test]
fn what_passes_while_a_segment_is_refused_is_counted() {
    for (number, what) in asked(Durability::Process).iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        Key::load_or_create(&folder.path().join("key")).unwrap();
        let config = config_of(folder.path(), Durability::Process, WhenUnwritable::Pass);
        let (intake, mut reader) = {
            let scene = Scene::refuse(folder.path(), number, Refusal::Full);
            let sizes = Sizes { segment_bytes: SMALL, segments_max: 100, ..SIZES };
            let Ok((intake, reader)) = Intake::open_sized(&config, "w", sizes) else { continue };
            for event in 1..=EVENTS {
                intake.append(&mut events(event..=event)).unwrap();
            }
            drop(scene);
            (intake, reader)
        };
        // What is refused once is refused for a moment; the next segment tells.
        std::thread::sleep(RETRY + RETRY / 2);
        for event in EVENTS + 1..=2 * EVENTS {
            intake.append(&mut events(event..=event)).unwrap();
        }
        let found = drain(&mut reader);
        let taken = found.iter().filter(|(_, entry)| matches!(entry, Entry::Event(_))).count() as u64;
        let told: u64 = found.iter().map(|(_, entry)| if let Entry::Gap(gap) = entry { gap.events } else { 0 }).sum();
        assert_eq!((taken + told, told), (2 * EVENTS, intake.passed()), "refused at {number}, {what}");
    }
}
