//! Real processes: killed while they write, and refused by the system in the middle of a file.
//!
//! The test binary runs itself again as the process to be killed; what it writes to its standard output is what it was
//! told is safe.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use super::*;
use crate::record::Protocol;
use crate::session::Event;
use crate::session::event::{Begun, Who};

const FOLDER: &str = "MITSUKE_TEST_KILL_FOLDER";

fn event(number: u64) -> Event {
    Event::Begun(Begun {
        who: Arc::new(Who::default()),
        statement_no: number,
        at: Timestamp(MONDAY),
        protocol: Protocol::Simple,
        text: b"select 1".as_slice().into(),
        text_bytes: 8,
        parameters: Default::default(),
        bytes_in: 14,
    })
}

/// Starts this binary again to run one of the ignored tests; `limit`: the longest file it may write, in blocks of
/// 512 bytes, the signal that goes with it ignored.
pub(super) fn child(test: &str, folder: &Path, limit: Option<u32>) -> Child {
    let binary = std::env::current_exe().unwrap();
    let limit = limit.map(|blocks| format!("trap '' XFSZ; ulimit -f {blocks};")).unwrap_or_default();
    let run = format!("{limit} exec \"$0\" --exact audit::tests::{test} --ignored --nocapture --test-threads 1");
    let mut command = Command::new("sh");
    command.args(["-c", &run]).arg(binary).env(FOLDER, folder).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// The folder that a child was given; `None` when someone runs the ignored tests by hand.
#[allow(clippy::disallowed_methods, reason = "the child's one argument: a test's name leaves no room for another")]
pub(super) fn given() -> Option<std::path::PathBuf> {
    std::env::var_os(FOLDER).map(Into::into)
}

/// Tells the parent that everything up to `number` is safe, or whatever else it waits to be told.
pub(super) fn tell(number: u64) {
    let mut out = std::io::stdout();
    writeln!(out, "\nsafe {number}").and_then(|()| out.flush()).unwrap();
}

/// Reads what a child told until it has told `enough`, kills it with SIGKILL, and reads what it had told by then.
fn kill_after(mut child: Child, enough: u64) -> u64 {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut last = 0;
    let mut killed = false;
    while let Some(Ok(line)) = lines.next() {
        if let Some(number) = line.strip_prefix("safe ") {
            last = number.parse().unwrap();
        }
        if last >= enough && !killed {
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(killed, "it ended by itself after {last}");
    last
}

/// What a child told last, of one that ends by itself; `None` where it did not tell or ended badly.
pub(super) fn told_last(child: Child) -> Option<u64> {
    let output = child.wait_with_output().unwrap();
    let told =
        String::from_utf8_lossy(&output.stdout).lines().rev().find_map(|line| line.strip_prefix("safe ")?.parse().ok());
    told.filter(|_| output.status.success())
}

#[test]
#[ignore = "run by the tests below, in a process of its own"]
fn appends_events_until_it_is_killed() {
    let Some(folder) = given() else { return };
    let (intake, reader) = Intake::open(&config(&folder), "w").unwrap();
    let mut next = reader.live_from().0;
    loop {
        intake.append(&mut vec![event(next), event(next + 1)]).unwrap();
        tell(next + 1);
        next += 2;
    }
}

#[test]
#[ignore = "run by the tests below, in a process of its own"]
fn commits_and_seals_until_it_is_killed() {
    let Some(folder) = given() else { return };
    let mut log = Log::open(&config(&folder), "w").unwrap();
    for round in 1.. {
        let mut last = 0;
        for day in [0, 1, 0] {
            let mut record = statement(MONDAY + day * DAY_US);
            log.number(&mut record);
            last = record.common.seq;
            log.append(record);
        }
        // A disk that is full, or a file that may not grow, is no reason to lose or to say anything.
        if log.commit(&checkpoint(round)).is_ok() {
            tell(last);
        }
        if round % 5 == 0 {
            let _ = log.seal();
        }
    }
}

#[test]
fn a_killed_process_has_lost_no_event_that_it_was_told_is_safe() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = 0;
    for round in 1..=8 {
        told = kill_after(child("kill::appends_events_until_it_is_killed", folder.path(), None), told + round * 37);
        let (_intake, mut reader) = Intake::open(&config(folder.path()), "w").unwrap();
        let mut last = 0;
        while let Some((position, entry)) = reader.next(Duration::ZERO).unwrap() {
            assert_eq!(position, Position(last + 1));
            assert_eq!(entry, Entry::Event(event(position.0)), "whole, in order, once");
            last = position.0;
        }
        assert!(last >= told, "{last} of {told}");
        told = last;
    }
}

#[test]
fn a_killed_process_has_lost_no_record_that_it_was_told_is_safe() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = 0;
    for round in 1..=8 {
        told = kill_after(child("kill::commits_and_seals_until_it_is_killed", folder.path(), None), told + round * 5);
        let found = seqs(folder.path());
        assert_eq!(found, numbers(found.len() as u64), "each once");
        assert!(found.len() as u64 >= told);
        told = found.len() as u64;
    }
    Log::open(&config(folder.path()), "w").unwrap().seal().unwrap();
    assert_eq!(seqs(folder.path()), numbers(told));
}

#[test]
fn a_file_that_may_not_grow_costs_nothing_that_was_told_is_safe() {
    // Two blocks more than the first commits need, and far less than the tenth.
    for blocks in [12, 40, 41, 43, 60] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = child("kill::commits_and_seals_until_it_is_killed", folder.path(), Some(blocks));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (sender, receiver) = std::sync::mpsc::sync_channel(1 << 16);
        let told = std::thread::scope(|scope| {
            scope.spawn(move || {
                for line in lines {
                    let _ = line.strip_prefix("safe ").map(|number| sender.send(number.parse::<u64>().unwrap()));
                }
            });
            std::thread::sleep(Duration::from_millis(400));
            child.kill().unwrap();
            child.wait().unwrap();
            receiver.iter().last().unwrap_or(0)
        });
        let found = seqs_or_none(folder.path());
        assert_eq!(found, numbers(found.len() as u64), "each once, {blocks} blocks");
        assert!(found.len() as u64 >= told, "{} of {told}, {blocks} blocks", found.len());
        let mut log = Log::open(&config(folder.path()), "w").unwrap();
        log.append(statement(MONDAY));
        log.commit(&checkpoint(1)).unwrap();
        log.seal().unwrap();
        assert_eq!(seqs(folder.path()), numbers(found.len() as u64 + 1));
    }
}

fn seqs_or_none(path: &Path) -> Vec<u64> {
    if Lake::open(path).is_ok() { seqs(path) } else { Vec::new() }
}
