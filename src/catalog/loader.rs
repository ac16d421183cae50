//! Reads the system catalogs of every database in use, over a connection of its own.
//!
//! In: [`Config::url`], with its database replaced by each one that clients use. Out: snapshots, put into the
//! [`Catalog`]. The role needs nothing but CONNECT: the system catalogs are readable by everybody (PostgreSQL manual,
//! System Catalogs). Works on PostgreSQL 13 and later. A failure leaves the last snapshot in force, marked stale.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use tokio::sync::watch;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row, Socket};

use super::built_in::READING_ANYTHING;
use super::columns::Kinds;
use super::functions::Function;
use super::lineage::Lineage;
use super::questions::{
    BUILT_IN, CODE_WITHIN, COMMENTS, COMPUTED, COUNTS, DEFAULTS_OF_OWN, DEFINITIONS, DEPENDENCIES, DEPENDENTS, DOMAINS,
    FOREIGN, FOREIGN_COLUMNS, FUNCTION_OIDS, FUNCTIONS, GENERATED, INHERITS, LABELS, LOGIN_PATHS, MEMBERS, OF_DOMAINS,
    OPERATORS, PUBLISHED, READABLE_STATISTICS, REFERENCES, RELATIONS, RULES, SEARCH_PATH, SEES_STATISTICS, SETTINGS,
    STATISTICS, TRIGGERS, UNIQUE, UNNAMED, VERSION, VIEW_CALLS, VIEWS, WIDTHS, WRITTEN,
};
use super::snapshot::{Listed, LoginPath, Oid, Published, Reference, Rows, Snapshot, View};
use super::{Catalog, Classification, Config};
use crate::clock::Clock;
use crate::error::Fault;
use crate::record::{Text, Texts};
use crate::tls::{self, Outward};

/// How long changes are gathered before the catalog is read again.
const SETTLE: Duration = Duration::from_millis(50);
/// How long after a failure the next attempt is made; doubled up to the maximum.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// See [`RETRY_MIN`].
const RETRY_MAX: Duration = Duration::from_secs(60);
/// The name under which the server shows the catalog's connections.
pub const APPLICATION_NAME: &str = "mitsuke-catalog";
/// How long the first reading may hold up the start.
const FIRST_TIMEOUT: Duration = Duration::from_secs(10);
/// Roles that are kept of those that one is a member of.
const MEMBER_OF_MAX: usize = 256;
/// How long nothing is read for a mere suspicion: so many times as long as the last reading took …
const REST: u32 = 20;
/// … and no less.
const REST_MIN: Duration = Duration::from_secs(1);
/// The same for names that a statement has used, and that may mean anything until then.
const REST_PRESSED: u32 = 4;
/// See [`REST_PRESSED`].
const REST_PRESSED_MIN: Duration = Duration::from_millis(100);
/// How long one reading may take.
const READ_TIMEOUT: Duration = Duration::from_secs(120);

/// Why a catalog could not be read. Never holds the connection string.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    Postgres(#[from] tokio_postgres::Error),
    #[error("{0}")]
    Tls(tls::Fault),
    #[error("no answer within {} s", READ_TIMEOUT.as_secs())]
    Timeout,
}

