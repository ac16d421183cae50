//! The engine as a whole: what it finds, how often it says so, and what a restart changes (nothing).

mod baselines;
mod concern;
mod explanations;
mod permits;
mod restart;
mod sharing;
mod windows;

use std::path::Path;

use jiff::tz::TimeZone;

use super::*;
use crate::clock::Timestamp;
use crate::policy::definition;
use crate::policy::list::Lists;
use crate::policy::permit;
use crate::record::{Action, Outcome, SessionOutcome, Severity};
use crate::yaml::Source;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// No finding.
const NONE: [u64; 0] = [];

/// A policy of that id, with what is the same in all of them filled in.
#[track_caller]
fn policy(id: &str, rest: &str) -> Arc<Policy> {
    let on = if rest.contains("on: ") { "" } else { "on: statement\n" };
    let status = if rest.contains("status: ") { "" } else { "status: stable\n" };
    let yaml = format!(
        "id: {id}\ntitle: The title\nwhy: The reason\nseverity: high\naction: alert\ntags: [attack.t1213]\n{on}{status}{rest}\n"
    );
    let file = format!("{id}.yaml");
    let mut source = Source::new(Path::new(&file), &yaml);
    let (_, policy) = definition::read(&mut source, &Lists::default());
    let faults: Vec<String> = source.faults.iter().map(ToString::to_string).collect();
    Arc::new(policy.unwrap_or_else(|| panic!("{}", faults.join("\n"))))
}

/// Rests of policies, called `a`, `b`, … in their order.
fn set(rests: &[&str]) -> PolicySet {
    let ids = ["a", "b", "c", "d", "e", "f", "g"];
    let policies = rests.iter().zip(ids).map(|(rest, id)| policy(id, rest)).collect();
    PolicySet { policies, timezone: TimeZone::UTC, ..PolicySet::empty() }
}

fn engine(rests: &[&str]) -> Engine {
    Engine::new(Arc::new(set(rests)))
}

fn with_permits(rests: &[&str], yaml: &str) -> Arc<PolicySet> {
    let mut source = Source::new(Path::new("permits.yaml"), yaml);
    let permits = permit::read(&mut source);
    assert_eq!(source.faults, Vec::new());
    Arc::new(PolicySet { permits, ..set(rests) })
}

/// A statement of the clerk's, `seq` and time being its number.
fn statement(seq: u64, at: i64, persons: u64) -> Statement {
    let mut statement = Statement {
        db_user: Some("clerk".into()),
        client_addr: Some("10.0.0.9".into()),
        persons: Some(persons),
        ..Statement::default()
    };
    statement.common.seq = seq;
    statement.common.at = Timestamp(at);
    statement.common.writer = "w".into();
    statement.common.session_id = Some("a session".into());
    statement
}

fn by(user: &str, statement: Statement) -> Statement {
    Statement { db_user: Some(user.into()), ..statement }
}

fn texts(items: &[&str]) -> Option<Arc<[Text]>> {
    Some(items.iter().map(|item| Text::from(*item)).collect())
}

/// What each statement's findings observed.
fn observed(engine: &mut Engine, statements: impl IntoIterator<Item = Statement>) -> Vec<u64> {
    let findings = statements.into_iter().flat_map(|mut statement| engine.statement(&mut statement));
    findings.map(|finding| finding.observed.expect("a figure")).collect()
}

