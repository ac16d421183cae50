//! What the server counted: `pg_stat_statements`, calls and rows by statement.
//!
//! In: its rows, or our records. Out: calls and rows by database and fingerprint, in which two spellings of a statement that the
//! server takes for one are one too.

use std::collections::{BTreeMap, HashMap};

use mitsuke::record::{Kind, Outcome, Statement};
use mitsuke::sql::{self, Analysis, Effect};

use super::DIRECT;

/// Asks for database, calls, rows and text, in COPY's text format.
pub const QUERY: &str = "copy (select coalesce(d.datname, '?'), calls, rows, query from pg_stat_statements s
    left join pg_database d on d.oid = s.dbid order by 1, 4) to stdout";

/// How often, and how many rows in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Executions that did not fail.
    pub calls: u64,
    /// Retrieved or affected.
    pub rows: u64,
}

/// By database and fingerprint.
pub type Counts = BTreeMap<(String, String), Counted>;

/// Where all executions of statements that SQL prepared are counted: the server counts them with the PREPARE's text, the log
/// with the EXECUTE's.
const PREPARED: &str = "EXECUTE";
/// Where all that SQL deallocated are counted: the server keeps no name, `deallocate $1`, which no grammar takes.
const DEALLOCATED: &str = "DEALLOCATE";

/// From the answer to [`QUERY`].
pub fn of_server(answer: &str) -> Counts {
    let mut counts = Counts::new();
    for (database, calls, rows, text) in lines(answer) {
        for analysis in sql::analyze(&text).iter().take(1) {
            let prepares = analysis.effects.iter().any(|effect| matches!(effect, Effect::Prepare { .. }));
            let deallocates = text.trim_start().get(..10).is_some_and(|word| word.eq_ignore_ascii_case(DEALLOCATED));
            let print = match (prepares, deallocates) {
                (true, _) => PREPARED.to_owned(),
                (_, true) => DEALLOCATED.to_owned(),
                _ => print(analysis),
            };
            add(&mut counts, &database, print, calls, rows);
        }
    }
    counts
}

/// Without what versions up to 16 do not count.
pub fn without_deallocated(counts: &mut Counts) {
    counts.retain(|(_, print), _| print != DEALLOCATED);
}

/// Without the rows that versions up to 13 do not count: of CREATE TABLE AS and FETCH.
pub fn without_rows_of_utilities(counts: &mut Counts, names: &HashMap<String, String>) {
    for ((_, print), counted) in counts {
        let text = names.get(print).map(|text| text.trim_start().to_ascii_lowercase()).unwrap_or_default();
        if text.starts_with("create") || text.starts_with("fetch") {
            counted.rows = 0;
        }
    }
}

/// From the log. The server counts no PREPARE, function call by the fastpath or empty query.
pub fn of_records(statements: &[Statement]) -> Counts {
    let mut counts = Counts::new();
    let mut analyses: HashMap<String, Analysis> = HashMap::new();
    for statement in statements.iter().filter(|statement| statement.outcome == Some(Outcome::Ok)) {
        let (Some(database), Some(text)) = (statement.database.as_deref(), statement.query.as_deref()) else {
            continue;
        };
        let analysis = analyses.entry(text.to_owned()).or_insert_with(|| sql::analyze(text).remove(0));
        let is = |wanted: fn(&Effect) -> bool| analysis.effects.iter().any(wanted);
        let prepares = is(|effect| matches!(effect, Effect::Prepare { .. }));
        let is_empty = statement.fingerprint.is_none();
        if prepares || is_empty || database == DIRECT {
            continue;
        }
        let executes = is(|effect| matches!(effect, Effect::Execute { .. }));
        let deallocates = text.trim_start().get(..10).is_some_and(|word| word.eq_ignore_ascii_case(DEALLOCATED));
        let print = match (executes, deallocates) {
            (true, _) => PREPARED,
            (_, true) => DEALLOCATED,
            _ => statement.fingerprint.as_deref().unwrap_or(""),
        };
        let print = print.to_owned();
        add(&mut counts, database, print, 1, rows(statement));
    }
    counts
}

/// A text for each fingerprint, for a person.
pub fn names(statements: &[Statement], answer: &str) -> HashMap<String, String> {
    let ours = statements.iter().filter_map(|statement| {
        Some((statement.fingerprint.as_deref()?.to_owned(), statement.query.as_deref()?.to_owned()))
    });
    lines(answer).map(|(_, _, _, text)| (print(&sql::analyze(&text)[0]), text)).chain(ours).collect()
}

/// Sums by the statements' first word, in which it does not matter whose spellings are told apart.
pub fn by_verb(counts: [&Counts; 2], names: &HashMap<String, String>) -> BTreeMap<String, [Counted; 2]> {
    let mut sums: BTreeMap<String, [Counted; 2]> = BTreeMap::new();
    for (side, counts) in counts.into_iter().enumerate() {
        for ((_, print), counted) in counts {
            let name = names.get(print).unwrap_or(print);
            let verb = name.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
            let verb = if verb.chars().all(char::is_alphabetic) { verb } else { "other".to_owned() };
            let sum = &mut sums.entry(verb).or_default()[side];
            sum.calls += counted.calls;
            sum.rows += counted.rows;
        }
    }
    sums
}

/// What PostgreSQL counts as the rows of a statement.
fn rows(statement: &Statement) -> u64 {
    let (returned, affected) = (statement.rows_returned.unwrap_or(0), statement.rows_affected.unwrap_or(0));
    match statement.kind {
        Some(Kind::Insert | Kind::Update | Kind::Delete | Kind::Merge | Kind::CopyIn | Kind::Ddl) => affected,
        // What EXPLAIN and SHOW return is no row to the server.
        Some(Kind::Select | Kind::CopyOut | Kind::Fetch) if !is_utility(statement) => returned,
        _ => 0,
    }
}

fn is_utility(statement: &Statement) -> bool {
    let text = statement.query.as_deref().unwrap_or("").trim_start().to_ascii_lowercase();
    ["explain", "show", "move"].iter().any(|word| text.starts_with(word))
}

fn add(counts: &mut Counts, database: &str, print: String, calls: u64, rows: u64) {
    if database != DIRECT {
        let counted = counts.entry((database.to_owned(), print)).or_default();
        counted.calls += calls;
        counted.rows += rows;
    }
}

fn print(analysis: &Analysis) -> String {
    analysis.fingerprint.to_string()
}

/// COPY's text format (PostgreSQL manual, COPY, "Text Format").
fn lines(answer: &str) -> impl Iterator<Item = (String, u64, u64, String)> {
    answer.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        let (database, calls, rows) =
            (fields.next()?.to_owned(), fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some((database, calls, rows, unescaped(fields.next()?)))
    })
}

fn unescaped(field: &str) -> String {
    let mut text = String::new();
    let mut characters = field.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, true) => text.push(match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            }),
            (character, false) => text.push(character),
        }
    }
    text
}
