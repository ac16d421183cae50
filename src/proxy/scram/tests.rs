//! SCRAM against the RFCs' examples, and its two sides against each other.

use std::num::NonZeroU32;

use super::client::Login;
use super::server::{First, Proof, mechanisms, signature};
use super::*;

/// RFC 7677, section 3: user `user`, password `pencil`.
const CLIENT_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
const CLIENT_FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const CLIENT_FINAL: &[u8] = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                              p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn verifier(password: &str, salt: &str, iterations: u32) -> (Verifier, Key) {
    let salt = STANDARD.decode(salt).unwrap();
    let mut salted = [0; 32];
    let iterations_nonzero = NonZeroU32::new(iterations).unwrap();
    ring::pbkdf2::derive(ring::pbkdf2::PBKDF2_HMAC_SHA256, iterations_nonzero, &salt, password.as_bytes(), &mut salted);
    let salted = Key::new(&salted).unwrap();
    let client_key = salted.sign(b"Client Key");
    let (stored_key, server_key) = (client_key.hash(), salted.sign(b"Server Key"));
    (Verifier { iterations, salt, stored_key, server_key }, client_key)
}

#[test]
fn the_rfc_s_client_is_let_in_and_answered_as_the_rfc_has_it() {
    let (verifier, client_key) = verifier("pencil", SALT, 4096);
    let challenged = First::read(b"SCRAM-SHA-256", CLIENT_FIRST, None).unwrap().challenge(SERVER_NONCE, SALT, 4096);
    assert_eq!(challenged.message(), SERVER_FIRST);
    let Ok(Proof::Right { client_key: shown, said }) = challenged.judge(CLIENT_FINAL, Some(&verifier.stored_key))
    else {
        panic!("the proof is right")
    };
    assert!(shown == client_key);
    assert_eq!(signature(&verifier.server_key, &said), SERVER_FINAL);
}

#[test]
fn a_wrong_password_and_a_role_that_does_not_exist_look_the_same() {
    let (other, _) = verifier("pen", SALT, 4096);
    let challenged = First::read(b"SCRAM-SHA-256", CLIENT_FIRST, None).unwrap().challenge(SERVER_NONCE, SALT, 4096);
    assert!(matches!(challenged.judge(CLIENT_FINAL, Some(&other.stored_key)), Ok(Proof::Wrong)));
    assert!(matches!(challenged.judge(CLIENT_FINAL, None), Ok(Proof::Wrong)));
}

/// The RFC's user, as PostgreSQL would keep it.
#[test]
fn a_verifier_is_read_and_nothing_else() {
    let text = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    assert_eq!(Verifier::read(text), Some(verifier("pencil", SALT, 4096).0));
    for wrong in ["", "md5ab12", "SCRAM-SHA-256$4096", &text[..text.len() - 4], &text.replace("4096", "x"), &text[1..]]
    {
        assert_eq!(Verifier::read(wrong), None, "{wrong}");
    }
    assert_eq!(format!("{:?}", verifier("pencil", SALT, 4096).0.stored_key), "Key");
}

/// Both sides of ours, with `pencil`'s ClientKey on the client's.
fn login(offered_to: Option<&[u8]>, end_point: Option<&[u8]>, seen: Option<&[u8]>) -> Result<bool, Fault> {
    let (verifier, client_key) = verifier("pencil", SALT, 4096);
    let offered = mechanisms(offered_to);
    let login = Login::new(offered.iter().map(|name| name.as_bytes()), seen.map(<[u8]>::to_vec), "fyko".to_owned());
    let login = login.ok_or(Fault::Mechanism)?;
    let first = First::read(login.mechanism.as_bytes(), login.message().as_bytes(), end_point)?;
    let challenged = first.challenge("3rfc", SALT, 4096);
    let challenge = login.challenged(challenged.message().as_bytes())?;
    let Proof::Right { client_key: shown, said } =
        challenged.judge(challenge.prove(&client_key).as_bytes(), Some(&verifier.stored_key))?
    else {
        return Ok(false);
    };
    assert!(shown == client_key);
    assert!(matches!(challenged.judge(challenge.fail().as_bytes(), Some(&verifier.stored_key)), Ok(Proof::Wrong)));
    assert!(!challenge.is_met_by(b"v=AAAA", &verifier.server_key));
    Ok(challenge.is_met_by(signature(&verifier.server_key, &said).as_bytes(), &verifier.server_key))
}

