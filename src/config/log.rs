//! `[log]`: the folder, or the store with the folder of what waits for it, and the keys beside it.
//!
//! In: the section, and the variables of the environment that say how to log in to a store. Out: an [`audit::Config`]. Refuses credentials
//! in a path, and keys of a store where the path is a folder's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::section::Section;
use super::{DEFAULT_LOG, DEFAULT_SPOOL};
use crate::audit::{self, Connection, StoreConfig, StoreUrl, Variables};
use crate::error::{Fault, Faults};

/// How long records stay in the journal before they are sealed into Parquet.
const DEFAULT_FLUSH: Duration = Duration::from_secs(600);
/// What may wait for a store, MiB.
const DEFAULT_SPOOL_MIB: u32 = 10_240;
/// The most that may be allowed to, MiB.
const SPOOL_MIB_MAX: u32 = 1 << 30;

/// Where nothing is said.
pub(super) fn default(key_file: Option<PathBuf>) -> audit::Config {
    let path = PathBuf::from(DEFAULT_LOG);
    audit::Config {
        store: None,
        durability: audit::Durability::default(),
        when_unwritable: audit::WhenUnwritable::default(),
        flush: DEFAULT_FLUSH,
        retention: audit::Retention::default(),
        key_file: key_file.unwrap_or_else(|| key_beside(&path)),
        signing_key: signing_key_beside(&path),
        path,
    }
}

/// Reads the section.
pub(super) fn read(section: &mut Section<'_>, key_file: Option<PathBuf>, variables: Variables) -> audit::Config {
    use audit::{Durability, WhenUnwritable};
    let (path, url) = place(section);
    let spool = section.file("spool");
    let spool_mib_max = section.number("spool_mib_max", 1, SPOOL_MIB_MAX).unwrap_or(DEFAULT_SPOOL_MIB);
    let connection = section.section("store", connection).unwrap_or_default();
    let connection = Connection { variables, ..connection };
    let (path, store) = match url {
        Some(url) => {
            let spool_bytes_max = u64::from(spool_mib_max) << 20;
            (
                spool.unwrap_or_else(|| PathBuf::from(DEFAULT_SPOOL)),
                Some(StoreConfig { url, connection, spool_bytes_max }),
            )
        }
        None => (path, None),
    };
    let durability = [("relaxed", Durability::Relaxed), ("process", Durability::Process), ("disk", Durability::Disk)];
    let unwritable = [("block", WhenUnwritable::Block), ("pass", WhenUnwritable::Pass)];
    audit::Config {
        store,
        durability: section.word("durability", &durability).unwrap_or_default(),
        when_unwritable: section.word("when_unwritable", &unwritable).unwrap_or_default(),
        flush: section.duration("flush").unwrap_or(DEFAULT_FLUSH),
        retention: retention(section),
        key_file: key_file.unwrap_or_else(|| key_beside(&path)),
        signing_key: section.file("signing_key").unwrap_or_else(|| signing_key_beside(&path)),
        path,
    }
}

/// `log.path`: a folder, or a store's address.
fn place(section: &mut Section<'_>) -> (PathBuf, Option<StoreUrl>) {
    let Some((written, place)) = section.text("path") else { return (PathBuf::from(DEFAULT_LOG), None) };
    match StoreUrl::parse(&written) {
        Ok(Some(_)) if !cfg!(feature = "object-store") => {
            let what = "`log.path` is a store, and this binary was built without the feature `object-store`";
            section.fault(&place, what, "build it with default features, or name a folder");
            (PathBuf::from(DEFAULT_LOG), None)
        }
        Ok(url) => (folder(&written), url),
        Err((what, mend)) => {
            section.fault(&place, format!("`log.path`: {what}"), mend);
            (PathBuf::from(DEFAULT_LOG), None)
        }
    }
}

/// `file:///var/log/mitsuke` is a folder, too.
fn folder(written: &str) -> PathBuf {
    PathBuf::from(written.strip_prefix("file://").unwrap_or(written))
}

fn connection(section: &mut Section<'_>) -> Connection {
    let allow_http = section.flag("allow_http").unwrap_or_default();
    let endpoint = section.text("endpoint").and_then(|(endpoint, place)| {
        let (scheme, rest) = endpoint.split_once("://").unwrap_or_default();
        let wrong = match scheme {
            _ if rest.is_empty() || rest.contains(['@', '?', '#', ' ']) => {
                Some(("is no server's address", "write \"https://minio.example.com:9000\""))
            }
            "https" => None,
            "http" if allow_http => None,
            "http" => Some((
                "goes without TLS",
                "write https://, or set `log.store.allow_http = true` for a server on a network that you trust",
            )),
            _ => Some(("is no server's address", "write \"https://minio.example.com:9000\"")),
        };
        if let Some((what, mend)) = wrong {
            section.fault(&place, format!("`log.store.endpoint` {what}"), mend);
        }
        wrong.is_none().then_some(endpoint)
    });
    Connection {
        endpoint,
        region: section.text("region").map(|(region, _)| region),
        allow_http,
        ca: section.file("ca"),
        variables: Variables::default(),
    }
}

fn retention(section: &mut Section<'_>) -> audit::Retention {
    let mut retention = audit::Retention::default();
    for (text, place) in section.texts("retention").unwrap_or_default() {
        if let Err(what) = retention.set(&text) {
            section.fault(&place, format!("`log.retention`: {what}"), "");
        }
    }
    retention
}

/// Another log, as `--log` names it, with its keys beside it where the configuration has them there.
pub(super) fn put(audit: &mut audit::Config, path: &Path) -> Result<(), Faults> {
    let written = path.to_str().unwrap_or_default();
    let url = StoreUrl::parse(written)
        .map_err(|(what, mend)| Faults(vec![Fault::of_file(Path::new("--log"), what, mend)]))?;
    let folder = match &url {
        // What is said of the connection holds for another place as well.
        Some(_) if audit.store.is_some() => audit.path.clone(),
        Some(_) => PathBuf::from(DEFAULT_SPOOL),
        None if written.starts_with("file://") => folder(written),
        None => path.to_path_buf(),
    };
    if audit.key_file == key_beside(&audit.path) {
        audit.key_file = key_beside(&folder);
    }
    if audit.signing_key == signing_key_beside(&audit.path) {
        audit.signing_key = signing_key_beside(&folder);
    }
    audit.path = folder;
    audit.store = url.map(|url| match audit.store.take() {
        Some(store) => StoreConfig { url, ..store },
        None => {
            let connection = Connection { variables: Variables::of(super::variables()), ..Connection::default() };
            StoreConfig { url, connection, spool_bytes_max: u64::from(DEFAULT_SPOOL_MIB) << 20 }
        }
    });
    Ok(())
}

/// The key file's default: beside the log folder, not in it, so that who gets the log does not get the key.
fn key_beside(log: &Path) -> PathBuf {
    beside(log, ".key")
}

/// The signing key's default.
fn signing_key_beside(log: &Path) -> PathBuf {
    beside(log, ".signing.key")
}

fn beside(log: &Path, suffix: &str) -> PathBuf {
    let mut name = log.file_name().unwrap_or("mitsuke-log".as_ref()).to_os_string();
    name.push(suffix);
    log.with_file_name(name)
}
