//! `mitsuke policy list | test` and `mitsuke check` as a person meets them: with policies that are in order, with cases
//! that fail, with every kind of fault. The examples of policies/README.md work as pasted.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::programs::{Ran, run};
use crate::support::sidecar::mitsuke;

const GOOD: &str = "id: night-copy
title: Copied at night
why: Nobody works then.
status: stable
severity: medium
tags: [attack.t1213.006]
on: statement
when: kind = 'copy_out' and hour < 6
action: alert
";
const CASES: &str = "- name: at three
  records: [{ at: 2026-06-01T03:00, kind: copy_out }]
  expect: match

- name: at six
  records: [{ at: 2026-06-01T06:00, kind: copy_out }]
  expect: none
";

/// A folder of policies and a configuration that names it.
struct Policies(TempDir);

impl Policies {
    fn new(files: &[(&str, &str)]) -> Policies {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join("policies").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let config = "[policies]\npath = \"policies\"\ntimezone = \"Asia/Tokyo\"\n";
        fs::write(folder.path().join("mitsuke.toml"), config).unwrap();
        Policies(folder)
    }

    /// `mitsuke ARGUMENTS…` in the folder: it finds `mitsuke.toml` by itself.
    fn ask(&self, arguments: &[&str]) -> Ran {
        ask(self.0.path(), arguments)
    }

    /// Exit status 2, and the faults on standard error, without the line that counts them; the same by every command.
    #[track_caller]
    fn faults(&self) -> Vec<String> {
        let mut told: Vec<Vec<String>> = Vec::new();
        for command in [["policy", "test"], ["policy", "list"], ["check", "--offline"]] {
            let ran = self.ask(&command);
            assert_eq!((ran.output.status.code(), ran.out().as_str()), (Some(2), ""), "{}", ran.what);
            let lines: Vec<String> = ran.err().lines().map(str::to_owned).collect();
            let (count, faults) = lines.split_last().unwrap();
            assert!(count.ends_with(&format!("{} found", plural(faults.len(), "fault"))), "{count}");
            told.push(faults.to_vec());
        }
        assert!(told.windows(2).all(|two| two[0] == two[1]), "{told:#?}");
        let started = self.ask(&["run", "--listen", "127.0.0.1:0"]);
        assert_eq!(started.output.status.code(), Some(2), "a sidecar does not start with faulty policies");
        told.swap_remove(0)
    }
}

