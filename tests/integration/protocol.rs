//! Protocol versions and options, as servers of every version answer them: the answer passes, and its consequences are followed.

use std::time::Duration;

use mitsuke::record::Outcome;
use mitsuke::session::Event;

use crate::support::server::{self, SUPERUSER, database, shared};
use crate::support::through::Through;
use crate::support::wire::{self, Client, last_error};

/// Protocol 3.2, and the number that stands for the newest.
const VERSION_3_2: u32 = 196_610;
const VERSION_NEWEST: u32 = 196_608 + 9_999;

/// Starts a session with that version and these options besides, asks something, and leaves.
fn session(address: &str, version: u32, options: &str, database: &str) -> Vec<u8> {
    let mut client = Client::connect(address);
    let parameters = format!("user\0{SUPERUSER}\0database\0{database}\0{options}\0");
    client.say(&wire::packet(version, parameters.as_bytes()));
    client.say(&wire::query("select 'asked'"));
    client.say(&wire::terminate());
    client.hear_to_the_end()
}

#[test]
fn every_version_and_option_is_answered_as_the_server_answers_it() {
    let name = database();
    let through = Through::start();
    let mut asked = 0;
    for (version, options) in [
        (VERSION_3_2, ""),
        (VERSION_NEWEST, ""),
        (196_609, ""),
        (196_608, "_pq_.unknown\0x\0"),
        (VERSION_3_2, "_pq_.unknown\0x\0_pq_.other\0y\0"),
    ] {
        let without = session(&server::address(shared()), version, options, &name);
        let with = session(&through.address(), version, options, &name);
        assert_eq!(wire::readable(&with), wire::readable(&without), "{version} {options:?}");
        assert!(wire::without_keys(&with) == wire::without_keys(&without), "{version} {options:?}");
        asked += usize::from(without.windows(5).any(|five| five == b"asked"));
    }
    let answered =
        |event: &&Event| matches!(event, Event::Ended(end) if end.rows_returned == 1 && end.outcome == Outcome::Ok);
    assert_eq!(through.stop().iter().filter(answered).count(), asked);
    assert!(asked >= 4, "the server refused");
}

/// From protocol 3.2 on the key is as long as the server likes: 32 bytes in PostgreSQL 18.
#[test]
fn a_cancel_key_of_any_length_cancels() {
    let name = database();
    let through = Through::start();
    let mut client = Client::connect(&through.address());
    let parameters = format!("user\0{SUPERUSER}\0database\0{name}\0\0");
    client.say(&wire::packet(VERSION_3_2, parameters.as_bytes()));
    client.hear_until_ready(1);
    let heard = client.heard.clone();
    let messages = wire::messages(&heard);
    let key = messages.iter().find(|message| message.0 == b'K').expect("BackendKeyData").1;
    let negotiated_down = messages.iter().any(|message| message.0 == b'v');
    assert_eq!(key.len() > 8, !negotiated_down, "a long key comes with 3.2, a short one with 3.0");
    client.say(&wire::query("select pg_sleep(600)"));
    std::thread::sleep(Duration::from_millis(300));
    let mut canceller = Client::connect(&through.address());
    canceller.say(&wire::packet(80_877_102, key));
    assert!(canceller.hear_to_the_end().is_empty());
    client.hear_until_ready(2);
    assert_eq!(last_error(&client.heard).expect("an error").1, "57014");
}
