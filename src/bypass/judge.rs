//! Which of the server's sessions came another way. PURE.
//!
//! In: looks at the server's list, with the process numbers that are or were ours since the look before. Out: findings. A session is found
//! when it is there at two looks and was ours at none: one that is about to be told its number is given that time. What was ours stays so
//! until it is gone, also when its client has gone before it. What began before this sidecar did is given [`EARLIER_US`], because its
//! client may have come through the one before.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use crate::clock::Timestamp;
use crate::policy::key::Key;
use crate::policy::throttle::Throttle;
use crate::record::{Action, Column, Common, Finding, Severity, Table, Text};
use crate::yaml::pattern::matches;

/// How long what is older than this sidecar may stay, microseconds.
const EARLIER_US: i64 = 5 * 60 * 1_000_000;
/// How often somebody is told of, microseconds: once in twelve hours.
const ONCE_US: i64 = 12 * 60 * 60 * 1_000_000;

/// Who may come another way: `user`, or `user@address`, with `*` for any run of characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    user: String,
    address: String,
}

impl FromStr for Allowed {
    type Err = ();

    fn from_str(text: &str) -> Result<Allowed, ()> {
        let (user, address) = text.rsplit_once('@').unwrap_or((text, "*"));
        let whole = !user.is_empty() && !address.is_empty();
        whole.then(|| Allowed { user: user.to_owned(), address: address.to_owned() }).ok_or(())
    }
}

/// A session that the server has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backend {
    /// Its process.
    pub pid: u32,
    /// The database connected to.
    pub database: Option<String>,
    /// The authenticated role.
    pub db_user: Option<String>,
    /// What it calls itself.
    pub application_name: Option<String>,
    /// As the server sees it; `local` for a unix socket.
    pub client_addr: String,
    /// When it began, microseconds.
    pub started_us: i64,
    /// Whether nothing, or no row-level policy, limits the role.
    pub is_powerful: bool,
}

/// What came of a look.
#[derive(Debug, Default)]
pub struct Look {
    /// To be told.
    pub findings: Vec<Finding>,
    /// Somebody was there for the first time who is not ours: look again soon.
    pub somebody_new: bool,
    /// Why nothing can be said.
    pub trouble: Option<&'static str>,
}

/// What earlier looks have seen.
#[derive(Debug)]
pub struct Judge {
    allow: Vec<Allowed>,
    since: Timestamp,
    ours: HashMap<u32, i64>,
    others: HashMap<(u32, i64), Other>,
    throttle: Throttle,
    strange_looks: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Other {
    Seen,
    Told,
}

/// Looks at which the server knew none of ours, after which nothing is found.
const STRANGE_LOOKS_MAX: u32 = 2;

impl Judge {
    /// Nothing seen; the sidecar began at `since`.
    pub fn new(allow: Vec<Allowed>, since: Timestamp) -> Judge {
        let (ours, others) = (HashMap::new(), HashMap::new());
        Judge { allow, since, ours, others, throttle: Throttle::default(), strange_looks: 0 }
    }

    /// Takes a look. `ours`: the processes that are ours, or were since the last look.
    pub fn look(&mut self, backends: &[Backend], ours: &HashSet<u32>, now: Timestamp) -> Look {
        let known = backends.iter().any(|backend| ours.contains(&backend.pid));
        self.strange_looks = if known || ours.is_empty() { 0 } else { self.strange_looks.saturating_add(1) };
        if self.strange_looks >= STRANGE_LOOKS_MAX {
            let trouble = "the server of [catalog].url does not know the sessions that come through here (a pooler in between, or another \
                           server), so that others cannot be told from them";
            return Look { trouble: Some(trouble), ..Look::default() };
        }
        let before = std::mem::take(&mut self.others);
        let mut still_ours = HashMap::new();
        let mut look = Look::default();
        for backend in backends {
            let key = (backend.pid, backend.started_us);
            if ours.contains(&backend.pid) || self.ours.get(&backend.pid) == Some(&backend.started_us) {
                still_ours.insert(backend.pid, backend.started_us);
                continue;
            }
            if self.allow.iter().any(|allowed| allowed.covers(backend)) {
                continue;
            }
            let is_earlier = backend.started_us < self.since.0 && now.0.saturating_sub(self.since.0) < EARLIER_US;
            let other = match before.get(&key) {
                Some(Other::Told) => Other::Told,
                Some(Other::Seen) if !is_earlier => {
                    look.findings.push(finding(backend, now));
                    Other::Told
                }
                Some(Other::Seen) => Other::Seen,
                None => {
                    look.somebody_new = true;
                    Other::Seen
                }
            };
            self.others.insert(key, other);
        }
        self.ours = still_ours;
        look
    }

