//! The tracker against a slow, obvious model of both ends.
//!
//! In: a fuzzer's bytes, which choose what the client says, what the server makes of it, and in which pieces and in which order the
//! bytes of both come by. Out: the first difference between what the tracker told and what truly happened. Shared by the fuzz target
//! and the integration tests.

mod choices;
mod client;
mod server;

use std::collections::BTreeMap;

use mitsuke::clock::Timestamp;
use mitsuke::record::Outcome;
use mitsuke::session::event::Ended;
use mitsuke::session::{Ending, Event, SubjectColumns, Tracker};
use uuid::Uuid;

use self::choices::Choices;
use self::server::{Done, Server, Truth};

/// Protocol 3.0, `user=ann`.
const STARTUP: &[u8] = b"\0\0\0\x12\0\x03\0\0user\0ann\0\0";

/// Plays one session.
pub fn play(bytes: &[u8]) -> Result<(), String> {
    // Half of the bytes choose what is said, half what is answered and when.
    let (said, answered) = bytes.split_at(bytes.len() / 2);
    let script = client::script(&mut Choices::new(said));
    let mut choices = Choices::new(answered);
    let mut tracker = Tracker::new(Uuid::nil(), "local".to_owned(), Timestamp(0));
    let mut events = Vec::new();
    let mut server = Server::default();
    let mut heard = Vec::new();
    // Where each message ends in the client's stream.
    let mut stream = STARTUP.to_vec();
    let ends: Vec<usize> = script
        .iter()
        .map(|say| {
            stream.extend(say.bytes());
            stream.len()
        })
        .collect();
    let (mut passed, mut worked) = (0, 0);
    let mut clock = 0;
    let mut started = false;
    loop {
        clock += 1;
        let at = Timestamp(clock);
        let fault = |fault| format!("out of step: {fault}\nscript {script:#?}\nworked off {worked}");
        let may_pass = passed < stream.len() && !server.is_over;
        let may_work = started && !server.is_over && ends.get(worked).is_some_and(|end| *end <= passed);
        let may_hear = !server.out.is_empty();
        match choices.below(3) {
            0 if may_pass => {
                let piece = [1, 3, 9, 100_000][choices.below(4)].min(stream.len() - passed);
                tracker.client(&stream[passed..passed + piece], at, &mut events).map_err(fault)?;
                passed += piece;
            }
            1 if may_work => {
                server.take(&script[worked], &mut choices);
                worked += 1;
            }
            _ if may_hear => {
                let piece = [100_000, 1, 6, 30][choices.below(4)].min(server.out.len());
                let bytes: Vec<u8> = server.out.drain(..piece).collect();
                tracker.server(&bytes, at, &SubjectColumns::default(), &mut events).map_err(fault)?;
                heard.extend(bytes);
            }
            _ if may_work => {
                server.take(&script[worked], &mut choices);
                worked += 1;
            }
            _ if may_pass => {
                let piece = if choices.are_left() { 1 } else { stream.len() - passed };
                tracker.client(&stream[passed..passed + piece], at, &mut events).map_err(fault)?;
                passed += piece;
            }
            _ if !started => {}
            _ => break,
        }
        if !started && passed >= STARTUP.len() {
            started = true;
            server.start();
        }
    }
    tracker.close(Timestamp(clock), Ending::ServerClosed, &mut events);
    server.close();
    compare(&server.truth, &events, &heard).map_err(|fault| format!("{fault}\nscript {script:#?}\nevents {events:#?}"))
}

/// What was told against what happened.
fn compare(truth: &Truth, events: &[Event], heard: &[u8]) -> Result<(), String> {
    let mut texts = BTreeMap::new();
    let mut told = Vec::new();
    let mut ended: BTreeMap<u64, u32> = BTreeMap::new();
    let (mut refused, mut rows) = (0, 0);
    for event in events {
        match event {
            Event::Begun(begun) => {
                texts.insert(begun.statement_no, String::from_utf8_lossy(&begun.text).into_owned());
            }
            Event::Ended(end) => {
                let text = texts.get(&end.statement_no).ok_or(format!("{} ends and has not begun", end.statement_no))?;
                *ended.entry(end.statement_no).or_default() += 1;
                rows += end.rows_returned;
                match end.outcome {
                    Outcome::Ok | Outcome::Error => told.push(done(text, end)),
                    Outcome::Skipped if end.rows_returned > 0 => return Err("a skipped statement has rows".to_owned()),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    if let Some(number) = texts.keys().find(|number| !ended.contains_key(number)) {
        return Err(format!("statement {number} never ends"));
    }
    let on_the_wire = frames(heard).filter(|kind| b"DdV".contains(kind)).count() as u64;
    if rows != on_the_wire {
        return Err(format!("rows: {on_the_wire} on the wire, {rows} told"));
    }
    for done in &truth.done {
        match told.iter().position(|told| told == done) {
            Some(place) => {
                told.swap_remove(place);
            }
            None => return Err(format!("happened and not told: {done:?}; told besides: {told:#?}")),
        }
    }
    // What is left are the errors of messages that execute nothing.
    for left in told {
        refused += 1;
        if !left.failed || left.rows > 0 {
            return Err(format!("told and did not happen: {left:?}"));
        }
    }
    if refused > truth.refused { Err(format!("{refused} refusals told, {} happened", truth.refused)) } else { Ok(()) }
}

fn done(text: &str, end: &Ended) -> Done {
    Done {
        text: text.to_owned(),
        rows: end.rows_returned,
        tag: end.tag.clone(),
        failed: end.outcome == Outcome::Error,
    }
}

/// The types of the messages in a whole stream.
fn frames(mut stream: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let (head, rest) = stream.split_at_checked(5)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        stream = rest.get(length - 4..)?;
        Some(head[0])
    })
}
