//! One executed statement: what was begun, how it ended and what it was understood to be → a [`Statement`].
//!
//! In: the two events, the text's analysis, the catalog's understanding. Out: the record, without `writer`, `seq` and
//! what policies add. Raw text and raw values end here.

use std::sync::Arc;

use super::session::{Open, Whose};
use super::understood::Understood;
use super::{Literals, kept};
use crate::audit::Key;
use crate::catalog::PeopleRule;
use crate::record::{Certainty, Common, Kind, Outcome, Parse, Proof, Protocol, Statement, Text, Texts};
use crate::session::event::Ended;
use crate::sql::Analysis;

/// What a statement's record is made from.
pub(super) struct Source<'a> {
    pub(super) open: &'a Open,
    /// `None` where its end was not seen.
    pub(super) ended: Option<&'a Ended>,
    pub(super) analysis: &'a Analysis,
    /// The analysis whose relations and columns count: of the prepared statement for EXECUTE, of the cursor for FETCH.
    pub(super) meant: &'a Analysis,
    pub(super) understood: &'a Understood,
    pub(super) whose: &'a Whose,
    pub(super) statement_no: u64,
    pub(super) transaction_no: u64,
    pub(super) role: Option<Text>,
    pub(super) end_user: Option<Text>,
    pub(super) context: Option<Proof>,
    pub(super) literals: Literals,
    /// Baits that it returned; `None` where its end was not seen.
    pub(super) baits: Option<Texts>,
}

/// Makes the record.
pub(super) fn record(mut source: Source<'_>, key: &Key) -> Statement {
    let (role, end_user, baits) = (source.role.take(), source.end_user.take(), source.baits.take());
    let source = &source;
    let Source { open, analysis, understood, whose, .. } = source;
    let understanding = &understood.understanding;
    let kind = if analysis.kind == Kind::Other { source.meant.kind } else { analysis.kind };
    let mut record = Statement {
        common: Common { at: open.part_at, session_id: Some(whose.session_id.clone()), ..Common::default() },
        statement_no: source.statement_no,
        transaction_no: Some(source.transaction_no),
        role,
        end_user,
        baits,
        context: source.context,
        ticket: analysis.ticket.clone(),
        protocol: Some(open.protocol),
        stacked: open.stacked,
        kind: Some(kind),
        query: Some(analysis.query.clone()),
        fingerprint: Some(analysis.fingerprint.clone()).filter(|text| !text.is_empty()),
        parse: Some(analysis.parse),
        certainty: Some(understanding.certainty),
        catalog: Some(understanding.state),
        relations: Some(understood.relations.clone()),
        columns: Some(understood.columns.clone()),
        level: understanding.level.clone(),
        functions: Some(understood.functions.clone()),
        derived: Some(understood.derived.clone()),
        member_of: understood.member_of.clone(),
        bytes_in: Some(open.bytes_in),
        literals: kept::literals(source, key),
        outcome: Some(Outcome::Unknown),
        database: whose.database.clone(),
        db_user: whose.db_user.clone(),
        application_name: whose.application_name.clone(),
        client_addr: Some(whose.client_addr.clone()),
        ..Statement::default()
    };
    if let Some(ended) = source.ended {
        // What is not understood, and gave no row, is taken for what it most often is: a mistake that the server refused.
        if source.meant.parse == Parse::None && ended.rows_returned == 0 {
            record.columns = Some(Arc::default());
            record.level = None;
        }
        add_end(&mut record, source, ended, kind);
        count_people(&mut record, source, ended, key);
        count_raised(&mut record, source, ended);
    }
    record
}

fn add_end(record: &mut Statement, source: &Source<'_>, ended: &Ended, kind: Kind) {
    let tag_rows = rows_of_tag(&ended.tag);
    record.ended_at = Some(ended.at);
    record.duration_us = Some(ended.at.micros_since(source.open.part_at));
    record.outcome = Some(ended.outcome);
    record.bytes_out = Some(ended.bytes_out);
    record.bytes_in = Some(ended.bytes_in);
    record.sqlstate = ended.sqlstate.as_deref().map(Text::from);
    record.error = ended.error.as_deref().map(|message| match ended.outcome {
        // A policy's words, which hold no value.
        Outcome::Denied | Outcome::Cut => Text::from(message),
        _ if source.literals == Literals::Keep && kept::may_be_kept(source) => Text::from(message),
        _ => redacted_error(message, record.sqlstate.as_deref()).into(),
    });
    record.rows_returned = Some(match kind {
        // A header line or a binary trailer is a message too; the server's own count is of rows.
        Kind::CopyOut if ended.outcome == Outcome::Ok => tag_rows.unwrap_or(ended.rows_returned),
        _ => ended.rows_returned,
    });
    let writes = matches!(kind, Kind::Insert | Kind::Update | Kind::Delete | Kind::Merge | Kind::CopyIn)
        || (kind == Kind::Ddl && ended.tag.starts_with("SELECT "));
    record.rows_affected = Some(if writes { tag_rows.unwrap_or(0) } else { 0 });
}

