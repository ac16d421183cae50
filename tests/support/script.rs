//! A script of messages, played directly and through the sidecar: the same bytes must come back, and the events say
//! what ran.

use std::collections::BTreeMap;

use mitsuke::session::Event;

use super::server::{self, SUPERUSER, shared};
use super::through::Through;
use super::wire::{self, Client, readable, without_keys};

/// One step of a script.
#[derive(Clone, Debug)]
pub enum Step {
    /// Bytes are said, in one write.
    Say(Vec<u8>),
    /// So many more messages of this type are heard.
    Hear(u8, usize),
    /// Nothing is said for so many milliseconds.
    Pause(u64),
}

/// Says these messages in one write, and hears `ready` ReadyForQuery.
pub fn say(messages: &[Vec<u8>], ready: usize) -> Vec<Step> {
    vec![Step::Say(messages.concat()), Step::Hear(b'Z', ready)]
}

/// Plays a script in a session of its own and hears everything to the end.
pub fn play(address: &str, database: &str, steps: &[Step]) -> Vec<u8> {
    let mut client = Client::session(address, SUPERUSER, database);
    // By type, how many messages the steps so far have waited for.
    let mut heard = BTreeMap::from([(b'Z', 1)]);
    for step in steps {
        match step {
            Step::Say(bytes) => client.say(bytes),
            Step::Pause(millis) => std::thread::sleep(std::time::Duration::from_millis(*millis)),
            Step::Hear(kind, count) => {
                let in_all = heard.entry(*kind).or_insert(0);
                *in_all += count;
                client.hear_until(*kind, *in_all);
            }
        }
    }
    client.try_say(&wire::terminate());
    client.hear_to_the_end()
}

/// Plays a script directly and through the sidecar, holds both answers against each other, and gives what was told of
/// it: see [`told`]. What the first play leaves behind, the second finds: use temporary tables and transactions.
#[track_caller]
pub fn same(database: &str, steps: &[Step]) -> Vec<String> {
    let through = Through::start();
    let direct = play(&server::address(shared()), database, steps);
    let passed = play(&through.address(), database, steps);
    assert_eq!(readable(&passed), readable(&direct));
    assert!(without_keys(&passed) == without_keys(&direct), "the same to the eye, not to the byte");
    told(&through.stop())
}

/// Every statement of the events in a line: `number.part protocol outcome rows sqlstate tag|text`.
///
/// # Panics
/// Where an end has no beginning, comes twice, or is missing.
#[track_caller]
pub fn told(events: &[Event]) -> Vec<String> {
    let mut begun = BTreeMap::new();
    let mut ended = BTreeMap::new();
    for event in events {
        match event {
            Event::Begun(event) => {
                let key = (event.who.session_id, event.statement_no);
                assert!(begun.insert(key, event).is_none(), "begun twice: {event:?}");
            }
            Event::Ended(event) => {
                let key = (event.who.session_id, event.statement_no, event.part);
                assert!(begun.contains_key(&(key.0, key.1)), "never begun: {event:?}");
                assert!(ended.insert(key, event).is_none(), "ended twice: {event:?}");
            }
            _ => {}
        }
    }
    for ((session, no), event) in &begun {
        assert!(ended.contains_key(&(*session, *no, 0)), "never ended: {event:?}");
    }
    let lines = ended.iter().map(|((session, no, part), end)| {
        let begun = begun[&(*session, *no)];
        format!(
            "{no}.{part} {} {} {} {} {}|{}",
            begun.protocol.as_str(),
            end.outcome.as_str(),
            end.rows_returned,
            end.sqlstate.as_deref().unwrap_or("-"),
            end.tag,
            String::from_utf8_lossy(&begun.text)
        )
    });
    lines.collect()
}
