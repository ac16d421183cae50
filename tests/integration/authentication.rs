//! Every method of authentication passes through, and is recorded by its name.

use mitsuke::clock::Timestamp;
use mitsuke::record::SessionOutcome;
use mitsuke::session::{Ending, Event, SubjectColumns, Tracker};
use uuid::Uuid;

use crate::support::programs::psql;
use crate::support::server::{address, direct, set_hba, start};
use crate::support::through::Through;
use crate::support::wire::{self, Client, last_error, message, messages};

/// (user, outcome, SQLSTATE, method) of every session.
fn ends(events: &[Event]) -> Vec<(String, SessionOutcome, Option<String>, Option<String>)> {
    let ends = events.iter().filter_map(|event| match event {
        Event::Closed(closed) => Some((
            closed.who.db_user.clone().unwrap_or_default(),
            closed.outcome,
            closed.sqlstate.clone(),
            closed.auth_method.clone(),
        )),
        _ => None,
    });
    ends.collect()
}

#[test]
fn passwords_pass_in_every_form_and_wrong_ones_are_refused_by_the_server() {
    let server = start(&[]);
    let superuser = direct(&server, "postgres");
    for sql in [
        "create role plain login password 'pencil'",
        "create role scram login password 'pencil'",
        "set password_encryption = md5; create role old login password 'pencil'",
        "create role trusted login",
    ] {
        psql(&superuser, sql).expect_success();
    }
    let methods = [("plain", "password"), ("scram", "scram-sha-256"), ("old", "md5")];
    let lines: Vec<String> =
        methods.iter().map(|(role, method)| format!("host all {role} 127.0.0.1/32 {method}")).collect();
    set_hba(&server, &lines.join("\n"));
    let through = Through::before(&server, |_| {});
    let mut expected = Vec::new();
    for (role, method) in methods {
        let said = psql(&through.url_as(&format!("{role}:pencil"), "postgres"), "select session_user").expect_success();
        assert_eq!(said.trim(), role);
        expected.push((role.to_owned(), SessionOutcome::Closed, None, Some(method.to_owned())));
        let wrong = psql(&through.url_as(&format!("{role}:pen"), "postgres"), "select 1").err();
        assert!(wrong.contains(&format!("password authentication failed for user \"{role}\"")), "{wrong}");
        expected.push((role.to_owned(), SessionOutcome::AuthFailed, Some("28P01".to_owned()), Some(method.to_owned())));
    }
    let mut trusted = Client::session(&through.address(), "trusted", "postgres");
    trusted.say(&wire::terminate());
    trusted.hear_to_the_end();
    expected.push(("trusted".to_owned(), SessionOutcome::Closed, None, Some("trust".to_owned())));
    // Which of two connections' ends the sidecar sees first is the kernel's choice.
    let mut found = ends(&through.stop());
    found.sort_by_key(|end| format!("{end:?}"));
    expected.sort_by_key(|end| format!("{end:?}"));
    assert_eq!(found, expected);
}

/// Without a realm the server has no key, so that no login comes of it; but it asks as it always does, and takes a token as long as one
/// of Active Directory's is, of which every byte reaches it.
#[test]
fn gss_tokens_pass_whole() {
    let server = start(&[]);
    set_hba(&server, "host all kerberos 127.0.0.1/32 gss");
    psql(&direct(&server, "postgres"), "create role kerberos login").expect_success();
    let not_built = "select count(*) from pg_hba_file_rules where error like '%not supported by this build%'";
    if psql(&direct(&server, "postgres"), not_built).expect_success().trim() != "0" {
        eprintln!("passed over: the server is built without GSSAPI");
        return;
    }
    let through = Through::before(&server, |_| {});
    let said = |address: &str, token_bytes: usize| {
        let mut client = Client::connect(address);
        client.say(&wire::startup("kerberos", "postgres"));
        client.hear_until(b'R', 1);
        assert_eq!(messages(&client.heard)[0], (b'R', &[0, 0, 0, 7][..]), "AuthenticationGSS");
        client.try_say(&message(b'p', &vec![0x60; token_bytes]));
        client.hear_to_the_end()
    };
    for token_bytes in [10, 40_000] {
        let heard = said(&through.address(), token_bytes);
        assert_eq!(heard, said(&address(&server), token_bytes));
        let (severity, ..) = last_error(&heard).expect("it is refused");
        assert_eq!(severity, "FATAL");
    }
    let ends = ends(&through.stop());
    assert!(
        ends.iter().all(|(_, outcome, sqlstate, method)| {
            method.as_deref() == Some("gss") && sqlstate.is_some() && *outcome != SessionOutcome::Closed
        }),
        "{ends:?}"
    );
}

