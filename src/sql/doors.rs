//! Ways on which data goes that no table and no result shows: notifications, sequences, statements that another server is to run.
//!
//! In: a statement's tokens and the functions that it calls. Out: [`Doors`], from constants alone: what is put together as it runs is
//! not known, and said to be so. Nothing is followed here.

use pg_query::protobuf::Token;
use serde::{Deserialize, Serialize};

use super::made::{self, Made};
use super::output::Tree;
use super::passed::{self, Passed};
use super::shape::is_blind;
use super::tokens::{Lexeme, Tokens};
use super::{Analysis, Code, ColumnRef, Fate, Flow, Output, RelationName, statement};
use crate::record::Text;

/// Calls of each kind that are looked at. With more, what they name is not known.
const CALLS_MAX: usize = 64;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doors {
    /// NOTIFY and `pg_notify`: the channel, `None` where it is put together.
    pub notifies: Vec<Option<Text>>,
    /// Sequences whose value is asked for, or set.
    pub sequences: Vec<RelationName>,
    /// Whether it may be any sequence's: its name is put together, or none is named.
    pub any_sequence: bool,
    /// Whether something is sent, set or written by a call whose arguments are not among what the statement returns: in a condition, within another call.
    pub aside: bool,
    /// Names in what such calls are given that leave a number behind.
    #[serde(skip)]
    pub aside_of: Vec<Text>,
    /// Statements that `dblink` has another server run; empty where one of them is put together.
    pub elsewhere: Vec<Analysis>,
    /// What a replication command streams.
    pub stream: Option<Stream>,
    /// What constants name that are given to code which may execute them.
    #[serde(skip)]
    pub given: Option<Box<Code>>,
    /// What functions are called with that may write it somewhere.
    #[serde(skip)]
    pub passed: Vec<Passed>,
    /// Code that it makes, or sets to run.
    #[serde(skip)]
    pub made: Option<Box<Made>>,
    /// Whether a table is filled from a file of the server's, or by a program there.
    #[serde(skip)]
    pub from_file: bool,
}

/// What a replication command streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// The whole cluster: a base backup, or its WAL.
    Everything,
    /// Changes of the tables of these publications.
    Publications(Vec<Text>),
    /// Changes of any table of the database.
    Changes,
}

impl Doors {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Doors::default()
    }

    /// Those of a statement that calls these functions.
    pub(super) fn of(tokens: &Tokens<'_>, functions: &[Text], depth: usize) -> Doors {
        let mut doors =
            Doors { made: made::made(tokens).map(Box::new), from_file: from_file(tokens), ..Doors::default() };
        if tokens.word(0) == "notify" {
            doors.notifies.push(Some(tokens.word(1).into()));
        }
        if functions.iter().any(|function| !is_blind(function)) || tokens.word(0) == "execute" {
            doors.given = Code::given(tokens).map(Box::new);
            doors.passed = passed::passed(tokens);
        }
        let bare: Vec<&str> = functions.iter().map(|function| bare(function)).collect();
        let calls = |name: &str| bare.contains(&name);
        if calls("pg_notify") {
            doors.notifies = notified(tokens);
        }
        if ["setval", "currval", "nextval"].into_iter().any(calls) {
            let named = ["setval", "currval", "nextval"].iter().flat_map(|name| sequences_of(tokens, name));
            let named: Vec<(Option<RelationName>, bool)> = named.take(CALLS_MAX).collect();
            // `nextval($1)` counts on: what it is at was set by name. `setval` may set another than its column's.
            let is_any = |(sequence, certain): &(Option<RelationName>, bool)| match calls("setval") {
                true => !certain,
                false => sequence.is_none() && calls("currval"),
            };
            doors.any_sequence = named.iter().any(is_any);
            doors.sequences = named.into_iter().filter_map(|(sequence, _)| sequence).collect();
        }
        doors.any_sequence |= ["lastval", "pg_sequence_last_value", "pg_get_sequence_data"].into_iter().any(calls);
        doors.aside = TELLING.into_iter().filter(|name| calls(name)).any(|name| is_aside(tokens, name));
        for name in LEAVING.into_iter().filter(|name| calls(name)) {
            let asides = asides(tokens, name);
            doors.aside |= asides.len() >= CALLS_MAX;
            doors.aside_of.extend(asides.into_iter().flat_map(|at| given(tokens, at)));
        }
        if calls("dblink") {
            doors.elsewhere = elsewhere(tokens, depth);
        }
        doors
    }

    /// What is put into sequences, by what the statement returns: `setval` returns it, too.
    pub(super) fn flows(&self, functions: &[Text], tree: &Tree<'_>) -> Vec<Flow> {
        if self.sequences.is_empty() && !self.any_sequence
            || !functions.iter().any(|function| bare(function) == "setval")
        {
            return Vec::new();
        }
        let columns = tree.outputs().filter(|_| !self.aside).map(|outputs| {
            let refs: Vec<ColumnRef> = outputs.by_column.into_iter().flat_map(|(_, refs)| refs).collect();
            vec![(Some(Text::from("last_value")), refs)]
        });
        let any = self.any_sequence.then(any_sequence);
        let into = self.sequences.iter().cloned().chain(any);
        into.map(|into| Flow { columns: columns.clone(), ..Flow::new(into, Fate::Filled) }).collect()
    }
}

