//! The differential fuzzer: whatever a client says, however its bytes are cut, it hears through the sidecar what it hears
//! directly; and what the sidecar made of it adds up to what was on the wire.
//!
//! `MITSUKE_DIFFERENTIAL_SEEDS=FIRST-LAST` runs those seeds instead of the fixed one.

mod dice;
mod grammar;
mod sums;

use std::collections::BTreeMap;
use std::time::Duration;

use mitsuke::session::Event;
use uuid::Uuid;

pub use self::dice::Dice;
use self::grammar::{End, Script};
use crate::support::programs::psql;
use crate::support::server::{self, direct};
use crate::support::through::Through;
use crate::support::wire::{self, Client};

/// What runs every time.
const SEED: u64 = 20_261_125;
/// Scripts of one seed.
const SCRIPTS: usize = 80;
/// Two databases in the same state, OIDs included: one for each way. Their names are of one length.
const DATABASES: [&str; 2] = ["fuzz_d", "fuzz_t"];
/// How long a piece is given to arrive alone, where it is to.
const APART: Duration = Duration::from_micros(300);
/// How often a script is played whose answer may be cut short.
const ATTEMPTS: usize = 3;
/// What the sidecar says besides, where the server closes without a word.
const CANNOT_FOLLOW: &str = "mitsuke cannot follow the connection";

#[allow(clippy::disallowed_methods, reason = "somebody who looks for more than the fixed seed finds says so there")]
fn seeds() -> std::ops::RangeInclusive<u64> {
    let Ok(wanted) = std::env::var("MITSUKE_DIFFERENTIAL_SEEDS") else { return SEED..=SEED };
    let (first, last) = wanted.split_once('-').unwrap_or((&wanted, &wanted));
    first.parse().expect("a number")..=last.parse().expect("a number")
}

#[test]
fn any_script_right_or_wrong_is_answered_as_without_the_sidecar_and_adds_up() {
    // Dead rows go at the same time in both databases.
    let server = server::start(&[("autovacuum", "off")]);
    let through = Through::before(&server, |_| {});
    let postgres = direct(&server, "postgres");
    psql(&postgres, "create database fuzz_model").expect_success();
    psql(&direct(&server, "fuzz_model"), grammar::SET_UP).expect_success();
    for name in DATABASES {
        psql(&postgres, &format!("create database {name} template fuzz_model")).expect_success();
    }
    let mut heard = Vec::new();
    for seed in seeds() {
        let mut dice = Dice::new(seed);
        for number in 0..SCRIPTS {
            let script = grammar::script(&mut dice);
            for attempt in 1.. {
                let without = play(&server::address(&server), DATABASES[0], &script);
                let with = play(&through.address(), DATABASES[1], &script);
                let with = without_our_word(with, script.end);
                let (theirs, ours) = (masked(&without), masked(&with));
                heard.push(with);
                if ours == theirs {
                    break;
                }
                if attempt < ATTEMPTS && is_cut_short(&theirs, &ours, script.end) {
                    continue;
                }
                let said = readable(&[&script.bytes[..], &script.last].concat());
                panic!(
                    "seed {seed}, script {number}, {:?}, cuts {:?}\nsaid {said:#?}\ndirectly {:#?}\nthrough the sidecar {:#?}",
                    script.end,
                    &script.cuts[..4],
                    readable(&without),
                    readable(heard.last().map_or(&[], Vec::as_slice))
                );
            }
        }
    }
    let sessions = by_session(through.stop());
    assert_eq!(sessions.len(), heard.len(), "a session a script");
    for (number, (events, heard)) in sessions.values().zip(&heard).enumerate() {
        if let Err(fault) = sums::check(events, heard) {
            panic!("script {number} of all: {fault}\nheard {:#?}\nevents {events:#?}", readable(heard));
        }
    }
}

