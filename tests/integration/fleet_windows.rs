//! Windows that the sidecars of a fleet add up together, through a real Redis: one incident, one finding, wherever its parts went through;
//! alone while the store is away, together again when it is back.

use std::time::{Duration, Instant};

use mitsuke::record::{Finding, Statement};

use crate::support::programs::psql;
use crate::support::redis::{PASSWORD, Redis};
use crate::support::server::{direct, shared};
use crate::support::sidecar::Sidecar;
use crate::support::wait_for;

/// Policies that count, add up, and count different ones.
const POLICIES: [(&str, &str); 4] = [
    ("many", "when: query ilike 'select % as counted'\nwindow: { by: [db_user], within: 1h, count: true, above: 5 }\n"),
    (
        "rows",
        "when: query ilike '%generate_series%'\nwindow: { by: [db_user], within: 1h, sum: rows_returned, above: 100 }\n",
    ),
    (
        "names",
        "when: query ilike 'select % as named'\nwindow: { by: [db_user], within: 1h, distinct: application_name, above: 3 }\n",
    ),
    ("brief", "when: query ilike 'select % as brief'\nwindow: { by: [db_user], within: 4s, count: true, above: 3 }\n"),
];

/// What sidecars of a fleet share.
struct Fleet {
    folder: tempfile::TempDir,
    port: u16,
}

impl Fleet {
    fn new(port: u16) -> Fleet {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        for (id, rest) in POLICIES {
            let text = format!(
                "id: {id}\ntitle: t\nwhy: w\nstatus: stable\nseverity: high\ntags: [attack.t1213]\non: statement\naction: alert\n{rest}"
            );
            std::fs::write(folder.path().join(format!("policies/{id}.yaml")), text).unwrap();
        }
        std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
        Fleet { folder, port }
    }

    fn sidecar(&self) -> Sidecar {
        let (folder, port) = (self.folder.path().display(), self.port);
        Sidecar::start(&format!(
            "[policies]\npath = \"{folder}/policies\"\n[privacy]\nkey_file = \"{folder}/key\"\n\
             [fleet]\nurl = \"redis://127.0.0.1:{port}\"\npassword_file = \"{folder}/password\"\n"
        ))
    }
}

fn role(name: &str) {
    psql(&direct(shared(), "postgres"), &format!("create role {name} login")).expect_success();
}

/// What both have found of a role: by which policy, and how much.
fn found(sidecars: [&Sidecar; 2], role: &str) -> Vec<(String, u64)> {
    let all = sidecars.into_iter().flat_map(|sidecar| sidecar.records::<Finding>());
    let of_role = all.filter(|finding| finding.db_user.as_deref() == Some(role));
    of_role.map(|finding| (finding.policy.to_string(), finding.observed.unwrap_or(0))).collect()
}

fn run(sidecar: &Sidecar, role: &str, sql: &str, times: usize) {
    for _ in 0..times {
        psql(&sidecar.url_as(role, "postgres"), sql).expect_success();
    }
}

/// As an application of that name.
fn run_as(sidecar: &Sidecar, application: &str) {
    let url = sidecar.url_as("fleet_counted", "postgres");
    let join = if url.contains('?') { '&' } else { '?' };
    psql(&format!("{url}{join}application_name={application}"), "select 1 as named").expect_success();
}

/// Long enough for what was sent to be added and heard.
fn settle() {
    std::thread::sleep(Duration::from_secs(2));
}

