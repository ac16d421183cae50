//! Where a log lies, if not in a folder: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`.
//!
//! In: `[log].path` as it was written, `[log.store]`, and the variables of the environment that say how to log in. Out: a [`StoreUrl`]
//! and a [`StoreConfig`] that are right in form, and a [`Store`] to read and write. Refuses credentials in the path. What is secret is
//! never printed, nor part of an error. Without the feature `object-store`, opening one is an error that says so.

#[cfg(not(feature = "object-store"))]
mod absent;
#[cfg(feature = "object-store")]
mod client;

use std::fmt;
use std::path::PathBuf;

use crate::clock::Timestamp;

#[cfg(not(feature = "object-store"))]
pub use self::absent::Store;
#[cfg(feature = "object-store")]
pub use self::client::Store;

/// What the variables begin with that say how to log in to a store.
const VARIABLES: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];

/// Whose store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// `s3://`: Amazon's, and whatever speaks as it does.
    S3,
    /// `gs://`: Google's.
    Google,
    /// `az://`: Azure's blobs.
    Azure,
}

/// A place in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreUrl {
    /// Whose.
    pub service: Service,
    /// The bucket, or container.
    pub bucket: String,
    /// What all names of the log begin with; empty, or without `/` at either end.
    pub prefix: String,
}

impl StoreUrl {
    /// Takes a path that may be one of a store.
    ///
    /// # Errors
    /// It has the form of an address and is none that is known: what is wrong, and how to write it. Quotes nothing behind the scheme.
    pub fn parse(written: &str) -> Result<Option<StoreUrl>, (String, String)> {
        let Some((scheme, rest)) = written.split_once("://") else { return Ok(None) };
        let mend = || "write s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, or a folder".to_owned();
        let service = match scheme.to_ascii_lowercase().as_str() {
            "s3" => Service::S3,
            "gs" => Service::Google,
            "az" => Service::Azure,
            "file" => return Ok(None),
            _ => return Err(("its scheme is not known".to_owned(), mend())),
        };
        if rest.contains('@') {
            let mend = "leave them to the environment (AWS_ACCESS_KEY_ID, …) or to the machine's role".to_owned();
            return Err(("credentials do not belong into a path".to_owned(), mend));
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let is_name = |name: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || "-_.=".contains(c);
            !name.is_empty() && name.chars().all(fits) && !matches!(name, "." | "..")
        };
        let is_right = is_name(bucket) && (prefix.is_empty() || prefix.split('/').all(is_name));
        match is_right {
            true => Ok(Some(StoreUrl { service, bucket: bucket.to_owned(), prefix: prefix.to_owned() })),
            false => Err(("it names no bucket, or has parts that are empty or unusual".to_owned(), mend())),
        }
    }

    /// Its beginning, which a query engine knows the store by.
    pub fn root(&self) -> String {
        let scheme = match self.service {
            Service::S3 => "s3",
            Service::Google => "gs",
            Service::Azure => "az",
        };
        format!("{scheme}://{}", self.bucket)
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root())?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

/// How to log in, as the environment says it: `AWS_ACCESS_KEY_ID` and its kin. Never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(Vec<(String, String)>);

impl Variables {
    /// Those of the environment that are meant for stores.
    pub fn of(environment: impl IntoIterator<Item = (String, String)>) -> Variables {
        let meant = |name: &str| VARIABLES.iter().any(|beginning| name.starts_with(beginning));
        Variables(environment.into_iter().filter(|(name, _)| meant(name)).collect())
    }

    /// As the services' own libraries know them, in lower case, those of one service.
    #[cfg(feature = "object-store")]
    fn of_service(&self, service: Service) -> impl Iterator<Item = (String, &str)> {
        let beginning = match service {
            Service::S3 => VARIABLES[0],
            Service::Google => VARIABLES[1],
            Service::Azure => VARIABLES[2],
        };
        let meant = self.0.iter().filter(move |(name, _)| name.starts_with(beginning));
        meant.map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Variables")
    }
}

/// An object, as it is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Object {
    /// Its length.
    pub bytes: u64,
    /// When it was last written, by the store's clock.
    pub written_at: Timestamp,
}

/// Which version of an object is meant; of a store that knows none, none.
#[cfg_attr(not(feature = "object-store"), allow(dead_code, reason = "there is no store"))]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    e_tag: Option<String>,
    version: Option<String>,
}

/// What became of an object that was to be put where none, or a certain version, is.
#[cfg_attr(not(feature = "object-store"), allow(dead_code, reason = "there is no store"))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It is there, as this version.
    Done(Version),
    /// Another one is.
    Refused,
}

/// `[log].path` where it is a store's, and `[log.store]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Where.
    pub url: StoreUrl,
    /// What is said of the connection.
    pub connection: Connection,
    /// The most that may wait in the spool, sealed, bytes.
    pub spool_bytes_max: u64,
}

/// `[log.store]`, and the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// The server, where it is not the service's own: `https://minio.example.com:9000`.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// Whether it may go without TLS.
    pub allow_http: bool,
    /// Authorities to trust besides the system's, PEM.
    pub ca: Option<PathBuf>,
    /// How to log in.
    pub variables: Variables,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(written: &str) -> Result<Option<String>, String> {
        StoreUrl::parse(written).map(|url| url.map(|url| url.to_string())).map_err(|(what, _)| what)
    }

    #[test]
    fn what_a_path_means_is_told_by_its_scheme() {
        assert_eq!(shown("./mitsuke-log"), Ok(None));
        assert_eq!(shown("file:///var/log/mitsuke"), Ok(None));
        for (written, meant) in [
            ("s3://bucket/a/b/", "s3://bucket/a/b"),
            ("S3://bucket", "s3://bucket"),
            ("gs://bucket/a", "gs://bucket/a"),
            ("az://container/a", "az://container/a"),
        ] {
            assert_eq!(shown(written), Ok(Some(meant.to_owned())));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_quoted() {
        for wrong in ["ftp://host/x", "s3://", "s3:///x", "s3://b//x", "s3://b/../x", "s3://b/x?secret=1", "s3://b/ x"]
        {
            assert!(shown(wrong).is_err(), "{wrong}");
        }
        let (what, mend) = StoreUrl::parse("s3://AKIA:topsecret@bucket/x").unwrap_err();
        assert!(!format!("{what} {mend}").contains("topsecret"));
    }

    #[test]
    fn variables_are_never_printed() {
        let all = [("AWS_SECRET_ACCESS_KEY", "topsecret"), ("HOME", "/root")];
        let variables = Variables::of(all.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!((variables.0.len(), format!("{variables:?}")), (1, "Variables".to_owned()));
    }
}
