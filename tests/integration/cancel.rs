//! A running statement can be cancelled, and it is recorded as what it was.

use std::time::{Duration, Instant};

use mitsuke::record::Outcome;
use mitsuke::session::Event;

use crate::support::server::database;
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
