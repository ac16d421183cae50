//! A slow, independent count of what was on the wire, held against the events that the sidecar made of it.
//!
//! In: one session's events, and every byte that its client heard. Out: the first thing that does not add up. Shares no code with
//! the library's own reading of frames.

use std::collections::BTreeMap;

use mitsuke::record::Outcome;
use mitsuke::session::Event;
use mitsuke::session::event::Ended;

use crate::support::wire;

/// Checks one session.
pub fn check(events: &[Event], heard: &[u8]) -> Result<(), String> {
    shape(events)?;
    let ends: Vec<&Ended> =
        events.iter().filter_map(|event| if let Event::Ended(end) = event { Some(end) } else { None }).collect();
    let messages = wire::messages(heard);
    let count = |kinds: &[u8]| messages.iter().filter(|(kind, _)| kinds.contains(kind)).count() as u64;
    let same = |what: &str, wire: u64, told: u64| {
        if wire == told { Ok(()) } else { Err(format!("{what}: {wire} on the wire, {told} in the events")) }
    };
    same("rows", count(b"DdV"), ends.iter().map(|end| end.rows_returned).sum())?;
    same("tags", count(b"C"), ends.iter().filter(|end| !end.tag.is_empty()).count() as u64)?;
    let tagged: Vec<String> = messages.iter().filter(|(kind, _)| *kind == b'C').map(|(_, body)| text(body)).collect();
    let told: Vec<String> = ends.iter().filter(|end| !end.tag.is_empty()).map(|end| end.tag.clone()).collect();
    if tagged != told {
        return Err(format!("tags: {tagged:?} on the wire, {told:?} in the events"));
    }
    let failed = ends.iter().filter(|end| end.sqlstate.is_some()).count() as u64;
    if failed > count(b"E") {
        return Err(format!("errors: {} on the wire, {failed} in the events", count(b"E")));
    }
    let closed = events.iter().find_map(|event| if let Event::Closed(closed) = event { Some(closed) } else { None });
    let closed = closed.ok_or("the session was not closed")?;
    same("bytes out", heard.len() as u64, closed.bytes_out)?;
    if ends.iter().map(|end| end.bytes_out).sum::<u64>() > closed.bytes_out {
        return Err("statements have more bytes than the session".to_owned());
    }
    if ends.iter().map(|end| end.bytes_in).sum::<u64>() > closed.bytes_in {
        return Err("statements have more bytes in than the session".to_owned());
    }
    Ok(())
}

/// Opened first, Closed last; every Begun has its number and exactly one last Ended; nothing ends that has not begun.
fn shape(events: &[Event]) -> Result<(), String> {
    if !matches!(events.first(), Some(Event::Opened(_))) || !matches!(events.last(), Some(Event::Closed(_))) {
        return Err("the session does not begin with Opened and end with Closed".to_owned());
    }
    // By number: parts that ended, and whether more may follow.
    let mut open: BTreeMap<u64, (u32, bool)> = BTreeMap::new();
    let mut begun = 0;
    for event in events {
        match event {
            Event::Begun(event) => {
                begun += 1;
                if event.statement_no != begun {
                    return Err(format!("statement {} begins where {begun} should", event.statement_no));
                }
                open.insert(begun, (0, true));
            }
            Event::Ended(end) => {
                let Some((parts, more)) = open.get_mut(&end.statement_no) else {
                    return Err(format!("statement {} ends and has not begun", end.statement_no));
                };
                if !*more || *parts != end.part {
                    return Err(format!("statement {} ends again, or out of order", end.statement_no));
                }
                *parts += 1;
                *more = end.more && end.ready.is_none();
                if end.outcome == Outcome::Skipped && (end.rows_returned > 0 || end.sqlstate.is_some()) {
                    return Err(format!("statement {} was skipped and has a result", end.statement_no));
                }
            }
            Event::Ready(_) => open.values_mut().filter(|(parts, _)| *parts > 0).for_each(|(_, more)| *more = false),
            Event::Opened(_) | Event::Prepared(_) | Event::Closed(_) | Event::Notified(_) => {}
        }
    }
    match open.iter().find(|(_, (parts, _))| *parts == 0) {
        Some((number, _)) => Err(format!("statement {number} never ends")),
        None => Ok(()),
    }
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body.strip_suffix(b"\0").unwrap_or(body)).into_owned()
}

/// Where the table OIDs stand in a RowDescription's body.
pub fn table_oids(body: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut at = 2;
    while at < body.len() {
        at += body[at..].iter().position(|byte| *byte == 0).expect("a label ends") + 1;
        places.push(at);
        at += 18;
    }
    places
}
