//! Who is behind a shared role: the sources of `[identity].end_user`, tried in order.
//!
//! In: a statement's comment, the session's settings, its application_name. Out: a name, or nothing. All three are
//! what the client says of itself; none is proof.

use std::collections::HashMap;
use std::str::FromStr;

use crate::record::Text;

/// Where an end user's name may be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `comment:KEY`: a sqlcommenter pair `/* KEY='name' */` of the statement.
    Comment(String),
    /// `setting:NAME`: a setting that the client has SET.
    Setting(String),
    /// `application_name`.
    ApplicationName,
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Source, String> {
        match text.split_once(':') {
            Some(("comment", key)) if !key.is_empty() => Ok(Source::Comment(key.to_owned())),
            Some(("setting", name)) if name.contains('.') => Ok(Source::Setting(name.to_ascii_lowercase())),
            Some(("setting", _)) => Err(format!("`{text}` names no setting of its own; write \"setting:app.user\"")),
            None if text == "application_name" => Ok(Source::ApplicationName),
            _ => Err(format!(
                "`{text}` is no source of an identity; write \"comment:KEY\", \"setting:NAME\" or \"application_name\""
            )),
        }
    }
}

/// The first source that has a name.
pub(super) fn end_user(
    sources: &[Source],
    comment_tags: &[(Text, Text)],
    settings: &HashMap<Text, Text>,
    application_name: Option<&str>,
) -> Option<Text> {
    sources.iter().find_map(|source| match source {
        Source::Comment(key) => comment_tags.iter().find(|(name, _)| **name == **key).map(|(_, value)| value.clone()),
        Source::Setting(name) => settings.get(name.as_str()).cloned(),
        Source::ApplicationName => application_name.filter(|name| !name.is_empty()).map(Text::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_tried_in_order() {
        let sources = ["comment:user", "setting:app.user", "application_name"].map(|text| text.parse().expect(text));
        let tags = [("user".into(), "anna".into())];
        let settings = HashMap::from([("app.user".into(), "ben".into())]);
        assert_eq!(end_user(&sources, &tags, &settings, Some("psql")).as_deref(), Some("anna"));
        assert_eq!(end_user(&sources, &[], &settings, Some("psql")).as_deref(), Some("ben"));
        assert_eq!(end_user(&sources, &[], &HashMap::new(), Some("psql")).as_deref(), Some("psql"));
        assert_eq!(end_user(&sources, &[], &HashMap::new(), Some("")), None);
    }

    #[test]
    fn a_setting_must_be_the_client_s_own() {
        assert!("setting:work_mem".parse::<Source>().is_err());
        assert!("header:x".parse::<Source>().is_err());
    }
}
