//! Tables, their keys and a sample of their values, read from a database.
//!
//! In: a connection. Out: [`Table`]s with tallies. Everything is read only, under a time limit, and the least that tells: so many rows of a
//! table, the first characters of each value, which are counted and dropped. A table that cannot be read is told, and judged by names.

use std::collections::HashMap;
use std::fmt::Write;

use tokio_postgres::{Client, Row};

use super::{Column, Reference, Sampled, Table};

/// How long one statement may take.
const STATEMENT_TIMEOUT: &str = "10s";
/// How long a lock may be waited for.
const LOCK_TIMEOUT: &str = "1s";
/// From so many rows on the sample is taken from pages all over the table, and not from its beginning.
const WHOLE_ROWS_MAX: f32 = 10_000.0;
/// So many times more rows than wanted lie in the pages that are picked: pages are full or empty.
const PICKED_FACTOR: f32 = 10.0;
/// The longest value that is looked into, bytes: a longer one would have to be fetched from where PostgreSQL keeps it.
const VALUE_BYTES_MAX: u32 = 65_536;
/// So many characters of a value are fetched.
const VALUE_CHARS_MAX: u32 = 256;

/// What can go wrong with the database as a whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server's words.
    #[error("the database's tables cannot be read: {0}")]
    Read(String),
    /// Nothing to look at.
    #[error("there is no schema `{0}` with a table in the database; correct --schema")]
    NoSchema(String),
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Error {
        Error::Read(in_words(&error))
    }
}

/// How to look.
#[derive(Clone, Debug)]
pub struct Looking {
    /// Only these schemas; all, where there is none.
    pub schemas: Vec<String>,
    /// So many rows of each table; 0: none.
    pub rows: usize,
    /// This year.
    pub year: i16,
}

/// Reads the tables, then samples one after the other; `step` is told how many there are and which one is next.
pub async fn read(client: &Client, looking: &Looking, step: &mut dyn FnMut(usize, &str)) -> Result<Vec<Table>, Error> {
    let set = format!(
        "set default_transaction_read_only = on; set statement_timeout = '{STATEMENT_TIMEOUT}'; set lock_timeout = '{LOCK_TIMEOUT}'; \
         set search_path = pg_catalog; set row_security = on; set DateStyle = 'ISO, YMD'; set client_encoding = 'UTF8'"
    );
    client.batch_execute(&set).await?;
    let mut found = tables(client, &looking.schemas).await?;
    for schema in &looking.schemas {
        if !found.iter().any(|(_, table, _)| table.schema == *schema) {
            return Err(Error::NoSchema(schema.clone()));
        }
    }
    let count = found.len();
    for (oid, table, rows) in &mut found {
        step(count, &format!("{}.{}", table.schema, table.name));
        if looking.rows > 0 {
            table.sampled = sample(client, *oid, table, *rows, looking).await;
        }
    }
    Ok(found.into_iter().map(|(_, table, _)| table).collect())
}

/// The server's own words where it had some, in one line.
fn in_words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} (SQLSTATE {})", said.message(), said.code().code()),
        None => error.to_string(),
    }
}

/// Partitions and tables that inherit are classified as what they are part of.
const TABLES: &str = "select c.oid, n.nspname::text, c.relname::text, c.reltuples, c.relkind::text \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where c.relkind in ('r', 'p', 'f') and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' \
    and (array_length($1::text[], 1) is null or n.nspname = any ($1)) \
    and not exists (select from pg_inherits i where i.inhrelid = c.oid) order by 2, 3";
const COLUMNS: &str = "select a.attrelid, a.attname::text, coalesce(b.typname, t.typname)::text, coalesce(b.typcategory, t.typcategory)::text, \
    col_description(a.attrelid, a.attnum), \
    (select array_agg(l.label) from pg_seclabel l where l.classoid = 'pg_class'::regclass and l.objoid = a.attrelid and l.objsubid = a.attnum) \
    from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_type b on b.oid = t.typbasetype and t.typtype = 'd' \
    where a.attrelid = any ($1) and a.attnum > 0 and not a.attisdropped order by a.attrelid, a.attnum";
const KEYS: &str = "select i.indrelid, i.indisprimary, array_agg(a.attname::text order by k.place), bool_and(a.attnotnull) from pg_index i \
    cross join lateral unnest(i.indkey::int2[]) with ordinality k(number, place) \
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number \
    where i.indrelid = any ($1) and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null and k.place <= i.indnkeyatts \
    group by i.indexrelid, i.indrelid, i.indisprimary order by 1, i.indexrelid";
const REFERENCES: &str = "select f.conrelid, a.attname::text, n.nspname::text, c.relname::text, b.attname::text from pg_constraint f \
    join pg_class c on c.oid = f.confrelid join pg_namespace n on n.oid = c.relnamespace \
    join pg_attribute a on a.attrelid = f.conrelid and a.attnum = f.conkey[1] \
    join pg_attribute b on b.attrelid = f.confrelid and b.attnum = f.confkey[1] \
    where f.contype = 'f' and array_length(f.conkey, 1) = 1 and f.conrelid = any ($1) order by f.conrelid, f.conkey[1]";

