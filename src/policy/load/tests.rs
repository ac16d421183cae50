//! Loading: a whole set, or every fault of every file with its place and how to mend it.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::policy::Mode;
use crate::policy::definition::Status;

/// A policy without a fault, called `good`.
const GOOD: &str = "id: good
title: Many people's data read
why: Somebody should know.
status: stable
severity: high
tags: [attack.t1213.006]
on: statement
when: persons > 1000
action: alert
";
const CASES: &str = "- name: more\n  records: [{ persons: 1001 }]\n  expect: match
- name: the line\n  records: [{ persons: 1000 }]\n  expect: none\n";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
        fs::write(path, text).expect("it can be written");
    }
    folder
}

/// Every fault, named from the folder on, one a line.
#[track_caller]
fn faults(files: &[(&str, &str)]) -> Vec<String> {
    let folder = folder(files);
    let Err(Faults(faults)) = load_folder(folder.path()) else { panic!("it loads") };
    let top = format!("{}/", folder.path().display());
    faults.iter().map(|fault| fault.to_string().replace(&top, "")).collect()
}

/// The one fault of a policy in which this was replaced.
#[track_caller]
fn fault_of(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from));
    let text = GOOD.replace(from, to);
    let found = faults(&[("t/good.yaml", &text), ("t/good.cases.yaml", CASES)]);
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap_or_default()
}

#[test]
fn a_good_folder_loads_whole() {
    let permit = "- { id: OPS-1, db_user: batch, relations: [shop.customers], persons_max: 1,
            from: 2026-11-23T18:00+09:00, until: 2026-11-23T20:00+09:00 }";
    let by_list = GOOD.replace("id: good", "id: by-list").replace("when: ", "when: in_list(db_user, 'people') and ");
    let files = [
        ("t/good.yaml", GOOD),
        ("t/good.cases.yaml", CASES),
        ("u/v/by-list.yaml", &by_list),
        ("lists.yaml", "people: [clerk, \"*_staff\"]\n"),
        ("permits.yaml", permit),
        ("classification.yaml", "not: read here\n"),
        ("t/README.md", "words"),
    ];
    let folder = folder(&files);
    let set = load_folder(folder.path()).expect("it loads");
    let ids: Vec<&str> = set.policies.iter().map(|policy| &*policy.id).collect();
    assert_eq!(ids, ["by-list", "good"]);
    assert_eq!(set.policy("good").expect("it is there").status, Status::Stable);
    assert_eq!((set.permits.len(), set.cases.len(), set.cases[0].cases.len()), (1, 1, 2));
    assert_eq!(set.without_cases.len(), 1);
    let told = set.without_cases[0].to_string();
    assert!(
        told.contains("by-list.yaml: the policy `by-list` has no cases; write ") && told.contains("by-list.cases.yaml")
    );
}

#[test]
fn a_single_file_loads_with_its_cases_and_the_lists_above() {
    let by_list = GOOD.replace("when: ", "when: in_list(db_user, 'people') and ");
    let beside = [("t/good.yaml", by_list.as_str()), ("t/good.cases.yaml", CASES), ("t/other.yaml", "not a policy")];
    for lists in ["lists.yaml", "t/lists.yaml"] {
        let folder = folder(&[beside.as_slice(), &[(lists, "people: [clerk]")]].concat());
        let set = load_folder(&folder.path().join("t/good.yaml")).expect("it loads");
        assert_eq!((set.policies.len(), set.cases.len()), (1, 1));
    }
    let folder = folder(&[("t/good.cases.yaml", CASES)]);
    let told = load_folder(&folder.path().join("t/good.cases.yaml")).expect_err("no policy").to_string();
    assert!(told.contains("is not a policy; name a folder"), "{told}");
}

