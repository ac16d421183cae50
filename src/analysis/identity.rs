//! Who is behind a shared role: the sources of `[identity].end_user`, tried in order.
//!
//! In: a statement's comment, the session's settings, its application_name, the client's certificate. Out: a name, or nothing. The
//! certificate was verified; the other three are what the client says of itself, and no proof.

use std::collections::HashMap;
use std::str::FromStr;

use crate::record::Text;
use crate::session::event::Who;

/// Where an end user's name may be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `comment:KEY`: a sqlcommenter pair `/* KEY='name' */` of the statement.
    Comment(String),
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
            Some(("setting", name)) if name.contains('.') => Ok(Source::Setting(name.to_ascii_lowercase())),
            Some(("setting", _)) => Err(format!("`{text}` names no setting of its own; write \"setting:app.user\"")),
            Some(("certificate", "subject")) => Ok(Source::Subject),
            None if text == "application_name" => Ok(Source::ApplicationName),
            None if text == "certificate" => Ok(Source::CommonName),
            _ => Err(format!(
                "`{text}` is no source of an identity; write \"comment:KEY\", \"setting:NAME\", \"application_name\", \
                 \"certificate\" or \"certificate:subject\""
            )),
        }
    }
}

/// The first source that has a name.
pub(crate) fn end_user(
    sources: &[Source],
    comment_tags: &[(Text, Text)],
    settings: &HashMap<Text, Text>,
    who: &Who,
) -> Option<Text> {
    let certificate = who.certificate.as_ref();
    sources.iter().find_map(|source| match source {
        Source::Comment(key) => comment_tags.iter().find(|(name, _)| **name == **key).map(|(_, value)| value.clone()),
        Source::Setting(name) => settings.get(name.as_str()).cloned(),
        Source::ApplicationName => name(who.application_name.as_deref()),
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
    use crate::session::event::Subject;

    fn who(application_name: &str, certificate: Option<Subject>) -> Who {
        Who { application_name: Some(application_name.to_owned()), certificate, ..Who::default() }
    }

    #[test]
    fn sources_are_tried_in_order() {
        let sources = ["comment:user", "setting:app.user", "application_name"].map(|text| text.parse().expect(text));
        let tags = [("user".into(), "anna".into())];
        let settings = HashMap::from([("app.user".into(), "ben".into())]);
        let psql = who("psql", None);
        assert_eq!(end_user(&sources, &tags, &settings, &psql).as_deref(), Some("anna"));
        assert_eq!(end_user(&sources, &[], &settings, &psql).as_deref(), Some("ben"));
        assert_eq!(end_user(&sources, &[], &HashMap::new(), &psql).as_deref(), Some("psql"));
        assert_eq!(end_user(&sources, &[], &HashMap::new(), &who("", None)), None);
    }

    #[test]
    fn a_certificate_names_its_holder() {
        let subject = Subject { name: "CN=anna,O=Example".to_owned(), common_name: Some("anna".to_owned()) };
        let anna = who("psql", Some(subject));
        let named = |source: &str| end_user(&[source.parse().expect(source)], &[], &HashMap::new(), &anna);
        assert_eq!(named("certificate").as_deref(), Some("anna"));
        assert_eq!(named("certificate:subject").as_deref(), Some("CN=anna,O=Example"));
        assert_eq!(end_user(&[Source::CommonName], &[], &HashMap::new(), &who("psql", None)), None);
    }

    #[test]
    fn a_setting_must_be_the_client_s_own() {
        assert!("setting:work_mem".parse::<Source>().is_err());
        assert!("header:x".parse::<Source>().is_err());
    }
}
