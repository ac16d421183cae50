//! `mitsuke verify`, as an auditor meets it: a sidecar's log, its public key, a report on paper.

use std::fs;

use mitsuke::audit::Lake;

use crate::support::programs::{self, psql};
use crate::support::server;
use crate::support::sidecar::Sidecar;

#[test]
fn a_log_is_proven_with_the_public_key_and_a_head_and_what_is_altered_is_named() {
    let database = server::database();
    let mut sidecar = Sidecar::start("");
    let key = sidecar.log().with_file_name("log.signing.pub").display().to_string();
    psql(&sidecar.url(&database), "select 1").expect_success();
    sidecar.kill();
    sidecar.launch();
    psql(&sidecar.url(&database), "select 2").expect_success();
    // While it runs, too.
    assert!(sidecar.command(["verify", "--key", &key]).expect_success().contains("Complete and unaltered."));
    sidecar.stop();

    let report: serde_json::Value =
        serde_json::from_str(&sidecar.command(["report", "--format", "json"]).expect_success()).expect("JSON");
    let head = report["heads"][0]["hash"].as_str().expect("the chain's head").to_owned();
    let text = sidecar.command(["report", "--format", "text"]).expect_success();
    assert!(text.contains(&head), "{text}");

    let proven = sidecar.command(["verify", "--key", &key, "--head", &head[..16]]).expect_success();
    assert!(
        proven.contains(&format!("head {head}, line ")) && proven.ends_with("Complete and unaltered.\n"),
        "{proven}"
    );
    let json = sidecar.command(["verify", "--key", &key, "--format", "json"]).expect_success();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["complete_and_unaltered"], &json["writers"][0]["closed"]), (&true.into(), &true.into()));

    let snapshot = Lake::open(&sidecar.log()).expect("a log").snapshots().expect("readable").remove(0);
    let file = snapshot.files[0].path.clone();
    let mut bytes = fs::read(&file).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).expect("writable");
    let found = sidecar.command(["verify", "--key", &key]);
    assert_eq!(found.output.status.code(), Some(1));
    let name = file.strip_prefix(sidecar.log()).expect("in the log").display().to_string();
    assert!(found.out().starts_with(&format!("{name}: was altered")), "{}", found.out());
    assert!(found.out().ends_with("NOT complete and unaltered: 1 fault.\n"), "{}", found.out());
}

#[test]
fn what_is_no_key_and_no_head_is_told_in_one_line() {
    let sidecar = Sidecar::start("");
    let config = sidecar.config().display().to_string();
    for (arguments, expected) in [
        (["verify", "--key", &config], "is not an Ed25519 key in PEM"),
        (["verify", "--head", "4711"], "write 16 hexadecimal digits of a head or more"),
    ] {
        let told = sidecar.command(arguments);
        assert_eq!((told.output.status.code(), told.err().lines().count()), (Some(2), 1), "{}", told.err());
        assert!(told.err().contains(expected), "{}", told.err());
    }
    let missing = programs::run(
        {
            let mut command = crate::support::sidecar::mitsuke();
            command.args(["verify", "--log", "nowhere"]);
            command
        },
        b"",
    );
    assert_eq!(missing.output.status.code(), Some(2));
}
