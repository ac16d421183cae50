//! Whom to run PostgreSQL as: it refuses to run as root.
//!
//! In: who we are, and `/etc/passwd`. Out: nobody else where we are an ordinary user; the account `postgres`, else `nobody`, where
//! we are root.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::super::Error;

const PASSWD: &str = "/etc/passwd";
/// In order of preference.
const NAMES: [&str; 2] = ["postgres", "nobody"];

/// An account other than ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account to run the server as; `None`: ours. `ours` is a folder that we have just made: its owner is us.
    pub fn for_server(ours: &Path) -> Result<Option<Account>, Error> {
        let owner = fs::metadata(ours).map_err(Error::io("cannot read", ours))?.uid();
        if owner != 0 {
            return Ok(None);
        }
        let passwd = fs::read_to_string(PASSWD).map_err(Error::io("cannot read", Path::new(PASSWD)))?;
        NAMES.iter().find_map(|name| find(&passwd, name)).map(Some).ok_or(Error::NoAccount)
    }

    /// Gives it the folder.
    pub fn own(self, folder: &Path) -> Result<(), Error> {
        chown(folder, Some(self.uid), Some(self.gid)).map_err(Error::io("cannot give away", folder))
    }

    /// Makes the command run as it.
    pub fn run(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }
}

/// `name:password:uid:gid:…`, passwd(5).
fn find(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (uid != 0).then_some(Account { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str =
        "root:x:0:0:root:/root:/bin/bash\npostgresql:x:7:7::/:/bin/sh\nbroken\npostgres:x:70:71::/:/bin/sh\n";

    #[test]
    fn finds_an_account_by_its_whole_name() {
        assert_eq!(find(SAMPLE, "postgres"), Some(Account { uid: 70, gid: 71 }));
        assert_eq!(find(SAMPLE, "nobody"), None);
    }

    #[test]
    fn never_root_under_another_name() {
        assert_eq!(find("nobody:x:0:0::/:/bin/sh", "nobody"), None);
        assert_eq!(find(SAMPLE, "root"), None);
    }
}