#[test]
fn the_time_zone_and_the_mode_are_the_configurations() {
    let of = |timezone: &str| Config { path: None, timezone: Some(timezone.to_owned()), mode: Mode::Observe };
    let set = load(&of("Asia/Tokyo")).expect("it loads");
    assert_eq!((set.timezone.iana_name(), set.mode), (Some("Asia/Tokyo"), Mode::Observe));
    let told = load(&of("Asia/Tokio")).expect_err("there is none").to_string();
    assert!(told.contains("no time zone `Asia/Tokio`; write an IANA name"), "{told}");
}

#[test]
fn every_fault_of_every_file_is_told_at_once() {
    let bad = GOOD.replace("id: good", "id: bad").replace("severity: high", "severity: hihg").replace("title", "titel");
    let found = faults(&[
        ("t/bad.yaml", &bad),
        ("t/bad.cases.yaml", "- name: x\n  records: [{ person: 1 }]\n  expect: match\n"),
        ("u/broken.yaml", "id: [\n"),
        ("lists.yaml", "tools: psql\n"),
        ("permits.yaml", "- { id: OPS-1 }\n"),
        ("t/stray.cases.yaml", CASES),
        ("t/untested.yaml", &GOOD.replace("id: good", "id: untested")),
        ("t/old.yml", ""),
        ("t/permits.yaml", ""),
    ]);
    let all = found.join("\n");
    for expected in [
        "t/bad.yaml:2:1: unknown key `titel`; did you mean `title`?",
        "t/bad.yaml:1:1: `title` is missing; add a line `title: …`",
        "t/bad.yaml:5:11: `severity: hihg` is not known; write one of low, medium, high, critical",
        "t/bad.cases.yaml:2:15: `statements` has no column `person`; did you mean `persons`?",
        "u/broken.yaml:",
        "lists.yaml:1:8: `tools` is a text; write a list: [a, b]",
        "permits.yaml:1:3: `db_user` is missing",
        "t/stray.cases.yaml: cases of a policy that is not there: t/stray.yaml; rename or remove them",
        "t/untested.yaml: the policy `untested` has no cases; write t/untested.cases.yaml",
        "t/old.yml: policies end in .yaml, not .yml; rename it",
        "t/permits.yaml: would be passed over here; move it to the top, beside the themes' folders",
    ] {
        assert!(all.contains(expected), "{expected}\nin\n{all}");
    }
    assert!(found.is_sorted() || found.len() > 10, "by file and line");
    for told in found {
        assert!(told.contains("; ") && !told.contains('\n'), "without a way to mend it: {told}");
    }
}