#[test]
fn what_went_through_several_sidecars_is_one_window_and_one_finding() {
    let redis = Redis::start(None);
    let fleet = Fleet::new(redis.port);
    let (one, two) = (fleet.sidecar(), fleet.sidecar());
    role("fleet_counted");
    role("fleet_quiet");
    settle();
    run(&one, "fleet_counted", "select 1 as counted", 3);
    run(&two, "fleet_counted", "select 1 as counted", 2);
    run(&one, "fleet_quiet", "select 1 as counted", 2);
    settle();
    assert_eq!(found([&one, &two], "fleet_counted"), [], "five are within the limit");
    let began = Instant::now();
    run(&one, "fleet_counted", "select 1 as counted", 1);
    wait_for("the finding", || (!found([&one, &two], "fleet_counted").is_empty()).then_some(()));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    run(&two, "fleet_counted", "select 1 as counted", 9);
    run(&one, "fleet_counted", "select 1 as counted", 9);
    settle();
    assert_eq!(found([&one, &two], "fleet_counted"), [("many".to_owned(), 6)], "one incident, one finding");
    let told = one.records::<Finding>().remove(0);
    assert!(told.explanation.as_deref().unwrap().contains("6 statements within 1 hour (limit 5)"), "{told:?}");
    assert_eq!(found([&one, &two], "fleet_quiet"), []);

    // Two parts at the same time, none of them too much, and nothing after them.
    let half = |sidecar: &Sidecar| {
        let url = sidecar.url_as("fleet_counted", "postgres");
        std::thread::spawn(move || psql(&url, "select generate_series(1, 60)").expect_success())
    };
    let halves = [half(&one), half(&two)];
    halves.into_iter().for_each(|half| drop(half.join().unwrap()));
    wait_for("the finding of both", || {
        found([&one, &two], "fleet_counted").contains(&("rows".to_owned(), 120)).then_some(())
    });
    // Too much at each of them: still one.
    role("fleet_large");
    for sidecar in [&one, &two] {
        run(sidecar, "fleet_large", "select generate_series(1, 500)", 1);
    }
    settle();
    let large = found([&one, &two], "fleet_large");
    assert!(large.len() == 1 && large[0].1 >= 500, "{large:?}");

    // Different ones are counted once, wherever they came from.
    for (sidecar, name) in [(&one, "a"), (&two, "a"), (&one, "b"), (&two, "c"), (&two, "b")] {
        run_as(sidecar, name);
    }
    settle();
    assert!(!found([&one, &two], "fleet_counted").iter().any(|(policy, _)| policy == "names"));
    run_as(&one, "d");
    wait_for("the fourth", || found([&one, &two], "fleet_counted").contains(&("names".to_owned(), 4)).then_some(()));

    // It slides, by the store's clock.
    run(&one, "fleet_quiet", "select 1 as brief", 2);
    std::thread::sleep(Duration::from_secs(5));
    run(&two, "fleet_quiet", "select 1 as brief", 2);
    settle();
    assert_eq!(found([&one, &two], "fleet_quiet"), []);

    // No name stands in the store, and everything in it ends.
    let keys = redis.ask(["keys", "*"]);
    assert!(keys.lines().count() > 5, "{keys}");
    for key in keys.lines().filter(|key| !key.ends_with(":quarantine")) {
        let dump = redis.ask(["dump", key]);
        assert!(!key.contains("fleet_counted") && !dump.contains("fleet_") && !dump.contains("many"), "{key}: {dump}");
        let left: i64 = redis.ask(["pttl", key]).trim().parse().unwrap();
        assert!(left > 0 && left < 3_700_000, "{key}: {left}");
    }
}

