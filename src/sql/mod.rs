//! Text → [`Analysis`]: what a statement does, reads, writes, calls and returns.
//!
//! In: a statement's text. Out: one [`Analysis`] a statement in it. PURE: names are as written, nothing is looked up
//! in a catalog. PostgreSQL's own grammar goes first and bounds what `sqlparser` gets to see; where they disagree,
//! [`Output::Unknown`] says so. No literal of the text survives in an [`Analysis`], except names and settings listed
//! in [`Effect`].

mod code;
mod doors;
mod executed;
mod fingerprint;
mod flow;
mod keywords;
mod links;
pub mod literals;
mod made;
mod merge;
mod modifying;
mod output;
mod passed;
mod plain;
mod replication;
mod returning;
pub mod seal;
mod shape;
mod statement;
mod tokens;
mod whole_rows;
mod shifted;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::code::Code;
pub use self::doors::{Doors, Stream, bare, called};
pub use self::flow::{Fate, Flow};
pub use self::links::Links;
pub use self::made::Made;
pub use self::output::ColumnCalls;
use self::output::Outputs;
pub use self::passed::Passed;
pub use self::replication::{is_of_a_database, replication};
use self::seal::{Keys, Seal};
pub use self::shape::{Constants, holds_for_shape, shape};
pub use self::shifted::shifted;
pub use self::tokens::COLLECTING;
use crate::record::{Kind, Parse, Text};

/// A relation as written: not yet looked up. CTEs and aliases are already resolved away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RelationName {
    /// `None` where the text leaves it to search_path.
    pub schema: Option<Text>,
    /// Folded to lower case unless quoted, as PostgreSQL does.
    pub name: Text,
}

/// What is known of the columns that reach the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// Every column of every output expression, in no particular order.
    Columns(Vec<ColumnRef>),
    /// Could not be followed: assume every column of every relation read.
    Unknown,
    /// Nothing reaches the client (INSERT without RETURNING, DDL, …).
    Nothing,
}

impl Output {
    /// The columns that are known to reach the client.
    pub fn columns(&self) -> &[ColumnRef] {
        match self {
            Output::Columns(columns) => columns,
            Output::Unknown | Output::Nothing => &[],
        }
    }
}

impl RelationName {
    /// Whether it is where the server keeps long values of a table, in pieces.
    pub fn is_of_toast(&self) -> bool {
        let is_there = self.schema.as_deref().is_none_or(|schema| schema.starts_with("pg_toast"));
        is_there && self.name.starts_with("pg_toast_")
    }

    /// The OID of that table, which is in the name.
    pub fn of_toast(&self) -> Option<u32> {
        let is_it = self.is_of_toast() && self.schema.as_deref().is_none_or(|schema| schema == "pg_toast");
        is_it.then(|| self.name.strip_prefix("pg_toast_")?.parse().ok()).flatten()
    }
}

/// One column, or all, of one relation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ColumnRef {
    /// The relation; `None` where the column is unqualified and more than one relation could have it.
    pub relation: Option<RelationName>,
    /// `None` for `*`, `t.*` and whole-row references.
    pub column: Option<Text>,
    /// True where the column goes out as it is, one value a row, and false inside any expression.
    pub plain: bool,
    /// The row that it is of: columns of one row are of one person. Every relation in FROM has its own, and so has what picks a row of several, `max`
    /// or a sub-select; 0 where it is not known.
    pub row: u16,
    /// What has to be so for the name to mean this column; `None` where it can mean no other.
    pub sought: Option<Box<Sought>>,
}

impl ColumnRef {
    /// A column that is meant for certain, of a row of which nothing is known.
    pub fn new(relation: Option<RelationName>, column: Option<Text>, plain: bool) -> ColumnRef {
        ColumnRef { relation, column, plain, row: 0, sought: None }
    }

