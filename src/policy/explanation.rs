//! One sentence that says why a policy matched: who, how much, the limit, by what, when, from where.
//!
//! Figures and names only, never a value of the database; names that came from a client are made [`tame`].

use super::baseline::Newcomer;
use super::duration;
use super::hours::Hours;
use super::judged::{Judged, enumerate, tame, who};
use super::moment::Moment;
use super::rule::{After, First, Measure, Rule, Thing, Window};
use super::usual::Usual;
use crate::record::{Action, Column, FieldKind, Value};

/// What was found, for the sentence and the finding's columns.
#[derive(Debug, Default)]
pub struct Found {
    /// The figure that was judged.
    pub observed: Option<u64>,
    /// What it was held against.
    pub threshold: Option<u64>,
    /// Whether the figure is an estimate.
    pub is_estimate: bool,
    /// `seq` of statements.
    pub evidence: Vec<u64>,
    /// What was done for the first time.
    pub new: Vec<String>,
    /// At which hours one is usually active.
    pub usual_hours: Option<Hours>,
    /// Where what is new was judged by the others.
    pub newcomer: Option<Newcomer>,
    /// What is usual.
    pub usual: Option<Usual>,
    /// How many records came before.
    pub before: Option<u64>,
    /// What the policy has done to the statement.
    pub action: Option<Action>,
}

/// The sentence.
pub fn explain<R: Judged>(rule: &Rule<R>, record: &R, moment: &Moment<'_>, found: &Found) -> String {
    let person = person(record);
    let limit = found.threshold.map_or_else(String::new, |limit| format!(" (limit {})", grouped(limit)));
    let mut circumstances = circumstances(record, moment);
    if let (Some(after), Some(before)) = (&rule.after, found.before) {
        circumstances.push(preceded(after, before));
    }
    if let (Some(usual), Some(known)) = (&rule.usual, &found.usual) {
        let had = deed(usual.column.name, found.observed.unwrap_or(0));
        return format!("{person} {had} this day, {}, the last{}", habit(known), join(&circumstances));
    }
    match found.action {
        Some(Action::Deny) => {
            let how = join(&circumstances);
            return format!("{person} was denied {}", how.strip_prefix(" by ").unwrap_or(&how));
        }
        Some(Action::Cut | Action::Quarantine) => {
            let had = match &rule.window {
                Some(window) => {
                    let within = duration::words(window.within_us);
                    format!("{} within {within}", sum_phrase(window, found.observed.unwrap_or(0), found.is_estimate))
                }
                None => {
                    let limit = rule.when.as_ref().and_then(|when| when.limit());
                    deed(limit.map_or("persons", |(column, _)| column.name), found.observed.unwrap_or(0))
                }
            };
            return format!("{person} was cut off after having {had}{limit}{}", join(&circumstances));
        }
        _ => {}
    }
    match (&rule.first, &rule.window) {
        (Some(first), _) => {
            let people = record.persons().filter(|persons| *persons > 0);
            let people = people.map_or_else(String::new, |persons| format!(", {}", peoples_data(persons)));
            format!("{} {}{people}{}", person, novelty(first, record, moment, found), join(&circumstances))
        }
        (None, Some(window)) => {
            let figure = found.observed.unwrap_or(0);
            let within = duration::words(window.within_us);
            let whose = subject(&window.by, record).unwrap_or_else(|| person.clone());
            let deed = sum_phrase(window, figure, found.is_estimate);
            let last = join(&circumstances);
            let last = if whose == person { last } else { format!(" by {person}{last}") };
            format!("{whose} {deed} within {within}{limit}, the last{last}")
        }
        (None, None) => {
            let measured = rule.when.as_ref().and_then(|when| when.limit());
            let deed = match (measured, found.observed) {
                (Some((column, _)), Some(observed)) => Some(deed(column.name, observed)),
                _ => record.persons().filter(|persons| *persons > 0).map(|persons| deed("persons", persons)),
            };
            let last = join(&circumstances);
            match (deed, last.strip_prefix(" by ")) {
                (Some(deed), _) => format!("{person} {deed} {}{limit}{last}", R::SCOPE),
                (None, Some(means)) => format!("{person} ran {means}"),
                (None, None) => format!("{person} had a {}{last}", R::NOUN.0),
            }
        }
    }
}

/// `usually 3 to 40 a day, median 11 (limit 27)`.
fn habit(usual: &Usual) -> String {
    let whose = if usual.of_others { "others at most" } else { "usually" };
    let (least, most) = (grouped(usual.least), grouped(usual.most));
    format!("{whose} {least} to {most} a day, median {} (limit {})", grouped(usual.median), grouped(usual.limit))
}

/// `after 12 sessions within 10 minutes with outcome = 'auth_failed'`.
fn preceded<R: Judged>(after: &After<R>, before: u64) -> String {
    let noun = if before == 1 { R::NOUN.0 } else { R::NOUN.1 };
    let condition = after.when.text().split_whitespace().collect::<Vec<_>>().join(" ");
    format!("after {} {noun} within {} with {condition}", grouped(before), duration::words(after.within_us))
}

fn join(circumstances: &[String]) -> String {
    circumstances.iter().map(|part| format!(" {part}")).collect()
}

/// By what, when, from where.
fn circumstances<R: Judged>(record: &R, moment: &Moment<'_>) -> Vec<String> {
    let mut parts = vec![record.means(), format!("at {:02}:{:02}", moment.hour(), moment.minute())];
    if let Some(address) = text(record, "client_addr") {
        parts.push(format!("from {}", tame(address)));
    }
    parts.extend(baits(record));
    parts.retain(|part| !part.is_empty());
    parts
}

