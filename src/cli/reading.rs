//! Whoever reads the log by a command is recorded in it.
//!
//! In: the account that the command runs under, `--reviewer`, and what is asked. Out: a row of `reviews` before the answer is given.
//! Where it cannot be recorded (a copy, a read-only folder, no signing key), a line on standard error says so, and the answer is given
//! all the same: whoever can read the files can read them without us.

use std::fs;
use std::os::unix::fs::MetadataExt;

use clap::Args;

use crate::audit::{Asked, Config, Error, Reading};
use crate::clock::Clock;
use crate::policy::judged::tame;

const PASSWD: &str = "/etc/passwd";
/// Who logged in, whatever they became since (`sudo`, `su`); Linux with audit.
const LOGIN_UID: &str = "/proc/self/loginuid";
/// In [`LOGIN_UID`]: nobody did.
const NO_LOGIN: u32 = u32::MAX;

/// Who reads.
#[derive(Clone, Debug, Default, Args)]
pub struct Reader {
    /// Who reads, for the table `reviews` [default: the account that this runs under, or that logged in before `sudo`]
    #[arg(long, value_name = "NAME")]
    reviewer: Option<String>,
}

/// Records what is read while a command runs.
pub struct Recorder {
    reading: Option<Reading>,
    reviewer: String,
    comment: Option<String>,
}

impl Reader {
    /// Makes ready to record. To be called when the log was found to be one.
    pub fn recorder(&self, config: &Config) -> Recorder {
        let account = account();
        let reviewer = self.reviewer.as_deref().map_or_else(|| account.clone(), tame);
        let comment = (reviewer != account).then(|| format!("under the account {account}"));
        Recorder { reading: told(Reading::open(config, Clock::system().now())), reviewer, comment }
    }
}

impl Recorder {
    /// Records a question; to be called before its answer is given. `about` holds no literal.
    pub fn record(&mut self, about: String) {
        let Some(reading) = &mut self.reading else { return };
        let (reviewer, comment) = (self.reviewer.clone(), self.comment.clone());
        let asked = Asked { at: Clock::system().now(), reviewer, about, comment };
        if told(reading.record(asked)).is_none() {
            self.reading = None;
        }
    }

    /// Seals what was recorded.
    pub fn close(self) {
        if let Some(reading) = self.reading {
            let _ = told(reading.close());
        }
    }
}

fn told<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            eprintln!("mitsuke: that the log is read is not recorded in it: {error}");
            None
        }
    }
}

/// The account's name; `uid 1001` where it has none here.
fn account() -> String {
    let login = fs::read_to_string(LOGIN_UID).ok().and_then(|uid| uid.trim().parse().ok());
    let uid =
        login.filter(|uid| *uid != NO_LOGIN).or_else(|| fs::metadata("/proc/self").ok().map(|process| process.uid()));
    let Some(uid) = uid else { return "unknown".to_owned() };
    let passwd = fs::read_to_string(PASSWD).unwrap_or_default();
    name(&passwd, uid).map_or_else(|| format!("uid {uid}"), tame)
}

/// `name:password:uid:…`, passwd(5).
fn name(passwd: &str, uid: u32) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_known_by_its_number() {
        let passwd = "root:x:0:0:::/bin/sh\n# a remark\nanna:x:1001:1001::/home/anna:/bin/sh\n";
        assert_eq!((name(passwd, 0), name(passwd, 1001), name(passwd, 1)), (Some("root"), Some("anna"), None));
    }
}
