//! Deleting what is past its time: `[log].retention`, and who holds it up.
//!
//! In: a writer's own chain, how long each table is kept, the holds of the log, the time. Out: the files that go, a few at a time. Each
//! has a signed line in the chain before it is removed, so that `verify` tells a deletion from a loss; what a crash left in
//! between is removed by the next run.
//!
//! A file goes when both its last record and its line in the chain are old enough: records whose clock was wrong are kept as long as
//! others. Where the clock seems to have jumped ahead, nothing goes. Out of a store, files are removed by who takes the chain's line there. `LOG/hold/<any name>` holds files for as long as it is there: all
//! of them where it is empty, else those of its `tables`, `from` and `until`; a hold that cannot be read holds everything.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jiff::civil::Date;
use serde::Deserialize;

use super::chain::{self, Ledger, Sealed, Standing, hash_file};
use super::{Error, Place, folder, schema};
use crate::clock::Timestamp;

/// How long records are kept where nothing else is said.
const DEFAULT_DAYS: u32 = 400;
/// The longest time that is not forever, days.
const DAYS_MAX: u32 = 36_500;
const DAY_US: i64 = 86_400_000_000;
/// Of a log that was sealed into this recently, as its chain before today says, the clock is believed.
const BELIEVED_US: i64 = 30 * DAY_US;

/// `[log].retention`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// `None`: forever.
    default_days: Option<u32>,
    tables: BTreeMap<String, Option<u32>>,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention { default_days: Some(DEFAULT_DAYS), tables: BTreeMap::new() }
    }
}

impl Retention {
    /// Takes `400d`, `findings:1825d` or `reviews:forever` into account.
    ///
    /// # Errors
    /// It is none of these: what is wrong, in words.
    pub fn set(&mut self, written: &str) -> Result<(), String> {
        let (table, age) = written.split_once(':').map_or((None, written), |(table, age)| (Some(table.trim()), age));
        let days = match age.trim() {
            "forever" => None,
            age => {
                let days = age.strip_suffix('d').and_then(|days| days.parse().ok());
                let days = days.filter(|days| (1..=DAYS_MAX).contains(days));
                Some(days.ok_or_else(|| {
                    format!("`{written}` is not how long; write \"400d\", \"findings:1825d\" or \"reviews:forever\"")
                })?)
            }
        };
        match table {
            None => self.default_days = days,
            Some(table) if schema::tables().iter().any(|known| known.name == table) => {
                self.tables.insert(table.to_owned(), days);
            }
            Some(table) => {
                let known: Vec<&str> = schema::tables().iter().map(|table| table.name).collect();
                return Err(format!("there is no table `{table}`; the tables are {}", known.join(", ")));
            }
        }
        Ok(())
    }

    /// `None`: forever.
    pub(super) fn days(&self, table: &str) -> Option<u32> {
        self.tables.get(table).copied().unwrap_or(self.default_days)
    }
}

/// A file of `LOG/hold`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hold {
    tables: Option<Vec<String>>,
    from: Option<String>,
    until: Option<String>,
    #[serde(rename = "reason")]
    _reason: Option<String>,
}

impl Hold {
    /// `None`: its text cannot be read.
    fn parse(name: &str, text: Option<String>) -> Hold {
        let read = text.ok_or_else(|| "it cannot be read".to_owned());
        let hold = read.and_then(|text| toml::from_str::<Hold>(&text).map_err(|error| error.message().to_owned()));
        let dated = hold.and_then(|hold| {
            let wrong = [&hold.from, &hold.until].into_iter().flatten().find(|date| date.parse::<Date>().is_err());
            wrong.map_or(Ok(()), |date| Err(format!("`{date}` is no date; write \"2026-11-23\"")))?;
            Ok(hold)
        });
        dated.unwrap_or_else(|error| {
            tracing::error!(hold = name, %error, "a hold cannot be read; it holds the whole log until it is mended");
            Hold::default()
        })
    }

    fn holds(&self, table: &str, date: &str) -> bool {
        self.tables.as_ref().is_none_or(|tables| tables.iter().any(|held| held == table))
            && self.from.as_deref().is_none_or(|from| from <= date)
            && self.until.as_deref().is_none_or(|until| date <= until)
    }
}

/// The holds of a log.
#[derive(Debug, Default)]
pub(super) struct Holds(Vec<Hold>);

