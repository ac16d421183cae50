//! Where a log lies, for whoever reads it: a folder, a store, or a store together with the folder of what waits for it.
//!
//! In: a configuration. Out: the names of its files and chains, and their bytes, wherever they lie. What is in both is taken from the
//! store, where it stays: the folder's is removed in time. The folder is listed before the store, so that nothing that goes up meanwhile
//! is missed. Writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::parquet::{self, Named};
use super::store::{Object, Store, StoreConfig};
use super::{Config, Error, chain, folder, schema, spool};
use crate::clock::Timestamp;
use crate::system;

/// See the module. Clones share the store's client.
#[derive(Clone, Debug)]
pub struct Place {
    folder: Option<PathBuf>,
    store: Option<Store>,
}

/// A file of the log, as it was listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its length.
    pub bytes: u64,
    /// Whether it is in the store.
    pub in_store: bool,
    /// When it was last written, by the store's clock; `None` of one that is in none.
    pub written_at: Option<Timestamp>,
}

impl Place {
    /// A folder.
    pub fn folder(path: &Path) -> Place {
        Place { folder: Some(path.to_path_buf()), store: None }
    }

    /// As it is configured; the spool where there is one on this machine. Says nothing to the store yet.
    ///
    /// # Errors
    /// The store's configuration makes no client.
    pub fn of(config: &Config) -> Result<Place, Error> {
        Place::made(&config.path, config.store.as_ref())
    }

    /// See [`Place::of`].
    pub(super) fn made(path: &Path, store: Option<&StoreConfig>) -> Result<Place, Error> {
        let Some(store) = store else { return Ok(Place::folder(path)) };
        let folder = spool::is_of(path, &store.url.to_string()).then(|| path.to_path_buf());
        Ok(Place { folder, store: Some(Store::open(store)?) })
    }

    /// A store alone.
    pub(super) fn in_store(store: Store) -> Place {
        Place { folder: None, store: Some(store) }
    }

    /// Only what lies on this machine.
    pub fn without_store(self) -> Place {
        Place { store: None, ..self }
    }

    /// Its name, for people.
    pub fn shown(&self) -> String {
        match (&self.store, &self.folder) {
            (Some(store), _) => store.url().to_string(),
            (None, Some(folder)) => folder.display().to_string(),
            (None, None) => String::new(),
        }
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// It does not, or refuses.
    pub fn reach(&self) -> Result<(), Error> {
        self.chain_objects("").map(|_| ())
    }

    /// What of it lies on this machine.
    pub fn local(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The store.
    pub fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// The files of a table that hold its records, by their names below the log: without those that another one has replaced, and which
    /// are there for a moment yet.
    pub(super) fn files(&self, table: &str) -> Result<BTreeMap<String, Found>, Error> {
        let mut files = self.all_files(table)?;
        let compacted: Vec<String> = files
            .keys()
            .filter(|path| named(path).is_some_and(|(_, named)| named.last_seq.is_some()))
            .cloned()
            .collect();
        let mut by_folder: BTreeMap<&str, Vec<Named<'_>>> = BTreeMap::new();
        for (folder, named) in compacted.iter().filter_map(|path| named(path)) {
            by_folder.entry(folder).or_default().push(named);
        }
        files.retain(|path, _| {
            let Some((folder, named)) = named(path) else { return true };
            let others = by_folder.get(folder).map(Vec::as_slice).unwrap_or_default();
            !others.iter().any(|other| named.is_replaced_by(other))
        });
        Ok(files)
    }

    /// The files of a table, by their names below the log.
    pub(super) fn all_files(&self, table: &str) -> Result<BTreeMap<String, Found>, Error> {
        let mut files = BTreeMap::new();
        if let Some(folder) = &self.folder {
            for partition in folder::names(&folder.join(table))? {
                let below = folder.join(table).join(&partition);
                if !below.is_dir() {
                    continue;
                }
                for name in settled(|| folder::names(&below), |_| false)? {
                    if name.ends_with(folder::REPLACED) {
                        continue;
                    }
                    let path = format!("{table}/{partition}/{name}");
                    let file = folder.join(&path);
                    match folder::listed(&file, fs::metadata) {
                        // It went up meanwhile, and is listed below; or it was deleted.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        found => {
                            let bytes = found.map_err(Error::io("read", &file))?.len();
                            files.insert(path, Found { bytes, in_store: false, written_at: None });
                        }
                    }
                }
            }
        }
        if let Some(store) = &self.store {
            let stored = settled(|| store.list(table), |listed| listed.len() < LISTED_AT_ONCE)?.into_iter();
            let stored = stored.filter(|(path, _)| !path.ends_with(folder::REPLACED));
            files.extend(stored.map(|(path, object)| {
                (path, Found { bytes: object.bytes, in_store: true, written_at: Some(object.written_at) })
            }));
        }
        Ok(files)
    }

    /// Whether anything of a log is here.
    pub(super) fn is_log(&self) -> Result<bool, Error> {
        if let Some(folder) = &self.folder {
            if self.store.is_none() {
                fs::read_dir(folder).map_err(Error::io("open the log", folder))?;
            }
            let is_table = schema::tables().iter().any(|table| folder.join(table.name).is_dir());
            if is_table || folder::journals(folder).is_dir() {
                return Ok(true);
            }
        }
        self.store.as_ref().map_or(Ok(false), |store| Ok(!store.list(chain::FOLDER)?.is_empty()))
    }

    /// A file, by its name below the log, on this machine.
    pub(super) fn here(&self, path: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(path))
    }