/// Keeps the snapshots fresh until `stop` says true. Without a URL it returns at once.
pub async fn keep_fresh(catalog: Catalog, config: Config, mut stop: watch::Receiver<bool>) {
    // Checked when the configuration was read.
    let Some(login) = Login::of(&config) else { return };
    let mut due: HashMap<Text, (Instant, Duration)> = HashMap::new();
    let mut rested: HashMap<Text, Rest> = HashMap::new();
    loop {
        for database in catalog.wanted() {
            let now = Instant::now();
            // One that `read_first` has read is not read at once again.
            let first = if catalog.is_fresh(&database) { now + config.refresh } else { now };
            let (at, retry) = *due.entry(database.clone()).or_insert((first, RETRY_MIN));
            let rest = rested.get(&database);
            let is_suspected =
                rest.map_or(Some(now), |rest| rest.until(&catalog, &database)).is_some_and(|at| at <= now)
                    && (catalog.is_suspected(&database) || catalog.is_pressing(&database));
            let is_counted = catalog.counted_at(&database).is_some_and(|at| at <= now);
            if at > now && !((catalog.is_stale(&database) || is_suspected || is_counted) && retry == RETRY_MIN) {
                continue;
            }
            let changes = catalog.changes(&database);
            catalog.reading_begins(&database);
            let next = match read(&catalog, &login, &database).await {
                Ok(rows) => {
                    let (catalog, database) = (catalog.clone(), database.clone());
                    let _ = tokio::task::spawn_blocking(move || catalog.put(&database, rows, changes)).await;
                    (Instant::now() + config.refresh, RETRY_MIN)
                }
                Err(error) => {
                    catalog.failed(&database);
                    tracing::warn!(%database, error = %in_full(&error), "the catalog could not be read");
                    (Instant::now() + retry, (retry * 2).min(RETRY_MAX))
                }
            };
            rested.insert(database.clone(), Rest { read_at: Instant::now(), took: now.elapsed() });
            due.insert(database, next);
        }
        let fails = |database: &Text| due.get(database).is_some_and(|(_, retry)| *retry != RETRY_MIN);
        let suspected = rested.iter().filter(|(database, _)| !fails(database));
        let suspected = suspected.filter_map(|(database, rest)| rest.until(&catalog, database));
        let counted =
            due.keys().filter(|database| !fails(database)).filter_map(|database| catalog.counted_at(database));
        let until = due.values().map(|(at, _)| *at).chain(suspected).chain(counted).min();
        let until = until.unwrap_or_else(|| Instant::now() + config.refresh);
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = catalog.changed() => tokio::time::sleep(SETTLE).await,
            () = tokio::time::sleep_until(until.into()) => {}
        }
    }
}

/// The last reading of a database.
struct Rest {
    read_at: Instant,
    took: Duration,
}

impl Rest {
    /// When the next one may begin that nothing but a suspicion asks for; `None` where there is none.
    fn until(&self, catalog: &Catalog, database: &str) -> Option<Instant> {
        if catalog.is_pressing(database) {
            return Some(self.read_at + (self.took * REST_PRESSED).max(REST_PRESSED_MIN));
        }
        catalog.is_suspected(database).then(|| self.read_at + (self.took * REST).max(REST_MIN))
    }
}

