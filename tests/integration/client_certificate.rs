//! Certificates of clients: who has to show one, whom it names, and what is told to those who do not fit.

use std::path::Path;

use mitsuke::proxy::{ClientCertificate, ListenTls};
use mitsuke::record::{Session, SessionOutcome, Statement};
use mitsuke::session::Event;
use rcgen::DnType;

use crate::support::programs::{Ran, psql};
use crate::support::server::{database, shared};
use crate::support::sidecar::Sidecar;
use crate::support::through::Through;
use crate::support::tls::{Authority, Issued};

fn through(authority: &Authority, client: ClientCertificate) -> Through {
    Through::before(shared(), |config| {
        let own = authority.server("server").own(Some(&authority.certificate()));
        config.listen_tls = ListenTls::On { own, is_required: true, client };
    })
}

fn with(url: &str, issued: Option<&Issued>, sql: &str) -> Ran {
    let none = Issued { certificate: "/nonexistent".into(), key: "/nonexistent".into() };
    let Issued { certificate, key } = issued.unwrap_or(&none);
    let show = |path: &Path| path.display().to_string();
    psql(&format!("{url}?sslmode=require&sslcert={}&sslkey={}", show(certificate), show(key)), sql)
}

#[test]
fn a_certificate_is_asked_for_as_the_mode_says() {
    let authority = Authority::new("authority");
    let clerk = authority.sign("postgres", |_| {});
    let other = authority.sign("clerk", |_| {});
    let missing = "connection requires a valid client certificate";
    let not_his = "certificate authentication failed for user \"postgres\"";
    for (mode, none, another) in [
        (ClientCertificate::Optional, None, None),
        (ClientCertificate::Authority, Some(missing), None),
        (ClientCertificate::Role, Some(missing), Some(not_his)),
    ] {
        let through = through(&authority, mode);
        let url = through.url("postgres");
        for (issued, refused) in [(Some(&clerk), None), (None, none), (Some(&other), another)] {
            let ran = with(&url, issued, "select 1");
            match refused {
                None => assert_eq!(ran.expect_success().trim(), "1", "{mode:?}"),
                Some(refused) => assert!(ran.err().contains(refused), "{mode:?}: {}", ran.err()),
            }
        }
        let events = through.stop();
        let outcomes = events.iter().filter_map(|event| match event {
            Event::Closed(closed) => Some((closed.outcome, closed.sqlstate.as_deref())),
            _ => None,
        });
        let failed = outcomes.filter(|outcome| *outcome == (SessionOutcome::AuthFailed, Some("28000"))).count();
        assert_eq!(failed, usize::from(none.is_some()) + usize::from(another.is_some()), "{mode:?}");
    }
}

#[test]
fn a_certificate_of_another_authority_is_not_taken_even_where_none_is_required() {
    let authority = Authority::new("authority");
    let stranger = Authority::new("stranger");
    let through = through(&authority, ClientCertificate::Optional);
    let ran = with(&through.url("postgres"), Some(&stranger.sign("postgres", |_| {})), "select 1");
    assert!(ran.err().contains("unknown ca"), "{}", ran.err());
}

#[test]
fn a_certificate_s_subject_is_in_the_log_and_names_who_is_behind_a_shared_role() {
    let name = database();
    let authority = Authority::new("authority");
    let server = authority.server("server");
    let anna = authority.sign("anna", |params| {
        params.distinguished_name.push(DnType::OrganizationName, "Example, Inc.");
    });
    let tls = format!(
        "tls = {{ mode = \"require\", certificate = \"{}\", key = \"{}\", client_ca = \"{}\", client_verify = \"verify-ca\" }}",
        server.certificate.display(),
        server.key.display(),
        authority.certificate().display(),
    );
    let mut sidecar = Sidecar::with_legs(shared(), &tls, "", "[identity]\nend_user = [\"certificate\"]\n");
    with(&sidecar.url(&name), Some(&anna), "select 7").expect_success();
    with(&sidecar.url(&name), None, "select 8");
    sidecar.stop();
    let sessions = sidecar.records::<Session>();
    let is_in = |session: &Session| session.outcome != Some(SessionOutcome::AuthFailed);
    let shown: Vec<_> = sessions.iter().map(|session| (session.certificate.as_deref(), is_in(session))).collect();
    assert!(shown.contains(&(Some("O=Example\\, Inc.,CN=anna"), true)), "{shown:?}");
    assert!(shown.contains(&(None, false)), "{shown:?}");
    assert!(sessions.iter().all(|session| session.tls_version.as_deref().is_none_or(|version| version == "TLSv1.3")));
    let statements = sidecar.records::<Statement>();
    assert_eq!(statements.len(), 1);
    assert_eq!(statements[0].end_user.as_deref(), Some("anna"));
}
