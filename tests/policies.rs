//! The built-in policies: they load, their cases hold, and the binary has all of them.

#![allow(clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "a test asks the environment for the Python that has DuckDB")]

#[cfg(feature = "query")]
#[path = "policies/again.rs"]
mod again;
#[cfg(feature = "query")]
#[path = "policies/newcomers.rs"]
mod newcomers;
#[cfg(feature = "query")]
#[path = "policies/sql.rs"]
mod sql;
#[cfg(feature = "query")]
#[path = "policies/translated.rs"]
mod translated;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mitsuke::policy::definition::{AnyRule, Status};
use mitsuke::policy::{Config, PolicySet, load, load_folder};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

fn built_in() -> PolicySet {
    let config = Config { timezone: Some("Asia/Tokyo".to_owned()), ..Config::default() };
    load(&config).unwrap_or_else(|faults| panic!("the built-in policies have faults:\n{faults}"))
}

#[test]
fn every_case_of_every_policy_holds() {
    let set = load_folder(&folder()).unwrap_or_else(|faults| panic!("policies/ has faults:\n{faults}"));
    let mut failures = Vec::new();
    let mut run = 0;
    for file in &set.cases {
        let policy = set.policy(&file.policy).expect("cases belong to a policy");
        for case in &file.cases {
            run += 1;
            let verdict = case.run(policy);
            if !verdict.holds {
                let place = format!("{}:{}", file.file.display(), case.line);
                failures
                    .push(format!("{place}: {}\n  expected {}\n  got {}", case.name, verdict.expected, verdict.got));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(run >= 2 * set.policies.len());
}

#[test]
fn every_policy_has_cases_tags_and_says_what_looks_like_it() {
    let set = built_in();
    assert_eq!(set.without_cases, Vec::new());
    assert!(set.policies.len() >= 30);
    for policy in &set.policies {
        assert_eq!(policy.status, Status::Stable, "{}", policy.id);
        assert!(policy.false_positives.is_some(), "{}", policy.id);
        assert!(policy.tags.iter().any(|tag| tag.starts_with("attack.")), "{}", policy.id);
        assert!(policy.tags.iter().any(|tag| tag.starts_with("appi.")), "{}", policy.id);
        assert!(policy.tags.iter().any(|tag| tag.starts_with("pci-dss.")), "{}", policy.id);
        assert!(policy.tags.iter().any(|tag| tag.starts_with("iso27001.a.")), "{}", policy.id);
        assert!(policy.text.contains("\n# "), "{}: its threshold has no source", policy.id);
    }
}

/// The list in `policy/built_in.rs` is written by hand; this keeps it whole.
#[test]
fn the_binary_holds_exactly_what_the_folder_holds() {
    let names = |set: &PolicySet| -> BTreeSet<String> { set.policies.iter().map(|p| p.id.to_string()).collect() };
    let texts = |set: &PolicySet| -> BTreeSet<String> { set.policies.iter().map(|p| p.text.clone()).collect() };
    let (inside, outside) = (built_in(), load_folder(&folder()).expect("policies/ loads"));
    assert_eq!(names(&inside), names(&outside));
    assert_eq!(texts(&inside), texts(&outside), "rebuild: a file changed after the binary was built");
    let cases = |set: &PolicySet| -> usize { set.cases.iter().map(|file| file.cases.len()).sum() };
    assert_eq!(cases(&inside), cases(&outside));
    assert_eq!(inside.permits, outside.permits);
}

#[test]
fn the_set_covers_statements_and_sessions() {
    let set = built_in();
    assert!(set.policies.iter().any(|policy| matches!(policy.rule, AnyRule::Statement(_))));
    assert!(set.policies.iter().any(|policy| matches!(policy.rule, AnyRule::Session(_))));
}