#[test]
fn each_fault_of_a_policy_has_its_place() {
    for (from, to, told) in [
        ("when: persons", "wehn: true\nwhen: persons", "t/good.yaml:8:1: unknown key `wehn`; did you mean `when`?"),
        (
            "when: persons",
            "colour: red\nwhen: persons",
            "t/good.yaml:8:1: unknown key `colour`; known here: id, title, why",
        ),
        ("id: good", "id: Good", "t/good.yaml:1:5: the id `Good` has other characters than a-z, 0-9 and -"),
        ("id: good", "id: better", "t/good.yaml:1:5: the id `better` is not the file's name; call them the same"),
        ("why: Somebody should know.\n", "why: ''\n", "t/good.yaml:3:6: `why` is empty"),
        ("why: Somebody should know.", "why: [a]", "t/good.yaml:3:6: `why` is a list; write a text"),
        (
            "status: stable",
            "status: draft",
            "t/good.yaml:4:9: `status: draft` is not known; write one of stable, experimental, off",
        ),
        ("tags: [attack.t1213.006]", "tags: attack", "t/good.yaml:6:7: `tags` is a text; write a list: [a, b]"),
        ("attack.t1213.006", "ATT&CK", "t/good.yaml:6:8: the tag `ATT&CK` has other characters"),
        ("attack.t1213.006", "{ a: b }", "t/good.yaml:6:8: an entry of `tags` is a mapping; write a text"),
        (
            "on: statement",
            "on: login",
            "t/good.yaml:7:5: `on: login` is not known; write one of statement, progress, transaction, session",
        ),
        (
            "on: statement",
            "on: progress",
            "t/good.yaml:9:9: `on: progress` is for what ends a statement while its rows flow",
        ),
        ("action: alert", "action: deny", "t/good.yaml:9:9: `persons` is not known before the statement runs"),
        ("action: alert", "action: alert\nfor: 15m", "t/good.yaml:10:6: `for` goes with `action: quarantine` only"),
        (
            "persons > 1000",
            "person > 1000",
            "t/good.yaml:8:7: `statements` has no column `person`; did you mean `persons`?",
        ),
        ("persons > 1000", "persons > many", "t/good.yaml:8:17: `statements` has no column `many`"),
        (
            "persons > 1000",
            ">\n  persons > 1000\n  and db_user = 5",
            "t/good.yaml:10:7: a text cannot be compared with a number",
        ),
        ("persons > 1000", "'persons > \"x'", "t/good.yaml:8:18: "),
        ("persons > 1000", "in_list(db_user, 'x')", "t/good.yaml:8:24: there is no list `x`; add it to lists.yaml"),
        ("on: statement", "on: session", "t/good.yaml:8:7: `sessions` has no column `persons`"),
        ("when: persons > 1000\n", "", "t/good.yaml:1:1: neither `when` nor `window` nor `baseline`"),
        ("when: persons > 1000", "when: null", "t/good.yaml:8:7: `when` is nothing; write a text"),
    ] {
        if from == "on: statement" && to == "on: session" {
            // Its cases are held against the columns of sessions too.
            let text = GOOD.replace(from, to);
            let found = faults(&[("t/good.yaml", &text), ("t/good.cases.yaml", CASES)]);
            assert!(found.iter().any(|fault| fault.starts_with(told)), "{found:?}");
            assert!(found.iter().any(|fault| fault.starts_with("t/good.cases.yaml:2:15: `sessions` has no column")));
            continue;
        }
        let found = fault_of(from, to);
        assert!(found.starts_with(told), "{told}\nis not the beginning of\n{found}");
    }
}

#[test]
fn each_fault_of_a_window_a_baseline_and_a_throttle_has_its_place() {
    for (added, told) in [
        ("window: 5m", ":9:9: `window` is a text; write `key: value` pairs"),
        (
            "window: { by: [db_user], within: 5 minutes, count: true, above: 1 }",
            ":9:34: not a length of time; write 30s",
        ),
        ("window: { by: [db_user], within: 0m, count: true, above: 1 }", ":9:9: a window of no length"),
        (
            "window: { by: [db_usr], within: 5m, count: true, above: 1 }",
            ":9:16: `statements` has no column `db_usr`; did you",
        ),
        ("window: { by: [], within: 5m, count: true, above: 1 }", ":9:15: `by` names no column"),
        (
            "window: { by: [relations], within: 5m, count: true, above: 1 }",
            ":9:16: `relations` is not a single value; known",
        ),
        ("window: { by: [db_user], within: 5m, above: 1 }", ":9:9: a window adds up one thing; write one of"),
        (
            "window: { by: [db_user], within: 5m, count: true, sum: persons, above: 1 }",
            ":9:9: a window adds up one thing",
        ),
        (
            "window: { by: [db_user], within: 5m, count: persons, above: 1 }",
            ":9:45: `count` counts records and takes no",
        ),
        (
            "window: { by: [db_user], within: 5m, sum: db_user, above: 1 }",
            ":9:43: `db_user` is not a number; known are",
        ),
        (
            "window: { by: [db_user], within: 5m, sum: persons, above: -1 }",
            ":9:59: `above` is a text; write a whole number",
        ),
        ("window: { by: [db_user], within: 5m, sum: persons, over: 1 }", ":9:9: `above` is missing"),
        ("window: { by: [db_user], within: 5m, distinct: at, above: 1 }", ":9:48: `at` is not a column"),
        ("baseline: { by: [db_user], learn: 14d }", ":9:11: neither `first` nor `of`; write `first: relation`"),
        ("baseline: { by: [db_user], first: relations, learn: soon }", ":9:53: not a length of time"),
        ("baseline: { by: [db_user], first: hours }", ":9:35: `first: hours` is not known; did you mean `hour`"),
        (
            "baseline: { by: [db_user], first: something }",
            ":9:35: `first: something` is not known; write one of relation,",
        ),
        ("baseline: { by: [db_user], first: hour, peers: no one }", ":9:48: `peers` is"),
        (
            "baseline: { by: [db_user], first: hour, peers: [] }",
            ":9:48: `peers` names no column; write peers: [member_of]",
        ),
        ("baseline: { by: [db_user], first: hour, peers: [at] }", ":9:49: `at` is not a value to compare; known are"),
        (
            "baseline: { by: [db_user], of: persons, unusual: 4, peers: false }",
            ":9:60: `peers` is true or false; write",
        ),
        ("baseline: { by: [db_user], first: persons }", ":9:35: `persons` is not a text column; known are"),
        ("baseline: { by: [db_user], of: persons }", ":9:11: `unusual` is missing"),
        ("baseline: { by: [db_user], of: db_user, unusual: 4 }", ":9:32: `db_user` is not a number"),
        ("baseline: { by: [db_user], of: persons, first: relation }", ":9:11: `first` and `of` together"),
        ("after: { by: [db_user], within: 5m, times: 0, when: true }", ":9:8: after nothing"),
        ("after: { by: [db_user], within: 5m, times: 2 }", ":9:8: `after` has no `when` that can be judged"),
        ("after: { by: [db_user], within: 5m, times: 2, when: person > 1 }", ":9:53: `statements` has no column"),
        ("throttle: { by: [db_user] }", ":9:11: `once` is missing"),
        ("throttle: { by: [db_user], once: 1h, every: 2 }", ":9:38: unknown key `every`; known here: by, once"),
    ] {
        let text = GOOD.replace("action: alert", &format!("{added}\naction: alert"));
        let found = faults(&[("good.yaml", &text), ("good.cases.yaml", CASES)]);
        let told = format!("good.yaml{told}");
        assert!(found.iter().any(|fault| fault.starts_with(&told)), "{told}\nis not in\n{found:?}");
    }
}