    /// Tells a finding, unless the same user, database, address and application were told of lately.
    pub fn told(&mut self, finding: Finding, tell: impl Fn(Finding) -> bool) {
        let by = ["policy", "db_user", "database", "client_addr", "application_name"];
        let columns: Vec<&'static Column<Finding>> = by.iter().filter_map(|name| Finding::column(name)).collect();
        let at = finding.common.at;
        if self.throttle.admits(Key::of(&finding, &columns), at, 0, ONCE_US) && !tell(finding) {
            tracing::error!("a finding of the policy bypass was lost: the analysis stage does not take orders");
        }
    }
}

impl Allowed {
    /// Whether it may be about this user, from wherever.
    pub(super) fn covers_user(&self, user: &str) -> bool {
        matches(&self.user, user)
    }

    fn covers(&self, backend: &Backend) -> bool {
        let user = backend.db_user.as_deref().unwrap_or_default();
        matches(&self.user, user) && matches(&self.address, &backend.client_addr)
    }
}

fn finding(backend: &Backend, now: Timestamp) -> Finding {
    let text = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(Text::from);
    let name = |name: &Option<String>| {
        name.as_deref().filter(|name| !name.is_empty()).map_or_else(|| "nobody".to_owned(), crate::policy::judged::tame)
    };
    let from = if backend.client_addr == "local" { "a unix socket" } else { &backend.client_addr };
    let with = match text(&backend.application_name) {
        Some(application) => format!(" with {}", crate::policy::judged::tame(&application)),
        None => String::new(),
    };
    let explanation = format!(
        "{} has been connected to the database {} from {from}{with} since {} and did not come through this sidecar: what it does there is \
         not in the log",
        name(&backend.db_user),
        name(&backend.database),
        Timestamp(backend.started_us),
    );
    Finding {
        common: Common { at: now, ..Common::default() },
        finding_id: uuid::Uuid::now_v7().to_string().into(),
        policy: "bypass".into(),
        title: "A session that did not come through Mitsuke".into(),
        severity: Some(if backend.is_powerful { Severity::High } else { Severity::Medium }),
        action: Some(Action::Alert),
        explanation: Some(explanation.into()),
        tags: Some(
            ["attack.t1562".into(), "appi.art-23".into(), "pci-dss.10.2.1".into(), "iso27001.a.8.15".into()].into(),
        ),
        database: text(&backend.database),
        db_user: text(&backend.db_user),
        application_name: text(&backend.application_name),
        client_addr: Some(backend.client_addr.as_str().into()),
        ..Finding::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_780_272_000_000_000);
    const SECOND: i64 = 1_000_000;

    fn backend(pid: u32, user: &str, started_s: i64) -> Backend {
        Backend {
            pid,
            database: Some("shop".to_owned()),
            db_user: Some(user.to_owned()),
            application_name: Some("psql".to_owned()),
            client_addr: "10.0.0.5".to_owned(),
            started_us: START.0 + started_s * SECOND,
            is_powerful: false,
        }
    }

    fn judge(allow: &[&str]) -> Judge {
        Judge::new(allow.iter().map(|text| text.parse().expect("a pattern")).collect(), START)
    }

    fn found(judge: &mut Judge, backends: &[Backend], ours: &[u32], at_s: i64) -> Vec<String> {
        let look = judge.look(backends, &ours.iter().copied().collect(), START.plus_micros(at_s * SECOND));
        look.findings.into_iter().map(|finding| finding.db_user.expect("somebody").to_string()).collect()
    }

    #[test]
    fn who_is_there_twice_and_was_never_ours_is_found_once() {
        let mut judge = judge(&[]);
        let there = [backend(1, "web", 1), backend(2, "clerk", 2)];
        assert!(found(&mut judge, &there, &[1], 30).is_empty(), "it may be about to be told its number");
        assert_eq!(found(&mut judge, &there, &[1], 33), ["clerk"]);
        assert!(found(&mut judge, &there, &[1], 63).is_empty());
    }

    #[test]
    fn what_was_ours_stays_ours_until_it_is_gone_and_its_number_may_be_somebody_else_s_then() {
        let mut judge = judge(&[]);
        assert!(found(&mut judge, &[backend(1, "web", 1)], &[1], 30).is_empty());
        // Its client has gone; its statement runs on.
        for at in [60, 90, 120] {
            assert!(found(&mut judge, &[backend(1, "web", 1), backend(7, "web", 1)], &[7], at).is_empty());
        }
        let later = [backend(1, "clerk", 125), backend(7, "web", 1)];
        assert!(found(&mut judge, &later, &[7], 150).is_empty());
        assert_eq!(found(&mut judge, &later, &[7], 153), ["clerk"]);
    }

    #[test]
    fn who_is_allowed_is_not_found() {
        let mut judge = judge(&["backup@10.0.0.5", "monitoring", "*@10.0.0.9", "clerk@local"]);
        let elsewhere = Backend { client_addr: "10.0.0.9".to_owned(), ..backend(4, "clerk", 1) };
        let there = [backend(1, "backup", 1), backend(2, "monitoring", 1), elsewhere, backend(3, "clerk", 1)];
        assert!(found(&mut judge, &there, &[], 30).is_empty());
        assert_eq!(found(&mut judge, &there, &[], 33), ["clerk"]);
        assert!("".parse::<Allowed>().is_err() && "@10.0.0.5".parse::<Allowed>().is_err());
    }

    #[test]
    fn what_is_older_than_the_sidecar_is_given_time() {
        let mut judge = judge(&[]);
        let there = [backend(1, "web", -10)];
        for at in [30, 33, 60, 290] {
            assert!(found(&mut judge, &there, &[], at).is_empty(), "{at}");
        }
        assert_eq!(found(&mut judge, &there, &[], 301), ["web"]);
    }

    #[test]
    fn a_server_that_knows_none_of_ours_is_not_judged() {
        let mut judge = judge(&[]);
        let there = [backend(1, "web", 1)];
        let _ = found(&mut judge, &there, &[8, 9], 30);
        let look = judge.look(&there, &[8, 9].into(), START.plus_micros(33 * SECOND));
        assert!(look.findings.is_empty() && look.trouble.is_some());
    }

    #[test]
    fn the_same_from_the_same_place_is_told_once_in_twelve_hours() {
        let mut judge = judge(&[]);
        let told = std::cell::Cell::new(0);
        for (pid, at) in [(1, 0), (2, 60), (3, 13 * 3_600)] {
            let finding = finding(&backend(pid, "clerk", at), START.plus_micros(at * SECOND));
            judge.told(finding, |finding| {
                assert!(
                    finding
                        .explanation
                        .expect("words")
                        .contains("clerk has been connected to the database shop from 10.0.0.5")
                );
                told.set(told.get() + 1);
                true
            });
        }
        assert_eq!(told.get(), 2);
    }
}