#[test]
fn a_match_becomes_a_finding_that_says_everything() {
    let mut engine = engine(&["when: persons > 1000"]);
    let mut statement = Statement {
        database: Some("shop".into()),
        role: Some("manager".into()),
        end_user: Some("anna".into()),
        application_name: Some("psql".into()),
        ended_at: Some(Timestamp(7 * SECOND)),
        ..statement(42, 5 * SECOND, 1_001)
    };
    let findings = engine.statement(&mut statement);
    assert_eq!(findings.len(), 1);
    let finding = &findings[0];
    assert_eq!(finding.common.at, Timestamp(7 * SECOND), "a finding is of the moment when the rows had flowed");
    assert_eq!(finding.common.session_id.as_deref(), Some("a session"));
    assert_eq!((&*finding.policy, &*finding.title), ("a", "The title"));
    assert_eq!((finding.severity, finding.action), (Some(Severity::High), Some(Action::Alert)));
    assert_eq!((finding.observed, finding.threshold), (Some(1_001), Some(1_000)));
    assert_eq!(finding.evidence.as_deref(), Some([42].as_slice()));
    assert_eq!(finding.tags.as_deref(), texts(&["attack.t1213"]).as_deref());
    assert_eq!(finding.database.as_deref(), Some("shop"));
    assert_eq!(finding.db_user.as_deref(), Some("clerk"));
    assert_eq!(finding.role.as_deref(), Some("manager"));
    assert_eq!(finding.end_user.as_deref(), Some("anna"));
    assert_eq!(finding.application_name.as_deref(), Some("psql"));
    assert_eq!(finding.client_addr.as_deref(), Some("10.0.0.9"));
    assert_eq!(statement.policies.as_deref(), texts(&["a"]).as_deref());
}

#[test]
fn what_does_not_match_says_that_it_was_judged() {
    let mut engine = engine(&["when: persons > 1000"]);
    let mut statement = statement(1, 0, 1_000);
    assert!(engine.statement(&mut statement).is_empty());
    assert_eq!(statement.policies.as_deref(), Some([].as_slice()));
    assert_eq!(statement.permit, None);
}

#[test]
fn null_is_not_a_match_and_excuses_nothing() {
    let mut engine = engine(&["when: persons > 1000\nunless: db_user = 'batch'"]);
    let unknown_number = Statement { persons: None, ..statement(1, 0, 0) };
    let unknown_user = Statement { db_user: None, ..statement(2, 0, 1_001) };
    assert_eq!(observed(&mut engine, [unknown_number]), NONE);
    assert_eq!(observed(&mut engine, [unknown_user]), [1_001]);
    assert_eq!(observed(&mut engine, [by("batch", statement(3, 0, 1_001))]), NONE);
}

#[test]
fn what_is_off_is_not_judged_and_what_is_experimental_is() {
    let mut engine = engine(&["status: off\nwhen: persons > 1", "status: experimental\nwhen: persons > 1"]);
    let mut statement = statement(1, 0, 2);
    assert_eq!(engine.statement(&mut statement).len(), 1);
    assert_eq!(statement.policies.as_deref(), texts(&["b"]).as_deref());
}

#[test]
fn each_policy_judges_the_records_it_is_on() {
    let mut engine = engine(&[
        "on: statement\nwhen: db_user = 'clerk'",
        "on: transaction\nwhen: db_user = 'clerk'",
        "on: session\nwhen: db_user = 'clerk'",
    ]);
    let policies =
        |findings: Vec<Finding>| findings.iter().map(|finding| finding.policy.to_string()).collect::<Vec<_>>();
    assert_eq!(policies(engine.statement(&mut statement(1, 0, 1))), ["a"]);
    let db_user: Option<Text> = Some("clerk".into());
    let transaction = Transaction { db_user: db_user.clone(), persons: Some(3), ..Transaction::default() };
    assert_eq!(policies(engine.transaction(&transaction)), ["b"]);
    let session = Session { db_user, outcome: Some(SessionOutcome::Closed), ..Session::default() };
    let found = engine.session(&session);
    assert_eq!(found[0].evidence, None, "only statements are evidence");
    assert_eq!(policies(found), ["c"]);
}