/// Reads the URL's own database before the first client comes, so that its first statement is understood. Gives up
/// after `FIRST_TIMEOUT`; [`keep_fresh`] goes on trying.
pub async fn read_first(catalog: &Catalog, config: &Config) {
    let Some(login) = Login::of(config) else { return };
    let Some(database) = login.url.get_dbname().or(login.url.get_user()).map(str::to_owned) else { return };
    catalog.seen(&database);
    match tokio::time::timeout(FIRST_TIMEOUT, read(catalog, &login, &database)).await {
        Ok(Ok(rows)) => catalog.put(&database, rows, 0),
        Ok(Err(error)) => tracing::warn!(%database, error = %in_full(&error), "the catalog could not be read yet"),
        Err(_) => tracing::warn!(%database, "the catalog could not be read yet: no answer"),
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Whoever could say stop is gone: stop.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The classification's named tables and columns that the URL's database does not have, or why it can't be asked.
pub async fn check(config: &Config, classification: &Classification) -> Vec<Fault> {
    let file = std::path::Path::new("classification.yaml");
    let fault =
        |what: String| vec![Fault::of_file(std::path::Path::new("[catalog].url"), what, "check the role and host")];
    let Some(login) = Login::of(config) else { return Vec::new() };
    let database = login.url.get_dbname().or(login.url.get_user()).unwrap_or("postgres").to_owned();
    let catalog = Catalog::new(classification.clone());
    let rows = match read(&catalog, &login, &database).await {
        Ok(rows) => rows,
        Err(error) => return fault(format!("the catalog cannot be read: {}", in_full(&error))),
    };
    let snapshot = Snapshot::build(&rows, classification, &Lineage::default(), None);
    let mut faults = Vec::new();
    for (schema, table, columns, line) in classification.named() {
        let Some(relation) = snapshot.named(schema, table) else {
            let what = format!("there is no relation `{schema}.{table}` in the database `{database}`");
            faults.push(Fault::at(file, line, 0, what, "correct the name, or remove the entry"));
            continue;
        };
        // Columns are classified whatever their case.
        let is_there = |column: &&str| {
            relation.columns.keys().any(|known| **known == **column || known.to_lowercase() == **column)
        };
        for column in columns.into_iter().filter(|column| !is_there(column)) {
            let what = format!("`{schema}.{table}` has no column `{column}` in the database `{database}`");
            faults.push(Fault::at(file, line, 0, what, "correct the name, or remove it"));
        }
    }
    faults.extend(baits_amiss(classification, &snapshot, &database));
    faults
}

/// Baits in tables that the database does not have, or of which it is not known whose their rows are.
fn baits_amiss(classification: &Classification, snapshot: &Snapshot, database: &str) -> Vec<Fault> {
    let file = std::path::Path::new("classification.yaml");
    let amiss = classification.baited().iter().filter_map(|baited| {
        let (name, place) = (&baited.bait.name, baited.place);
        let fault = |what: String, mend: &str| Some(Fault::at(file, place.line, place.column, what, mend));
        let Some((schema, table)) = baited.outright() else {
            let is_anywhere = snapshot.relations_with_subject().any(|relation| baited.is_in(&relation.parts.0, &relation.parts.1));
            let what = || format!("the bait `{name}` lies in no table of the database `{database}` that has its subject column");
            return if is_anywhere { None } else { fault(what(), "correct the pattern, or remove the bait") };
        };
        match snapshot.named(schema, table) {
            None => {
                let what = format!("the bait `{name}` lies in `{schema}.{table}`, which is not in the database `{database}`");
                fault(what, "correct the table's name, or remove the bait")
            }
            Some(relation) if relation.subject.is_none() => {
                let what = format!("the bait `{name}` lies in `{schema}.{table}`, which has no subject column in the database `{database}`");
                fault(what, "correct the `subject` of its entry under `tables`")
            }
            Some(_) => None,
        }
    });
    amiss.collect()
}

/// The server's own words where it had some: the driver's are `db error`.
fn in_full(error: &Error) -> String {
    match error {
        Error::Postgres(driver) => match driver.as_db_error() {
            Some(said) => format!("{} (SQLSTATE {})", said.message(), said.code().code()),
            None => driver.to_string(),
        },
        Error::Tls(_) | Error::Timeout => error.to_string(),
    }
}

/// A connection to the URL's own database that only reads, under a name that the server shows; `None` without a URL. It ends when the
/// client is dropped.
///
/// # Errors
/// In the server's words, or the driver's; never with the connection string.
pub async fn connect(config: &Config, application_name: &str) -> Option<Result<Client, Unreachable>> {
    let login = Login::of(config)?;
    let mut url = login.url.clone();
    url.application_name(application_name).connect_timeout(FIRST_TIMEOUT);
    let connected = async {
        match &login.tls {
            None => opened(&url, NoTls).await,
            Some(outward) => {
                let driver = outward.driver(&mut url, Clock::system().now()).map_err(Error::Tls)?;
                opened(&url, driver).await
            }
        }
    };
    Some(connected.await.map_err(|error| Unreachable(in_full(&error))))
}

/// Why a database cannot be reached. Never holds the connection string.
#[derive(Debug, thiserror::Error)]
#[error("{0}; check host, port, role and password")]
pub struct Unreachable(String);

async fn opened<T>(url: &tokio_postgres::Config, tls: T) -> Result<Client, Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = url.connect(tls).await?;
    tokio::spawn(connection);
    client.batch_execute("set default_transaction_read_only = on; set statement_timeout = '10s'").await?;
    Ok(client)
}

/// How to connect.
struct Login {
    url: tokio_postgres::Config,
    tls: Option<Outward>,
}

impl Login {
    /// `None` without a URL.
    fn of(config: &Config) -> Option<Login> {
        Some(Login { url: config.url.as_ref()?.parse().ok()?, tls: config.tls.clone() })
    }
}

async fn read(catalog: &Catalog, login: &Login, database: &str) -> Result<Rows, Error> {
    let mut url = login.url.clone();
    url.dbname(database).application_name(APPLICATION_NAME);
    let before = catalog.rows(database);
    let reading = async {
        match &login.tls {
            None => read_over(catalog, &before, &url, NoTls).await,
            // Each time anew: certificates are renewed.
            Some(outward) => {
                let driver = outward.driver(&mut url, Clock::system().now()).map_err(Error::Tls)?;
                read_over(catalog, &before, &url, driver).await
            }
        }
    };
    tokio::time::timeout(READ_TIMEOUT, reading).await.map_err(|_| Error::Timeout)?
}

async fn read_over<T>(catalog: &Catalog, before: &Rows, url: &tokio_postgres::Config, tls: T) -> Result<Rows, Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = url.connect(tls).await?;
    let connection = tokio::spawn(connection);
    let rows = rows(&client, catalog, before).await;
    drop(client);
    let _ = connection.await;
    rows
}

