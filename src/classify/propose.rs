//! Which columns are personal, and why.
//!
//! In: the tables, and what is classified already. Out: the [`Proposal`]. A name says what a column should hold, its type whether it can,
//! the values whether it does. Values win where they are many: a column `mail` that holds five words is no address.

use std::collections::HashSet;

use super::subject::Subjects;
use super::{Column, Degree, Existing, ForColumn, ForTable, Proposal, Sampled, Table};
use crate::detect::{What, words};

/// A column of no more different values than this is a list of codes …
const CODES_MAX: u32 = 8;
/// … where they are so many in all.
const CODED_MIN: u32 = 50;

/// What is proposed for these tables.
pub fn propose(tables: &[Table], existing: &Existing) -> Proposal {
    let personal: Vec<Vec<Option<Found>>> = tables.iter().map(found_in).collect();
    let people: HashSet<usize> = tables
        .iter()
        .zip(&personal)
        .enumerate()
        .filter(|(_, (table, found))| is_of_people(table, found))
        .map(|(number, _)| number)
        .collect();
    let subjects = Subjects::new(tables, &people);
    let mut proposal = Proposal { tables_seen: tables.len(), ..Proposal::default() };
    for (number, (table, found)) in tables.iter().zip(&personal).enumerate() {
        proposal.columns_seen += table.columns.len();
        let mut proposed = ForTable { schema: table.schema.clone(), name: table.name.clone(), ..ForTable::default() };
        let mut has_personal = false;
        for (column, found) in table.columns.iter().zip(found) {
            if let Some(known) = known(table, column, existing) {
                proposal.kept += 1;
                has_personal |= known;
            } else if let Some(found) =
                found.as_ref().and_then(|found| as_proposed(column, found, table, &people, number))
            {
                has_personal = true;
                proposed.columns.push(found);
            } else if let Some(innocent) = innocent(table, column, existing) {
                proposed.columns.push(innocent);
            }
        }
        if has_personal && existing.classification.subject(&table.schema, &table.name).is_none() {
            (proposed.subject, proposed.notes) = subjects.of(number);
        }
        if let Sampled::Refused(why) = &table.sampled {
            proposal.refused.push((format!("{}.{}", table.schema, table.name), why.clone()));
        }
        if !proposed.columns.is_empty() || proposed.subject.is_some() {
            proposal.tables.push(proposed);
        }
    }
    proposal
}

/// What a column holds, and why that is thought.
#[derive(Debug)]
struct Found {
    what: What,
    reasons: Vec<String>,
    /// Whether its values alone would not say so anywhere.
    only_where_people_are: bool,
}

fn found_in(table: &Table) -> Vec<Option<Found>> {
    table.columns.iter().map(|column| found(table, column)).collect()
}

fn found(table: &Table, column: &Column) -> Option<Found> {
    let fits = |what: &What| words::fits(*what, &column.type_name, column.category);
    let by_name = words::of_column(&table.name, &column.name).filter(fits);
    let by_comment = column.comment.as_deref().and_then(words::of_comment).filter(fits);
    let by_value = column.tally.share();
    let said = by_name.or(by_comment);
    let mut reasons = Vec::new();
    if let Some(what) = by_name {
        reasons.push(format!("by its name: {}", what.plural()));
    }
    if let Some(what) = by_comment {
        reasons.push(format!("by its comment: {}", what.plural()));
    }
    match (said, by_value) {
        (_, Some(share)) if said.is_none_or(|said| agree(said, share.what)) || !share.held => {
            reasons.push(sentence(share.count, share.of, share.what, share.held));
            let what = said.filter(|said| said.is_sensitive() && !share.what.is_sensitive()).unwrap_or(share.what);
            let vague = matches!(share.what, What::BirthDate | What::PostalCode | What::Telephone | What::PersonName);
            Some(Found { what, reasons, only_where_people_are: said.is_none() && vague && !share.held })
        }
        (Some(what), _) => {
            if refutes(column, what) {
                return None;
            }
            let of = column.tally.distinct();
            if of > 0 && What::BY_VALUE.contains(&what) {
                reasons.push(sentence(column.tally.count(what), of, what, false));
            }
            Some(Found { what, reasons, only_where_people_are: false })
        }
        _ => None,
    }
}

