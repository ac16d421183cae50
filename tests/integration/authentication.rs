//! Every method of authentication passes through, and is recorded by its name.

use mitsuke::record::SessionOutcome;
use mitsuke::session::Event;

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
    psql(&through.url_as("trusted", "postgres"), "select 1").expect_success();
    expected.push(("trusted".to_owned(), SessionOutcome::Closed, None, Some("trust".to_owned())));
    assert_eq!(ends(&through.stop()), expected);
}

/// Without a realm the server has no key, so that no login comes of it; but it asks as it always does, and takes a token as long as one
/// of Active Directory's is, of which every byte reaches it.
#[test]
fn gss_tokens_pass_whole() {
    let server = start(&[]);
    set_hba(&server, "host all kerberos 127.0.0.1/32 gss");
    psql(&direct(&server, "postgres"), "create role kerberos login").expect_success();
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