/// Says a script in its pieces, hearing all the while, until the server closes.
fn play(address: &str, database: &str, script: &Script) -> Vec<u8> {
    let mut client = Client::connect(address);
    let mut handle = client.second_handle();
    let script = script.clone();
    let startup = wire::startup("postgres", database);
    let writer = std::thread::spawn(move || {
        use std::io::Write;
        let bytes = [startup, script.bytes].concat();
        let mut rest = bytes.as_slice();
        for cut in script.cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, more) = rest.split_at((*cut).min(rest.len()));
            // The server may have closed: what it said before is what counts.
            let _ = handle.write_all(piece);
            rest = more;
            if cut % 5 == 0 {
                std::thread::sleep(APART);
            }
        }
        let _ = handle.write_all(&script.last);
        // Up to version 13 a COPY takes any message, and the server waits for more.
        if !matches!(script.end, End::Goodbye) {
            let _ = handle.shutdown(std::net::Shutdown::Write);
        }
    });
    let heard = client.hear_to_the_end();
    writer.join().expect("a writer ends when the connection does");
    heard
}

/// Whether one of two streams is the other's beginning, and the server ended that session itself: where it closes with something unread, its
/// system throws away what is not sent yet. How much that is hangs on how soon it was read, on a machine that is busy with other things.
fn is_cut_short(one: &[u8], other: &[u8], end: End) -> bool {
    let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
    let is_fatal = |(kind, body): &(u8, &[u8])| *kind == b'E' && wire::field(body, b'V') == "FATAL";
    long.starts_with(short) && (matches!(end, End::WrongLength) || wire::messages(long).last().is_some_and(is_fatal))
}

/// PostgreSQL closes without a word where a length is wrong, and writes the reason into its own log. The sidecar tells the
/// client: a frame that cannot be followed ends the session with a FATAL.
fn without_our_word(mut heard: Vec<u8>, end: End) -> Vec<u8> {
    let last = wire::messages(&heard).last().copied();
    if let (End::WrongLength, Some((b'E', body))) = (end, last)
        && wire::field(body, b'M').starts_with(CANNOT_FOLLOW)
    {
        heard.truncate(heard.len() - body.len() - 5);
    }
    heard
}

/// The stream without what differs between two sessions of one server: the cancel key, the process that a notification names,
/// and the OIDs of tables that the session itself made, which become numbers in the order of their appearance.
fn masked(stream: &[u8]) -> Vec<u8> {
    let mut masked = stream.to_vec();
    let mut oids: Vec<[u8; 4]> = Vec::new();
    let mut at = 0;
    for (kind, body) in wire::messages(stream) {
        let start = at + 5;
        at = start + body.len();
        match kind {
            b'K' => masked[start..at].fill(0),
            b'A' => masked[start..start + 4].fill(0),
            b'T' => {
                for place in sums::table_oids(body) {
                    let place = start + place..start + place + 4;
                    let oid: [u8; 4] = stream[place.clone()].try_into().expect("four bytes");
                    if oid != [0; 4] {
                        let rank = oids.iter().position(|known| *known == oid).unwrap_or_else(|| {
                            oids.push(oid);
                            oids.len() - 1
                        });
                        masked[place].copy_from_slice(&u32::try_from(rank + 1).expect("few").to_be_bytes());
                    }
                }
            }
            _ => {}
        }
    }
    masked
}

/// A stream for a person: types, and the beginning of what matters.
fn readable(stream: &[u8]) -> Vec<String> {
    let messages = wire::messages(stream);
    let whole: usize = messages.iter().map(|(_, body)| body.len() + 5).sum();
    let named = messages.into_iter().map(|(kind, body)| match kind {
        b'N' => format!("N {} {}", wire::field(body, b'C'), wire::field(body, b'M')),
        b'E' if body.starts_with(b"S") => format!("E {} {}", wire::field(body, b'C'), wire::field(body, b'M')),
        _ => format!("{} {:?}", kind as char, String::from_utf8_lossy(&body[..body.len().min(120)])),
    });
    named.chain([format!("and {} bytes", stream.len() - whole)]).collect()
}

/// In the order in which they were opened.
fn by_session(events: Vec<Event>) -> BTreeMap<Uuid, Vec<Event>> {
    let mut sessions: BTreeMap<Uuid, Vec<Event>> = BTreeMap::new();
    for event in events {
        sessions.entry(event.session_id()).or_default().push(event);
    }
    sessions
}
