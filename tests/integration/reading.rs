//! Whoever reads the log by a command stands in it, proven like every other record, and no sidecar is disturbed.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use mitsuke::record::{Review, Statement, Verdict};

use crate::support::programs::{self, Ran, psql};
use crate::support::server;
use crate::support::sidecar::{Sidecar, mitsuke, records};

/// What was asked, in order.
fn asked(log: &Path) -> Vec<String> {
    let mut reviews = records::<Review>(log);
    reviews.sort_by_key(|review| review.common.at);
    assert!(reviews.iter().all(|review| review.verdict == Some(Verdict::Queried)));
    reviews.iter().map(|review| review.about.as_deref().unwrap_or_default().to_owned()).collect()
}

/// Every file below a folder, with its length.
fn files(folder: &Path) -> BTreeSet<(String, u64)> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path()) {
        found.insert((entry.display().to_string(), fs::metadata(&entry).expect("readable").len()));
        if entry.is_dir() {
            found.extend(files(&entry));
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("it can be made");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("readable")) {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("it can be copied")),
        }
    }
}

#[test]
fn every_command_that_reads_is_a_row_of_reviews_and_the_proof_holds() {
    let database = server::database();
    let mut sidecar = Sidecar::start("");
    let key = sidecar.log().with_file_name("log.signing.pub").display().to_string();
    psql(&sidecar.url(&database), "select 1").expect_success();
    let question = "select count(*) from statements where db_user = 'anna' -- about anna";
    sidecar.command(["query", question]).expect_success();
    sidecar.command(["query", "select 1", "--reviewer", "Hanako Sato"]).expect_success();
    sidecar.command(["report", "--week", "2026-W47", "--format", "text"]).expect_success();
    sidecar.command(["who", "shop.customers", "4711"]).expect_success();
    sidecar.command(["policy", "backtest", "bulk-personal-read", "--since", "1d"]).expect_success();
    // What reads nothing is not there.
    assert_eq!(sidecar.command(["query", "selec 1"]).output.status.code(), Some(2));
    sidecar.command(["query", "--explain", "select * from statements"]).expect_success();
    let told = asked(&sidecar.log());
    assert_eq!(told[..3], ["select count(*) from statements where db_user = $1", "select $1", "report 2026-W47"]);
    let hash = told[3].strip_prefix("who shop.customers ").expect("whom was asked for");
    assert!(hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
    assert!(told[4].starts_with("policy backtest bulk-personal-read from 20"), "{}", told[4]);
    assert_eq!(told.len(), 5, "{told:#?}");
    let reviews = records::<Review>(&sidecar.log());
    let by_name = reviews.iter().find(|review| review.reviewer.as_deref() == Some("Hanako Sato")).expect("as named");
    assert!(by_name.comment.as_deref().is_some_and(|comment| comment.starts_with("under the account ")));

    // The sidecar goes on under its own name.
    psql(&sidecar.url(&database), "select 2").expect_success();
    assert!(sidecar.command(["verify", "--key", &key]).expect_success().contains("Complete and unaltered."));
    sidecar.stop();
    let writers = |names: Vec<String>| names.into_iter().collect::<BTreeSet<String>>();
    let of_statements =
        writers(sidecar.records::<Statement>().iter().map(|row| row.common.writer.to_string()).collect());
    let of_reviews = writers(reviews.iter().map(|review| review.common.writer.to_string()).collect());
    assert_eq!(of_statements.len(), 1);
    let own = of_statements.first().expect("one");
    assert_eq!(of_reviews, BTreeSet::from([format!("{own}-read")]));
    let proof = sidecar.command(["verify", "--key", &key, "--format", "json"]).expect_success();
    let proof: serde_json::Value = serde_json::from_str(&proof).expect("JSON");
    assert_eq!((&proof["writers"][0]["writer"], &proof["writers"][1]["records"]), (&own.as_str().into(), &5.into()));
    assert_eq!(proof["unsealed"], 0);
    // Whoever takes the traces of a reading away is found out.
    let partition =
        fs::read_dir(sidecar.log().join("reviews")).expect("readable").next().expect("one").expect("readable");
    let trace = fs::read_dir(partition.path()).expect("readable").next().expect("one").expect("readable");
    fs::remove_file(trace.path()).expect("it can be removed");
    let found = sidecar.command(["verify", "--key", &key]);
    assert_eq!(found.output.status.code(), Some(1));
    assert!(found.out().contains("is missing: it held 1 records of "), "{}", found.out());
}

fn read(log: &Path) -> Ran {
    let mut command = mitsuke();
    command.args(["query", "select count(*) as statements from statements", "--format", "csv", "--log"]).arg(log);
    programs::run(command, b"")
}

#[test]
fn a_log_that_cannot_be_written_is_read_all_the_same_and_a_copy_is_left_alone() {
    let mut sidecar = Sidecar::start("");
    sidecar.stop();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("copy");
    copy(&sidecar.log(), &log);
    let before = files(folder.path());
    let told = read(&log);
    assert_eq!((told.output.status.code(), told.out().as_str()), (Some(0), "statements\n0\n"));
    let note = told.err();
    assert!(note.starts_with("mitsuke: that the log is read is not recorded in it: cannot read "), "{note}");
    assert_eq!(note.lines().count(), 1);
    assert_eq!(files(folder.path()), before, "not even a key of its own is made");
    // With the key, but where nothing can be written: something else is where the folder of the chains should be.
    fs::copy(sidecar.log().with_file_name("log.signing.key"), log.with_file_name("copy.signing.key")).expect("copied");
    fs::remove_dir_all(log.join("chain")).expect("it can be removed");
    fs::write(log.join("chain"), "in the way").expect("it can be written");
    let told = read(&log);
    assert_eq!((told.output.status.code(), told.out().as_str()), (Some(0), "statements\n0\n"), "{}", told.err());
    assert!(told.err().contains("is not recorded in it: cannot create "), "{}", told.err());
}

/// Root reads the log of the service's account: nothing of root's may lie in its way.
#[test]
fn what_root_records_belongs_to_whom_the_log_belongs() {
    const NOBODY: u32 = 65_534;
    let mut sidecar = Sidecar::start("");
    sidecar.stop();
    if fs::metadata(sidecar.log()).expect("readable").uid() != 0 {
        return;
    }
    chown(sidecar.log(), Some(NOBODY), Some(NOBODY)).expect("root can");
    for (path, _) in files(&sidecar.log()) {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root can");
    }
    read(&sidecar.log()).expect_success();
    assert_eq!(asked(&sidecar.log()).len(), 1);
    for (path, _) in files(&sidecar.log()) {
        assert_eq!(fs::metadata(&path).expect("readable").uid(), NOBODY, "{path}");
    }
}
