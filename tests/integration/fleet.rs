//! A quarantine holds for every sidecar of a fleet, through a real Redis: within a second, lifted anywhere, with the store away and back.

use std::time::{Duration, Instant};

use super::acting::KEPT_OUT;
use crate::support::programs::psql;
use crate::support::redis::{PASSWORD, Redis};
use crate::support::server::{direct, shared};
use crate::support::sidecar::Sidecar;
use crate::support::tls::Authority;
use crate::support::wait_for;

/// What sidecars of a fleet share: a policy, a key, and the store's password.
struct Fleet {
    folder: tempfile::TempDir,
    url: String,
    more: String,
}

impl Fleet {
    fn new(url: String, more: &str) -> Fleet {
        let folder = tempfile::tempdir().unwrap();
        let text =
            format!("id: bait\ntitle: t\nwhy: w\nstatus: stable\nseverity: high\ntags: [attack.t1213]\n{KEPT_OUT}");
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        std::fs::write(folder.path().join("policies/bait.yaml"), text).unwrap();
        std::fs::write(folder.path().join("password"), format!("{PASSWORD}\n")).unwrap();
        Fleet { folder, url, more: more.to_owned() }
    }

    /// One more, whose key is in this file.
    fn sidecar(&self, key: &str) -> Sidecar {
        let (folder, url, more) = (self.folder.path().display(), &self.url, &self.more);
        Sidecar::start(&format!(
            "[policies]\npath = \"{folder}/policies\"\n[privacy]\nkey_file = \"{folder}/{key}\"\n\
             [fleet]\nurl = \"{url}\"\npassword_file = \"{folder}/password\"\n{more}"
        ))
    }
}

fn role(name: &str) {
    psql(&direct(shared(), "postgres"), &format!("create role {name} login")).expect_success();
}

fn is_let_in(sidecar: &Sidecar, role: &str) -> bool {
    psql(&sidecar.url_as(role, "postgres"), "select 1").output.status.success()
}

fn is_kept_out(sidecar: &Sidecar, role: &str) -> Option<()> {
    let said = psql(&sidecar.url_as(role, "postgres"), "select 1").err();
    said.contains(&format!("mitsuke keeps role \"{role}\" out until ")).then_some(())
}