    /// Copies a file, by its name below the log, from here or else from the store, into one that lies `beside`; the SHA-256 of what was
    /// copied, hexadecimal, or `None` where it is in neither.
    pub(super) fn copy(&self, path: &str, into: &File, beside: &Path) -> Result<Option<String>, Error> {
        if let Some(file) = self.here(path) {
            match copy(&file, into, beside) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                copied => return copied.map(Some).map_err(Error::io("copy", &file)),
            }
        }
        self.store.as_ref().map_or(Ok(None), |store| store.copy(path, into, beside))
    }

    /// The writers that have a chain.
    pub(super) fn writers(&self) -> Result<BTreeSet<String>, Error> {
        let mut writers = BTreeSet::new();
        if let Some(folder) = &self.folder {
            writers.extend(chain::writers(folder)?);
        }
        for path in self.chain_objects("")?.into_keys() {
            writers.extend(path.split('/').nth(1).map(str::to_owned));
        }
        Ok(writers)
    }

    /// The text of a writer's chain on this machine; `None` where it has none here.
    pub(super) fn chain_here(&self, writer: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let path = chain::path(folder, writer);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            text => text.map(Some).map_err(Error::io("read", &path)),
        }
    }

    /// The text of a writer's chain in the store, of all objects of it that were written since; `None` without a store.
    pub(super) fn chain_stored(&self, writer: &str, wanted: impl Fn(Object) -> bool) -> Result<Option<Vec<u8>>, Error> {
        let Some(store) = &self.store else { return Ok(None) };
        let objects = self.chain_objects(writer)?;
        let paths = objects.into_iter().filter(|(_, object)| wanted(*object)).map(|(path, _)| path).collect();
        let mut text = Vec::new();
        for object in store.read_each(paths) {
            text.extend(object?);
        }
        Ok(Some(text))
    }

    /// The end of a writer's chain: its last lines, whole.
    pub(super) fn chain_end(&self, writer: &str) -> Result<Vec<u8>, Error> {
        if let Some(text) = self.chain_here(writer)? {
            return Ok(text);
        }
        let (Some(store), Some((last, _))) = (&self.store, self.chain_objects(writer)?.pop_last()) else {
            return Ok(Vec::new());
        };
        Ok(store.read(&last)?.map(|(text, _)| text).unwrap_or_default())
    }

    /// The objects that a writer's chain is in, in order; those of all writers where none is named.
    pub(super) fn chain_objects(&self, writer: &str) -> Result<BTreeMap<String, Object>, Error> {
        let Some(store) = &self.store else { return Ok(BTreeMap::new()) };
        let below = if writer.is_empty() { chain::FOLDER.to_owned() } else { format!("{}/{writer}", chain::FOLDER) };
        let mut objects = store.list(&below)?;
        objects.retain(|path, _| path.split('/').count() == 3 && path.ends_with(chain::EXTENSION));
        Ok(objects)
    }

    /// The texts in the folder `hold`: what must not be deleted.
    pub(super) fn holds(&self) -> Result<Vec<(String, Option<String>)>, Error> {
        let mut holds = Vec::new();
        if let Some(folder) = self.here(HOLD) {
            for name in folder::names(&folder)? {
                let text = fs::read_to_string(folder.join(&name)).ok();
                holds.push((name, text));
            }
        }
        if let Some(store) = &self.store {
            for path in store.list(HOLD)?.into_keys() {
                let text = store.read(&path)?.map(|(text, _)| text);
                holds.push((path, text.and_then(|text| String::from_utf8(text).ok())));
            }
        }
        Ok(holds)
    }
}

fn copy(file: &Path, into: &File, beside: &Path) -> io::Result<String> {
    let mut hasher = chain::Hasher::default();
    let mut from = File::open(file)?;
    let mut piece = vec![0; COPIED_BYTES];
    loop {
        let count = from.read(&mut piece)?;
        let piece = piece.get(..count).unwrap_or_default();
        if piece.is_empty() {
            return Ok(hasher.finish());
        }
        hasher.update(piece);
        system::write(into, beside, piece)?;
    }
}

/// Names, as they were at one moment: a listing during which files are renamed may have neither the old name nor the new one, and the
/// next one then has the new one. `is_at_once`: of a listing that is none of several.
fn settled<T: PartialEq>(list: impl Fn() -> Result<T, Error>, is_at_once: impl Fn(&T) -> bool) -> Result<T, Error> {
    let mut names = list()?;
    for _ in 0..LISTED_TIMES_MAX {
        if is_at_once(&names) {
            break;
        }
        let again = list()?;
        if again == names {
            break;
        }
        names = again;
    }
    Ok(names)
}

/// The folder of a file, below the log, and what its name tells.
fn named(path: &str) -> Option<(&str, Named<'_>)> {
    let (folder, name) = path.rsplit_once('/')?;
    Some((folder, parquet::parse_name(name)?))
}

/// How often a folder is listed at most, until two listings agree: who seals without a pause must not keep a reader for ever.
const LISTED_TIMES_MAX: usize = 16;
/// What a store lists in one answer, at least: beyond it, a listing is several.
const LISTED_AT_ONCE: usize = 1000;
/// What is copied of a file at a time, bytes.
const COPIED_BYTES: usize = 256 << 10;
/// The folder of the holds.
const HOLD: &str = "hold";
