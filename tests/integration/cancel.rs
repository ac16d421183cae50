//! A running statement can be cancelled, and it is recorded as what it was.

use std::process::Command;
use std::time::{Duration, Instant};

use mitsuke::record::Outcome;
use mitsuke::session::Event;

use crate::support::server::{self, database};
use crate::support::through::Through;
use crate::support::wire::{self, Client, last_error};

#[test]
fn a_cancel_request_reaches_the_server_and_its_socket_is_closed_after_it_has_worked() {
    let name = database();
    let through = Through::start();
    let mut client = Client::session(&through.address(), "postgres", &name);
    let heard = client.heard.clone();
    let all = wire::messages(&heard);
    let key = all.iter().find(|message| message.0 == b'K').expect("BackendKeyData").1;
    client.say(&wire::query("select pg_sleep(600)"));
    // The server has to have begun: a cancel request that finds nothing to cancel does nothing.
    std::thread::sleep(Duration::from_millis(300));
    let started = Instant::now();
    let mut canceller = Client::connect(&through.address());
    canceller.say(&wire::packet(80_877_102, key));
    assert!(canceller.hear_to_the_end().is_empty(), "nothing is answered");
    client.hear_until_ready(2);
    assert!(started.elapsed() < Duration::from_secs(60));
    assert_eq!(last_error(&client.heard).unwrap().1, "57014");
    client.say(&wire::terminate());
    client.hear_to_the_end();
    let events = through.stop();
    assert!(
        events.iter().any(|event| matches!(event, Event::Ended(ended) if ended.outcome == Outcome::Cancelled)),
        "{events:#?}"
    );
    let closed = events.iter().filter(|event| matches!(event, Event::Closed(_))).count();
    assert_eq!(closed, 1, "a cancel request is no session");
}

/// A process that does nothing until this is dropped.
struct Stopped(String);

impl Stopped {
    fn now(pid: &str) -> Stopped {
        assert!(Command::new("kill").args(["-STOP", pid]).status().unwrap().success());
        Stopped(pid.to_owned())
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-CONT", &self.0]).status();
    }
}

/// A client that sees its socket closed takes the request for dealt with, and may send its next statement: a socket closed
/// too early would have that one cancelled. Here the server takes its time, because its postmaster is stopped.
#[test]
fn the_socket_of_a_cancel_request_is_held_until_the_server_has_closed_its_own() {
    let server = server::start(&[]);
    let through = Through::before(&server, |_| {});
    let mut client = Client::session(&through.address(), "postgres", "postgres");
    let key =
        wire::messages(&client.heard).iter().find(|message| message.0 == b'K').expect("BackendKeyData").1.to_vec();
    client.say(&wire::query("select pg_sleep(600)"));
    std::thread::sleep(Duration::from_millis(300));
    let pid_file = std::fs::read_to_string(server.socket_folder().join("data/postmaster.pid")).unwrap();
    let stopped = Stopped::now(pid_file.lines().next().unwrap());
    let mut canceller = Client::connect(&through.address());
    canceller.say(&wire::packet(80_877_102, &key));
    assert!(!canceller.is_closed_within(Duration::from_millis(1_000)), "closed before the server has read it");
    drop(stopped);
    assert!(canceller.hear_to_the_end().is_empty());
    client.hear_until_ready(2);
    assert_eq!(last_error(&client.heard).unwrap().1, "57014");
}

#[test]
fn a_cancel_request_with_a_wrong_key_cancels_nothing() {
    let name = database();
    let through = Through::start();
    let mut client = Client::session(&through.address(), "postgres", &name);
    client.say(&wire::query("select pg_sleep(1), 'slept'"));
    let mut canceller = Client::connect(&through.address());
    canceller.say(&wire::packet(80_877_102, &[0, 0, 0, 1, 0, 0, 0, 2]));
    assert!(canceller.hear_to_the_end().is_empty());
    client.hear_until_ready(2);
    assert_eq!(last_error(&client.heard), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokio_postgres_cancels() {
    let name = database();
    let through = Through::start();
    let (client, connection) = tokio_postgres::connect(&through.url(&name), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let token = client.cancel_token();
    let sleeping = tokio::spawn(async move { client.batch_execute("select pg_sleep(600)").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    token.cancel_query(tokio_postgres::NoTls).await.unwrap();
    let error = sleeping.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some(&tokio_postgres::error::SqlState::QUERY_CANCELED));
}
