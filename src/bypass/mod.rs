//! Who is connected to the server and did not come through here.
//!
//! In: the server's own list of sessions (`pg_stat_activity`), read over the catalog's connection, and the process numbers that the
//! server told the sessions of this sidecar (`BackendKeyData`); what the server counted of statements (`pg_stat_statements`), and what came
//! through. Out: a finding of the policy `bypass` for each other client session, and of `bypass-statements` for what others ran, however short
//! they stayed. Refuses to guess: without the right to see others' sessions, and where the server does not know ours (a pooler in between, another
//! server), it says so once and finds nothing.

mod counts;
mod judge;
mod statements;

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::watch;
use tokio_postgres::Client;

use self::counts::Counts;
pub use self::judge::{Allowed, Backend, Judge};
use self::statements::Kinds;
use crate::analysis::Passed;
use crate::catalog::{self, loader};
use crate::clock::{Clock, Timestamp};
use crate::proxy;
use crate::record::Finding;

/// How long after a look at which somebody new was there the next one is: who came through has been told its number by then.
const SETTLE: Duration = Duration::from_secs(3);
/// How long one look may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// Sessions that one look takes in.
const BACKENDS_MAX: usize = 65_536;

/// `[bypass]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether to look at all.
    pub watch: bool,
    /// Whether to hold the server's counts of statements against ours, too.
    pub statements: bool,
    /// How often.
    pub every: Duration,
    /// Who may come another way.
    pub allow: Vec<Allowed>,
}

impl Default for Config {
    fn default() -> Config {
        Config { watch: true, statements: true, every: Duration::from_secs(30), allow: Vec::new() }
    }
}

/// Client sessions, but for our own. Without the right to see those of others, what they are is null.
const BACKENDS: &str = "select a.pid, a.datname::text, a.usename::text, a.application_name, pg_catalog.host(a.client_addr), \
    (extract(epoch from a.backend_start) * 1000000)::int8, coalesce(r.rolsuper or r.rolbypassrls, false) \
    from pg_catalog.pg_stat_activity a left join pg_catalog.pg_roles r on r.oid = a.usesysid \
    where a.backend_type = 'client backend' and a.usename is not null and a.pid <> pg_catalog.pg_backend_pid() \
    and not (a.usename = session_user and a.application_name = 'mitsuke-catalog')";
const MAY_SEE: &str = "select pg_catalog.pg_has_role(session_user, 'pg_read_all_stats', 'USAGE')";

/// What the role of the catalog's connection has to be granted, where it may not see others' sessions; `None` where it may.
///
/// # Errors
/// The server cannot be asked: in words that hold no connection string.
pub async fn missing_right(catalog: &catalog::Config) -> Result<Option<String>, String> {
    let Some(client) = loader::connect(catalog, loader::APPLICATION_NAME).await else { return Ok(None) };
    let client = client.map_err(|error| error.to_string())?;
    missing(&client).await.map_err(|error| error.to_string())
}

async fn missing(client: &Client) -> Result<Option<String>, tokio_postgres::Error> {
    let row = client.query_one(MAY_SEE, &[]).await?;
    let may: bool = row.try_get(0)?;
    let role: String = client.query_one("select session_user::text", &[]).await?.try_get(0)?;
    Ok((!may)
        .then(|| format!("sessions that do not come through Mitsuke are not seen: grant pg_read_all_stats to {role}")))
}

/// What is ours.
pub struct Ours {
    /// Sessions.
    pub legs: proxy::Control,
    /// Statements.
    pub passed: Passed,
    /// How long a sidecar that was here before may go on: what it lets through is not known here.
    pub settled_after: Duration,
}

