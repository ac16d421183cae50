//! Where everything lies under `[log].path`, and the few file operations that the rest shares.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Error;
use crate::system;

/// The folder of the journals of all writers.
pub fn journals(log: &Path) -> PathBuf {
    log.join("journal")
}

/// The folder of one writer's journals.
pub fn journal(log: &Path, writer: &str) -> PathBuf {
    journals(log).join(writer)
}

/// The folder of one writer's intake segments.
pub fn intake(log: &Path, writer: &str) -> PathBuf {
    journal(log, writer).join("intake")
}

/// The folder of one writer's record journal.
pub fn records(log: &Path, writer: &str) -> PathBuf {
    journal(log, writer).join("records")
}

/// The partition of one UTC date.
pub fn partition(log: &Path, table: &str, date: &str) -> PathBuf {
    log.join(table).join(format!("dt={date}"))
}

/// Makes a folder and those above it.
pub fn create(path: &Path) -> Result<(), Error> {
    system::create_folders(path).map_err(Error::io("create", path))
}

/// Writes a file that is not there yet, and its folder: made under another name and linked, so that nobody ever reads half of it,
/// and the first of two wins.
pub fn put_new(path: &Path, content: &[u8], mode: u32) -> Result<(), Error> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create(parent)?;
    system::put_new(path, content, mode).map_err(Error::io("create", path))
}

/// Makes the names in a folder durable.
pub fn sync(path: &Path) -> Result<(), Error> {
    system::sync_folder(path).map_err(Error::io("sync", path))
}

/// The names in a folder; none where there is no such folder.
pub fn names(path: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::io("list", path))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry.map_err(Error::io("list", path))?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The files `<number>.<extension>` of a folder, by number.
pub fn numbered(path: &Path, extension: &str) -> Result<Vec<(u64, PathBuf)>, Error> {
    let mut files: Vec<(u64, PathBuf)> = names(path)?
        .iter()
        .filter_map(|name| {
            let number = name.strip_suffix(extension)?.strip_suffix('.')?.parse().ok()?;
            Some((number, path.join(name)))
        })
        .collect();
    files.sort_unstable();
    Ok(files)
}

/// The name of a numbered file: names sort as numbers do.
pub fn number(folder: &Path, number: u64, extension: &str) -> PathBuf {
    folder.join(format!("{number:020}.{extension}"))
}

/// What the name of a file ends in that another one has replaced. Readers that listed it before find it there for a while; no pattern
/// like `*.parquet` does, and no engine that reads whatever lies in a folder: names that begin with `_` are none to those.
pub const REPLACED: &str = ".replaced";
const HIDDEN: &str = "_";

/// Where a file or an object lies that was replaced, by its path.
pub fn aside_of(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
    let slash = if folder.is_empty() { "" } else { "/" };
    format!("{folder}{slash}{HIDDEN}{name}{REPLACED}")
}

/// What the name of a file was that was replaced; also as builds before this one wrote it, which did not hide it.
pub fn replaced_name(name: &str) -> Option<&str> {
    let name = name.strip_suffix(REPLACED)?;
    Some(name.strip_prefix(HIDDEN).unwrap_or(name))
}

/// Where a file lies that was replaced.
pub fn aside(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    path.with_file_name(aside_of(&name))
}

/// Takes away the name of a file that was replaced; that it is gone already is as well.
pub fn put_aside(path: &Path) -> Result<(), Error> {
    renamed(path, &aside(path))
}

/// Gives a file its name back.
pub fn bring_back(path: &Path) -> Result<(), Error> {
    if path.exists() { Ok(()) } else { renamed(&aside(path), path) }
}

fn renamed(from: &Path, to: &Path) -> Result<(), Error> {
    match system::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(Error::io("rename", from)),
    }
}

/// Does something with a file that was listed, or with what is left of it where it was replaced since.
pub fn listed<T>(path: &Path, act: impl Fn(PathBuf) -> io::Result<T>) -> io::Result<T> {
    match act(path.to_path_buf()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => act(aside(path)).map_err(|_| error),
        done => done,
    }
}

/// Removes a file; that it is gone already is as well.
pub fn remove(path: &Path) -> Result<(), Error> {
    match system::remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(Error::io("remove", path)),
    }
}