/// A table, its OID, and the rows that the server thinks it has; `None` for one that TABLESAMPLE does not take.
type Read = (u32, Table, Option<f32>);

async fn tables(client: &Client, schemas: &[String]) -> Result<Vec<Read>, Error> {
    let mut found: Vec<Read> = Vec::new();
    for row in client.query(TABLES, &[&schemas]).await? {
        let kind: &str = row.try_get(4)?;
        let table = Table { schema: row.try_get(1)?, name: row.try_get(2)?, ..Table::default() };
        found.push((row.try_get(0)?, table, Some(row.try_get(3)?).filter(|_| kind != "f")));
    }
    let oids: Vec<u32> = found.iter().map(|(oid, ..)| *oid).collect();
    let mut by_oid: HashMap<u32, &mut Table> = found.iter_mut().map(|(oid, table, _)| (*oid, table)).collect();
    for row in client.query(COLUMNS, &[&oids]).await? {
        if let Some(table) = by_oid.get_mut(&row.try_get(0)?) {
            table.columns.push(column(&row)?);
        }
    }
    for row in client.query(KEYS, &[&oids]).await? {
        let Some(table) = by_oid.get_mut(&row.try_get(0)?) else { continue };
        let (is_primary, mut columns, not_null): (bool, Vec<String>, bool) =
            (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        if is_primary {
            table.primary_key = columns;
        } else if columns.len() == 1 && not_null {
            table.unique.append(&mut columns);
        }
    }
    for row in client.query(REFERENCES, &[&oids]).await? {
        let Some(table) = by_oid.get_mut(&row.try_get(0)?) else { continue };
        let (column, schema, name, referenced) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
        table.references.push(Reference { column, schema, table: name, referenced });
    }
    Ok(found)
}

fn column(row: &Row) -> Result<Column, tokio_postgres::Error> {
    let category: &str = row.try_get(3)?;
    let labels: Option<Vec<String>> = row.try_get(5)?;
    Ok(Column {
        name: row.try_get(1)?,
        type_name: row.try_get(2)?,
        category: category.chars().next().unwrap_or('U'),
        comment: row.try_get(4)?,
        labels: labels.unwrap_or_default(),
        ..Column::default()
    })
}

async fn sample(client: &Client, oid: u32, table: &mut Table, rows: Option<f32>, looking: &Looking) -> Sampled {
    let columns: Vec<usize> =
        (0..table.columns.len()).filter(|index| is_told_by_value(&table.columns[*index])).collect();
    if columns.is_empty() {
        return Sampled::Rows(0);
    }
    let picked = rows.filter(|rows| *rows > WHOLE_ROWS_MAX);
    let mut taken = match picked {
        Some(rows) => client.query(&question(table, oid, &columns, looking.rows, Some(rows)), &[]).await,
        None => Ok(Vec::new()),
    };
    // Too few pages were picked, or none at all.
    if taken.as_ref().is_ok_and(|taken| taken.len() < looking.rows) {
        taken = client.query(&question(table, oid, &columns, looking.rows, None), &[]).await;
    }
    match taken {
        Ok(taken) => {
            for row in &taken {
                for (place, column) in columns.iter().enumerate() {
                    if let (Ok(Some(value)), Some(column)) =
                        (row.try_get::<_, Option<&str>>(place), table.columns.get_mut(*column))
                    {
                        column.tally.note(value, looking.year);
                    }
                }
            }
            Sampled::Rows(taken.len())
        }
        Err(error) => Sampled::Refused(in_words(&error)),
    }
}

/// Types whose values may be anything.
fn is_told_by_value(column: &Column) -> bool {
    matches!(column.category, 'S' | 'I')
        || matches!(
            &*column.type_name,
            "date" | "int8" | "numeric" | "json" | "jsonb" | "xml" | "citext" | "_text" | "_varchar" | "hstore"
        )
}

fn question(table: &Table, oid: u32, columns: &[usize], rows: usize, picked_of: Option<f32>) -> String {
    let mut values = String::new();
    for (place, column) in columns.iter().filter_map(|index| table.columns.get(*index)).enumerate() {
        let (comma, name) = (if place > 0 { ", " } else { "" }, quoted(&column.name));
        let _ = write!(
            values,
            "{comma}case when pg_catalog.pg_column_size({name}) <= {VALUE_BYTES_MAX} then pg_catalog.left({name}::pg_catalog.text, {VALUE_CHARS_MAX}) end"
        );
    }
    let wanted = rows.max(1);
    let from = format!("{}.{}", quoted(&table.schema), quoted(&table.name));
    let picked = picked_of.map_or_else(String::new, |all| {
        #[allow(clippy::cast_precision_loss, reason = "a share of a table, rounded")]
        let percent = (PICKED_FACTOR * 100.0 * wanted as f32 / all).clamp(0.0001, 100.0);
        // The same pages each time, other ones in each table.
        format!(" tablesample system ({percent}) repeatable ({oid})")
    });
    format!("select {values} from {from}{picked} limit {wanted}")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