/// The number a CommandComplete tag ends with (PostgreSQL manual, Message Formats): `INSERT 0 5`, `COPY 5`, `SELECT 5`.
fn rows_of_tag(tag: &str) -> Option<u64> {
    tag.rsplit(' ').next()?.parse().ok()
}

/// A person takes at least so many bytes of a value that holds many …
const PERSON_BYTES_MIN: u64 = 8;
/// … and a row of no more bytes than this, its message included, holds one.
const ONE_PERSON_BYTES_MAX: u64 = 48;

fn count_people(record: &mut Statement, source: &Source<'_>, ended: &Ended, key: &Key) {
    let understanding = &source.understood.understanding;
    let rows = record.rows_returned.unwrap_or(0);
    // RAISE EXCEPTION and ASSERT say whatever their code read.
    let is_raised = matches!(ended.sqlstate.as_deref(), Some("P0001" | "P0004"));
    let at_risk = if is_raised { &understanding.raised } else { &understanding.at_risk };
    let told = match ended.outcome {
        Outcome::Error if is_raised && !understanding.at_risk.personal => {
            estimate(u64::from(ended.told.bytes > 0), ended.told.bytes, None)
        }
        Outcome::Error => told_by_error(understanding.people, ended, source.meant),
        _ => 0,
    };
    let quotes = told > 0 && at_risk.personal && source.meant.parse != Parse::None;
    if !understanding.personal && !quotes {
        record.personal_rows = Some(0);
        record.persons = Some(0);
        return;
    }
    record.personal_rows = Some(rows);
    let counted = ended.people.as_ref().map(|people| people.heads().count(understanding.by_wire.apart));
    if let Some(people) = &ended.people {
        record.subjects = Some(people.values.iter().map(|value| key.subject_hash(value)).collect());
        if !people.is_exact() || understanding.by_wire.apart || understanding.by_wire.more {
            downgrade(record);
        }
    }
    if ended.outcome == Outcome::Error {
        if quotes {
            // Whose value it was, and of which column, is not known.
            record.columns = Some(at_risk.columns.iter().cloned().collect());
            record.level.clone_from(&at_risk.level);
            record.certainty = Some(Certainty::Assumed);
        }
        let rows = if understanding.personal { rows } else { 0 };
        record.personal_rows = Some(rows.max(u64::from(quotes)));
        record.persons = Some(rows.max(told));
        return downgrade(record);
    }
    record.persons = Some(match (understanding.people, counted) {
        (PeopleRule::Estimated { most, each, in_row }, counted) => {
            downgrade(record);
            let estimated = match (each, in_row) {
                // What they say aside is counted with what is raised.
                (_, Some(_)) => in_rows(rows, understanding.people),
                (Some(each), None) => estimate_by_width(rows, in_values(rows, ended, source.open.protocol), each, most),
                // A block of code says something beside its end.
                (None, None) if matches!(record.kind, Some(Kind::Do | Kind::Call)) && ended.bytes_out > END_BYTES => {
                    estimate(rows, ended.bytes_out, most).max(1)
                }
                (None, None) => estimate(rows, ended.bytes_out, most),
            };
            counted.unwrap_or(0).max(estimated)
        }
        (PeopleRule::Streamed { most }, _) => {
            downgrade(record);
            people_streamed(ended.bytes_out, most)
        }
        (_, Some(distinct)) if understanding.by_wire.all => distinct,
        (rule, counted) => {
            if rule != PeopleRule::EachRowOne {
                downgrade(record);
            }
            in_rows(rows, rule).max(counted.unwrap_or(0))
        }
    });
}

/// How many people may be in so many rows.
pub fn in_rows(rows: u64, rule: PeopleRule) -> u64 {
    match rule {
        PeopleRule::AtMostInRow(most) | PeopleRule::Estimated { in_row: Some(most), .. } => {
            rows.saturating_mul(u64::from(most))
        }
        _ => rows,
    }
}