fn sentence(count: u32, of: u32, what: What, held: bool) -> String {
    let does = if held { "hold" } else { "look like" };
    match count {
        0 if of == 1 => format!("its one value does not look like {}", what.plural()),
        0 => format!("none of {of} different values looks like {}", what.plural()),
        count => format!("{count} of {of} different values {does} {}", what.plural()),
    }
}

/// Whether a name and values mean the same.
fn agree(name: What, value: What) -> bool {
    name == value || matches!((name, value), (What::PersonName, What::Kana) | (What::Kana, What::PersonName))
}

/// Whether the values show that a name means something else: a few codes, of which none is what the name says.
fn refutes(column: &Column, what: What) -> bool {
    let is_told_by_value = matches!(
        what,
        What::Email | What::Telephone | What::IpAddress | What::MyNumber | What::PaymentCard | What::PostalCode
    );
    is_told_by_value && column.tally.count(what) == 0 && are_codes(column)
}

/// A few values, again and again.
fn are_codes(column: &Column) -> bool {
    (1..=CODES_MAX).contains(&column.tally.distinct()) && column.tally.all() >= CODED_MIN
}

fn as_proposed(
    column: &Column,
    found: &Found,
    table: &Table,
    people: &HashSet<usize>,
    number: usize,
) -> Option<ForColumn> {
    // Telephone numbers, postal codes, dates and names are somebody's in a table of people, or in one that leads to it.
    if found.only_where_people_are && words::is_of_places(&table.name) && !people.contains(&number) {
        return None;
    }
    if found.only_where_people_are && found.what == What::BirthDate && !people.contains(&number) {
        return None;
    }
    let level = if found.what.is_sensitive() { Degree::Sensitive } else { Degree::Personal };
    Some(ForColumn { name: column.name.clone(), level, reasons: found.reasons.clone() })
}

/// By its name, or because it says who somebody is in two ways.
fn is_of_people(table: &Table, found: &[Option<Found>]) -> bool {
    let ways = found.iter().flatten().filter(|found| found.what.says_who() && !found.only_where_people_are).count();
    let is_named_so = words::is_of_people(&table.name);
    (is_named_so && ways > 0) || (ways > 1 && !words::is_of_places(&table.name) && has_name(found))
}

fn has_name(found: &[Option<Found>]) -> bool {
    found.iter().flatten().any(|found| matches!(found.what, What::PersonName | What::Kana | What::MyNumber))
}

/// Whether a column is classified already, and then whether from `personal` on.
fn known(table: &Table, column: &Column, existing: &Existing) -> Option<bool> {
    let classification = &existing.classification;
    let written = classification.level(&table.schema, &table.name, &column.name).filter(|_| existing.is_written);
    let said = column.comment.iter().filter_map(|comment| classification.level_said(comment)).max();
    let labelled = column.labels.iter().filter_map(|label| classification.level_labelled(label)).max();
    let level = written.max(said).max(labelled)?;
    Some(classification.is_personal(level))
}

/// A column that the built-in names take for personal, and that is not: of a type, or with values, that show it. Where nothing shows it, it
/// stays what its name says.
fn innocent(table: &Table, column: &Column, existing: &Existing) -> Option<ForColumn> {
    let classification = &existing.classification;
    let level = classification.level(&table.schema, &table.name, &column.name)?;
    if existing.is_written || !classification.is_personal(level) || classification.level_named("internal").is_none() {
        return None;
    }
    let named = words::of_column(&table.name, &column.name);
    let is_of_place =
        named.is_none() && words::of_column("", &column.name).is_some() && words::is_of_places(&table.name);
    let shown = match column.category {
        'B' => "true or false, in spite of its name".to_owned(),
        'D' => "a time, in spite of its name".to_owned(),
        'N' if named.is_none() && !is_of_place => "a number, in spite of its name".to_owned(),
        _ if is_of_place => "of a place or an organisation, not of somebody".to_owned(),
        _ if named.is_none_or(|what| refutes(column, what)) && are_codes(column) => {
            format!("{} different values again and again, in spite of its name", column.tally.distinct())
        }
        _ => return None,
    };
    Some(ForColumn { name: column.name.clone(), level: Degree::Internal, reasons: vec![shown] })
}