    /// Whether the name means this column, by what a catalog says of the relations that it depends on: whether they have a column, where that is known.
    pub fn is_meant(&self, has: impl Fn(&RelationName, &str) -> Option<bool>) -> Option<bool> {
        let Some(sought) = self.sought.as_deref() else { return Some(true) };
        let before = || sought.before.iter().map(|relation| has(relation, &sought.name));
        let own = self.relation.as_ref().zip(self.column.as_ref()).filter(|_| sought.perhaps);
        let own = own.map_or(Some(true), |(relation, column)| has(relation, column));
        if own == Some(false) || before().any(|has| has == Some(true)) {
            return Some(false);
        }
        (own.is_some() && before().all(|has| has.is_some())).then_some(true)
    }
}

/// A name that stands without a relation's: it is looked for in the relations of its query, then in those of the query around it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sought {
    /// The name.
    pub name: Text,
    /// Relations that are asked first: where one of these has it, it is that.
    pub before: Vec<RelationName>,
    /// Whether the relation that it would be of may lack it.
    pub perhaps: bool,
}

/// Two rows within one of a result: wherever there is the one, a column of it is what a column of the other is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Joined {
    /// Its row, by [`ColumnRef::row`], and its column.
    pub of: (u16, Text),
    /// The other's.
    pub to: (u16, Text),
    /// What names without a relation's have to mean for it, see [`ColumnRef::is_meant`].
    pub provided: Vec<ColumnRef>,
}

/// What a statement does to the session, for the statements after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// BEGIN, START TRANSACTION.
    TransactionBegun,
    /// COMMIT, END.
    TransactionCommitted,
    /// ROLLBACK, ABORT (not: to a savepoint).
    TransactionRolledBack,
    /// SET name = value. `local`: for the transaction only. A value of a setting whose name is not listed in
    /// [`kept_setting`] is dropped here.
    Set {
        /// In lower case.
        name: Text,
        /// `None` for DEFAULT and RESET.
        value: Option<Text>,
        /// SET LOCAL.
        local: bool,
    },
    /// SET ROLE, SET SESSION AUTHORIZATION; `None` for RESET, NONE, DEFAULT.
    Role {
        /// The role.
        role: Option<Text>,
        /// SET LOCAL.
        local: bool,
    },
    /// RESET ALL, DISCARD ALL.
    ResetAll,
    /// PREPARE name AS …; the inner statement's analysis.
    Prepare {
        /// Its name.
        name: Text,
        /// What it stands for.
        inner: Box<Analysis>,
    },
    /// EXECUTE name.
    Execute {
        /// Its name.
        name: Text,
    },
    /// DEALLOCATE name; `None` for ALL.
    Deallocate {
        /// Its name.
        name: Option<Text>,
    },
    /// DECLARE name CURSOR FOR …; the inner statement's analysis.
    Declare {
        /// Its name.
        name: Text,
        /// What it stands for.
        inner: Box<Analysis>,
        /// WITH HOLD: it outlives its transaction.
        holds: bool,
    },
    /// FETCH or MOVE from a cursor.
    Fetch {
        /// Its name.
        name: Text,
    },
    /// DISCARD ALL, DISCARD TEMP: what the session had for itself is gone.
    Discarded,
    /// ROLLBACK TO a savepoint: what was SET since is undone.
    RolledBackToSavepoint,
    /// The search path may be any from now on.
    PathUnknown,
    /// Changed the schema: what is known of the catalog is stale.
    SchemaChanged,
}