#[test]
fn each_fault_of_a_case_has_its_place() {
    let with = |case: &str| {
        let cases = format!("{CASES}{case}\n");
        faults(&[("good.yaml", GOOD), ("good.cases.yaml", &cases)]).join("\n")
    };
    for (case, told) in [
        ("- name: x\n  records: []", "7:3: `expect` is missing"),
        ("- records: []\n  expect: none", "7:3: `name` is missing"),
        ("- name: x\n  expect: none", "7:3: `records` is missing"),
        ("- name: x\n  records: []\n  expect: perhaps", "9:11: not an expectation; write match, none, or a number"),
        ("- name: x\n  records: {}\n  expect: none", "8:12: records are a mapping; write a list"),
        ("- name: x\n  records: [5]\n  expect: none", "8:13: a record is a number"),
        ("- name: x\n  given: [5]\n  records: []\n  expect: none", "8:10: `given` is a list; write { column: value }"),
        (
            "- name: x\n  records: [{ persons: many }]\n  expect: none",
            "8:24: `persons` does not take a text; write a whole",
        ),
        (
            "- name: x\n  records: [{ kind: slect }]\n  expect: none",
            "8:21: `kind` is never `slect`; `select distinct kind",
        ),
        (
            "- name: x\n  records: [{ relations: a }]\n  expect: none",
            "8:26: `relations` does not take a text; write a list",
        ),
        ("- name: x\n  records: [{ at: noon }]\n  expect: none", "8:19: not a moment; write 2026-06-01T12:00"),
        ("- name: x\n  records: [{ ended_at: noon }]\n  expect: none", "8:25: not a moment"),
        ("- name: x\n  records: [{ after: later }]\n  expect: none", "8:22: `after` is not a length of time"),
        ("- name: x\n  records: [{ repeat: 0 }]\n  expect: none", "8:23: `repeat` is not a number of records"),
        (
            "- name: x\n  records: [{ repeat: 1 }, { repeat: 18446744073709551615 }]\n  expect: none",
            "8:28: more than 100000 records",
        ),
        (
            "- name: x\n  timezone: Asia/Tokio\n  records: []\n  expect: none",
            "8:13: there is no time zone `Asia/Tokio`",
        ),
        ("- name: x\n  observed: many\n  records: []\n  expect: none", "8:13: `observed` is not a whole number"),
        ("- name: x\n  permits: [{}]\n  records: []\n  expect: none", "8:13: `id` is missing"),
        (
            "- name: x\n  record: []\n  records: []\n  expect: none",
            "8:3: unknown key `record`; did you mean `records`?",
        ),
        ("- 5", "7:3: a case is a number"),
    ] {
        let (told, found) = (format!("good.cases.yaml:{told}"), with(case));
        assert!(found.contains(&told), "{told}\nis not in\n{found}");
    }
    let one_sided =
        faults(&[("good.yaml", GOOD), ("good.cases.yaml", &CASES.replace("expect: none", "expect: match"))]);
    assert_eq!(one_sided.len(), 1);
    assert!(
        one_sided[0].contains("cases need at least one that matches and one near miss that does not"),
        "{one_sided:?}"
    );
    let none = faults(&[("good.yaml", GOOD), ("good.cases.yaml", "")]);
    assert!(none[0].contains("the cases are nothing; write a list"), "{none:?}");
}