#[test]
fn who_is_kept_out_by_one_is_kept_out_by_all_and_let_in_by_all_with_the_store_away_in_between() {
    let mut redis = Redis::start(None);
    let fleet = Fleet::new(format!("redis://127.0.0.1:{}", redis.port), "");
    let (one, mut two) = (fleet.sidecar("key"), fleet.sidecar("key"));
    role("fleet_insider");
    role("fleet_other");
    // A session runs at the other one.
    let url = two.url_as("fleet_insider", "postgres");
    let working = std::thread::spawn(move || psql(&url, "select pg_sleep(60) as fleet_work"));
    wait_for("the session", || {
        let sql = "select 1 from pg_stat_activity where query like '%fleet_work' and query not like '%activity%'";
        (!psql(&direct(shared(), "postgres"), sql).expect_success().is_empty()).then_some(())
    });
    let began = Instant::now();
    psql(&one.url_as("fleet_insider", "postgres"), "select 1 as honeytoken").expect_success();
    let said = working.join().unwrap();
    let took = began.elapsed();
    assert!(said.err().contains("mitsuke keeps role \"fleet_insider\" out"), "{}", said.err());
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(is_kept_out(&two, "fleet_insider").is_some() && is_kept_out(&one, "fleet_insider").is_some());
    // Nothing is readable in the store.
    let held = redis.ask(["xrange", "mitsuke:quarantine", "-", "+"]);
    assert!(!held.is_empty() && !held.contains("fleet_insider") && !held.contains("bait"), "{held}");

    // A third that comes later knows; one of another key does not, and says why.
    let three = fleet.sidecar("key");
    wait_for("the third", || is_kept_out(&three, "fleet_insider"));
    let stranger = fleet.sidecar("other-key");
    wait_for("its word", || stranger.errors().contains("sealed with another key").then_some(()));
    assert!(is_let_in(&stranger, "fleet_insider"));
    drop((three, stranger));

    // Away: each goes on with what it knows, and keeps out by itself.
    redis.stop();
    wait_for("the word of it", || {
        (one.errors().contains("the fleet's store is away") && two.errors().contains("the fleet's store is away"))
            .then_some(())
    });
    psql(&one.url_as("fleet_other", "postgres"), "select 1 as honeytoken").expect_success();
    wait_for("its own", || is_kept_out(&one, "fleet_other"));
    assert!(is_let_in(&two, "fleet_other"));
    assert!(is_kept_out(&two, "fleet_insider").is_some(), "what it knows");
    two.stop();
    two.launch();
    assert!(is_kept_out(&two, "fleet_insider").is_some(), "over a restart, with the store away");
    // A lift meanwhile waits, too.
    two.command(["quarantine", "lift", "db_user", "fleet_insider", "--comment", "a test"]).expect_success();
    wait_for("the lift", || is_let_in(&two, "fleet_insider").then_some(()));
    assert!(is_kept_out(&one, "fleet_insider").is_some());
    assert_eq!(one.errors().matches("the fleet's store is away").count(), 1, "{}", one.errors());

    // Back, and empty: what happened meanwhile is told, and nobody is let in by that.
    redis.launch();
    wait_for("the one that was kept out meanwhile", || is_kept_out(&two, "fleet_other"));
    wait_for("the one that was let in meanwhile", || is_let_in(&one, "fleet_insider").then_some(()));
    assert!(one.errors().contains("the fleet's store is there again"), "{}", one.errors());
    let listed = two.command(["quarantine", "list"]).expect_success();
    assert!(listed.starts_with("db_user\tfleet_other\t") && listed.lines().count() == 1, "{listed}");

    // Who can write to the store and has no key repeats what was said, and keeps nobody out by that.
    one.command(["quarantine", "lift", "db_user", "fleet_other"]).expect_success();
    wait_for("the other lift", || (is_let_in(&two, "fleet_other") && is_let_in(&one, "fleet_other")).then_some(()));
    let again = "for _, said in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do \
                 redis.call('XADD', KEYS[1], '*', said[2][1], said[2][2]) end";
    redis.ask(["eval", again, "1", "mitsuke:quarantine"]);
    wait_for("its refusal", || two.errors().contains("it was told again").then_some(()));
    assert!(is_let_in(&two, "fleet_other") && is_let_in(&one, "fleet_other"));
    for secret in [PASSWORD, "redis://"] {
        assert!(!one.errors().contains(secret), "{}", one.errors());
    }
}

#[test]
fn over_tls_the_store_is_believed_by_its_certificate_only() {
    let authority = Authority::new("Made-up authority");
    let issued = authority.server("localhost");
    let redis = Redis::start(Some((&issued.certificate, &issued.key)));
    let url = format!("rediss://localhost:{}", redis.port);
    let fleet = Fleet::new(url.clone(), &format!("tls_ca = \"{}\"\n", authority.certificate().display()));
    let (one, two) = (fleet.sidecar("key"), fleet.sidecar("key"));
    role("fleet_over_tls");
    psql(&one.url_as("fleet_over_tls", "postgres"), "select 1 as honeytoken").expect_success();
    wait_for("the other one", || is_kept_out(&two, "fleet_over_tls"));
    one.command(["check", "--offline"]);
    // The system's authorities did not sign it.
    let without = Fleet::new(url, "");
    let distrustful = without.sidecar("key");
    wait_for("its word", || distrustful.errors().contains("the fleet's store is away").then_some(()));
    let checked = distrustful.command(["check"]);
    assert!(checked.err().contains("the fleet's store cannot be used"), "{}", checked.err());
}