#[test]
fn a_throttle_silences_findings_and_not_what_the_record_says() {
    let mut engine = engine(&["when: persons > 10\nthrottle: { by: [db_user, client_addr], once: 1h }"]);
    let mut told = Vec::new();
    for (seq, (at, persons)) in
        [(0, 11), (MINUTE, 99), (2 * MINUTE, 110), (HOUR + MINUTE, 500), (HOUR + 2 * MINUTE, 11)]
            .into_iter()
            .enumerate()
    {
        let mut statement = statement(seq as u64 + 1, at, persons);
        told.extend(engine.statement(&mut statement).into_iter().map(|finding| finding.observed));
        assert_eq!(statement.policies.as_deref(), texts(&["a"]).as_deref());
    }
    // The tenfold figure is told within the hour; the hour then runs anew.
    assert_eq!(told, [Some(11), Some(110), Some(11)]);
    let elsewhere = Statement { client_addr: Some("10.0.0.10".into()), ..statement(9, HOUR + 2 * MINUTE, 11) };
    assert_eq!(observed(&mut engine, [elsewhere, by("anna", statement(10, HOUR + 2 * MINUTE, 11))]), [11, 11]);
}

#[test]
fn without_a_throttle_every_match_is_told() {
    let mut engine = engine(&["when: persons > 10"]);
    assert_eq!(observed(&mut engine, (1..=5).map(|seq| statement(seq, 0, 11))), [11; 5]);
}

#[test]
fn the_same_records_give_the_same_ids_and_others_give_others() {
    let ids = |from: u64| -> Vec<String> {
        let mut engine = engine(&["when: persons > 10", "when: persons > 11"]);
        let statements = (from..from + 3).map(|seq| statement(seq, 1_700_000_000 * SECOND, 20));
        let findings = statements.flat_map(|mut statement| engine.statement(&mut statement));
        findings.map(|finding| finding.finding_id.to_string()).collect()
    };
    let first = ids(1);
    assert_eq!(first, ids(1), "a replay tells an incident under the same name");
    let all: std::collections::HashSet<String> = first.into_iter().chain(ids(4)).collect();
    assert_eq!(all.len(), 12);
    for id in all {
        let id: uuid::Uuid = id.parse().expect("a UUID");
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_timestamp().expect("version 7 has one").to_unix().0, 1_700_000_000);
    }
}

#[test]
fn another_set_keeps_what_unchanged_policies_have_seen() {
    const WINDOW: &str = "window: { by: [db_user], within: 1h, sum: persons, above: 10 }";
    let mut engine = engine(&[WINDOW, WINDOW]);
    assert_eq!(observed(&mut engine, [statement(1, 0, 9)]), NONE);
    let changed = policy("b", &format!("{WINDOW}\nunless: db_user = 'x'"));
    let mut other = set(&[WINDOW]);
    other.policies.push(changed);
    engine.replace(Arc::new(other));
    let mut second = statement(2, MINUTE, 2);
    assert_eq!(engine.statement(&mut second).len(), 1);
    assert_eq!(second.policies.as_deref(), texts(&["a"]).as_deref(), "the changed one starts anew");
    engine.replace(Arc::new(set(&[])));
    engine.replace(Arc::new(set(&[WINDOW])));
    assert_eq!(observed(&mut engine, [statement(3, 2 * MINUTE, 9)]), NONE, "one that was gone has forgotten");
}

#[test]
fn the_look_back_reaches_as_far_as_anything_remembers() {
    let days = |engine: &Engine| engine.lookback().map(|span| span.as_secs() / 86_400);
    assert_eq!(days(&engine(&["when: persons > 1"])), None);
    assert_eq!(days(&engine(&["when: persons > 1\nthrottle: { by: [db_user], once: 2d }"])), Some(2));
    assert_eq!(days(&engine(&["window: { by: [db_user], within: 3d, count: true, above: 1 }"])), Some(3));
    assert_eq!(days(&engine(&["baseline: { by: [db_user], first: relation, learn: 1d }"])), Some(35));
    assert_eq!(days(&engine(&["baseline: { by: [db_user], first: relation, learn: 90d }"])), Some(90));
    let permit =
        "- { id: A, db_user: b, relations: [x], persons_max: 1, from: 2026-01-01T00:00Z, until: 2026-01-11T00:00Z }";
    assert_eq!(days(&Engine::new(with_permits(&[], permit))), Some(10));
}
