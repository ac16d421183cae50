//! `mitsuke who`: the statements that returned the record of one person, or asked for it.
//!
//! In: a table, and the value of its subject column. Out: every statement of the log that read the table and whose data subjects
//! hold the keyed hash of that value; those that may have returned it, because more people were in their result than
//! are kept by hash; and those that named the value, as a constant or a parameter, whatever they returned. The value itself is not
//! looked for, unless the log was told to keep values. The log is read by as many threads as there are processors, and of a statement
//! that cannot be one of them nothing but what tells so.

use std::io::{self, BufWriter, Write};

use anyhow::{Context as _, bail};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::UInt64Type;
use serde_json::json;

use super::bar::bar;
use super::policy::length;
use super::reading::Reader;
use super::{Global, Status};
use crate::audit::{Error, Filter, Key, Lake, Lists, Piece, read_abreast, schema};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::record::{Kind, Statement, Table};
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
  mitsuke who shop.customers 4711 --since 12h
  mitsuke who shop.customers 4711 --format json --log /var/lib/mitsuke/mitsuke-log")]
pub struct Who {
    /// The table, with its schema
    table: String,
    /// The value of its subject column, as the classification names it
    key: String,
    /// How far back: 12h, 30d, 4w [default: the whole log]
    #[arg(long, value_name = "TIME", value_parser = length)]
    since: Option<i64>,
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

/// What is told of a statement, and what tells it; and what every record has.
fn columns() -> Vec<&'static str> {
    const TOLD: [&str; 8] =
        ["session_id", "db_user", "end_user", "client_addr", "kind", "query", "persons", "relations"];
    const TELLING: [&str; 2] = ["subjects", "literals"];
    let columns = Statement::columns().iter();
    let columns =
        columns.filter(|column| !column.nullable || TOLD.contains(&column.name) || TELLING.contains(&column.name));
    columns.map(|column| column.name).collect()
}

/// The person, as a record may have them.
#[derive(Clone)]
struct Person {
    table: String,
    /// Among the subjects.
    subject: String,
    /// Among the constants and parameters: hashed, and as they are where the log keeps values.
    named: [String; 2],
}

impl Person {
    /// Which rows of the log are asked whether they returned the person: no other did.
    fn filters(&self) -> [Filter; 2] {
        let table = self.table.clone();
        let of_table = move |batch: &RecordBatch| Lists::of(batch, "relations").that_have(&[&table], batch.num_rows());
        let person = self.clone();
        let of_person = move |batch: &RecordBatch| person.may_be_in(batch);
        [Filter::of(&["relations"], of_table), Filter::of(&["persons", "subjects", "literals"], of_person)]
    }

    fn may_be_in(&self, batch: &RecordBatch) -> BooleanBuffer {
        let (rows, subjects) = (batch.num_rows(), Lists::of(batch, "subjects"));
        let returned = subjects.that_have(&[&self.subject], rows);
        let named = Lists::of(batch, "literals").that_have(&self.named, rows);
        let persons: Option<&ArrayRef> = batch.column_by_name("persons");
        let persons = persons.and_then(|persons| persons.as_primitive_opt::<UInt64Type>());
        let has_more = |row: usize| {
            persons.is_some_and(|persons| persons.is_valid(row) && persons.value(row) > subjects.length(row))
        };
        &(&returned | &named) | &BooleanBuffer::collect_bool(rows, has_more)
    }

    /// The statements of a piece that returned the person, or may have, or asked.
    fn find(&self, piece: &Piece, since: Timestamp) -> Result<Vec<(Statement, Returned)>, Error> {
        let mut found = Vec::new();
        for batch in piece.read_where(&columns(), &self.filters())? {
            let statements = schema::decode::<Statement>(&batch)?.into_iter();
            let statements = statements.filter(|statement| statement.common.at >= since);
            found.extend(statements.filter_map(|statement| {
                let returned = returned(&statement, self)?;
                Some((statement, returned))
            }));
        }
        Ok(found)
    }
}

/// How many of each.
#[derive(Default)]
struct Counts {
    yes: u64,
    likely: u64,
    perhaps: u64,
    asked: u64,
}

impl Counts {
    fn count(&mut self, returned: Returned) {
        let number = match returned {
            Returned::Yes => &mut self.yes,
            Returned::Likely => &mut self.likely,
            Returned::Perhaps => &mut self.perhaps,
            Returned::Asked => &mut self.asked,
        };
        *number = number.saturating_add(1);
    }
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
        let person = Person { table: self.table.clone(), subject: key.subject_hash(&self.key).to_string(), named };
        let lake = Lake::of(&config.audit).map_err(super::unopened)?;
        let keys = lake.keys::<Statement>()?;
        if !keys.is_empty() && !keys.contains(&key.name()) {
            bail!(
                "{} is not the key file that this log was written under; name that one in [privacy].key_file",
                config.audit.key_file.display()
            );
        }
        let now = Clock::system().now();
        let since = self.since.map(|since| now.plus_micros(-since));
        let mut recorder = self.reader.recorder(&config.audit);
        // By the hash, as the log itself knows people.
        let from = since.map_or_else(String::new, |since| format!(" from {since}"));
        recorder.record(format!("who {} {}{from}", self.table, person.subject));
        recorder.close();
        match self.tell(&lake, &person, since.map(|since| (since, now))) {
            // Whoever closed the pipe has read enough.
            Err(error) if super::is_closed(&error) => Ok(Status::Done),
            told => told.map(|()| Status::Done),
        }
    }

    fn tell(&self, lake: &Lake, person: &Person, range: Option<(Timestamp, Timestamp)>) -> anyhow::Result<()> {
        let pieces = lake.snapshot::<Statement>()?.into_pieces(range)?;
        let since = range.map_or(Timestamp(i64::MIN), |(since, _)| since);
        let bar = bar("{wide_bar} {pos} of {len} parts of the log, {eta} left");
        bar.set_length(pieces.len() as u64);
        let mut counts = Counts::default();
        let mut out = BufWriter::new(io::stdout().lock());
        let read = |piece: &Piece, (): &mut ()| person.find(piece, since);
        read_abreast(
            &pieces,
            || (),
            read,
            |found| -> anyhow::Result<()> {
                for found in found {
                    let found = found?;
                    bar.inc(1);
                    if !found.is_empty() {
                        bar.suspend(|| self.write(&found, &mut out))?;
                    }
                    found.iter().for_each(|(_, returned)| counts.count(*returned));
                }
                Ok(())
            },
        )?;
        bar.finish_and_clear();
        if self.format == Format::Text {
            let Counts { yes, likely, perhaps, asked } = counts;
            writeln!(
                out,
                "{yes} returned this person's record, {likely} likely did, {perhaps} may have, {asked} more asked with this key"
            )?;
        }
        Ok(out.flush()?)
    }

    fn write(&self, found: &[(Statement, Returned)], out: &mut impl Write) -> io::Result<()> {
        for (statement, returned) in found {
            match self.format {
                Format::Text => writeln!(out, "{}", line(statement, *returned))?,
                Format::Json => writeln!(out, "{}", object(statement, *returned))?,
            }
        }
        out.flush()
    }
}

fn returned(statement: &Statement, person: &Person) -> Option<Returned> {
    let mut relations = statement.relations.iter().flat_map(|relations| relations.iter());
    let read = relations.any(|relation| **relation == *person.table);
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
