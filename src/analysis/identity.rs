//! Who is behind a shared role: the sources of `[identity].end_user`, tried in order.
//!
//! In: a statement's comment, the session's settings, its application_name, the client's certificate. Out: a name, or nothing; and
//! whether the comment is signed. The certificate was verified, and so is a comment that is signed; the others are what the client says
//! of itself, and no proof.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::clock::Timestamp;
use crate::error::{Fault, Faults};
use crate::record::{Proof, Text};
use crate::session::event::Subject;
use crate::sql::Analysis;
use crate::sql::seal::{Keys, Seal};

/// The longest file of keys that is read, bytes.
const KEYS_FILE_BYTES_MAX: u64 = 64 << 10;
/// Signed texts that a session has sent in time, and may go on to execute.
const ACCEPTED_MAX: usize = 1_024;

/// Where names come from, and what they are held against.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// `[identity].end_user`.
    pub sources: Vec<Source>,
    /// `[identity].comment_keys`, as they were read last.
    pub keys: Arc<ArcSwap<Keys>>,
    /// `[identity].comment_window`.
    pub window: Duration,
}

/// Reads a file of keys; none where there is none.
///
/// # Errors
/// It cannot be read, or a line of it is no key.
pub fn read_keys(path: Option<&Path>) -> Result<Keys, Faults> {
    let Some(path) = path else { return Ok(Keys::default()) };
    let faults = |fault| Faults(vec![fault]);
    let mend = "correct `identity.comment_keys`, or the file's rights";
    let unreadable =
        |error: &dyn std::fmt::Display| faults(Fault::of_file(path, format!("cannot be read: {error}"), mend));
    let length = std::fs::metadata(path).map_err(|error| unreadable(&error))?.len();
    if length > KEYS_FILE_BYTES_MAX {
        return Err(unreadable(&format!("it has more than {KEYS_FILE_BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    Keys::parse(&text).map_err(|(line, what)| {
        faults(Fault::at(
            path,
            line,
            0,
            what,
            "write lines of a name and a key: shop-1, and what `openssl rand -hex 32` gives",
        ))
    })
}

/// Signed texts that a session sent while the signature was of the present. What was prepared then is executed for as long as the
/// session lives.
#[derive(Debug, Default)]
pub(crate) struct Accepted(VecDeque<u64>);

impl Accepted {
    /// What a statement's comment is worth at this time.
    pub(crate) fn proof(&mut self, seal: Seal, at: Timestamp, window: Duration) -> Option<Proof> {
        match seal {
            Seal::Unchecked => None,
            Seal::None => Some(Proof::Unsigned),
            Seal::Bad => Some(Proof::Forged),
            Seal::Good { at: signed_at, mac } => {
                let apart = at.0.abs_diff(signed_at.0);
                if u128::from(apart) <= window.as_micros() {
                    self.accept(mac);
                    return Some(Proof::Signed);
                }
                Some(if self.0.contains(&mac) { Proof::Signed } else { Proof::Stale })
            }
        }
    }

    fn accept(&mut self, mac: u64) {
        if self.0.contains(&mac) {
            return;
        }
        if self.0.len() >= ACCEPTED_MAX {
            self.0.pop_front();
        }
        self.0.push_back(mac);
    }
}

/// Where an end user's name may be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `comment:KEY`: a sqlcommenter pair `/* KEY='name' */` of the statement.
    Comment(String),
    /// `signed:KEY`: the same, where the comment is signed.
    Signed(String),
    /// `setting:NAME`: a setting that the client has SET.
    Setting(String),
    /// `application_name`.
    ApplicationName,
    /// `certificate`: the common name of the client's certificate.
    CommonName,
    /// `certificate:subject`: the whole subject of the client's certificate (RFC 4514).
    Subject,
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Source, String> {
        match text.split_once(':') {
            Some(("comment", key)) if !key.is_empty() => Ok(Source::Comment(key.to_owned())),
            Some(("signed", key)) if !key.is_empty() => Ok(Source::Signed(key.to_owned())),
            Some(("setting", name)) if name.contains('.') => Ok(Source::Setting(name.to_ascii_lowercase())),
            Some(("setting", _)) => Err(format!("`{text}` names no setting of its own; write \"setting:app.user\"")),
            Some(("certificate", "subject")) => Ok(Source::Subject),
            None if text == "application_name" => Ok(Source::ApplicationName),
            None if text == "certificate" => Ok(Source::CommonName),
            _ => Err(format!(
                "`{text}` is no source of an identity; write \"comment:KEY\", \"signed:KEY\", \"setting:NAME\", \"application_name\", \
                 \"certificate\" or \"certificate:subject\""
            )),
        }
    }
}

/// The first source that has a name.
pub(crate) fn end_user(
    sources: &[Source],
    analysis: &Analysis,
    proof: Option<Proof>,
    settings: &HashMap<Text, Text>,
    application_name: Option<&Text>,
    certificate: Option<&Subject>,
) -> Option<Text> {
    let tag = |key: &str| analysis.comment_tags.iter().find(|(name, _)| **name == *key).map(|(_, value)| value.clone());
    sources.iter().find_map(|source| match source {
        // One that is forged, or a copy of another time's, names nobody.
        Source::Comment(_) if matches!(proof, Some(Proof::Forged | Proof::Stale)) => None,
        Source::Comment(key) => tag(key),
        Source::Signed(key) => tag(key).filter(|_| proof == Some(Proof::Signed)),
        Source::Setting(name) => settings.get(name.as_str()).cloned(),
        Source::ApplicationName => application_name.filter(|text| !text.is_empty()).cloned(),
        Source::CommonName => name(certificate.and_then(|subject| subject.common_name.as_deref())),
        Source::Subject => name(certificate.map(|subject| subject.name.as_str())),
    })
}

fn name(text: Option<&str>) -> Option<Text> {
    text.filter(|text| !text.is_empty()).map(Text::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Client = (Option<Text>, Option<Subject>);

    fn who(application_name: &str, certificate: Option<Subject>) -> Client {
        (Some(application_name.into()), certificate)
    }

    fn named(
        sources: &[Source],
        analysis: &Analysis,
        proof: Option<Proof>,
        settings: &HashMap<Text, Text>,
        (application_name, certificate): &Client,
    ) -> Option<Text> {
        end_user(sources, analysis, proof, settings, application_name.as_ref(), certificate.as_ref())
    }

    #[test]
    fn sources_are_tried_in_order() {
        let sources = ["comment:user", "setting:app.user", "application_name"].map(|text| text.parse().expect(text));
        let anna = Analysis { comment_tags: vec![("user".into(), "anna".into())], ..Analysis::unknown() };
        let none = Analysis::unknown();
        let settings = HashMap::from([("app.user".into(), "ben".into())]);
        let psql = who("psql", None);
        assert_eq!(named(&sources, &anna, None, &settings, &psql).as_deref(), Some("anna"));
        assert_eq!(named(&sources, &none, None, &settings, &psql).as_deref(), Some("ben"));
        assert_eq!(named(&sources, &none, None, &HashMap::new(), &psql).as_deref(), Some("psql"));
        assert_eq!(named(&sources, &none, None, &HashMap::new(), &who("", None)), None);
    }

    #[test]
    fn a_certificate_names_its_holder() {
        let subject = Subject { name: "CN=anna,O=Example".to_owned(), common_name: Some("anna".to_owned()) };
        let anna = who("psql", Some(subject));
        let by =
            |source: &str| named(&[source.parse().expect(source)], &Analysis::unknown(), None, &HashMap::new(), &anna);
        assert_eq!(by("certificate").as_deref(), Some("anna"));
        assert_eq!(by("certificate:subject").as_deref(), Some("CN=anna,O=Example"));
        assert_eq!(named(&[Source::CommonName], &Analysis::unknown(), None, &HashMap::new(), &who("psql", None)), None);
    }

    #[test]
    fn a_comment_that_is_forged_or_stale_names_nobody_and_an_unsigned_one_only_claims() {
        let anna = Analysis { comment_tags: vec![("user".into(), "anna".into())], ..Analysis::unknown() };
        let psql = who("psql", None);
        let by = |source: &str, proof| {
            let sources = [source.parse().expect(source), Source::ApplicationName];
            named(&sources, &anna, proof, &HashMap::new(), &psql).expect("a name").to_string()
        };
        for (proof, claimed, signed) in [
            (None, "anna", "psql"),
            (Some(Proof::Unsigned), "anna", "psql"),
            (Some(Proof::Signed), "anna", "anna"),
            (Some(Proof::Stale), "psql", "psql"),
            (Some(Proof::Forged), "psql", "psql"),
        ] {
            assert_eq!(
                (by("comment:user", proof).as_str(), by("signed:user", proof).as_str()),
                (claimed, signed),
                "{proof:?}"
            );
        }
    }

    #[test]
    fn what_was_sent_in_time_may_be_executed_later_in_the_same_session_and_what_is_kept_is_bounded() {
        let (window, mut accepted) = (Duration::from_secs(300), Accepted::default());
        let seal = |mac| Seal::Good { at: Timestamp(1_000_000_000), mac };
        let second = |seconds: i64| Timestamp(1_000_000_000 + seconds * 1_000_000);
        assert_eq!(accepted.proof(seal(1), second(301), window), Some(Proof::Stale));
        assert_eq!(accepted.proof(seal(1), second(-301), window), Some(Proof::Stale));
        assert_eq!(accepted.proof(seal(1), second(-300), window), Some(Proof::Signed));
        assert_eq!(accepted.proof(seal(1), second(86_400), window), Some(Proof::Signed));
        assert_eq!(accepted.proof(seal(2), second(86_400), window), Some(Proof::Stale));
        assert_eq!(Accepted::default().proof(seal(1), second(301), window), Some(Proof::Stale), "another session");
        for mac in 0..2_000 {
            accepted.proof(seal(mac + 10), second(0), window);
        }
        assert_eq!(accepted.0.len(), ACCEPTED_MAX);
        assert_eq!(accepted.proof(Seal::Bad, second(0), window), Some(Proof::Forged));
        assert_eq!(accepted.proof(Seal::None, second(0), window), Some(Proof::Unsigned));
        assert_eq!(accepted.proof(Seal::Unchecked, second(0), window), None);
    }

    #[test]
    fn a_setting_must_be_the_client_s_own() {
        assert!("setting:work_mem".parse::<Source>().is_err());
        assert!("header:x".parse::<Source>().is_err());
    }
}