#[test]
fn alone_while_the_store_is_away_and_together_again_when_it_is_back() {
    let mut redis = Redis::start(None);
    let fleet = Fleet::new(redis.port);
    let (one, two) = (fleet.sidecar(), fleet.sidecar());
    for name in ["fleet_alone", "fleet_back", "fleet_stopped"] {
        role(name);
    }
    settle();
    redis.stop();
    run(&one, "fleet_alone", "select 1 as counted", 6);
    run(&two, "fleet_alone", "select 1 as counted", 6);
    wait_for("each to tell by itself", || {
        (found([&one, &two], "fleet_alone") == [("many".to_owned(), 6), ("many".to_owned(), 6)]).then_some(())
    });
    run(&one, "fleet_back", "select 1 as counted", 3);
    for sidecar in [&one, &two] {
        let said = sidecar.errors();
        assert_eq!(said.matches("windows hold what passes through it alone").count(), 1, "{said}");
    }
    redis.launch();
    wait_for("both to be together again", || {
        let again = |sidecar: &Sidecar| sidecar.errors().contains("added up together again");
        (again(&one) && again(&two)).then_some(())
    });
    assert_eq!(found([&one, &two], "fleet_back"), []);
    // What was not added while it was away is added now.
    run(&two, "fleet_back", "select 1 as counted", 3);
    wait_for("the finding", || (found([&one, &two], "fleet_back") == [("many".to_owned(), 6)]).then_some(()));
    settle();
    assert_eq!(found([&one, &two], "fleet_alone").len(), 2, "what was told is not told again");

    // One that stops tells what waits.
    let mut one = one;
    run(&one, "fleet_stopped", "select 1 as counted", 6);
    one.stop();
    assert_eq!(found([&one, &two], "fleet_stopped"), [("many".to_owned(), 6)]);
}

#[test]
fn what_waits_for_a_store_that_does_not_answer_is_not_lost_when_the_sidecar_is_killed() {
    let mut redis = Redis::start(None);
    let fleet = Fleet::new(redis.port);
    let mut sidecar = fleet.sidecar();
    role("fleet_killed");
    settle();
    redis.ask(["client", "pause", "60000", "all"]);
    run(&sidecar, "fleet_killed", "select 1 as counted", 6);
    wait_for("the records", || {
        let records = sidecar.records::<Statement>();
        let counted = records.iter().filter(|record| record.query.as_deref() == Some("select $1 as counted"));
        (counted.count() == 6).then_some(())
    });
    sidecar.kill();
    assert_eq!(found([&sidecar, &sidecar], "fleet_killed"), [], "the store has been waited for");
    redis.stop();
    sidecar.launch();
    let findings = || sidecar.records::<Finding>();
    wait_for("the finding", || (!findings().is_empty()).then_some(()));
    settle();
    let findings: Vec<_> = findings().iter().map(|finding| (finding.policy.to_string(), finding.observed)).collect();
    assert_eq!(findings, [("many".to_owned(), Some(6))], "once");
}

#[test]
fn the_store_counts_exactly_and_estimates_when_there_are_too_many_and_keeps_so_many_windows() {
    let redis = Redis::start(None);
    let script = include_str!("../../src/fleet/window.lua");
    let ask = |window: &str, windows: &str, values: &[String]| -> Vec<u64> {
        let mut lua = vec!["eval", script, "4", "index", window, "overflow", "told"];
        lua.extend(["3600000000", "0", "1000000", "-1", windows, "1024", "v"]);
        lua.extend(values.iter().map(String::as_str));
        let said = redis.ask_all(&lua);
        said.lines().map(|line| line.trim().parse().unwrap()).collect()
    };
    let values = |range: std::ops::Range<u32>| range.map(|number| format!("{number:012}")).collect::<Vec<_>>();
    assert_eq!(ask("w", "9", &values(0..1_000)), [0, 1_000, 0]);
    assert_eq!(ask("w", "9", &values(500..1_024)), [0, 1_024, 0]);
    for begin in [1_000, 2_000, 3_000, 4_000] {
        let said = ask("w", "9", &values(begin..begin + 1_000));
        let (total, expected) = (f64::from(u32::try_from(said[1]).unwrap()), f64::from(begin + 1_000));
        assert!((total - expected).abs() < expected * 0.03 && said[2] == 1, "{said:?}");
    }
    // The windows of a policy are bounded: what comes beyond shares one.
    assert_eq!(ask("x", "2", &values(0..1)), [0, 1, 0]);
    assert_eq!(ask("y", "2", &values(0..1)), [0, 1, 0]);
    assert_eq!(ask("z", "2", &values(1..2)), [0, 2, 0]);
    assert_eq!(ask("x", "2", &values(1..2)), [0, 2, 0]);
}