fn plural(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn ask(folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = mitsuke();
    command.args(arguments).current_dir(folder);
    let ran = run(command, b"");
    let all = ran.out() + &ran.err();
    for debug in ["Some(", "None,", "Ok(", "Err(", "Error {", "Error(", "panicked", "\u{1b}"] {
        assert!(!all.contains(debug), "{} says `{debug}`:\n{all}", ran.what);
    }
    ran
}

fn objects(ran: Ran) -> Vec<Value> {
    ran.expect_success().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_built_in_policies_are_listed_and_their_cases_hold() {
    let elsewhere = tempfile::tempdir().unwrap();
    let lines = ask(elsewhere.path(), &["policy", "list"]).expect_success();
    let rows: Vec<Vec<&str>> = lines.lines().map(|line| line.split('\t').collect()).collect();
    let listed = objects(ask(elsewhere.path(), &["policy", "list", "--format", "json"]));
    assert_eq!(rows.len(), listed.len());
    for (row, object) in rows.iter().zip(&listed) {
        let [id, status, severity, on, action, cases, tags, title] = row.as_slice() else { panic!("{row:?}") };
        let told = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
        assert_eq!(*id, told("id"));
        let acts = if *id == "password-list-kept-out" { "quarantine" } else { "alert" };
        assert_eq!((*status, *action), ("stable", acts));
        for (cell, key) in [(severity, "severity"), (on, "on"), (title, "title")] {
            assert_eq!(*cell, told(key));
        }
        assert_eq!(cases.parse::<u64>().unwrap(), object["cases"].as_u64().unwrap());
        assert!(object["cost_ns"].as_u64().is_some_and(|cost| (1..10_000_000).contains(&cost)), "{object}");
        let of_json: Vec<&str> = object["tags"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(tags.split(',').collect::<Vec<_>>(), of_json);
    }
    for id in [
        "after-hours-personal-read",
        "bulk-personal-read",
        "copy-of-classified-data",
        "first-table-read",
        "login-failure-burst",
        "many-people-in-a-day",
    ] {
        assert!(rows.iter().any(|row| row[0] == id), "{id}");
    }
    let cases: u64 = listed.iter().map(|object| object["cases"].as_u64().unwrap()).sum();
    let told = ask(elsewhere.path(), &["policy", "test"]).expect_success();
    assert_eq!(told, format!("{} policies, {cases} cases: all hold\n", rows.len()));
    let judged = objects(ask(elsewhere.path(), &["policy", "test", "--format", "json"]));
    assert_eq!(judged.len() as u64, cases);
    assert!(judged.iter().all(|case| case["holds"] == true && case["got"].is_string()));
}

#[test]
fn a_folder_s_policies_are_found_by_the_configuration_by_path_and_by_id() {
    let other = GOOD.replace("night-copy", "other-copy");
    let policies = Policies::new(&[
        ("t/night-copy.yaml", GOOD),
        ("t/night-copy.cases.yaml", CASES),
        ("u/other-copy.yaml", &other),
        ("u/other-copy.cases.yaml", CASES),
    ]);
    let told = |arguments: &[&str]| policies.ask(arguments).expect_success();
    assert_eq!(told(&["policy", "test"]), "2 policies, 4 cases: all hold\n");
    assert_eq!(told(&["policy", "test", "other-copy"]), "1 policy, 2 cases: all hold\n");
    assert_eq!(told(&["policy", "test", "--path", "policies/t"]), "1 policy, 2 cases: all hold\n");
    assert_eq!(told(&["policy", "test", "--path", "policies/t/night-copy.yaml"]), "1 policy, 2 cases: all hold\n");
    assert_eq!(told(&["policy", "test", "--config", "mitsuke.toml"]), "2 policies, 4 cases: all hold\n");
    assert!(
        told(&["policy", "list"])
            .starts_with("night-copy\tstable\tmedium\tstatement\talert\t2\tattack.t1213.006\tCopied at night\n")
    );
    assert!(told(&["check", "--offline"]).contains("2 policies"));

    let unknown = policies.ask(&["policy", "test", "night-coyp"]);
    assert_eq!(unknown.output.status.code(), Some(2));
    assert_eq!(unknown.err(), "mitsuke: there is no policy `night-coyp`; did you mean `night-copy`?\n");
    let stranger = policies.ask(&["policy", "sql", "elsewhere"]);
    assert_eq!(stranger.err(), "mitsuke: there is no policy `elsewhere`; `mitsuke policy list` shows them\n");
}

#[test]
fn a_case_that_fails_is_told_with_its_place_and_exit_status_1() {
    let wrong = CASES.replace("at: 2026-06-01T06:00", "at: 2026-06-01T05:59")
        + "\n- name: says what\n  records: [{ at: 2026-06-01T03:00, kind: copy_out, db_user: clerk }]\n  expect: 2\n  says: by SELECT\n";
    let policies = Policies::new(&[("t/night-copy.yaml", GOOD), ("t/night-copy.cases.yaml", &wrong)]);
    let ran = policies.ask(&["policy", "test"]);
    assert_eq!((ran.output.status.code(), ran.err().as_str()), (Some(1), ""));
    assert_eq!(
        ran.out(),
        "policies/t/night-copy.cases.yaml:5: at six
  expected no finding
  got      1 finding
           observed -: someone unknown ran COPY at 05:59
policies/t/night-copy.cases.yaml:9: says what
  expected 2 findings, saying “by SELECT”
  got      1 finding
           observed -: clerk ran COPY at 03:00
1 policy, 3 cases: 2 do not hold
"
    );
    let ran = policies.ask(&["policy", "test", "--format", "json"]);
    assert_eq!(ran.output.status.code(), Some(1));
    let held: Vec<(u64, bool)> = ran
        .out()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|case| (case["line"].as_u64().unwrap(), case["holds"].as_bool().unwrap()))
        .collect();
    assert_eq!(held, [(1, true), (5, false), (9, false)]);
}

#[test]
fn each_kind_of_fault_is_told_with_its_place_and_how_to_mend_it() {
    for (from, to, expected) in [
        ("when:", "wehn:", "policies/t/night-copy.yaml:8:1: unknown key `wehn`; did you mean `when`?"),
        ("kind =", "knid =", "policies/t/night-copy.yaml:8:7: `statements` has no column `knid`; did you mean `kind`?"),
        (
            "hour < 6",
            "hour < 'six'",
            "policies/t/night-copy.yaml:8:29: a number cannot be compared with a text; a number has no quotes, a text has single ones",
        ),
        ("severity: medium", "severity: [", "policies/t/night-copy.yaml:"),
        (
            "action: alert",
            "action: cut",
            "policies/t/night-copy.yaml:9:9: `action: cut` ends a statement while its rows flow; write `on: progress`",
        ),
    ] {
        let text = GOOD.replace(from, to);
        let policies = Policies::new(&[("t/night-copy.yaml", &text), ("t/night-copy.cases.yaml", CASES)]);
        let faults = policies.faults();
        assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{expected}\nis not in\n{faults:#?}");
        assert!(faults.iter().all(|fault| fault.contains("; ")), "without a way to mend it: {faults:#?}");
    }
}

#[test]
fn faults_of_many_files_are_told_at_once_in_order() {
    let policies = Policies::new(&[
        ("t/night-copy.yaml", &GOOD.replace("status: stable", "status: steady")),
        ("t/night-copy.cases.yaml", &CASES.replace("kind: copy_out", "kind: copyout")),
        ("permits.yaml", "- id: OPS-1\n"),
        ("lists.yaml", "tools: psql\n"),
    ]);
    let faults = policies.faults();
    assert_eq!(
        faults,
        [
            "policies/lists.yaml:1:8: `tools` is a text; write a list: [a, b]",
            "policies/permits.yaml:1:3: `db_user` is missing; add a line `db_user: …`",
            "policies/permits.yaml:1:3: `from` is missing; add a line `from: …`",
            "policies/permits.yaml:1:3: `persons_max` is missing; add a line `persons_max: …`",
            "policies/permits.yaml:1:3: `relations` is missing; add a line `relations: …`",
            "policies/permits.yaml:1:3: `until` is missing; add a line `until: …`",
            "policies/t/night-copy.cases.yaml:2:43: `kind` is never `copyout`; `select distinct kind from statements` shows what the log holds",
            "policies/t/night-copy.cases.yaml:6:43: `kind` is never `copyout`; `select distinct kind from statements` shows what the log holds",
            "policies/t/night-copy.yaml:4:9: `status: steady` is not known; write one of stable, experimental, off",
        ]
    );
}

#[test]
fn a_policy_without_cases_is_a_fault_for_test_and_check_and_is_judged_all_the_same() {
    let policies = Policies::new(&[("t/night-copy.yaml", GOOD)]);
    let expected = "policies/t/night-copy.yaml: the policy `night-copy` has no cases; write policies/t/night-copy.cases.yaml: what must match and what must not";
    for command in [["policy", "test"], ["check", "--offline"]] {
        let ran = policies.ask(&command);
        assert_eq!(ran.output.status.code(), Some(2), "{}", ran.what);
        assert_eq!(ran.err().lines().next(), Some(expected));
    }
    assert!(policies.ask(&["policy", "list"]).expect_success().contains("\talert\t0\t"));
}

#[test]
fn nothing_to_test_is_no_success() {
    let policies = Policies::new(&[("lists.yaml", "tools: [psql]\n")]);
    let ran = policies.ask(&["policy", "test"]);
    assert_eq!(ran.output.status.code(), Some(2));
    assert!(ran.err().starts_with("mitsuke: there is no policy to test; name a folder"), "{}", ran.err());
    let nowhere = policies.ask(&["policy", "test", "--path", "nowhere"]);
    assert_eq!(nowhere.output.status.code(), Some(2));
    assert!(nowhere.err().starts_with("nowhere: cannot be read: No such file or directory"), "{}", nowhere.err());
}

#[test]
fn every_help_has_an_example() {
    let here = Path::new(".");
    for command in [
        &["policy", "--help"][..],
        &["policy", "list", "--help"],
        &["policy", "test", "--help"],
        &["policy", "backtest", "--help"],
        &["policy", "explain", "--help"],
        &["quarantine", "--help"],
    ] {
        assert!(ask(here, command).expect_success().contains("Example"), "{command:?}");
    }
    assert_eq!(ask(here, &["policy"]).output.status.code(), Some(2));
}

#[test]
fn output_that_cannot_be_written_is_an_error_and_a_closed_pipe_is_none() {
    let mut full = mitsuke();
    full.args(["policy", "list"]).stdout(fs::File::options().write(true).open("/dev/full").unwrap());
    let output = full.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write to standard output"));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut closed = mitsuke();
    closed.args(["policy", "list"]).stdout(writer);
    assert_eq!(closed.output().unwrap().status.code(), Some(0));
}

/// The YAML blocks of policies/README.md, by the file that their first line names.
fn examples() -> Vec<(PathBuf, String)> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/README.md")).unwrap();
    let blocks = readme.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    let named = blocks.map(|block| {
        let name = block.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a block names its file");
        (PathBuf::from(name), block)
    });
    named.collect()
}

#[test]
fn the_readme_s_examples_work_as_pasted() {
    let examples = examples();
    let names: Vec<String> = examples.iter().map(|(path, _)| path.display().to_string()).collect();
    assert_eq!(names, ["cards/card-lookups.yaml", "cards/card-lookups.cases.yaml", "lists.yaml", "permits.yaml"]);
    let files: Vec<(&str, &str)> =
        names.iter().zip(&examples).map(|(name, (_, text))| (name.as_str(), text.as_str())).collect();
    let policies = Policies::new(&files);
    assert_eq!(policies.ask(&["policy", "test"]).expect_success(), "1 policy, 5 cases: all hold\n");
    assert!(policies.ask(&["check", "--offline"]).expect_success().contains("1 policy"));
    // Beside the built-in ones too, as the README advises: the lists there are longer.
    let copy = Policies::new(&files[..2]);
    for (name, text) in mitsuke::policy::built_in::FILES {
        let path = copy.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("interactive_tools:", "card_desk: [\"desk_*\"]\ninteractive_tools:")).unwrap();
    }
    assert!(copy.ask(&["policy", "test"]).expect_success().contains("all hold"));
}
