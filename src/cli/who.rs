//! `mitsuke who`: the statements that returned the record of one person, or asked for it.
//!
//! In: a table, and the value of its subject column. Out: every statement of the log that read the table and whose data subjects
//! hold the keyed hash of that value; those that may have returned it, because more people were in their result than
//! are kept by hash; and those that named the value, as a constant or a parameter, whatever they returned. The value itself is not
//! looked for, unless the log was told to keep values.

use anyhow::{Context as _, bail};
use serde_json::json;

use super::reading::Reader;
use super::{Global, Status};
use crate::audit::{Key, Lake};
use crate::config::Config;
use crate::record::{Kind, Statement};
use crate::sql::literals::canonical;

/// The form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One object a line
    Json,
}

/// Who read the record of one person
///
/// Finds the statements that returned the person's row, by the keyed hash of the subject column's value: it needs the key file
/// that the log was written under. A statement whose result held more people than are kept by hash, or whose people could not be
/// told apart, is shown as `perhaps`, or as `likely` where it named the value, as a constant or a parameter; one that named it and returned
/// nobody, as `asked`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mitsuke who shop.customers 4711
  mitsuke who shop.customers 4711 --format json --log /var/lib/mitsuke/mitsuke-log")]
pub struct Who {
    /// The table, with its schema
    table: String,
    /// The value of its subject column, as the classification names it
    key: String,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    reader: Reader,
}

/// Whether a statement returned the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Returned {
    Yes,
    /// It returned somebody, and named the person's key.
    Likely,
    Perhaps,
    /// It named the person's key.
    Asked,
}

impl Returned {
    fn as_str(self) -> &'static str {
        match self {
            Returned::Yes => "yes",
            Returned::Likely => "likely",
            Returned::Perhaps => "perhaps",
            Returned::Asked => "asked",
        }
    }
}

/// The person, as a record may have them.
struct Person {
    /// Among the subjects.
    subject: String,
    /// Among the constants and parameters: hashed, and as they are where the log keeps values.
    named: [String; 2],
}

impl Who {
    /// Looks.
    pub fn run(self, global: &Global) -> anyhow::Result<Status> {
        let config = Config::load(global.config.as_deref())?.with_log(global.log.as_deref())?;
        let key = Key::load(&config.audit.key_file).with_context(|| {
            "people stand in the log under the key it was written with; name its file in [privacy].key_file".to_owned()
        })?;
        let canonical = canonical(&self.key);
        let named = [key.subject_hash(&canonical).to_string(), canonical];
        let person = Person { subject: key.subject_hash(&self.key).to_string(), named };
        let lake = Lake::of(&config.audit)?;
        let keys = lake.keys::<Statement>()?;
        if !keys.is_empty() && !keys.contains(&key.name()) {
            bail!(
                "{} is not the key file that this log was written under; name that one in [privacy].key_file",
                config.audit.key_file.display()
            );
        }
        let (mut yes, mut likely, mut perhaps, mut asked) = (0_u64, 0_u64, 0_u64, 0_u64);
        let mut recorder = self.reader.recorder(&config.audit);
        // By the hash, as the log itself knows people.
        recorder.record(format!("who {} {}", self.table, person.subject));
        recorder.close();
        for statement in lake.records::<Statement>(None) {
            let statement = statement?;
            let Some(returned) = returned(&statement, &self.table, &person) else { continue };
            match returned {
                Returned::Yes => yes = yes.saturating_add(1),
                Returned::Likely => likely = likely.saturating_add(1),
                Returned::Perhaps => perhaps = perhaps.saturating_add(1),
                Returned::Asked => asked = asked.saturating_add(1),
            }
            match self.format {
                Format::Text => println!("{}", line(&statement, returned)),
                Format::Json => println!("{}", object(&statement, returned)),
            }
        }
        if self.format == Format::Text {
            println!(
                "{yes} returned this person's record, {likely} likely did, {perhaps} may have, {asked} more asked with this key"
            );
        }
        Ok(Status::Done)
    }
}

fn returned(statement: &Statement, table: &str, person: &Person) -> Option<Returned> {
    let read = statement.relations.iter().flat_map(|relations| relations.iter()).any(|relation| **relation == *table);
    if !read {
        return None;
    }
    let persons = statement.persons.unwrap_or(0);
    let subjects = statement.subjects.as_deref().unwrap_or_default();
    let literals = statement.literals.as_deref().unwrap_or_default();
    let asked = literals.iter().any(|literal| person.named.iter().any(|named| **literal == **named));
    let told_apart = u64::try_from(subjects.len()).unwrap_or(u64::MAX);
    match () {
        () if subjects.iter().any(|subject| **subject == *person.subject) => Some(Returned::Yes),
        () if persons > told_apart && asked => Some(Returned::Likely),
        () if persons > told_apart => Some(Returned::Perhaps),
        () if asked => Some(Returned::Asked),
        () => None,
    }
}

fn line(statement: &Statement, returned: Returned) -> String {
    let text = |text: &Option<crate::record::Text>| text.as_deref().unwrap_or("-").to_owned();
    let query: String = text(&statement.query).split_whitespace().collect::<Vec<_>>().join(" ");
    let returned = returned.as_str();
    let at = statement.common.at;
    let who = [&statement.db_user, &statement.end_user, &statement.client_addr].map(text).join("  ");
    format!("{at}  {returned:7}  {who}  {} people  {query}", statement.persons.unwrap_or(0))
}

fn object(statement: &Statement, returned: Returned) -> serde_json::Value {
    json!({
        "at": statement.common.at.to_string(),
        "returned": returned.as_str(),
        "writer": &*statement.common.writer,
        "seq": statement.common.seq,
        "session_id": statement.common.session_id.as_deref(),
        "db_user": statement.db_user.as_deref(),
        "end_user": statement.end_user.as_deref(),
        "client_addr": statement.client_addr.as_deref(),
        "kind": statement.kind.map(Kind::as_str),
        "query": statement.query.as_deref(),
        "persons": statement.persons,
    })
}