/// Looks until `stop` says true. Each finding goes to `found`, which says whether it was taken. `since`: when the sidecar began, before it
/// listened anywhere.
pub async fn keep_looking(
    config: Config,
    catalog: catalog::Config,
    (clock, since): (Clock, Timestamp),
    ours: Ours,
    found: impl Fn(Finding) -> bool,
    mut stop: watch::Receiver<bool>,
) {
    if !config.watch || catalog.url.is_none() {
        return;
    }
    let Ours { legs: ours, passed, settled_after } = ours;
    let mut judge = Judge::new(config.allow.clone(), since);
    let mut others = Others { passed, allow: config.allow.clone(), counts: None, kinds: Kinds::default() };
    let mut connection = None;
    let mut said = String::new();
    let mut wait = config.every;
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = config.every;
        let before = ours.backends();
        let seen = tokio::time::timeout(LOOK_TIMEOUT, look(&catalog, &mut connection)).await;
        let why = match seen.unwrap_or_else(|_| Err("no answer".to_owned())) {
            Ok(seen) => {
                let ours: HashSet<u32> = before.union(&ours.backends()).copied().collect();
                let look = judge.look(&seen, &ours, clock.now());
                look.findings.into_iter().for_each(|finding| judge.told(finding, &found));
                if look.somebody_new {
                    wait = SETTLE.min(config.every);
                }
                look.trouble.unwrap_or_default().to_owned()
            }
            Err(why) => {
                connection = None;
                why
            }
        };
        let settled = clock.now().micros_since(since) >= micros(settled_after);
        if let Some(client) = connection.as_ref().filter(|_| config.statements && settled) {
            let asked = tokio::time::timeout(LOOK_TIMEOUT, others.look(client, clock.now())).await;
            asked.unwrap_or_default().into_iter().for_each(|finding| judge.told(finding, &found));
        }
        if why != said && !why.is_empty() {
            tracing::warn!("[bypass]: {why}");
        }
        said = why;
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What others ran.
struct Others {
    passed: Passed,
    allow: Vec<Allowed>,
    /// `None` until the server was found to count.
    counts: Option<Counts>,
    kinds: Kinds,
}

impl Others {
    /// Holds the server's counts against ours. Where it does not count, nobody has to here.
    async fn look(&mut self, client: &Client, now: Timestamp) -> Vec<Finding> {
        let entries = match statements::look(client, &mut self.kinds).await {
            Ok(Some(entries)) => entries,
            Ok(None) => {
                self.passed.end();
                self.counts = None;
                return Vec::new();
            }
            Err(error) => {
                tracing::debug!(%error, "pg_stat_statements cannot be read");
                return Vec::new();
            }
        };
        let Some(counts) = &mut self.counts else {
            // The next look is where counting begins.
            self.passed.begin();
            self.counts = Some(Counts::default());
            return Vec::new();
        };
        let may = |user: &str| self.allow.iter().any(|allowed| allowed.covers_user(user));
        let entries: Vec<_> = entries.into_iter().filter(|entry| !may(&entry.db_user)).collect();
        let passed = |database: &str, fingerprint: &str| self.passed.of(database, fingerprint);
        counts.look(&entries, passed, now).unwrap_or_default()
    }
}

/// The sessions that the server has. The connection is kept.
async fn look(catalog: &catalog::Config, connection: &mut Option<Client>) -> Result<Vec<Backend>, String> {
    let client = match connection.take() {
        Some(client) if !client.is_closed() => client,
        _ => {
            let connected = loader::connect(catalog, loader::APPLICATION_NAME).await;
            connected.ok_or("there is no [catalog].url")?.map_err(|error| error.to_string())?
        }
    };
    let in_words = |error: tokio_postgres::Error| error.to_string();
    if let Some(why) = missing(&client).await.map_err(in_words)? {
        return Err(why);
    }
    let rows = client.query(BACKENDS, &[]).await.map_err(in_words)?;
    let backends = rows.iter().take(BACKENDS_MAX).map(backend).collect::<Result<_, _>>().map_err(in_words)?;
    *connection = Some(client);
    Ok(backends)
}

fn backend(row: &tokio_postgres::Row) -> Result<Backend, tokio_postgres::Error> {
    Ok(Backend {
        pid: u32::try_from(row.try_get::<_, i32>(0)?).unwrap_or(0),
        database: row.try_get(1)?,
        db_user: row.try_get(2)?,
        application_name: row.try_get(3)?,
        // A unix socket has no address.
        client_addr: row.try_get::<_, Option<String>>(4)?.unwrap_or_else(|| "local".to_owned()),
        started_us: row.try_get::<_, Option<i64>>(5)?.unwrap_or(0),
        is_powerful: row.try_get(6)?,
    })
}