/// `with the bait "shop-bait" in it`.
fn baits<R: Judged>(record: &R) -> Option<String> {
    let Value::Texts(names @ [first, rest @ ..]) = (R::column("baits")?.get)(record) else { return None };
    if rest.is_empty() {
        return Some(format!("with the bait {} in it", tame(first)));
    }
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    Some(format!("with the baits {} in it", enumerate(&names)))
}

fn person<R: Judged>(record: &R) -> String {
    // Where nothing else told the end user, `[identity]` takes the application for it: that is nobody.
    let end_user = text(record, "end_user").filter(|name| text(record, "application_name") != Some(name));
    who(end_user, text(record, "db_user"))
}

fn text<'a, R: Judged>(record: &'a R, column: &str) -> Option<&'a str> {
    match (R::column(column)?.get)(record) {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// Who is kept by these columns; `None` where it is the person.
fn subject<R: Judged>(by: &[&'static Column<R>], record: &R) -> Option<String> {
    if by.iter().any(|column| matches!(column.name, "db_user" | "end_user")) {
        return None;
    }
    let part = |column: &&'static Column<R>| match (column.get)(record) {
        Value::Text(text) => format!("{} {}", spoken(column.name), tame(text)),
        Value::U64(number) => format!("{} {number}", spoken(column.name)),
        _ => format!("unknown {}", spoken(column.name)),
    };
    Some(by.iter().map(part).collect::<Vec<_>>().join(", "))
}

fn sum_phrase<R: Judged>(window: &Window<R>, figure: u64, is_estimate: bool) -> String {
    match &window.measure {
        Measure::Count => format!("made {} {}", grouped(figure), if figure == 1 { R::NOUN.0 } else { R::NOUN.1 }),
        Measure::Sum(column) => deed(column.name, figure),
        Measure::Distinct(column) => {
            let verb = if column.kind == FieldKind::Text { "came with" } else { "reached" };
            let about = if is_estimate { "about " } else { "" };
            format!("{verb} {about}{} different {}", grouped(figure), plural(spoken(column.name)))
        }
    }
}

fn deed(column: &str, figure: u64) -> String {
    match column {
        "persons" => format!("read {}", peoples_data(figure)),
        "personal_rows" => format!("read {} of personal data", counted(figure, "row")),
        "rows_returned" => format!("received {}", counted(figure, "row")),
        "rows_affected" => format!("changed {}", counted(figure, "row")),
        "bytes_out" => format!("received {}", counted(figure, "byte")),
        "bytes_in" => format!("sent {}", counted(figure, "byte")),
        "duration_us" => format!("was busy for {} µs", grouped(figure)),
        "statements" => format!("ran {}", counted(figure, "statement")),
        other => format!("reached {} {}", spoken(other), grouped(figure)),
    }
}

fn peoples_data(persons: u64) -> String {
    match persons {
        1 => "1 person's data".to_owned(),
        persons => format!("{} people's data", grouped(persons)),
    }
}

/// `1 row`, `2,000 rows`.
fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

fn novelty<R: Judged>(first: &First<R>, record: &R, moment: &Moment<'_>, found: &Found) -> String {
    let names: Vec<&str> = found.new.iter().map(String::as_str).collect();
    let newcomer = found.newcomer.map(|newcomer| newly(first, record, newcomer));
    let others = |newcomer: Newcomer| if newcomer.others == 1 { "other" } else { "others" };
    let deed = match &first.thing {
        Thing::Hour => {
            let usual = found.usual_hours.unwrap_or_default();
            let (newly, whose) = match (newcomer, found.newcomer) {
                (Some(newly), Some(by)) => {
                    (format!("{newly}; "), format!(" for {} {}", grouped(by.others), others(by)))
                }
                _ => Default::default(),
            };
            return format!("was active at an unusual hour ({newly}usual{whose}: {usual}; now {} h)", moment.hour());
        }
        Thing::Column(column) => format!("came with {} {} for the first time", spoken(column.name), enumerate(&names)),
        Thing::Relation | Thing::ClassifiedRelation => format!("read {} for the first time", enumerate(&names)),
    };
    match (newcomer, found.newcomer) {
        (Some(newly), Some(by)) => format!("{deed} ({newly}; none of {} {} has)", grouped(by.others), others(by)),
        _ => deed,
    }
}

/// `new here for 3 days`, `database shop: new here for 3 days`.
fn newly<R: Judged>(first: &First<R>, record: &R, newcomer: Newcomer) -> String {
    let whose = subject(&first.by, record).map_or_else(String::new, |whose| format!("{whose}: "));
    // After a flood of names nobody knows for how long.
    match newcomer.known_us > 100 * duration::LENGTH_US_MAX {
        true => format!("{whose}not known here"),
        false => format!("{whose}new here for {}", duration::about(newcomer.known_us)),
    }
}

/// A column's name in a sentence.
fn spoken(column: &str) -> &str {
    match column {
        "client_addr" => "address",
        "application_name" => "application",
        "db_user" => "user",
        "end_user" => "end user",
        "session_id" => "session",
        other => other,
    }
}

fn plural(noun: &str) -> String {
    match noun {
        noun if noun.ends_with("ss") => format!("{noun}es"),
        noun if noun.ends_with('s') => noun.to_owned(),
        noun => format!("{noun}s"),
    }
}

/// `20,000`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