#[test]
fn a_channel_is_bound_where_both_can() {
    let (ours, theirs) = (Some(&b"our hash"[..]), Some(&b"their hash"[..]));
    assert_eq!(login(None, None, None), Ok(true));
    assert_eq!(login(ours, ours, ours), Ok(true));
    // The client cannot bind: it may go without.
    assert_eq!(login(ours, ours, None), Ok(true));
    // The server cannot: the client says that it could.
    assert_eq!(login(None, None, ours), Ok(true));
    // Somebody in between took the offer out.
    assert_eq!(login(None, ours, ours), Err(Fault::Negotiation));
    // Somebody in between has a certificate of his own.
    assert_eq!(login(ours, ours, theirs), Err(Fault::Binding));
}

#[test]
fn what_a_client_may_not_say_first_is_told_apart() {
    let read = |mechanism: &str, message: &str, end_point: Option<&[u8]>| {
        First::read(mechanism.as_bytes(), message.as_bytes(), end_point).map(|_| ()).unwrap_err()
    };
    let bound: Option<&[u8]> = Some(b"hash");
    assert_eq!(read("SCRAM-SHA-1", "n,,n=,r=x", None), Fault::Mechanism);
    assert_eq!(read(SCRAM_PLUS, "p=tls-server-end-point,,n=,r=x", None), Fault::Mechanism);
    assert_eq!(read(SCRAM_PLUS, "n,,n=,r=x", bound), Fault::Malformed);
    assert_eq!(read(SCRAM_PLUS, "p=tls-unique,,n=,r=x", bound), Fault::Malformed);
    assert_eq!(read(SCRAM, "p=tls-server-end-point,,n=,r=x", bound), Fault::Malformed);
    assert_eq!(read(SCRAM, "y,,n=,r=x", bound), Fault::Negotiation);
    assert_eq!(read(SCRAM, "n,a=admin,n=,r=x", None), Fault::Unsupported);
    assert_eq!(read(SCRAM, "n,,m=x,n=,r=x", None), Fault::Unsupported);
    for malformed in
        ["", "n", "n,", "n,,", "n,,n=", "n,,n=,r=", "n,,n=,r=\u{7f}", "n,,n=,r=x\0", "x,,n=,r=x", "n,,r=x,n="]
    {
        assert_eq!(read(SCRAM, malformed, None), Fault::Malformed, "{malformed:?}");
    }
}

#[test]
fn what_a_client_may_not_say_last_is_told_apart() {
    let challenged = First::read(b"SCRAM-SHA-256", CLIENT_FIRST, None).unwrap().challenge(SERVER_NONCE, SALT, 4096);
    let right = std::str::from_utf8(CLIENT_FINAL).unwrap();
    let wrong = [
        right.replace("biws", "eSws"),
        right.replace("$k0", "$k1"),
        right.replace("p=", "q="),
        right.replace("dVQ=", ""),
        String::new(),
    ];
    for message in wrong {
        assert_eq!(challenged.judge(message.as_bytes(), None).map(|_| ()), Err(Fault::Malformed), "{message}");
    }
    // Extensions are passed over, as PostgreSQL does; the proof covers them.
    let extended = right.replace(",p=", ",x=y,p=");
    assert!(matches!(challenged.judge(extended.as_bytes(), None), Ok(Proof::Wrong)));
}

#[test]
fn a_server_that_does_not_continue_our_nonce_is_refused() {
    let login = || Login::new([SCRAM.as_bytes()], None, CLIENT_NONCE.to_owned()).unwrap();
    assert!(login().challenged(SERVER_FIRST.as_bytes()).is_ok());
    for message in ["", "r=other,s=AAAA,i=1", "r=rOprNGfwEbeRWgbNEkqO,s=AAAA,i=1", "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=x"]
    {
        assert_eq!(login().challenged(message.as_bytes()).map(|_| ()), Err(Fault::Malformed), "{message}");
    }
    assert!(Login::new([&b"OAUTHBEARER"[..]], None, String::new()).is_none());
}
