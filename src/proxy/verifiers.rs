//! The verifiers that the server keeps of its roles, asked of the server each time.
//!
//! In: a role's name. Out: its verifier; `None` where it has none that SCRAM can use, or there is no such role. Nothing is kept: a password
//! that was changed is in force at once. One connection as the catalog role, to the server that clients are led to, made when it is first needed, and
//! again when it is lost. No error of this module repeats what was read.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, NoTls, Statement};

use super::config::Lookup;
use super::scram::Verifier;
use super::upstream::Upstream;

/// See the module.
#[derive(Debug)]
pub struct Verifiers {
    login: tokio_postgres::Config,
    query: String,
    upstream: Upstream,
    asked: Mutex<Option<Arc<Asked>>>,
}

struct Asked {
    client: Client,
    statement: Statement,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asked")
    }
}

/// Why a verifier could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server could not be reached.
    #[error("{0}")]
    Unreachable(#[from] std::io::Error),
    /// The server refused the role, or the query.
    #[error("{}", in_full(.0))]
    Refused(#[from] tokio_postgres::Error),
    /// It said nothing in time.
    #[error("no answer in time")]
    Timeout,
}

/// The server's own words where it had some: the driver's are `db error`. They hold no value of the query's.
fn in_full(error: &tokio_postgres::Error) -> String {
    error
        .as_db_error()
        .map_or_else(|| error.to_string(), |error| format!("{}: {}", error.code().code(), error.message()))
}

impl Verifiers {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// The connection string is none.
    pub fn new(lookup: &Lookup, upstream: Upstream) -> Result<Verifiers, &'static str> {
        let mut login: tokio_postgres::Config =
            lookup.url.parse().map_err(|_| "`catalog.url` is not a connection string")?;
        // The connection is encrypted before the driver sees it, or not at all.
        login.ssl_mode(SslMode::Disable).application_name("mitsuke");
        Ok(Verifiers { login, query: lookup.query.clone(), upstream, asked: Mutex::new(None) })
    }

    /// The verifier of a role.
    ///
    /// # Errors
    /// See [`Error`]. A connection that was lost is made again once.
    pub async fn of(&self, role: &str) -> Result<Option<Verifier>, Error> {
        let asking = async {
            match self.ask(&*self.connection().await?, role).await {
                Err(Error::Refused(error)) if error.is_closed() => {
                    *self.asked.lock().await = None;
                    self.ask(&*self.connection().await?, role).await
                }
                answer => answer,
            }
        };
        time::timeout(self.upstream.connect_timeout, asking).await.unwrap_or(Err(Error::Timeout))
    }

    async fn ask(&self, asked: &Asked, role: &str) -> Result<Option<Verifier>, Error> {
        let row = asked.client.query_opt(&asked.statement, &[&role]).await?;
        let text = row.map(|row| row.try_get::<_, Option<String>>(0)).transpose()?.flatten();
        Ok(text.map(zeroize::Zeroizing::new).and_then(|text| Verifier::read(&text)))
    }

    async fn connection(&self) -> Result<Arc<Asked>, Error> {
        let mut kept = self.asked.lock().await;
        if let Some(asked) = kept.as_ref().filter(|asked| !asked.client.is_closed()) {
            return Ok(Arc::clone(asked));
        }
        let socket = self.upstream.connect().await?;
        let (client, connection) = self.login.connect_raw(socket, NoTls).await?;
        // Ends when the client is dropped, or the server ends it; who asks next sees it closed.
        tokio::spawn(connection);
        let statement = client.prepare(&self.query).await?;
        let asked = Arc::new(Asked { client, statement });
        *kept = Some(Arc::clone(&asked));
        Ok(asked)
    }
}
