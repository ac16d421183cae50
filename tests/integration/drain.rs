//! A stop lets running work end, and ends what is idle.

use std::time::{Duration, Instant};

use mitsuke::record::{Outcome, Session, SessionOutcome, Statement};
use mitsuke::session::Event;

use crate::support::programs::psql;
use crate::support::server::{SUPERUSER, database, direct, shared};
use crate::support::sidecar::Sidecar;
use crate::support::through::Through;
use crate::support::wire::{self, Client, last_error};

fn closed(events: &[Event]) -> Vec<SessionOutcome> {
    let closed = events.iter().filter_map(|event| match event {
        Event::Closed(closed) => Some(closed.outcome),
        _ => None,
    });
    closed.collect()
}

#[test]
fn an_idle_session_is_told_as_postgresql_tells_it() {
    let name = database();
    let through = Through::start();
    let mut client = Client::session(&through.address(), SUPERUSER, &name);
    let address = through.address();
    let events = through.stop();
    let (severity, sqlstate, message) = last_error(&client.hear_to_the_end()).unwrap();
    assert_eq!((severity.as_str(), sqlstate.as_str()), ("FATAL", "57P01"));
    assert_eq!(message, "terminating connection due to administrator command");
    assert_eq!(closed(&events), [SessionOutcome::Terminated]);
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn a_running_statement_may_end_before_its_session_does() {
    let name = database();
    let through = Through::start();
    let mut client = Client::session(&through.address(), SUPERUSER, &name);
    client.say(&wire::query("select pg_sleep(1), 'slept well'"));
    std::thread::sleep(Duration::from_millis(200));
    let events = through.stop();
    let heard = client.hear_to_the_end();
    assert!(heard.windows(10).any(|window| window == b"slept well"));
    assert_eq!(last_error(&heard).unwrap().1, "57P01");
    assert!(events.iter().any(|event| matches!(event, Event::Ended(ended) if ended.outcome == Outcome::Ok)));
}

#[test]
fn a_statement_that_does_not_end_is_ended_at_the_time_limit_and_recorded_as_unknown() {
    let name = database();
    let through = Through::before(shared(), |config| config.drain_timeout = Duration::from_millis(300));
    let mut client = Client::session(&through.address(), SUPERUSER, &name);
    client.say(&wire::query("select pg_sleep(600)"));
    std::thread::sleep(Duration::from_millis(300));
    let started = Instant::now();
    let events = through.stop();
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(last_error(&client.hear_to_the_end()).unwrap().1, "57P01");
    assert!(events.iter().any(|event| matches!(event, Event::Ended(ended) if ended.outcome == Outcome::Unknown)));
    assert_eq!(closed(&events), [SessionOutcome::Terminated]);
}

/// A transaction is not idle between its statements.
#[test]
fn a_transaction_may_be_committed_before_its_session_ends() {
    let name = database();
    let through = Through::start();
    let mut client = Client::session(&through.address(), SUPERUSER, &name);
    client.say(&wire::query("begin; create table kept (i int)"));
    client.hear_until_ready(2);
    through.tell_to_stop();
    assert!(!client.is_closed_within(Duration::from_millis(700)));
    client.say(&wire::query("insert into kept values (1)"));
    client.hear_until_ready(3);
    assert!(!client.is_closed_within(Duration::from_millis(300)));
    client.say(&wire::query("commit"));
    let heard = client.hear_to_the_end();
    assert!(heard.windows(7).any(|window| window == b"COMMIT\0"));
    assert_eq!(last_error(&heard).unwrap().1, "57P01");
    let events = through.stop();
    assert!(events.iter().all(|event| !matches!(event, Event::Ended(ended) if ended.outcome != Outcome::Ok)));
    assert_eq!(psql(&direct(shared(), &name), "select count(*) from kept").expect_success().trim(), "1");
}

/// SIGTERM: nobody new, the running one to its end, and the log has all of it when the process is gone.
#[test]
fn the_log_is_written_last() {
    let name = database();
    let mut sidecar = Sidecar::start("");
    let mut client = Client::session(&sidecar.address(), SUPERUSER, &name);
    let mut idle = Client::session(&sidecar.address(), SUPERUSER, &name);
    client.say(&wire::query("select pg_sleep(2) as slept"));
    std::thread::sleep(Duration::from_millis(300));
    let address = sidecar.address();
    let stopping = std::thread::spawn(move || {
        sidecar.stop();
        sidecar
    });
    assert_eq!(last_error(&idle.hear_to_the_end()).unwrap().1, "57P01");
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
    let heard = client.hear_to_the_end();
    assert!(heard.windows(5).any(|window| window == b"slept"));
    assert_eq!(last_error(&heard).unwrap().1, "57P01");
    let sidecar = stopping.join().expect("it stops");
    let statements = sidecar.records::<Statement>();
    assert_eq!(statements.len(), 1);
    assert_eq!(statements[0].outcome, Some(Outcome::Ok));
    let sessions: Vec<_> = sidecar.records::<Session>().into_iter().filter_map(|session| session.outcome).collect();
    assert_eq!(sessions.iter().filter(|outcome| **outcome == SessionOutcome::Terminated).count(), 2, "{sessions:?}");
}

#[test]
fn a_client_that_has_said_nothing_yet_is_turned_away() {
    let through = Through::start();
    let mut client = Client::connect(&through.address());
    client.say(&wire::ssl_request());
    assert!(!client.is_closed_within(Duration::from_secs(30)));
    let started = Instant::now();
    let events = through.stop();
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(last_error(&client.hear_to_the_end()[1..]).unwrap().1, "57P01");
    assert_eq!(closed(&events), [SessionOutcome::Refused]);
}
