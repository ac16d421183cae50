//! Clusters that are made once and copied from then on.
//!
//! In: a folder to keep them in, and an installation. Out: a new cluster in a server's folder, as `initdb` would make it. Two
//! processes that make the same one at once do no harm: the first that is done stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::account::Account;
use super::{Auth, DATA, initdb};
use crate::demo::Error;

/// Makes `folder`'s cluster: a copy where one is kept, else by `initdb`, and then it is kept.
pub fn cluster(kept: &Path, bin: &Path, folder: &Path, account: Option<Account>) -> Result<(), Error> {
    let original = kept.join(name(bin));
    if original.exists() {
        return copy(&original, &folder.join(DATA));
    }
    initdb(bin, folder, account, &Auth::Trust)?;
    let unfinished = tempfile::tempdir_in(kept).map_err(Error::io("cannot make a folder in", kept))?;
    copy(&folder.join(DATA), &unfinished.path().join(DATA))?;
    // Where another process was quicker, its cluster is there and ours goes with its folder.
    let _ = fs::rename(unfinished.path().join(DATA), &original);
    Ok(())
}

/// One name an installation.
fn name(bin: &Path) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    format!("cluster{}", bin.display().to_string().chars().map(plain).collect::<String>()).into()
}

/// With its owner and permissions, which the server insists on.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let output = Command::new("cp").arg("-pR").arg(from).arg(to).stdin(Stdio::null()).output();
    let output = output.map_err(Error::io("cannot run", Path::new("cp")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Failed { program: "cp", said: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}