/// One side of an authentication, as the tracker is shown it.
enum Said {
    Client(Vec<u8>),
    Server(Vec<u8>),
}

/// What the tracker makes of it, cut at every byte: the session's last event.
fn followed(exchange: &[Said]) -> (SessionOutcome, Option<String>, Option<String>) {
    let mut tracker = Tracker::new(Uuid::from_u128(1), "local".to_owned(), Timestamp(0));
    let mut events = Vec::new();
    tracker.client(&wire::startup("anna", "postgres"), Timestamp(0), &mut events).expect("it is followed");
    for said in exchange {
        match said {
            Said::Client(bytes) => bytes.iter().for_each(|byte| {
                tracker.client(&[*byte], Timestamp(0), &mut events).expect("it is followed");
            }),
            Said::Server(bytes) => bytes.iter().for_each(|byte| {
                let done = tracker.server(&[*byte], Timestamp(0), &SubjectColumns::default(), &mut events);
                done.expect("it is followed");
            }),
        }
    }
    tracker.close(Timestamp(0), Ending::ServerClosed, &mut events);
    match events.pop() {
        Some(Event::Closed(closed)) => (closed.outcome, closed.sqlstate, closed.auth_method),
        other => panic!("the last event is {other:?}"),
    }
}

fn request(code: u32, data: &[u8]) -> Said {
    Said::Server(message(b'R', &[&code.to_be_bytes(), data].concat()))
}

fn response(data: &[u8]) -> Said {
    Said::Client(message(b'p', data))
}

/// As the manual's "Protocol Flow" has them: a real KDC, a domain of Windows and an issuer of tokens are not to be had here.
#[test]
fn exchanges_of_gss_sspi_and_oauth_are_followed_whatever_is_in_them() {
    let ready = || {
        let key = message(b'K', &[&7_u32.to_be_bytes()[..], &[9; 32]].concat());
        Said::Server([message(b'R', &[0; 4]), key, message(b'Z', b"I")].concat())
    };
    let (opaque, token) = (b"\x60\x82\x02\xf4\0\x06\x09Q\0\0\0\x04", vec![0; 20_000]);
    for (code, name) in [(7, "gss"), (9, "sspi")] {
        let exchange =
            [request(code, b""), response(&token), request(8, opaque), response(opaque), request(8, &token), ready()];
        assert_eq!(followed(&exchange), (SessionOutcome::Closed, None, Some(name.to_owned())));
    }
    let offer = || request(10, b"OAUTHBEARER\0\0");
    let bearer = |token: &str| {
        let data = format!("n,,\x01auth={token}\x01\x01");
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        response(&[b"OAUTHBEARER\0", &length[..], data.as_bytes()].concat())
    };
    let oauth = Some("oauth".to_owned());
    assert_eq!(followed(&[offer(), bearer("Bearer abc"), ready()]), (SessionOutcome::Closed, None, oauth.clone()));
    // A token that is refused: the server tells where to get another, the client says that it has read it, and is refused.
    let discovery = br#"{ "status": "invalid_token", "openid-configuration": "https://issuer.example/.well-known" }"#;
    let refused = Said::Server(message(b'E', b"SFATAL\0VFATAL\0C28000\0MOAuth bearer authentication failed\0\0"));
    let exchange = [offer(), bearer(""), request(11, discovery), response(b"\x01"), refused];
    assert_eq!(followed(&exchange), (SessionOutcome::AuthFailed, Some("28000".to_owned()), oauth));
}