/// `COPY … FROM 'file'`, `COPY … FROM PROGRAM '…'`.
fn from_file(tokens: &Tokens<'_>) -> bool {
    let from = tokens.find(0, "from").filter(|_| tokens.word(0) == "copy");
    let is_file = |at: usize| tokens.word(at + 1) == "program" || tokens.all.get(at + 1).is_some_and(is_string);
    from.is_some_and(is_file)
}

/// The sequence that each call of a function names, and whether that is certain: `pg_get_serial_sequence` of constants gives the name that a
/// column's sequence has as a rule.
fn sequences_of(tokens: &Tokens<'_>, function: &str) -> Vec<(Option<RelationName>, bool)> {
    let is_call = |at: &usize| tokens.all.get(*at).is_some_and(|lexeme| lexeme.is_name() && lexeme.name() == function);
    let calls = (0..tokens.all.len()).filter(|at| is_call(at) && tokens.word(at + 1) == "(");
    calls
        .map(|at| {
            let own = ["pg_get_serial_sequence", "pg_catalog"].contains(&tokens.word(at + 2).as_str());
            let open = (at + 2..at + 6).find(|open| own && tokens.word(*open) == "(");
            match (&arguments(tokens, at + 1)[..], open.map(|open| arguments(tokens, open)).as_deref()) {
                ([Argument::Constant(name), ..], _) => (relation(name), relation(name).is_some()),
                (_, Some([Argument::Constant(table), Argument::Constant(column)])) => {
                    let of = |table: RelationName| RelationName {
                        name: format!("{}_{column}_seq", table.name).into(),
                        ..table
                    };
                    (relation(table).map(of), false)
                }
                _ => (None, false),
            }
        })
        .collect()
}

/// What stands for a sequence whose name is put together: the view of all.
fn any_sequence() -> RelationName {
    RelationName { schema: Some("pg_catalog".into()), name: "pg_sequences".into() }
}

/// Functions that send, set or write what they are given.
const TELLING: [&str; 10] = [
    "set_config",
    "setval",
    "pg_notify",
    "lo_from_bytea",
    "lo_put",
    "lowrite",
    "dblink",
    "dblink_exec",
    "dblink_send_query",
    "pg_logical_emit_message",
];