/// How many people may be in so many bytes of a stream.
pub fn people_streamed(bytes: u64, most: Option<u64>) -> u64 {
    let by_bytes = bytes / PERSON_BYTES_MIN;
    most.map_or(by_bytes, |most| by_bytes.min(most))
}

/// What functions said in notices may be of any row that the statement touched, returned or not.
fn count_raised(record: &mut Statement, source: &Source<'_>, ended: &Ended) {
    let (raised, at_risk) = (ended.told.raised, &source.understood.understanding.raised);
    if raised.count == 0 || !at_risk.personal || source.meant.parse == Parse::None {
        return;
    }
    let most = match source.understood.understanding.people {
        PeopleRule::Estimated { most, .. } => most,
        _ => None,
    };
    record.columns = Some(at_risk.columns.iter().cloned().collect());
    record.level.clone_from(&at_risk.level);
    record.certainty = Some(Certainty::Assumed);
    record.personal_rows = record.personal_rows.max(Some(raised.count));
    record.persons = record.persons.max(Some(estimate(raised.count, raised.bytes, most)));
}

/// How many people an error tells of: it quotes the value that it does not like, shows the row that a constraint keeps out, or says
/// whatever a function had it say. What is wrong with the statement's own text, or with a parameter, tells of nobody.
fn told_by_error(rule: PeopleRule, ended: &Ended, meant: &Analysis) -> u64 {
    let told = ended.told;
    if told.of_text {
        return 0;
    }
    if let PeopleRule::Estimated { most, .. } = rule {
        return estimate(u64::from(told.bytes > 0), told.bytes, most);
    }
    let sqlstate = ended.sqlstate.as_deref().unwrap_or_default();
    let about_data = sqlstate.get(..2).is_some_and(|class| TELL_OF_DATA.contains(&class));
    if told.refused || !about_data {
        return 0;
    }
    let detail = told.detail
        && match sqlstate {
            // The key that is there already, or is not, is the client's own, as a rule.
            "23505" | "23503" | "23P01" => meant.kind == Kind::Ddl || !meant.reads.is_empty(),
            _ => true,
        };
    u64::from(detail || quotes_a_value(ended.error.as_deref().unwrap_or_default()))
}

/// Classes of SQLSTATEs whose errors are about values (PostgreSQL manual, Appendix A): data exception, integrity constraint violation,
/// PL/pgSQL, routines, internal error.
const TELL_OF_DATA: [&str; 6] = ["22", "23", "P0", "38", "39", "XX"];

/// Whether a message of the server's has a value in quotation marks, of whatever language.
fn quotes_a_value(message: &str) -> bool {
    let redacted = redact_message(message);
    redacted.contains("\"…") || redacted.contains(OTHER_QUOTES)
}

/// How many people may be in so many rows and bytes. Without a row, in notices.
pub(super) fn estimate(rows: u64, bytes: u64, most: Option<u64>) -> u64 {
    let each = bytes.checked_div(rows).unwrap_or(bytes);
    if each <= ONE_PERSON_BYTES_MAX {
        return rows;
    }
    let by_bytes = bytes / PERSON_BYTES_MIN;
    most.map_or(by_bytes, |most| by_bytes.min(most)).max(rows)
}

/// The same where it is known how many bytes one of them takes on average. Rather an eighth too many than one too few.
fn estimate_by_width(rows: u64, bytes: u64, each: u64, most: Option<u64>) -> u64 {
    let estimated = bytes.saturating_add(bytes / 8).div_ceil(each.max(1));
    most.map_or(estimated, |most| estimated.min(most)).max(rows)
}

/// A DataRow's own bytes, beside those of its values (PostgreSQL manual, Message Formats): its kind, its length, how many columns, …
const ROW_BYTES: u64 = 7;
/// … and each one's length.
const VALUE_BYTES: u64 = 4;
/// RowDescription's, …
const DESCRIPTION_BYTES: u64 = 7;
/// … and each column's beside its label.
const COLUMN_BYTES: u64 = 19;
/// CommandComplete.
const END_BYTES: u64 = 14;

/// The bytes of a result's values, messages around them left out as far as they are known: by the extended protocol, columns are described once.
fn in_values(rows: u64, ended: &Ended, protocol: Protocol) -> u64 {
    let columns = ended.columns.as_deref().unwrap_or_default();
    let each = ROW_BYTES.saturating_add((columns.len() as u64).saturating_mul(VALUE_BYTES));
    let labels = columns.iter().map(|column| COLUMN_BYTES.saturating_add(column.name.len() as u64));
    let described = if protocol == Protocol::Simple { labels.fold(DESCRIPTION_BYTES, u64::saturating_add) } else { 0 };
    ended.bytes_out.saturating_sub(rows.saturating_mul(each)).saturating_sub(described).saturating_sub(END_BYTES)
}

