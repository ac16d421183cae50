//! The demo's folder: its configuration, its policies, its log, its report. It stays when the demo is over.
//!
//! In: a path. Out: the folder, empty of an earlier demo's files and locked against another demo. Refuses a folder that has
//! anything in it and was not made by a demo.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::Error;
use super::play::day::{Day, ZONE};
use crate::app::CLASSIFICATION_FILE;
use crate::config::Config;
use crate::policy::built_in;

/// Says that a demo made the folder; locked while one runs in it.
const MARK: &str = ".mitsuke-demo";
/// What an earlier demo leaves, besides the mark.
const LEFT: [&str; 5] = ["log", "log.key", "policies", "mitsuke.toml", "report.html"];

/// A folder that is ours.
pub struct Folder {
    path: PathBuf,
    /// Open as long as the folder is in use: the lock goes with it.
    _mark: File,
}

impl Folder {
    /// Makes it, or takes over that of an earlier demo.
    pub fn claim(path: &Path) -> Result<Folder, Error> {
        if path.exists() && !path.is_dir() {
            return Err(Error::NotOurs(path.to_path_buf()));
        }
        let cannot_make = |source| Error::Io { doing: "cannot make", path: path.to_path_buf(), source };
        fs::create_dir_all(path).map_err(cannot_make)?;
        let path = fs::canonicalize(path).map_err(cannot_make)?;
        let mark = path.join(MARK);
        let is_empty = fs::read_dir(&path).map_err(Error::io("cannot read", &path))?.next().is_none();
        if !is_empty && !mark.is_file() {
            return Err(Error::NotOurs(path));
        }
        let file = File::create(&mark).map_err(Error::io("cannot write", &mark))?;
        if file.try_lock().is_err() {
            return Err(Error::InUse(path));
        }
        for name in LEFT {
            let left = path.join(name);
            let removed = if left.is_dir() { fs::remove_dir_all(&left) } else { fs::remove_file(&left) };
            match removed {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::Io { doing: "cannot remove", path: left, source });
                }
                _ => {}
            }
        }
        Ok(Folder { path, _mark: file })
    }

    /// Where the log lies.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Where the report lies.
    #[cfg(feature = "query")]
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// Writes the policies that are built in, the shop's classification and the day's permit; and the configuration, which
    /// it returns as the sidecar reads it.
    pub fn write(&self, day: &Day, upstream_port: u16, catalog_url: &str) -> Result<Config, Error> {
        let policies = self.path.join("policies");
        for (name, text) in built_in::FILES {
            write(&self.path.join(name), text)?;
        }
        write(&policies.join(CLASSIFICATION_FILE), include_str!("files/classification.yaml"))?;
        write(&policies.join("permits.yaml"), &include_str!("files/permits.yaml").replace("@DATE@", &day.date()))?;
        let text = include_str!("files/mitsuke.toml")
            .replace("@UPSTREAM@", &upstream_port.to_string())
            .replace("@CATALOG@", &format!("{catalog_url:?}"))
            .replace("@LOG@", &format!("{:?}", self.log().display().to_string()))
            .replace("@POLICIES@", &format!("{:?}", policies.display().to_string()))
            .replace("@ZONE@", ZONE);
        let file = self.path.join("mitsuke.toml");
        write(&file, &text)?;
        // Not the environment's settings: the demo is the same everywhere.
        Config::parse(Some((&file, &text)), []).map_err(|faults| Error::Sidecar(faults.to_string()))
    }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::io("cannot make", parent))?;
    }
    fs::write(path, text).map_err(Error::io("cannot write", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn takes_over_an_earlier_demo_s_folder_and_nobody_else_s() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("demo");
        let first = Folder::claim(&path).unwrap();
        fs::create_dir_all(first.log().join("statements")).unwrap();
        assert!(matches!(Folder::claim(&path), Err(Error::InUse(_))), "while the first runs");
        drop(first);
        assert!(!Folder::claim(&path).unwrap().log().exists(), "the earlier log is gone");

        let somebodys = temporary.path().join("somebodys");
        fs::create_dir(&somebodys).unwrap();
        fs::write(somebodys.join("thesis.txt"), "").unwrap();
        assert!(matches!(Folder::claim(&somebodys), Err(Error::NotOurs(_))));
        assert!(somebodys.join("thesis.txt").exists());
    }

    #[test]
    fn what_it_writes_is_what_the_sidecar_reads() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::claim(&temporary.path().join("a \"demo\"")).unwrap();
        let day = Day::before(Clock::system().now(), |_| false);
        let config = folder.write(&day, 5433, "postgres://mitsuke_catalog:x@127.0.0.1:5433/shop").unwrap();
        assert_eq!(config.audit.path, folder.log());
        crate::policy::load(&config.policies).unwrap_or_else(|faults| panic!("{faults}"));
        crate::app::classification(&config.policies).unwrap_or_else(|faults| panic!("{faults}"));
    }
}