/// Functions that leave a number where another session sees it (a lock, the place in a large object), say it in a warning, or take as long as it says.
const LEAVING: [&str; 19] = [
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_advisory_xact_lock",
    "pg_advisory_xact_lock_shared",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
    "pg_try_advisory_xact_lock",
    "pg_try_advisory_xact_lock_shared",
    "pg_advisory_unlock",
    "pg_advisory_unlock_shared",
    "lo_lseek",
    "lo_lseek64",
    "lo_truncate",
    "lo_truncate64",
    "pg_cancel_backend",
    "pg_terminate_backend",
    "pg_sleep",
    "pg_sleep_for",
    "setseed",
];

/// Whether a call of a function stands where what it is given is not followed: anywhere but in the list of a SELECT, and by itself there.
/// What it is given by constants and parameters alone says nothing.
fn is_aside(tokens: &Tokens<'_>, function: &str) -> bool {
    !asides(tokens, function).is_empty()
}

/// Where such calls stand, as far as they are looked at.
fn asides(tokens: &Tokens<'_>, function: &str) -> Vec<usize> {
    let mut asides = Vec::new();
    let from = tokens.find(0, "from").unwrap_or(tokens.all.len());
    let mut depth = 0_usize;
    for (at, lexeme) in tokens.all.iter().enumerate() {
        match lexeme.text {
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        let is_call = lexeme.is_name() && lexeme.name() == function && tokens.word(at + 1) == "(";
        let in_list = depth == 0 && at < from && tokens.word(0) == "select";
        if is_call && !in_list && arguments(tokens, at + 1).contains(&Argument::Other) {
            asides.push(at);
            if asides.len() >= CALLS_MAX {
                break;
            }
        }
    }
    asides
}

/// The names in what the call at `at` is given: a number of a row's own, its key as a rule, says nothing of what else is in it.
fn given(tokens: &Tokens<'_>, at: usize) -> Vec<Text> {
    let inside = tokens.parenthesised(at + 1).and_then(|(text, _)| Tokens::scan(text));
    let names = inside.iter().flat_map(|inside| &inside.all).filter(|lexeme| lexeme.is_name());
    names.map(|lexeme| lexeme.name().into()).collect()
}

/// The channels that a text's calls of `pg_notify` name.
pub(super) fn notified(tokens: &Tokens<'_>) -> Vec<Option<Text>> {
    let named = first_arguments(tokens, "pg_notify").into_iter();
    let mut channels: Vec<Option<Text>> = named.map(|first| first.map(Text::from)).collect();
    channels.sort_unstable();
    channels.dedup();
    if channels.len() > CALLS_MAX { vec![None] } else { channels }
}

/// An argument of a call.
#[derive(Debug, PartialEq)]
enum Argument {
    /// A string, as it stands.
    Constant(String),
    /// TRUE or FALSE.
    Truth,
    /// A number, or a parameter.
    Given,
    /// Anything else.
    Other,
}

/// The arguments of each call of a function.
fn calls(tokens: &Tokens<'_>, function: &str) -> Vec<Vec<Argument>> {
    let is_call = |at: &usize| {
        let named = tokens.all.get(*at).is_some_and(|lexeme| lexeme.is_name() && lexeme.name() == function);
        named && tokens.word(at + 1) == "("
    };
    (0..tokens.all.len()).filter(is_call).map(|at| arguments(tokens, at + 1)).collect()
}

/// What stands in the parenthesis that opens at `open`.
fn arguments(tokens: &Tokens<'_>, open: usize) -> Vec<Argument> {
    let begins = |(at, depth, lexeme): &(usize, usize, &Lexeme<'_>)| *at == open || *depth == 1 && lexeme.text == ",";
    tokens.within(open).filter(begins).map(|(at, ..)| argument(tokens, at + 1)).collect()
}

fn argument(tokens: &Tokens<'_>, at: usize) -> Argument {
    match tokens.all.get(at) {
        Some(lexeme) if is_string(lexeme) && is_alone(tokens, at) => Argument::Constant(lexeme.decoded()),
        Some(lexeme) if matches!(lexeme.name().as_str(), "true" | "false") => Argument::Truth,
        Some(lexeme) if is_given(lexeme) && is_alone(tokens, at) => Argument::Given,
        _ => Argument::Other,
    }
}

/// The first argument of each call, where it is a constant.
fn first_arguments(tokens: &Tokens<'_>, function: &str) -> Vec<Option<String>> {
    let first = |call: Vec<Argument>| match call.into_iter().next() {
        Some(Argument::Constant(text)) => Some(text),
        _ => None,
    };
    calls(tokens, function).into_iter().map(first).collect()
}

fn is_string(lexeme: &Lexeme<'_>) -> bool {
    matches!(lexeme.token, Token::Sconst | Token::Usconst)
}

fn is_given(lexeme: &Lexeme<'_>) -> bool {
    matches!(lexeme.token, Token::Iconst | Token::Fconst | Token::Param)
}

/// Whether a constant is an argument as it stands, or cast to a type: nothing is put before or behind it.
fn is_alone(tokens: &Tokens<'_>, at: usize) -> bool {
    let before = tokens.word(at.saturating_sub(1));
    let mut behind = at + 1;
    while tokens.word(behind) == "::" {
        behind += 2;
        while tokens.word(behind) == "." {
            behind += 2;
        }
    }
    matches!(before.as_str(), "(" | ",") && matches!(tokens.word(behind).as_str(), ")" | ",")
}

/// `shop.numbers`, as `regclass` reads it.
fn relation(text: &str) -> Option<RelationName> {
    let tokens = Tokens::scan(text)?;
    let name = |at: usize| tokens.all.get(at).filter(|lexeme| lexeme.is_name()).map(|lexeme| Text::from(lexeme.name()));
    match tokens.all.len() {
        1 => Some(RelationName { schema: None, name: name(0)? }),
        3 if tokens.word(1) == "." => Some(RelationName { schema: name(0), name: name(2)? }),
        _ => None,
    }
}

/// What every call of `dblink` has another server run; nothing where one is not known.
fn elsewhere(tokens: &Tokens<'_>, depth: usize) -> Vec<Analysis> {
    let mut analyses = Vec::new();
    for mut call in calls(tokens, "dblink").into_iter().take(CALLS_MAX) {
        // Whether an error is one comes last; the connection, if any, before the statement.
        if call.len() > 1 && call.last() == Some(&Argument::Truth) {
            call.pop();
        }
        match call.pop() {
            Some(Argument::Constant(query)) if is_query(&query) => {
                analyses.extend(statement::analyze_within(&query, depth.saturating_add(1)));
            }
            _ => return Vec::new(),
        }
    }
    analyses
}

fn is_query(text: &str) -> bool {
    const WORDS: [&str; 9] = ["select", "with", "values", "table", "insert", "update", "delete", "merge", "show"];
    Tokens::scan(text).is_some_and(|tokens| {
        let first = tokens.all.iter().find(|lexeme| lexeme.text != "(").map(Lexeme::name).unwrap_or_default();
        WORDS.contains(&first.as_str())
    })
}

/// A function's name without its schema.
pub fn bare(function: &str) -> &str {
    let dot = function.as_bytes().iter().rposition(|byte| *byte == b'.');
    dot.and_then(|dot| function.get(dot + 1..)).unwrap_or(function)
}

/// A function that was called by its OID, by the name that the catalog has for it.
pub fn called(name: Option<&str>, oid: u32) -> Analysis {
    let name = name.map_or_else(|| oid.to_string(), str::to_owned);
    Analysis {
        kind: crate::record::Kind::Call,
        parse: crate::record::Parse::Full,
        query: format!("{name}(…)").into(),
        functions: vec![name.into()],
        output: Output::Unknown,
        ..Analysis::unknown()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::analyze;

    fn doors(text: &str) -> Doors {
        analyze(text).remove(0).doors
    }

    #[test]
    fn channels_are_known_where_they_are_constants() {
        let channels = |text: &str| doors(text).notifies;
        assert_eq!(channels("notify Jobs, 'x'"), [Some("jobs".into())]);
        assert_eq!(channels("select pg_catalog.pg_notify('Jobs', email) from c"), [Some("Jobs".into())]);
        assert_eq!(channels("select pg_notify(E'a\\x62'::text, 'x')"), [Some("ab".into())]);
        assert_eq!(channels("select pg_notify('a' || b, 'x') from c"), [None]);
        assert_eq!(channels("select pg_notify(lower('a'), 'x'), pg_notify('b', '')"), [None, Some("b".into())]);
        assert_eq!(channels("select 'pg_notify(''x'')'"), []);
    }

    #[test]
    fn sequences_are_known_by_constants() {
        let name =
            |schema: Option<&str>, name: &str| RelationName { schema: schema.map(Into::into), name: name.into() };
        assert_eq!(doors("select nextval('shop.Numbers'::regclass)").sequences, [name(Some("shop"), "numbers")]);
        assert_eq!(doors("select setval('\"S\"', 5)").sequences, [name(None, "S")]);
        assert_eq!(doors("select currval($1)").sequences, []);
        let any = |text: &str| doors(text).any_sequence;
        let serial = "select currval(pg_get_serial_sequence('shop.notes', 'id'))";
        assert_eq!((doors(serial).sequences, any(serial)), (vec![name(Some("shop"), "notes_id_seq")], false));
        assert!(any("select setval(pg_get_serial_sequence('shop.notes', 'id'), x) from t"));
        assert!(any("select currval($1)") && any("select setval(f(), 1)") && any("select lastval()"));
        assert!(!any("select nextval($1)") && !any("select setval('s', x) from t"));
    }

    #[test]
    fn what_is_told_aside_is_noticed() {
        let aside = |text: &str| doors(text).aside;
        for text in [
            "select 1 from c where set_config('a.b', x, true) <> ''",
            "select count(pg_notify('a', x)) from c",
            "select count(*) from (select setval('s', x) from c) y",
            "with y as (select lo_from_bytea(0, x) from c) select 1",
            "update d set e = set_config('a.b', x, true) from c",
        ] {
            assert!(aside(text), "{text}");
        }
        for text in [
            "select set_config('a.b', x, true) from c",
            "select id, pg_notify('a', x)::text from c",
            "select 1 from c where set_config('a.b', 'c', true) <> '' and setval('s', 1) > 0",
            "select 1 from (select set_config('a.b', $1, false)) y",
        ] {
            assert!(!aside(text), "{text}");
        }
    }

    #[test]
    fn what_is_left_in_a_lock_is_noticed() {
        let names = |text: &str| doors(text).aside_of.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names("select count(pg_advisory_lock(my_number::bigint)) from c"), ["my_number", "bigint"]);
        assert_eq!(names("select 1 from c where pg_sleep(ascii(c.email) / 100.0) is null"), ["ascii", "c", "email"]);
        assert!(
            names("select pg_advisory_lock(id) from c").is_empty()
                && names("select count(pg_sleep(1)) from c").is_empty()
        );
    }

    #[test]
    fn what_another_server_is_to_run_is_read_where_it_is_a_constant() {
        let reads = |text: &str| doors(text).elsewhere.iter().map(|analysis| analysis.reads.len()).collect::<Vec<_>>();
        assert_eq!(reads("select * from dblink('dbname=a', 'select x from t, u') as t(x text)"), [2]);
        assert_eq!(reads("select * from dblink('select 1', false) as t(x int)"), [0]);
        assert_eq!(reads("select * from dblink($1, $q$select x from t$q$) as t(x text)"), [1]);
        for unknown in ["dblink('a', 'select ' || x)", "dblink('a', $1)", "dblink('select 1', x)", "dblink('a')"] {
            assert!(reads(&format!("select * from y, {unknown} as t(x text)")).is_empty(), "{unknown}");
        }
        assert!(reads("select * from dblink('select 1') a, dblink('select ' || b) c").is_empty());
    }
}
