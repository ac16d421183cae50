//! `pg_stat_statements`, as the catalog's role sees it.
//!
//! In: the catalog's connection. Out: what the server ran, by role, database and kind of statement; nothing where the extension is not in the
//! connection's database, or its library not loaded. Leaves out what runs within another statement, what the server runs to keep foreign keys,
//! and this role's own. Texts are fetched once; they are turned into fingerprints and forgotten.

use std::collections::{HashMap, HashSet};

use tokio_postgres::{Client, Error};

use super::counts::Entry;
use crate::record::Text;
use crate::sql;

/// Rows that one look takes in.
const ROWS_MAX: i64 = 100_000;

/// Kinds of statements that are known: by database and the server's own number for them. `None`: of no use.
#[derive(Debug, Default)]
pub(super) struct Kinds(HashMap<(u32, i64), Option<Text>>);

/// Where the extension is, and which rows are of statements that a client sent.
const PLACE: &str = "select pg_catalog.quote_ident(n.nspname), pg_catalog.current_setting('pg_stat_statements.track', true), \
    exists (select from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid \
    where c.relname = 'pg_stat_statements' and c.relnamespace = n.oid and a.attname = 'toplevel') \
    from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace \
    where e.extname = 'pg_stat_statements'";

/// One look.
pub(super) async fn look(client: &Client, kinds: &mut Kinds) -> Result<Option<Vec<Entry>>, Error> {
    let Some(place) = client.query_opt(PLACE, &[]).await? else { return Ok(None) };
    let (schema, track, has_toplevel): (String, Option<String>, bool) =
        (place.try_get(0)?, place.try_get(1)?, place.try_get(2)?);
    let only_sent = match (track.as_deref(), has_toplevel) {
        (None | Some("none"), _) => return Ok(None),
        (Some(_), true) => "s.toplevel",
        (Some("top"), false) => "true",
        // Before version 14 nobody tells what ran within another statement.
        (Some(_), false) => return Ok(None),
    };
    let rows = format!(
        "select s.dbid, s.queryid, d.datname::text, r.rolname::text, r.rolsuper or r.rolbypassrls, sum(s.calls)::int8 \
         from {schema}.pg_stat_statements(false) s join pg_catalog.pg_database d on d.oid = s.dbid \
         join pg_catalog.pg_roles r on r.oid = s.userid \
         where {only_sent} and s.queryid is not null and r.rolname <> session_user group by 1, 2, 3, 4, 5 limit {ROWS_MAX}"
    );
    let rows = client.query(&rows, &[]).await?;
    let mut seen = HashSet::with_capacity(rows.len());
    for row in &rows {
        seen.insert((row.try_get::<_, u32>(0)?, row.try_get::<_, i64>(1)?));
    }
    kinds.0.retain(|key, _| seen.contains(key));
    kinds.learn(client, &schema, &seen).await?;
    let mut entries = Vec::new();
    for row in &rows {
        let key = (row.try_get(0)?, row.try_get(1)?);
        let Some(fingerprint) = kinds.0.get(&key).cloned().flatten() else { continue };
        entries.push(Entry {
            database: row.try_get(2)?,
            db_user: row.try_get(3)?,
            is_powerful: row.try_get(4)?,
            calls: u64::try_from(row.try_get::<_, i64>(5)?).unwrap_or(0),
            fingerprint,
        });
    }
    Ok(Some(entries))
}

impl Kinds {
    async fn learn(&mut self, client: &Client, schema: &str, seen: &HashSet<(u32, i64)>) -> Result<(), Error> {
        let unknown: Vec<i64> = seen.iter().filter(|key| !self.0.contains_key(key)).map(|(_, query)| *query).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let texts = format!(
            "select s.dbid, s.queryid, s.query from {schema}.pg_stat_statements(true) s where s.queryid = any($1)"
        );
        let mut found: Vec<((u32, i64), String)> = Vec::new();
        for row in client.query(&texts, &[&unknown]).await? {
            let text: Option<String> = row.try_get(2)?;
            found.push(((row.try_get(0)?, row.try_get(1)?), text.unwrap_or_default()));
        }
        // Reading somebody's text may take a while and a deep stack.
        let known = tokio::task::spawn_blocking(move || {
            found.into_iter().map(|(key, text)| (key, kind(&text))).collect::<HashMap<_, _>>()
        });
        self.0.extend(known.await.unwrap_or_default());
        Ok(())
    }
}

/// The kind of statement; `None` of what cannot be read, and of what the server itself sends to keep a foreign key (ri_triggers.c), which
/// at the end of a transaction runs within no other statement.
fn kind(text: &str) -> Option<Text> {
    let is_of_foreign_key = text.contains(" OPERATOR(pg_catalog.") && text.contains("ONLY ");
    (!is_of_foreign_key).then(|| sql::fingerprint(text)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_normalised_text_has_the_fingerprint_of_what_was_sent() {
        let sent = sql::analyze("select  email from shop.customers -- x\nwhere id = 4711 and name in ('a', 'b')");
        let kept = kind("select  email from shop.customers -- x\nwhere id = $1 and name in ($2, $3)").expect("a kind");
        assert_eq!(sent[0].fingerprint, kept);
        assert_eq!(kind("<insufficient privilege>"), None);
        assert_eq!(
            kind("SELECT $2 FROM ONLY \"public\".\"a\" x WHERE \"id\" OPERATOR(pg_catalog.=) $1 FOR KEY SHARE OF x"),
            None
        );
    }
}