/// What one statement's text says. Cached by the text, shared by everyone who sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analysis {
    /// What it does.
    pub kind: Kind,
    /// How much was understood.
    pub parse: Parse,
    /// Its text with literals replaced by `$1`, `$2`, …; comments removed.
    pub query: Text,
    /// Equal for statements that differ in constants only, 16 hexadecimal digits; empty where no parser took the text.
    pub fingerprint: Text,
    /// Relations read, sorted, distinct.
    pub reads: Vec<RelationName>,
    /// Relations written, sorted, distinct.
    pub writes: Vec<RelationName>,
    /// Functions called, as written, lower case, sorted, distinct.
    pub functions: Vec<Text>,
    /// How often one of them is called, at most, each as often as rows are picked of several.
    pub times_called: u16,
    /// Those of them that RETURNING alone calls: what they show goes into nothing that is written.
    pub returned: Vec<Text>,
    /// What reaches the client.
    pub output: Output,
    /// What it does to the session.
    pub effects: Vec<Effect>,
    /// sqlcommenter pairs (`/* user='anna' */`), names and values decoded.
    /// Those of the signed comment alone, where there is one; none where one is forged.
    pub comment_tags: Vec<(Text, Text)>,
    /// Whether they are signed.
    pub seal: Seal,
    /// The ticket that a comment names: `-- ticket: OPS-1234`.
    pub ticket: Option<Text>,
    /// Whether no row of the one relation that is read can come out twice.
    pub single: bool,
    /// Rows that are joined, of those that the columns are of which reach the client.
    pub joined: Vec<Joined>,
    /// How many rows of one relation may stand in one row of the result, where it is not known which columns reach the client: as often as it is named.
    pub named: u16,
    /// Whether many rows may end in one value: `json_agg`, `array(select …)`.
    pub collects: bool,
    /// Whether a value may be one of several that it names: CASE, COALESCE and their kin.
    pub chooses: bool,
    /// Whether a value is cast before rows are collected.
    pub casts_within: bool,
    /// What a DO block names.
    pub code: Option<Code>,
    /// Operators used that may be anybody's; `::name` for a cast to a type that may.
    pub operators: Vec<Text>,
    /// Where what it reads goes on to.
    pub flows: Vec<Flow>,
    /// Whether it shows a setting that a session may have made of anything.
    pub shows_setting: bool,
    /// Where else data goes, and comes from.
    pub doors: Doors,
}

impl Analysis {
    /// What is said of a text that no parser takes.
    pub fn unknown() -> Analysis {
        Analysis {
            kind: Kind::Other,
            parse: Parse::None,
            query: "".into(),
            fingerprint: "".into(),
            reads: Vec::new(),
            writes: Vec::new(),
            functions: Vec::new(),
            times_called: 0,
            returned: Vec::new(),
            output: Output::Unknown,
            effects: Vec::new(),
            comment_tags: Vec::new(),
            seal: Seal::Unchecked,
            ticket: None,
            single: false,
            joined: Vec::new(),
            named: 1,
            collects: false,
            chooses: false,
            casts_within: false,
            code: None,
            operators: Vec::new(),
            flows: Vec::new(),
            shows_setting: false,
            doors: Doors::default(),
        }
    }
}

/// Whether a setting's value may be kept: those that change what a statement means, and those named by `[identity]`.
pub fn kept_setting(name: &str) -> bool {
    matches!(name, "search_path" | "application_name" | "client_encoding" | "standard_conforming_strings")
        || name.contains('.')
}

/// Analyses a text: one [`Analysis`] a statement in it, in order, at least one.
///
/// Bounded in time and stack by the limits of `statement`, whatever the text. Give it a stack of 2 MiB or more.
pub fn analyze(text: &str) -> Vec<Analysis> {
    analyze_with(text, &Keys::default())
}

/// The same, with the keys that comments are signed with.
pub fn analyze_with(text: &str, keys: &Keys) -> Vec<Analysis> {
    // PostgreSQL's strings end at NUL, and the protocol's do.
    let text = text.split('\0').next().unwrap_or_default();
    let statements = split(text);
    let mut analyses: Vec<Analysis> = with_comments(text, statements).map(|(of, all)| sealed(of, all, keys)).collect();
    if analyses.is_empty() {
        analyses.push(statement::analyze(""));
    }
    analyses
}

/// The statements of a text. One that can hold no second is not parsed for it.
fn split(text: &str) -> Vec<&str> {
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
    let bare = text.trim_start_matches(is_space).trim_end_matches(|c: char| c == ';' || is_space(c));
    match bare.contains(';') || bare.contains("--") || bare.contains("/*") {
        true => pg_query::split_with_parser(text).unwrap_or_else(|_| vec![text]),
        false if bare.is_empty() => Vec::new(),
        false => vec![bare],
    }
}