fn downgrade(record: &mut Statement) {
    if record.certainty == Some(Certainty::Exact) {
        record.certainty = Some(Certainty::Inferred);
    }
}

/// RAISE without a code of its own (PostgreSQL manual, Appendix A).
const RAISED: &str = "P0001";

/// The server's message with the values out; nothing of one that a function wrote.
fn redacted_error(message: &str, sqlstate: Option<&str>) -> String {
    if sqlstate == Some(RAISED) { "…".to_owned() } else { redact_message(message) }
}

/// What stands before a quoted value in the server's messages.
const VALUE_FOLLOWS: [&str; 3] = [": ", "at or near ", "value "];

/// Quotation marks of the server's messages in other languages (`lc_messages`). What stands between them is not looked at: it may be a value.
const OTHER_QUOTES: [char; 10] = ['«', '»', '„', '“', '”', '‚', '‘', '’', '「', '『'];

/// The server's message with what may be a value out: everything quoted that is not a plain name, and every number.
///
/// PostgreSQL quotes identifiers and values alike (`relation "x" does not exist`, `invalid input syntax for type
/// integer: "x"`). A value is what follows a colon, or is no plain lower-case name.
fn redact_message(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    if let Some((before, _)) = message.split_once(OTHER_QUOTES) {
        let quote = message.get(before.len()..).and_then(|rest| rest.chars().next()).unwrap_or('"');
        let mut out = redact_message(before);
        out.extend([quote, '…']);
        return out;
    }
    let mut rest = message;
    while let Some(open) = rest.find('"') {
        let (before, quoted) = rest.split_at(open);
        let quoted = quoted.get(1..).unwrap_or("");
        let Some(close) = quoted.rfind('"').filter(|_| before.ends_with(": ")).or_else(|| quoted.find('"')) else {
            // Cut off inside a quotation.
            push_without_numbers(&mut out, before);
            out.push_str("\"…");
            return out;
        };
        let (inside, after) = quoted.split_at(close);
        push_without_numbers(&mut out, before);
        let is_name = !VALUE_FOLLOWS.iter().any(|words| before.ends_with(words))
            && !inside.is_empty()
            && inside.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '.');
        out.push('"');
        out.push_str(if is_name { inside } else { "…" });
        out.push('"');
        rest = after.get(1..).unwrap_or("");
    }
    push_without_numbers(&mut out, rest);
    out
}

fn push_without_numbers(out: &mut String, text: &str) {
    let mut in_number = false;
    for c in text.chars() {
        match (c.is_ascii_digit(), in_number) {
            (true, false) => out.push('…'),
            (true, true) => {}
            (false, _) => out.push(c),
        }
        in_number = c.is_ascii_digit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_leave_error_messages_and_names_stay() {
        let cases = [
            ("relation \"shop.customers\" does not exist", "relation \"shop.customers\" does not exist"),
            ("invalid input syntax for type integer: \"Taro\"", "invalid input syntax for type integer: \"…\""),
            ("invalid input syntax for type json: \"a\"b\"", "invalid input syntax for type json: \"…\""),
            ("value \"99999999999\" is out of range for type integer", "value \"…\" is out of range for type integer"),
            ("syntax error at or near \"Yamada\"", "syntax error at or near \"…\""),
            ("unterminated quoted string at or near \"'secret", "unterminated quoted string at or near \"…"),
            ("syntax error at or near \"yamada\"", "syntax error at or near \"…\""),
            ("division by zero", "division by zero"),
            ("duplicate key violates \"customers_pkey\"", "duplicate key violates \"customers_pkey\""),
            ("parameter 7 of 12", "parameter … of …"),
            (
                "syntaxe en entrée invalide pour le type integer : « Taro »",
                "syntaxe en entrée invalide pour le type integer : «…",
            ),
            ("ungültige Eingabesyntax für Typ integer: »Taro«", "ungültige Eingabesyntax für Typ integer: »…"),
        ];
        for (message, expected) in cases {
            assert_eq!(redact_message(message), expected);
        }
    }

    #[test]
    fn a_tag_s_number_is_its_last_word() {
        assert_eq!(rows_of_tag("INSERT 0 5"), Some(5));
        assert_eq!(rows_of_tag("COPY 20000"), Some(20_000));
        assert_eq!(rows_of_tag("BEGIN"), None);
        assert_eq!(rows_of_tag(""), None);
    }
}
