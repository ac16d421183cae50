//! Where PostgreSQL's programs are on this machine.
//!
//! In: PATH and the folders that distributions use. Out: the folder of a server of a version that will do, PATH's before
//! the newest elsewhere. Starts nothing but `postgres --version`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::Error;

/// The oldest major version that will do.
pub const VERSION_LEAST: u32 = 13;

/// Folders named by version: (where, how the name begins, what follows).
const FOLDERS: [(&str, &str, &str); 10] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/lib", "postgresql", "bin"),
    ("/usr/lib64", "postgresql", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/usr/local", "pgsql", "bin"),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// The folder that holds `postgres` and `initdb`, of version [`VERSION_LEAST`] or newer.
pub fn folder() -> Result<PathBuf, Error> {
    let on_path = on_path("postgres").and_then(|program| Some(fs::canonicalize(program).ok()?.parent()?.to_path_buf()));
    choose(on_path.as_deref().and_then(server_in), elsewhere())
}

/// A program that PATH leads to. The shell looks it up: the environment is not ours to read here.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let mut look = Command::new("sh");
    look.args(["-c", "command -v \"$1\"", "sh", name]).stdin(Stdio::null()).stderr(Stdio::null());
    let output = look.output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    (output.status.success() && path.is_absolute()).then_some(path)
}

/// (major version, folder)
type Server = (u32, PathBuf);

fn choose(on_path: Option<Server>, elsewhere: Vec<Server>) -> Result<PathBuf, Error> {
    let newest_elsewhere = elsewhere.into_iter().max();
    let mut newest_too_old = None;
    for (version, folder) in [on_path, newest_elsewhere].into_iter().flatten() {
        if version >= VERSION_LEAST {
            return Ok(folder);
        }
        newest_too_old = newest_too_old.max(Some(version));
    }
    let found = newest_too_old.map_or_else(String::new, |version| format!(" (only {version})"));
    Err(Error::NoServer { least: VERSION_LEAST, found })
}

fn elsewhere() -> Vec<Server> {
    let mut servers = Vec::new();
    for (parent, prefix, inside) in FOLDERS {
        let Ok(entries) = fs::read_dir(parent) else { continue };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                servers.extend(server_in(&entry.path().join(inside)));
            }
        }
    }
    servers
}

fn server_in(folder: &Path) -> Option<Server> {
    if !folder.join("initdb").is_file() {
        return None;
    }
    let output = Command::new(folder.join("postgres")).arg("--version").stdin(Stdio::null()).output().ok()?;
    Some((major(&String::from_utf8_lossy(&output.stdout))?, folder.to_path_buf()))
}

/// `postgres (PostgreSQL) 15.18 (Debian …)`, `postgres (PostgreSQL) 19devel` → 15, 19.
fn major(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL) ")?.1;
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_major_version() {
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0)"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 19devel\n"), Some(19));
        assert_eq!(major("postgres: command not found"), None);
    }

    #[test]
    fn path_goes_first_where_it_is_new_enough_else_the_newest() {
        let server = |version: u32| (version, PathBuf::from(format!("/{version}")));
        assert_eq!(choose(Some(server(13)), vec![server(17)]).unwrap(), Path::new("/13"));
        assert_eq!(choose(Some(server(12)), vec![server(14), server(17)]).unwrap(), Path::new("/17"));
    }

    #[test]
    fn none_or_too_old_names_what_to_install() {
        let none = choose(None, vec![]).unwrap_err().to_string();
        assert!(none.contains("13 or newer") && none.contains("apt install postgresql"), "{none}");
        let old = choose(Some((9, PathBuf::new())), vec![(12, PathBuf::new())]).unwrap_err().to_string();
        assert!(old.contains("(only 12)"), "{old}");
    }
}
