//! `mitsuke who`: the statements that returned the record of one person, or asked for it.
//!
//! In: a table, and the value of its subject column. Out: the statements, as lines or as JSON, and how many they are. [`crate::who`] finds them.

use std::io::{self, BufWriter, Write};

use anyhow::{Context as _, bail};
use serde_json::json;

use super::bar::bar;
use super::policy::length;
use super::reading::Reader;
use super::{Global, Status};
use crate::audit::{Key, Lake};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::record::{Kind, Statement};
use crate::who::{Part, Person, Returned};

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
        let person = Person::new(&key, &self.table, &self.key);
        let lake = Lake::of(&config.audit).map_err(super::unopened)?;
        let keys = lake.keys::<Statement>()?;
        if !keys.is_empty() && !keys.contains(&key.name()) {
            bail!(
                "{} is not the key file that this log was written under; name that one in [privacy].key_file",
                config.audit.key_file.display()
            );
        }
        let since = self.since.map(|since| Clock::system().now().plus_micros(-since));
        let mut recorder = self.reader.recorder(&config.audit);
        // By the hash, as the log itself knows people.
        let from = since.map_or_else(String::new, |since| format!(" from {since}"));
        recorder.record(format!("who {} {}{from}", self.table, person.subject()));
        recorder.close();
        match self.tell(&lake, &person, since) {
            // Whoever closed the pipe has read enough.
            Err(error) if super::is_closed(&error) => Ok(Status::Done),
            told => told.map(|()| Status::Done),
        }
    }

    fn tell(&self, lake: &Lake, person: &Person, since: Option<Timestamp>) -> anyhow::Result<()> {
        let bar = bar("{wide_bar} {pos} of {len} parts of the log, {eta} left");
        let mut counts = Counts::default();
        let mut out = BufWriter::new(io::stdout().lock());
        person.find(lake, since, |Part { found, of }| -> anyhow::Result<()> {
            bar.set_length(of as u64);
            bar.inc(1);
            if !found.is_empty() {
                bar.suspend(|| self.write(&found, &mut out))?;
            }
            found.iter().for_each(|(_, returned)| counts.count(*returned));
            Ok(())
        })?;
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