/// Widths are read of so many relations.
const WIDTHS_RELATIONS_MAX: usize = 20_000;

async fn rows(client: &Client, catalog: &Catalog, before: &Rows) -> Result<Rows, Error> {
    client.batch_execute(SETTINGS).await?;
    // Before all else: what is written meanwhile counts as written later.
    let written = match client.query_one(COUNTS, &[]).await?.try_get(0)? {
        true => Some(read_all(client, WRITTEN, &[], |row| Ok((row.try_get(0)?, row.try_get(1)?))).await?),
        false => None,
    };
    let version: i32 = client.query_one(VERSION, &[]).await?.try_get(0)?;
    let path: String = client.query_one(SEARCH_PATH, &[]).await?.try_get(0)?;
    let mut kinds = Kinds::default();
    let mut relations = read_all(client, RELATIONS, &[], |row| listed(row, &mut kinds)).await?;
    relations.sort_unstable_by_key(|listed| listed.oid);
    let three = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    // `BEGIN ATOMIC` came with 14.
    let body = if version >= 140_000 { "pg_catalog.pg_get_function_sqlbody(p.oid)" } else { "null" };
    let text = |row: &Row, column: usize| row.try_get::<_, &str>(column).map(Text::from);
    let mut rows = Rows {
        relations,
        dependencies: read_all(client, DEPENDENCIES, &[], |row| {
            Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
        })
        .await?,
        view_calls: read_all(client, &with_code(VIEW_CALLS), &[], |row| Ok((row.try_get(0)?, text(row, 1)?))).await?,
        inherits: read_all(client, INHERITS, &[], |row| Ok((row.try_get(0)?, row.try_get(1)?))).await?,
        unique: read_all(client, UNIQUE, &[], |row| Ok((row.try_get(0)?, row.try_get(1)?))).await?,
        comments: read_all(client, COMMENTS, &[], three).await?,
        labels: read_all(client, LABELS, &[], three).await?,
        functions: read_all(client, &FUNCTIONS.replace("SQL_BODY", body), &[], function).await?,
        triggers: read_all(client, TRIGGERS, &[], |row| Ok((row.try_get(0)?, row.try_get(1).unwrap_or_default())))
            .await?,
        operators: read_all(client, OPERATORS, &[], |row| Ok((text(row, 0)?, text(row, 1)?, text(row, 2)?))).await?,
        built_in: read_all(client, BUILT_IN, &[], |row| text(row, 0)).await?,
        search_path: schemas(&path),
        ..Rows::default()
    };
    add_views(client, before, &mut rows).await?;
    // A view is what its definition makes it.
    let made = |(oid, view): &(Oid, Arc<View>)| Some((*oid, view.made().parse().ok()?));
    let views = rows.views.iter().filter_map(made);
    rows.written = written.map(|written| Arc::new(views.chain(written).collect()));
    rows.written_by = Clock::system().now();
    follow_ahead(&rows);
    add_rest(client, version, &mut rows).await?;
    add_widths(client, catalog, &mut rows).await?;
    Ok(rows)
}