impl Holds {
    /// # Errors
    /// They cannot be listed.
    pub(super) fn read(place: &Place) -> Result<Holds, Error> {
        Ok(Holds(place.holds()?.into_iter().map(|(name, text)| Hold::parse(&name, text)).collect()))
    }

    /// Whether a table's files of a date must stay as they are.
    pub(super) fn hold(&self, table: &str, date: &str) -> bool {
        self.0.iter().any(|hold| hold.holds(table, date))
    }
}

/// A file that goes, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub file: Sealed,
    pub why: String,
}

/// The files of a writer that are past their time, the oldest last; those whose removal was cut short are removed at once.
///
/// # Errors
/// The chain or the holds cannot be read, or a file cannot be removed.
pub(super) fn due(
    log: &Path,
    place: &Place,
    writer: &str,
    retention: &Retention,
    now: Timestamp,
) -> Result<Vec<Due>, Error> {
    let holds = Holds::read(place)?;
    let ledger = Ledger::read(log, writer)?;
    ledger.deleted.iter().try_for_each(|file| remove(log, file))?;
    let newest = ledger.sealed_at.iter().filter(|told_at| now.0.saturating_sub(told_at.0) > DAY_US).max();
    if newest.is_some_and(|newest| now.0.saturating_sub(newest.0) > BELIEVED_US) {
        tracing::warn!(
            "nothing was sealed for weeks, or the clock jumped ahead: what is past its time is deleted a day later"
        );
        return Ok(Vec::new());
    }
    let mut due = Vec::new();
    for Standing { sealed_at, file, .. } in ledger.there.into_values() {
        let mut parts = file.path.split('/');
        let (table, date) = (parts.next().unwrap_or_default(), parts.next().and_then(|date| date.strip_prefix("dt=")));
        let (Some(days), Some(date), Some(last_at)) = (retention.days(table), date, chain::at(&file.last_at)) else {
            continue;
        };
        let age = now.0.saturating_sub(last_at.0.max(sealed_at.0));
        if age <= i64::from(days).saturating_mul(DAY_US) || holds.hold(table, date) {
            continue;
        }
        due.push(Due { why: format!("older than {days} days"), file });
    }
    due.sort_by(|one, other| other.file.last_at.cmp(&one.file.last_at));
    Ok(due)
}

/// Removes a file that the chain says is deleted, if it is that file; and its partition, where that is empty then.
pub(super) fn remove(log: &Path, file: &Sealed) -> Result<(), Error> {
    let path = log.join(&file.path);
    if path.exists() && hash_file(&path, &mut |_| {}).is_ok_and(|(sha256, _)| sha256 == file.sha256) {
        folder::remove(&path)?;
        // Refused where others have files in it.
        path.parent().map(fs::remove_dir);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_each_table_is_kept_is_said_in_words() {
        let mut retention = Retention::default();
        assert_eq!(retention.days("statements"), Some(400));
        for written in ["90d", "findings: 1825d", "reviews:forever"] {
            retention.set(written).unwrap();
        }
        assert_eq!(
            ["statements", "findings", "reviews"].map(|table| retention.days(table)),
            [Some(90), Some(1825), None]
        );
        for wrong in ["", "90", "0d", "-1d", "1y", "findings:", "findings:x", "99999d"] {
            assert!(retention.set(wrong).unwrap_err().contains("write \"400d\""), "{wrong}");
        }
        assert!(retention.set("finding:9d").unwrap_err().starts_with("there is no table `finding`; the tables are "));
    }

    #[test]
    fn a_hold_holds_what_it_names_and_everything_where_it_cannot_be_read() {
        assert!(Hold::parse("case-7", None).holds("statements", "2026-01-01"), "it cannot be read");
        let holds =
            |text: &str, table: &str, date: &str| Hold::parse("case-7", Some(text.to_owned())).holds(table, date);
        assert!(holds("", "statements", "2026-01-01"));
        let some =
            "tables = ['statements', 'sessions']\nfrom = '2026-01-01'\nuntil = '2026-01-31'\nreason = 'a case'\n";
        assert!(holds(some, "statements", "2026-01-01") && holds(some, "sessions", "2026-01-31"));
        assert!(!holds(some, "findings", "2026-01-15") && !holds(some, "statements", "2026-02-01"));
        for wrong in ["nonsense", "table = 'statements'", "from = 'soon'", "from = 2026-01-01"] {
            assert!(holds(wrong, "findings", "2020-01-01"), "{wrong}");
        }
    }
}