#[test]
fn a_given_fault_is_told_once_however_often_a_record_is_repeated() {
    let cases = format!(
        "{CASES}- name: x\n  given: {{ person: 1 }}\n  records: [{{ repeat: 90000 }}, {{ persosn: 2, repeat: 9 }}]\n  expect: none\n"
    );
    let found = faults(&[("good.yaml", GOOD), ("good.cases.yaml", &cases)]);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn an_id_in_two_folders_is_a_fault_of_the_second() {
    let found = faults(&[
        ("a/good.yaml", GOOD),
        ("a/good.cases.yaml", CASES),
        ("b/good.yaml", GOOD),
        ("b/good.cases.yaml", CASES),
    ]);
    assert_eq!(found, ["b/good.yaml: the policy `good` is there twice, also in a/good.yaml; rename or remove one"]);
}

#[test]
fn permits_and_lists_are_checked() {
    let good = [("good.yaml", GOOD), ("good.cases.yaml", CASES)];
    let permit = |line: &str| faults(&[good.as_slice(), &[("permits.yaml", line)]].concat()).join("\n");
    const WHOLE: &str =
        "- { id: A, db_user: b, relations: [x], persons_max: 1, from: 2026-01-01T00:00Z, until: 2026-01-02T00:00Z }\n";
    assert!(
        permit(&format!("{WHOLE}{WHOLE}"))
            .contains("permits.yaml:2:3: the permit `A` is there twice; rename or remove one")
    );
    assert!(
        permit(&WHOLE.replace("2026-01-02", "2026-01-01")).contains("permits.yaml:1:3: `until` is not after `from`")
    );
    assert!(
        permit(&WHOLE.replace("T00:00Z", "")).contains("permits.yaml:1:62: not a moment; write date, time and offset")
    );
    assert!(permit(&WHOLE.replace("[x]", "[]")).contains("a permit for no relation"));
    assert!(permit(&WHOLE.replace("persons_max: 1", "persons_max: lots")).contains("`persons_max` is a text"));
    assert!(permit("OPS-1: {}\n").contains("permits.yaml:1:1: the permits are a mapping; write a list"));
    let list = |text: &str| faults(&[good.as_slice(), &[("lists.yaml", text)]].concat()).join("\n");
    assert!(list("[psql]\n").contains("lists.yaml:1:1: the lists are a list; write `name: [entry, entry]`"));
    assert!(list("tools: [[psql]]\n").contains("lists.yaml:1:9: an entry of `tools` is a list; write a text"));
    assert!(list("tools: [a]\ntools: [b]\n").contains("lists.yaml:2:1: not well-formed YAML"));
}
