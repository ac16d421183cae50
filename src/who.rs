//! Who read the record of one person.
//!
//! In: a log, a table, and the value of its subject column; the key file that hashes were made under. Out: every statement that read the
//! table and whose data subjects hold the keyed hash of that value; those that may have returned it, because more people were in their result
//! than are kept by hash; and those that named the value, as a constant or a parameter, whatever they returned. The value itself is not
//! looked for, unless the log was told to keep values. The log is read by as many threads as there are processors, and of a statement
//! that cannot be one of them nothing but what tells so.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::UInt64Type;

use crate::audit::{Error, Filter, Key, Lake, Lists, Piece, read_abreast, schema};
use crate::clock::Timestamp;
use crate::record::{Statement, Table};
use crate::sql::literals::canonical;

/// Whether a statement returned the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// It did.
    Yes,
    /// It returned somebody, and named the person's key.
    Likely,
    /// It returned more people than it is known of who they were.
    Perhaps,
    /// It named the person's key.
    Asked,
}

impl Returned {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Returned::Yes => "yes",
            Returned::Likely => "likely",
            Returned::Perhaps => "perhaps",
            Returned::Asked => "asked",
        }
    }
}

/// What was found in a part of the log.
pub struct Part {
    /// The statements, in the part's order.
    pub found: Vec<(Statement, Returned)>,
    /// How many parts there are.
    pub of: usize,
}

/// The person, as a record may have them.
#[derive(Clone)]
pub struct Person {
    table: String,
    /// Among the subjects.
    subject: String,
    /// Among the constants and parameters: hashed, and as they are where the log keeps values.
    named: [String; 2],
}

impl Person {
    /// Whom this value of the table's subject column names.
    pub fn new(key: &Key, table: &str, value: &str) -> Person {
        let canonical = canonical(value);
        let named = [key.subject_hash(&canonical).to_string(), canonical];
        Person { table: table.to_owned(), subject: key.subject_hash(value).to_string(), named }
    }

    /// The hash that the log knows them by.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Tells, part by part, what the log has of them; `since`: of what has begun since then.
    ///
    /// # Errors
    /// The log cannot be read; or what `tell` gives, which ends it.
    pub fn find<E: From<Error>>(
        &self,
        lake: &Lake,
        since: Option<Timestamp>,
        mut tell: impl FnMut(Part) -> Result<(), E>,
    ) -> Result<(), E> {
        let pieces = lake.snapshot::<Statement>()?.into_pieces(since, None)?;
        let read = |piece: &Piece, (): &mut ()| self.find_in(piece, since);
        let mut take = |found| tell(Part { found, of: pieces.len() });
        read_abreast(&pieces, || (), read, |parts| parts.try_for_each(|found| take(found?)))
    }

    fn find_in(&self, piece: &Piece, since: Option<Timestamp>) -> Result<Vec<(Statement, Returned)>, Error> {
        let is_within = |at| since.is_none_or(|since| since <= at);
        let mut found = Vec::new();
        for batch in piece.read_where(&columns(), &self.filters())? {
            let statements = schema::decode::<Statement>(&batch)?.into_iter();
            let statements = statements.filter(|statement| is_within(statement.common.at));
            found.extend(statements.filter_map(|statement| {
                let returned = self.returned(&statement)?;
                Some((statement, returned))
            }));
        }
        Ok(found)
    }

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

    fn returned(&self, statement: &Statement) -> Option<Returned> {
        let mut relations = statement.relations.iter().flat_map(|relations| relations.iter());
        let read = relations.any(|relation| **relation == *self.table);
        if !read {
            return None;
        }
        let persons = statement.persons.unwrap_or(0);
        let subjects = statement.subjects.as_deref().unwrap_or_default();
        let literals = statement.literals.as_deref().unwrap_or_default();
        let asked = literals.iter().any(|literal| self.named.iter().any(|named| **literal == **named));
        let told_apart = u64::try_from(subjects.len()).unwrap_or(u64::MAX);
        match () {
            () if subjects.iter().any(|subject| **subject == *self.subject) => Some(Returned::Yes),
            () if persons > told_apart && asked => Some(Returned::Likely),
            () if persons > told_apart => Some(Returned::Perhaps),
            () if asked => Some(Returned::Asked),
            () => None,
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
