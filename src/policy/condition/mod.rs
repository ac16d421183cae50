//! A condition: a SQL boolean expression over the columns of one table of the log.
//!
//! In: its text, once, at load; then records. Out: [`Tri`]. A condition that loads cannot fail afterwards: unknown
//! names, mixed types and unknown functions are [`Mistake`]s at load, with their place in the text.
//!
//! ```text
//! text ─ parse (sqlparser, under limits) ─ check (names, types) ─ tree ─ eval(record) → TRUE, FALSE or NULL
//! ```
//!
//! What it knows: the record's columns; `hour` (0 to 23), `weekday` (ISO: 1 is Monday, 7 is Sunday) and `holiday`
//! (a Japanese national holiday) of the record's `at` in the policies' time zone; whole numbers, texts, TRUE and FALSE;
//! `AND OR NOT`, `= <> < <= > >=`, `+ - *`, `[NOT] IN`, `[NOT] BETWEEN`, `[NOT] LIKE`, `[NOT] ILIKE`,
//! `IS [NOT] NULL | TRUE | FALSE | UNKNOWN`; `lower(t)`, `length(t)` in characters, `cardinality(list)`,
//! `has(list, 't')` and `in_list(t, 'name')`.
//!
//! NULL is SQL's. Arithmetic is exact in 128 bits, so that no sum or difference of columns wraps, and NULL beyond. Lower case
//! is letter by letter. The same text in `mitsuke query` says the same (`tests/policies/sql.rs`), but for arithmetic at the ends of
//! 64 bits, where DataFusion wraps around or refuses the question, and for a sigma or a dotted I in lower case. `has(list, 't')` is
//! `array_has` there, `hour` a part of `at`. What [`sql`] writes says the same in all cases (`tests/policies/translated.rs`).

mod check;
mod like;
mod open;
mod parse;
mod partial;
mod parts;
pub mod sql;
mod terms;
mod tree;

#[cfg(test)]
mod tests;

use super::list::Lists;
use super::moment::Moment;
use crate::record::{Column, Table};

pub use self::open::Open;
pub use self::partial::Bounds;
pub use self::parts::Part;
pub use self::terms::{Term, put};
pub use self::tree::{Comparison, Scope, Tri};

/// The longest condition, bytes.
pub const TEXT_BYTES_MAX: usize = 8_192;
/// The most tokens in a condition, spaces not counted.
pub const TOKENS_MAX: usize = 1_024;
/// How deep a condition may nest; a chain of ANDs or of ORs counts as one level.
pub const DEPTH_MAX: usize = 64;
/// The stack that a condition is compiled on, bytes: a tree has a level for each link of a chain, and `sqlparser` drops it,
/// and tells a place in it, by recursion. The worst chains of [`TOKENS_MAX`] were measured to take a quarter of it without
/// optimisation (`tests/hostile.rs`).
const STACK_BYTES: usize = 16 << 20;

/// The names besides columns that a condition may use.
pub const VIRTUAL_COLUMNS: [&str; 3] = ["hour", "weekday", "holiday"];
/// The functions that a condition may call.
pub const FUNCTIONS: [&str; 5] = ["lower", "length", "cardinality", "has", "in_list"];

/// What is wrong with a condition, and where in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// In characters from 0.
    pub offset: usize,
    /// What is wrong.
    pub what: String,
    /// How to mend it; may be empty.
    pub mend: String,
}

/// A checked condition over records of type `R`.
pub struct Condition<R: Table> {
    text: String,
    root: tree::Boolean<R>,
    parts: Vec<Part<R>>,
}

impl<R: Table> Condition<R> {
    /// Parses and checks `text`.
    ///
    /// # Errors
    /// Every mistake found, never an empty list.
    pub fn compile(text: &str, lists: &Lists) -> Result<Condition<R>, Vec<Mistake>> {
        stacker::grow(STACK_BYTES, || {
            let expression = parse::parse(text).map_err(|mistake| vec![mistake])?;
            let root = check::check(&expression, text, lists)?;
            let parts = parts::of(&expression, lists);
            Ok(Condition { text: text.to_owned(), root, parts })
        })
    }

    /// Its text, as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Judges a record. Total: never fails, never panics.
    pub fn eval(&self, record: &R, moment: &Moment<'_>) -> Tri {
        self.root.eval(&Scope { record, moment })
    }

    /// Every truth value in it, the whole first, with what each is for a record.
    pub fn parts(&self, record: &R, moment: &Moment<'_>) -> Vec<(&Part<R>, Tri)> {
        let scope = Scope { record, moment };
        self.parts.iter().map(|part| (part, part.root.eval(&scope))).collect()
    }

    /// Judges a record of which only some columns are known: NULL also where the answer depends on the others.
    pub fn partial(&self, record: &R, moment: &Moment<'_>, known: &dyn Fn(&Column<R>) -> bool) -> Tri {
        self.root.partial(&Scope { record, moment }, &|seen| seen.is_none_or(known))
    }

    /// As [`Condition::partial`], at whatever time.
    pub fn at_any_time(&self, record: &R, known: &dyn Fn(&Column<R>) -> bool) -> Tri {
        let zone = jiff::tz::TimeZone::UTC;
        let moment = Moment::new(record.common().at, &zone);
        self.root.partial(&Scope { record, moment: &moment }, &|seen| seen.is_some_and(known))
    }

    /// Whether it is made of known columns only.
    pub fn knows(&self, known: &dyn Fn(&Column<R>) -> bool) -> bool {
        self.root.knows(&|seen| seen.is_none_or(known))
    }

    /// The columns in it, in the order in which they stand there; some more than once.
    pub fn columns(&self) -> Vec<&'static Column<R>> {
        let mut columns = Vec::new();
        self.root.columns(&mut |seen| columns.extend(seen));
        columns
    }

    /// At which values of a number column its answer may change.
    pub fn bounds(&self, column: &str) -> Bounds {
        self.root.bounds(column)
    }

    /// The first column that this condition holds against a number from below (`persons > 1000`), and the number that
    /// is just not enough, or that a value has to exceed: what a finding calls `observed` and `threshold`.
    pub fn limit(&self) -> Option<(&'static Column<R>, u64)> {
        self.root.limit()
    }
}