/// Each statement, and the same with the comments before it; with those behind it, too, where it is the last. PostgreSQL's parser leaves them out.
fn with_comments<'t>(text: &'t str, statements: Vec<&'t str>) -> impl Iterator<Item = (&'t str, &'t str)> {
    let (count, mut from) = (statements.len(), 0_usize);
    (1..).zip(statements).map(move |(number, of)| {
        let start = of.as_ptr().addr().saturating_sub(text.as_ptr().addr());
        let end = if number == count { text.len() } else { start.saturating_add(of.len()) };
        let all = text.get(from..end).unwrap_or(of).trim_start_matches(|c: char| c.is_whitespace() || c == ';');
        from = end;
        (of, all)
    })
}

fn sealed(text: &str, all: &str, keys: &Keys) -> Analysis {
    let mut analysis = statement::analyze(text);
    let is_bare = |rest: &str| rest.chars().all(|c| c.is_whitespace() || c == ';');
    let head = text.as_ptr().addr().checked_sub(all.as_ptr().addr()).and_then(|start| all.split_at_checked(start));
    let (head, tail) = head.and_then(|(head, rest)| Some((head, rest.strip_prefix(text)?))).unwrap_or_default();
    if (!is_bare(head) || !is_bare(tail))
        && let Some(tokens) = tokens::Tokens::scan(all)
    {
        analysis.comment_tags = tokens::comment_tags(&tokens.comments);
        analysis.ticket = tokens::ticket(&tokens.comments);
    }
    let (seal, inside) = seal::check(all, keys);
    match (seal, inside) {
        (Seal::Good { .. }, Some(inside)) => analysis.comment_tags = tokens::comment_tags(&[inside]),
        (Seal::Bad, _) => analysis.comment_tags.clear(),
        _ => {}
    }
    analysis.seal = seal;
    analysis
}

/// A statement's [`Analysis::fingerprint`]; `None` where the grammar refuses the text. Wants as much stack as [`analyze`].
pub fn fingerprint(text: &str) -> Option<Text> {
    Some(statement::analyze(text).fingerprint).filter(|fingerprint| !fingerprint.is_empty())
}

/// What a view's definition says.
#[derive(Clone, Debug)]
pub struct ViewColumns {
    /// Its columns, in order: each one's name and what it is made from.
    pub columns: Vec<(Option<String>, Vec<ColumnRef>)>,
    /// See [`Analysis::single`].
    pub single: bool,
    /// See [`Analysis::joined`].
    pub joined: Vec<Joined>,
}

/// Whether many rows may end in one value of what a query gives.
pub fn collects(query: &str) -> bool {
    let grows = || safe(query).and_then(output::of).is_none_or(|outputs| outputs.grows);
    tokens::Tokens::scan(query).is_none_or(|tokens| tokens.collect_rows() || tokens.may_recur() && grows())
}

/// The columns of a view's definition. `None` where they cannot be followed.
pub fn view_columns(definition: &str) -> Option<ViewColumns> {
    let Outputs { by_column: mut columns, single, mut joined, .. } = safe(definition).and_then(output::of)?;
    // There are thousands of them, and they stay.
    columns.iter_mut().for_each(|(_, refs)| refs.shrink_to_fit());
    columns.shrink_to_fit();
    joined.shrink_to_fit();
    Some(ViewColumns { columns, single, joined })
}

/// The functions that each column of a view comes from. `None` where that cannot be told column by column.
pub fn view_calls(definition: &str) -> Option<ColumnCalls> {
    safe(definition).and_then(output::calls)
}

/// A view's definition, where the other parser may see it.
fn safe(definition: &str) -> Option<&str> {
    Some(definition.trim().trim_end_matches(';')).filter(|definition| statement::tree_is_safe(definition))
}
