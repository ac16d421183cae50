//! Commands of the replication grammar (PostgreSQL manual, "Streaming Replication Protocol"), which PostgreSQL's own grammar does not have.
//!
//! In: a text that came on a replication connection. Out: its analysis, with what it streams; nothing where it is SQL, which such
//! connections take as well.

use super::doors::{Doors, Stream};
use super::tokens::Tokens;
use super::{Analysis, Output};
use crate::record::{Kind, Parse, Text};

/// What the grammar begins with; SHOW is SQL's, too.
const COMMANDS: [&str; 9] = [
    "identify_system",
    "timeline_history",
    "create_replication_slot",
    "drop_replication_slot",
    "alter_replication_slot",
    "read_replication_slot",
    "start_replication",
    "base_backup",
    "upload_manifest",
];

/// See the module.
pub fn replication(text: &str) -> Option<Analysis> {
    let tokens = Tokens::scan(text)?;
    let first = tokens.word(0);
    if !COMMANDS.contains(&first.as_str()) {
        return None;
    }
    let stream = match first.as_str() {
        "base_backup" => Some(Stream::Everything),
        "start_replication" if tokens.find(1, "logical").is_some() => Some(publications(&tokens)),
        "start_replication" => Some(Stream::Everything),
        _ => None,
    };
    Some(Analysis {
        kind: Kind::Replication,
        parse: Parse::Full,
        query: tokens.redacted().into(),
        output: Output::Nothing,
        doors: Doors { stream, ..Doors::default() },
        ..Analysis::unknown()
    })
}

/// Whether a command is of the one database that the connection names: a physical one names none.
pub fn is_of_a_database(command: &Analysis) -> bool {
    matches!(command.doors.stream, Some(Stream::Publications(_) | Stream::Changes))
}

/// `publication_names '"a","b"'` among a plugin's options.
fn publications(tokens: &Tokens<'_>) -> Stream {
    let option = tokens.all.iter().position(|lexeme| lexeme.name() == "publication_names");
    let Some(value) = option.and_then(|at| tokens.all.get(at + 1)).filter(|lexeme| lexeme.is_constant()) else {
        return Stream::Changes;
    };
    let mut names: Vec<Text> = Vec::new();
    let value = value.decoded();
    let mut rest = value.trim();
    while !rest.is_empty() {
        // Quoted, with quotation marks doubled, or folded to lower case.
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.match_indices('"').map(|(at, _)| at).find(|at| {
                    let before = quoted[..*at].bytes().rev().take_while(|byte| *byte == b'"').count();
                    before % 2 == 0 && !quoted[at + 1..].starts_with('"')
                });
                let Some(end) = end else { return Stream::Changes };
                (quoted[..end].replace("\"\"", "\""), &quoted[end + 1..])
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim().to_lowercase(), &rest[end..])
            }
        };
        names.push(name.into());
        rest = after.trim_start().trim_start_matches(',').trim_start();
    }
    if names.is_empty() { Stream::Changes } else { Stream::Publications(names) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_streamed_is_known() {
        let stream = |text: &str| replication(text).and_then(|analysis| analysis.doors.stream);
        let of = |names: &[&str]| Some(Stream::Publications(names.iter().map(|name| Text::from(*name)).collect()));
        let start = |options: &str| stream(&format!("START_REPLICATION SLOT \"s\" LOGICAL 0/0 ({options})"));
        assert_eq!(start("proto_version '1', publication_names '\"p\"'"), of(&["p"]));
        assert_eq!(start("\"proto_version\" '1', \"publication_names\" 'P, \"Q \"\"x\"'"), of(&["p", "Q \"x"]));
        assert_eq!(start("\"include-xids\" '0'"), Some(Stream::Changes));
        assert_eq!(stream("START_REPLICATION 0/3000000 TIMELINE 1"), Some(Stream::Everything));
        assert_eq!(stream("BASE_BACKUP ( LABEL 'x', PROGRESS)"), Some(Stream::Everything));
        assert_eq!(stream("IDENTIFY_SYSTEM"), None);
        assert!(replication("IDENTIFY_SYSTEM").is_some() && replication("select 1").is_none());
        let query = replication("BASE_BACKUP (LABEL 'secret')").map(|analysis| analysis.query);
        assert_eq!(query.as_deref(), Some("BASE_BACKUP (LABEL $1)"));
    }
}
