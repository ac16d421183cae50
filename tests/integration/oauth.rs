//! OAuth passes through: good tokens, wrong ones, and the question where to get one. Of a real server where it is of version 18 or later; the
//! token's issuer alone is not there, which a server does not talk to.

use std::process::Command;

use mitsuke::demo::Postgres;
use mitsuke::record::SessionOutcome;
use mitsuke::session::Event;

use crate::support::programs::{self, psql};
use crate::support::server::{address, direct, set_hba, start};
use crate::support::through::Through;
use crate::support::wire::{self, Client, last_error, message, messages, without_keys};

const VALIDATOR: &str = include_str!("oauth/validator.c");

/// A server that lets `anna` in by her token; `None` where the server knows nothing of OAuth.
fn server() -> Option<Postgres> {
    let server = start(&[]);
    let url = direct(&server, "postgres");
    let version = psql(&url, "select current_setting('server_version_num')::int / 10000").expect_success();
    if version.trim().parse::<u32>().expect("a number") < 18 {
        return None;
    }
    let folder = server.socket_folder();
    std::fs::write(folder.join("validator.c"), VALIDATOR).expect("it can be written");
    let mut compiler = Command::new("cc");
    compiler.current_dir(folder).args(["-shared", "-fPIC", "-Wall", "-Werror", "-o", "validator.so", "validator.c"]);
    programs::run(compiler, b"").expect_success();
    let library = folder.join("validator.so");
    psql(&url, &format!("alter system set oauth_validator_libraries = '{}'", library.display())).expect_success();
    psql(&url, "create role anna login").expect_success();
    set_hba(&server, "host all anna 127.0.0.1/32 oauth issuer=\"https://issuer.example\" scope=\"openid\"");
    Some(server)
}

/// What is heard of a client with that token, up to its end.
fn said(address: &str, token: &str) -> Vec<u8> {
    let mut client = Client::connect(address);
    client.say(&wire::startup("anna", "postgres"));
    client.hear_until(b'R', 1);
    assert_eq!(messages(&client.heard)[0].1, b"\0\0\0\x0aOAUTHBEARER\0\0");
    let data = format!("n,,\x01auth={token}\x01\x01");
    let length = u32::try_from(data.len()).expect("short").to_be_bytes();
    client.say(&message(b'p', &[b"OAUTHBEARER\0", &length[..], data.as_bytes()].concat()));
    client.hear_until(b'R', 2);
    let is_in = messages(&client.heard)[1].1 == [0; 4];
    client.say(&if is_in { wire::terminate() } else { message(b'p', b"\x01") });
    client.hear_to_the_end()
}

#[test]
fn tokens_pass_and_so_does_what_is_said_of_wrong_ones() {
    let Some(server) = server() else {
        eprintln!("passed over: the server is older than 18 and knows no OAuth");
        return;
    };
    let through = Through::before(&server, |_| {});
    let long = format!("Bearer {}", "x".repeat(30_000));
    for token in ["Bearer good", "Bearer bad", "", &long] {
        let heard = said(&through.address(), token);
        assert_eq!(without_keys(&heard), without_keys(&said(&address(&server), token)));
        let told = last_error(&heard);
        match token {
            "Bearer good" => assert_eq!(told, None),
            _ => {
                assert_eq!(told.expect("it is refused").1, "28000");
                let asked = String::from_utf8_lossy(messages(&heard)[1].1).into_owned();
                assert!(asked.contains("https://issuer.example/.well-known/openid-configuration"), "{asked}");
            }
        }
    }
    let events = through.stop();
    let ends = events.iter().filter_map(|event| match event {
        Event::Closed(closed) => Some((closed.outcome, closed.auth_method.as_deref())),
        _ => None,
    });
    let (is_in, refused) = ((SessionOutcome::Closed, Some("oauth")), (SessionOutcome::AuthFailed, Some("oauth")));
    assert_eq!(ends.collect::<Vec<_>>(), [is_in, refused, refused, refused]);
}
