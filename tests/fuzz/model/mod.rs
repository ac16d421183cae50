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
use mitsuke::session::{Ending, Event, OutOfStep, SubjectColumns, Tracker};
use uuid::Uuid;

use self::choices::Choices;
use self::client::Say;
use self::server::{Done, Server, Truth};

/// Protocol 3.0, `user=ann`.
const STARTUP: &[u8] = b"\0\0\0\x12\0\x03\0\0user\0ann\0\0";

/// Plays one session.
pub fn play(bytes: &[u8]) -> Result<(), String> {
    // Half of the bytes choose what is said, half what is answered and when.
    let (said, answered) = bytes.split_at(bytes.len() / 2);
    let script = client::script(&mut Choices::new(said));
    let mut session = Session::new(&script);
    let outcome = session.play(&script, &mut Choices::new(answered));
    let Session { tracker, mut server, mut events, heard, story, unclear, .. } = session;
    let outcome = outcome.and_then(|()| {
        if unclear {
            return Ok(());
        }
        tracker.close(Timestamp(0), Ending::ServerClosed, &mut events);
        server.lose_portals();
        compare(&server.truth, &events, &heard)
    });
    outcome.map_err(|fault| format!("{fault}\nscript {script:#?}\nstory{story}\nevents {events:#?}"))
}

/// One session under way.
struct Session {
    tracker: Tracker,
    server: Server,
    events: Vec<Event>,
    /// What the client says, and where each of its messages ends in it.
    stream: Vec<u8>,
    ends: Vec<usize>,
    /// Bytes of it that the tracker has seen.
    passed: usize,
    /// Messages of it that the server has worked off.
    worked: usize,
    heard: Vec<u8>,
    /// The tracker gave up, and had to: behind a COPY that failed while Syncs were under way nobody can know which of them it passed over.
    unclear: bool,
    /// What happened, in order, for a person: `>` bytes of the client, the server's working off, `<` bytes of the server.
    story: String,
}

impl Session {
    fn new(script: &[Say]) -> Session {
        let mut stream = STARTUP.to_vec();
        let end = |say: &Say| {
            stream.extend(say.bytes());
            stream.len()
        };
        let ends = script.iter().map(end).collect();
        Session {
            tracker: Tracker::new(Uuid::nil(), "local".to_owned(), Timestamp(0)),
            server: Server::default(),
            events: Vec::new(),
            stream,
            ends,
            passed: 0,
            worked: 0,
            heard: Vec::new(),
            unclear: false,
            story: String::new(),
        }
    }

    /// To the end: until there is nothing left to say, to work off or to hear.
    fn play(&mut self, script: &[Say], choices: &mut Choices<'_>) -> Result<(), String> {
        let mut started = false;
        while !self.unclear {
            let may_pass = self.passed < self.stream.len() && !self.server.is_over;
            let may_work =
                started && !self.server.is_over && self.ends.get(self.worked).is_some_and(|end| *end <= self.passed);
            let may_hear = !self.server.out.is_empty();
            match choices.below(3) {
                0 if may_pass => self.pass([1, 3, 9, 100_000][choices.below(4)])?,
                1 if may_work => self.work(&script[self.worked], choices),
                _ if may_hear => self.hear([100_000, 1, 6, 30][choices.below(4)])?,
                _ if may_work => self.work(&script[self.worked], choices),
                _ if may_pass => self.pass(if choices.are_left() { 1 } else { usize::MAX })?,
                _ => return Ok(()),
            }
            if !started && self.passed >= STARTUP.len() {
                started = true;
                self.server.start();
            }
        }
        Ok(())
    }

    fn pass(&mut self, most: usize) -> Result<(), String> {
        let end = self.stream.len().min(self.passed.saturating_add(most));
        self.story += &format!(" >{}", end - self.passed);
        let piece = &self.stream[self.passed..end];
        self.passed = end;
        let passed = self.tracker.client(piece, Timestamp(0), &mut self.events);
        self.in_step(passed)
    }

    fn in_step(&mut self, followed: Result<(), OutOfStep>) -> Result<(), String> {
        self.unclear = matches!(followed, Err(OutOfStep::Unclear)) && self.server.copy_failed;
        followed.or_else(|fault| if self.unclear { Ok(()) } else { Err(format!("out of step: {fault}")) })
    }

    fn work(&mut self, say: &Say, choices: &mut Choices<'_>) {
        let before = self.server.out.len();
        self.server.take(say, choices);
        self.worked += 1;
        let answers: String = frames(&self.server.out[before..]).map(char::from).collect();
        self.story += &format!(" {say:?}={answers}");
    }

    fn hear(&mut self, most: usize) -> Result<(), String> {
        let bytes: Vec<u8> = self.server.out.drain(..most.min(self.server.out.len())).collect();
        self.story += &format!(" <{}", bytes.len());
        let subjects = SubjectColumns::default();
        let heard = self.tracker.server(&bytes, Timestamp(0), &subjects, &mut self.events);
        self.heard.extend(bytes);
        self.in_step(heard)
    }
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
                let text =
                    texts.get(&end.statement_no).ok_or(format!("{} ends and has not begun", end.statement_no))?;
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
    for done in &truth.perhaps {
        if let Some(place) = told.iter().position(|told| told == done) {
            told.swap_remove(place);
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
    Done { text: text.to_owned(), rows: end.rows_returned, tag: end.tag.clone(), failed: end.outcome == Outcome::Error }
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