/// Has the views' definitions followed while the server answers the rest. Whoever needs one meanwhile follows it, or waits.
fn follow_ahead(rows: &Rows) {
    let views: Vec<Arc<View>> = rows.views.iter().map(|(_, view)| Arc::clone(view)).collect();
    drop(tokio::task::spawn_blocking(move || views.iter().for_each(|view| view.prepare())));
}

/// A question about what calls the users' functions.
fn with_code(question: &str) -> String {
    question.replace("CODE_WITHIN", CODE_WITHIN)
}

/// The views. What has been the same since it was read last, and is over relations and columns that are called as they were, is not asked for again.
async fn add_views(client: &Client, before: &Rows, rows: &mut Rows) -> Result<(), Error> {
    let views = read_all(client, VIEWS, &[], |row| Ok((row.try_get(0)?, row.try_get::<_, String>(1)?))).await?;
    let known: HashMap<u32, &Arc<View>> = before.views.iter().map(|(oid, view)| (*oid, view)).collect();
    let moved: HashSet<u32> =
        rows.dependencies.iter().filter(|(_, on, _)| !rows.is_as_it_was(before, *on)).map(|(view, ..)| *view).collect();
    let mut anew: HashMap<u32, String> = HashMap::new();
    for (oid, made) in views {
        match known.get(&oid).filter(|view| view.made() == made && !moved.contains(&oid)) {
            Some(view) => rows.views.push((oid, Arc::clone(view))),
            None => drop(anew.insert(oid, made)),
        }
    }
    let oids: Vec<u32> = anew.keys().copied().collect();
    // One that is dropped meanwhile has no definition.
    let definition = |row: &Row| Ok((row.try_get(0)?, row.try_get::<_, String>(1).unwrap_or_default()));
    for (oid, definition) in read_all(client, DEFINITIONS, &[&oids], definition).await? {
        let made = anew.remove(&oid).unwrap_or_default();
        rows.views.push((oid, Arc::new(View::new(made, definition))));
    }
    Ok(())
}

/// What a question gives, each row read as it comes: of 50,000 relations, the driver's own rows would take more than what is kept.
async fn read_all<T>(
    client: &Client,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
    mut read: impl FnMut(&Row) -> Result<T, tokio_postgres::Error>,
) -> Result<Vec<T>, tokio_postgres::Error> {
    let stream = client.query_raw(sql, parameters.iter().copied()).await?;
    let mut stream = std::pin::pin!(stream);
    let mut all = Vec::new();
    while let Some(row) = stream.try_next().await? {
        all.push(read(&row)?);
    }
    all.shrink_to_fit();
    Ok(all)
}

