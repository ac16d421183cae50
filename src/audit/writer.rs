//! A sidecar's name in the log, held while it lives.
//!
//! In: the log's folder. Out: a name no other living process has: the host's, or `<host>-2`, `-3`, … where others hold
//! those before it. A restart finds its name free and takes it again, and with it the journal it left behind.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;

use super::{Error, folder, spool};
use crate::system;

/// The most sidecars of one host on one folder.
const WRITERS_MAX: usize = 64;
/// The longest name of a host that is kept, bytes.
const HOST_BYTES_MAX: usize = 64;
/// What the name of a writer that only records readings ends in, but for its number.
const READS: &str = "-read";
/// Where Linux tells the host's name.
const HOSTNAME_FILE: &str = "/proc/sys/kernel/hostname";

/// A claimed name. The claim ends when it is dropped, or when the process ends, however it does.
#[derive(Debug)]
pub struct Writer {
    name: String,
    _lock: File,
}

impl Writer {
    /// Claims the first free name of this host in a log's folder, which is made where it does not exist.
    ///
    /// # Errors
    /// The folder cannot be made or written, or 64 names are taken.
    pub fn claim(log: &Path) -> Result<Writer, Error> {
        Writer::claim_first(log, &base(log)?)
    }

    /// Claims a name for a command that reads, and records that it does: `<host>-read`, `<host>-read-2`, … A sidecar never has one of
    /// these, so that none of its names is taken when it starts.
    ///
    /// # Errors
    /// As [`Writer::claim`].
    pub fn claim_to_read(log: &Path) -> Result<Writer, Error> {
        Writer::claim_first(log, &format!("{}{READS}", base(log)?))
    }

    /// Claims a name that has written here before; `None` where another process has it.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(super) fn claim_named(log: &Path, name: &str) -> Result<Option<Writer>, Error> {
        Writer::try_claim(log, name.to_owned())
    }

    fn claim_first(log: &Path, base: &str) -> Result<Writer, Error> {
        (1..=WRITERS_MAX)
            .find_map(|number| {
                let name = if number == 1 { base.to_owned() } else { format!("{base}-{number}") };
                Writer::try_claim(log, name).transpose()
            })
            .unwrap_or_else(|| Err(Error::NoWriter(log.to_path_buf(), WRITERS_MAX)))
    }

    fn try_claim(log: &Path, name: String) -> Result<Option<Writer>, Error> {
        let journal = folder::journal(log, &name);
        folder::create(&journal)?;
        let path = journal.join("lock");
        let lock =
            system::open(OpenOptions::new().create(true).append(true), &path).map_err(Error::io("open", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Writer { name, _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", &path)(error)),
        }
    }

    /// The name: lower case letters, digits and hyphens.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// What the names begin with: the host's name, or what a spool has kept of it.
pub(super) fn base(log: &Path) -> Result<String, Error> {
    Ok(spool::writer(log)?.unwrap_or_else(host))
}

/// The host's name, fit for a file's.
pub(super) fn host() -> String {
    sanitised(&fs::read_to_string(HOSTNAME_FILE).unwrap_or_default())
}

/// What is left of a host's name in a file's name: no dot, no separator, never empty.
fn sanitised(host: &str) -> String {
    let short = host.trim().split('.').next().unwrap_or_default().to_ascii_lowercase();
    let name: String = short.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let name = name.trim_matches('-');
    match name.get(..HOST_BYTES_MAX.min(name.len())) {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => "mitsuke".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_sidecar_gets_a_name_of_its_own_and_a_restart_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let first = Writer::claim(folder.path()).unwrap();
        let second = Writer::claim(folder.path()).unwrap();
        assert_eq!(second.name(), format!("{}-2", first.name()));
        let name = first.name().to_owned();
        drop(first);
        assert_eq!(Writer::claim(folder.path()).unwrap().name(), name);
    }

    #[test]
    fn a_reading_takes_no_name_of_a_sidecar() {
        let folder = tempfile::tempdir().unwrap();
        let (reading, second) =
            (Writer::claim_to_read(folder.path()).unwrap(), Writer::claim_to_read(folder.path()).unwrap());
        let sidecar = Writer::claim(folder.path()).unwrap();
        assert_eq!(reading.name(), format!("{}-read", sidecar.name()));
        assert_eq!(second.name(), format!("{}-read-2", sidecar.name()));
    }

    #[test]
    fn a_host_name_is_made_fit_for_a_file_name() {
        assert_eq!(sanitised("DB-1.example.com\n"), "db-1");
        assert_eq!(sanitised("../../etc"), "mitsuke");
        assert_eq!(sanitised("日本"), "mitsuke");
        assert_eq!(sanitised("a_b/c"), "a-b-c");
        assert_eq!(sanitised(&"x".repeat(300)).len(), HOST_BYTES_MAX);
    }
}