/// By role that may log in: the roles that it is a member of. What many are members of is there once.
async fn members(client: &Client) -> Result<HashMap<Text, Texts>, Error> {
    let pairs =
        read_all(client, MEMBERS, &[], |row| Ok((row.try_get::<_, String>(0)?, row.try_get::<_, String>(1)?))).await?;
    let mut lists: HashSet<Texts> = HashSet::new();
    let of_one =
        |list: &[(String, String)]| list.iter().take(MEMBER_OF_MAX).map(|(_, role)| Text::from(&**role)).collect();
    let mut members = HashMap::new();
    for list in pairs.chunk_by(|(one, _), (other, _)| one == other) {
        let Some((login, _)) = list.first() else { continue };
        let roles: Texts = of_one(list);
        let known = lists.get(&roles).cloned().unwrap_or_else(|| {
            lists.insert(Arc::clone(&roles));
            roles
        });
        members.insert(Text::from(&**login), known);
    }
    Ok(members)
}

/// Names by OID, what rules touch, what foreign tables stand for, and what is published.
async fn add_rest(client: &Client, version: i32, rows: &mut Rows) -> Result<(), Error> {
    let name = |row: &Row, column: usize| row.try_get::<_, &str>(column).map(Text::from);
    let oids = client.query(FUNCTION_OIDS, &[]).await?;
    rows.function_oids =
        Arc::new(oids.iter().filter_map(|row| Some((row.try_get(0).ok()?, name(row, 1).ok()?))).collect());
    for row in client.query(&with_code(COMPUTED), &[]).await? {
        rows.computed.push((row.try_get(0)?, row.try_get(1)?, name(&row, 2)?));
    }
    let mut domains: Vec<(u32, Text)> =
        read_all(client, DOMAINS, &[], |row| Ok((row.try_get(0)?, row.try_get::<_, &str>(1)?.into()))).await?;
    for row in client.query(DEFAULTS_OF_OWN, &[&READING_ANYTHING.as_slice()]).await? {
        match row.try_get(2)? {
            0 => rows.computed.push((row.try_get(0)?, row.try_get(1)?, name(&row, 3)?)),
            domain => domains.push((domain, name(&row, 3)?)),
        }
    }
    if !domains.is_empty() {
        let types: Vec<u32> = domains.iter().map(|(domain, _)| *domain).collect();
        for row in client.query(OF_DOMAINS, &[&types]).await? {
            let (oid, number, domain): (u32, i16, u32) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let of = domains.iter().filter(|(its, _)| *its == domain);
            rows.computed.extend(of.map(|(_, function)| (oid, number, function.clone())));
        }
    }
    for row in client.query(GENERATED, &[]).await? {
        rows.generated.push((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    }
    for row in client.query(REFERENCES, &[]).await? {
        rows.references.push(Reference {
            from: (row.try_get(0)?, row.try_get(1)?),
            to: (row.try_get(2)?, row.try_get(3)?),
            cascades: row.try_get(4)?,
        });
    }
    for row in client.query(DEPENDENTS, &[]).await? {
        rows.dependents.push((row.try_get(0)?, row.try_get(1)?));
    }
    for row in client.query(&with_code(UNNAMED), &[]).await? {
        rows.unnamed.push((row.try_get(0)?, name(&row, 1)?, row.try_get(2)?));
    }
    for row in client.query(RULES, &[]).await? {
        let on: &str = row.try_get(1)?;
        rows.rules.push((row.try_get(0)?, on.chars().next().unwrap_or_default(), row.try_get(2)?));
    }
    for row in client.query(LOGIN_PATHS, &[]).await? {
        let (role, path): (Option<&str>, &str) = (row.try_get(0)?, row.try_get(2)?);
        let role = role.map(Text::from);
        rows.login_paths.push(LoginPath { role, of_database: row.try_get(1)?, path: schemas(path) });
    }
    rows.members = Arc::new(members(client).await?);
    for row in client.query(FOREIGN, &[]).await? {
        rows.foreign.push((row.try_get(0)?, name(&row, 1)?, name(&row, 2)?));
    }
    for row in client.query(FOREIGN_COLUMNS, &[]).await? {
        rows.foreign_columns.push((row.try_get(0)?, row.try_get(1)?, name(&row, 2)?));
    }
    // Column lists came with 15.
    let list = if version >= 150_000 { "attnames::text[]" } else { "null::text[]" };
    for row in client.query(&PUBLISHED.replace("COLUMN_LIST", list), &[]).await? {
        let columns: Option<Vec<String>> = row.try_get(3)?;
        rows.published.push(Published {
            publication: name(&row, 0)?,
            table: (name(&row, 1)?, name(&row, 2)?),
            columns: columns.map(|names| names.into_iter().map(Text::from).collect()),
        });
    }
    Ok(())
}

/// The widths of columns of relations that have any column which may be classified.
async fn add_widths(client: &Client, catalog: &Catalog, rows: &mut Rows) -> Result<(), Error> {
    let mut known: HashMap<Text, bool> = HashMap::new();
    let said = rows.comments.iter().chain(&rows.labels).map(|(oid, ..)| *oid);
    let mut relations: BTreeSet<u32> = said.collect();
    for listed in &rows.relations {
        let mut may_classify =
            |column: &Text| *known.entry(column.clone()).or_insert_with(|| catalog.may_classify(column));
        if listed.columns.keys().any(&mut may_classify) {
            relations.insert(listed.oid);
        }
    }
    let relations: Vec<u32> = relations.into_iter().take(WIDTHS_RELATIONS_MAX).collect();
    let all: bool = client.query_one(SEES_STATISTICS, &[]).await?.try_get(0)?;
    let sql = WIDTHS.replace("STATISTICS", if all { STATISTICS } else { READABLE_STATISTICS });
    let width = |row: &Row| {
        let (width, of_part): (i32, bool) = (row.try_get(2)?, !row.try_get::<_, bool>(3)?);
        Ok((row.try_get::<_, u32>(0)?, row.try_get::<_, i16>(1)?, of_part, u16::try_from(width).unwrap_or(u16::MAX)))
    };
    let mut widths = read_all(client, &sql, &[&relations], width).await?;
    // What is said of a table with its partitions goes before what is said of itself.
    widths.sort_unstable();
    widths.dedup_by_key(|(oid, number, ..)| (*oid, *number));
    rows.widths = widths.into_iter().map(|(oid, number, _, width)| (oid, number, width)).collect();
    Ok(())
}

fn listed(row: &Row, kinds: &mut Kinds) -> Result<Listed, tokio_postgres::Error> {
    let (kind, size): (&str, Option<i64>) = (row.try_get(3)?, row.try_get(4)?);
    let names: Vec<&str> = row.try_get(5)?;
    let columns = (1..).zip(names).filter(|(_, name)| !name.is_empty());
    let columns = columns.map(|(number, name)| (kinds.name(name), number)).collect();
    Ok(Listed {
        oid: row.try_get(0)?,
        schema: kinds.name(row.try_get(1)?),
        name: kinds.name(row.try_get(2)?),
        kind: kind.chars().next().unwrap_or('r'),
        size: size.and_then(|size| u64::try_from(size).ok()),
        columns: kinds.list(columns),
    })
}

fn function(row: &Row) -> Result<Function, tokio_postgres::Error> {
    let path: Option<&str> = row.try_get(5)?;
    Ok(Function {
        schema: row.try_get::<_, &str>(0)?.into(),
        name: row.try_get::<_, &str>(1)?.into(),
        language: row.try_get::<_, &str>(2)?.into(),
        body: row.try_get(3)?,
        in_extension: row.try_get(4)?,
        search_path: path.map(schemas),
        calls: row.try_get::<_, Vec<&str>>(6)?.into_iter().map(Text::from).collect(),
        defaults: row.try_get(7)?,
        takes_row: row.try_get(8)?,
        keeps: row.try_get(9)?,
    })
}

/// The schemas of a search path.
fn schemas(path: &str) -> Vec<Text> {
    path.split(',').map(|schema| Text::from(schema.trim().trim_matches('"'))).collect()
}
