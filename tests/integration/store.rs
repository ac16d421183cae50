//! The log in an object store: a real S3 server, which is stopped, started again, and refuses at every request in turn.

mod compaction;
mod sweep;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::bucket::{Bucket, SECRET_KEY};
use crate::support::programs::{self, Ran, psql_script};
use crate::support::sidecar::{Sidecar, mitsuke};
use crate::support::tls::Authority;
use crate::support::{server, wait_for};

/// A question that counts what a phase ran, and how much of it is there more than once.
const COUNTED: &str = "select count(*) as n, count(*) - count(distinct concat(writer, '/', seq)) as twice from statements \
                       where query like 'select % as in_phase%'";

/// Statements of a phase; each is known by its text.
fn load(sidecar: &Sidecar, database: &str, phase: u32, count: u32) {
    let script: String = (0..count).map(|number| format!("select {number} as in_phase_{phase};\n")).collect();
    psql_script(&sidecar.url(database), &script).expect_success();
}

/// A command on another machine: no configuration, no spool, only the store.
fn elsewhere(bucket: &Bucket, prefix: &str, folder: &Path, arguments: &[&str]) -> Ran {
    let mut command: Command = mitsuke();
    command.envs(bucket.variables()).current_dir(folder).args(arguments).args(["--log", &bucket.url(prefix)]);
    programs::run(command, b"")
}

fn counted(answer: &str) -> (u64, u64) {
    let value: serde_json::Value = serde_json::from_str(answer.trim()).expect("one row");
    (value["n"].as_u64().expect("a number"), value["twice"].as_u64().expect("a number"))
}

fn everything_went_up(sidecar: &Sidecar) {
    let chains = || std::fs::read_dir(sidecar.log().join("chain")).expect("chains");
    wait_for("everything in the store", || {
        let all = chains().all(|chain| {
            let chain = chain.expect("a chain").path();
            let writer = chain.file_stem().expect("a name").to_owned();
            let lines = std::fs::read_to_string(&chain).expect("readable").lines().count();
            let uploaded = sidecar.log().join("journal").join(writer).join("uploaded");
            std::fs::read_to_string(uploaded).is_ok_and(|number| number.trim() == lines.to_string())
        });
        all.then_some(())
    });
}

#[test]
fn what_is_run_while_the_store_is_away_and_the_sidecar_is_killed_is_there_once_and_proven() {
    let mut bucket = Bucket::start();
    let database = server::database();
    let mut sidecar = Sidecar::into_bucket(&bucket, "fleet/db", "flush = \"1s\"\n");
    load(&sidecar, &database, 1, 200);
    let _ = wait_for("a chain in the store", || bucket.folder("fleet/db/chain").read_dir().ok()?.next());

    bucket.stop();
    load(&sidecar, &database, 2, 300);
    std::thread::sleep(Duration::from_millis(1_500));
    sidecar.kill();
    // The store is still away.
    sidecar.launch();
    load(&sidecar, &database, 3, 300);
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(sidecar.errors().contains("the store does not take what is sealed"), "{}", sidecar.errors());
    let here = sidecar.command(["verify"]);
    assert_eq!(here.output.status.code(), Some(2), "without the store nothing can be told: {}", here.out());
    assert_eq!(here.err().lines().count(), 1, "{}", here.err());

    bucket.start_again();
    load(&sidecar, &database, 4, 200);
    // What is not sealed yet is asked for as well, here.
    wait_for("all of it", || {
        let answer = sidecar.command(["query", COUNTED, "--format", "json"]).expect_success();
        (counted(&answer) == (1_000, 0)).then_some(())
    });
    sidecar.kill();
    sidecar.launch();
    sidecar.stop();
    everything_went_up(&sidecar);
    assert!(!sidecar.errors().contains(SECRET_KEY), "{}", sidecar.errors());

    let other = tempfile::tempdir().unwrap();
    let ask = |arguments: &[&str]| elsewhere(&bucket, "fleet/db", other.path(), arguments);
    let answer = ask(&["query", COUNTED, "--format", "json"]);
    assert_eq!(counted(&answer.out()), (1_000, 0), "{}", answer.err());
    assert!(answer.err().contains("is not recorded in it"), "nobody else has the key: {}", answer.err());
    let key = sidecar.log().with_file_name("log.signing.pub");
    let key = key.to_str().unwrap();
    let head = sidecar.command(["report", "--format", "json"]).expect_success();
    let head: serde_json::Value = serde_json::from_str(&head).expect("JSON");
    let head = head["heads"][0]["hash"].as_str().expect("a head");
    for proven in [ask(&["verify", "--key", key, "--head", head]), sidecar.command(["verify", "--key", key])] {
        assert!(proven.out().contains("\nComplete and unaltered."), "{}{}", proven.out(), proven.err());
    }
    assert!(ask(&["report", "--format", "text"]).expect_success().contains(head));
    what_is_altered_in_the_store_is_named(&bucket, &|| ask(&["verify", "--key", key]));
}

/// An object is altered, removed, and put there by somebody else.
fn what_is_altered_in_the_store_is_named(bucket: &Bucket, verify: &dyn Fn() -> Ran) {
    let table = bucket.folder("fleet/db/statements");
    let partition = table.read_dir().unwrap().next().unwrap().unwrap().path();
    let file = partition.read_dir().unwrap().next().unwrap().unwrap().path();
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    let bytes = std::fs::read(&file).unwrap();
    let mut altered = bytes.clone();
    altered[bytes.len() / 2] ^= 1;
    std::fs::write(&file, &altered).unwrap();
    let faults = || {
        let found = verify();
        assert_eq!(found.output.status.code(), Some(1), "{}{}", found.out(), found.err());
        found.out()
    };
    assert!(faults().contains(&format!("{name}: was altered")), "{}", faults());
    std::fs::remove_file(&file).unwrap();
    assert!(faults().contains(&format!("{name}: is missing")));
    std::fs::write(&file, &bytes).unwrap();
    let added = partition.join("intruder-00000000000000000001.parquet");
    std::fs::copy(&file, &added).unwrap();
    assert!(faults().contains("intruder-00000000000000000001.parquet: is in no chain"));
    std::fs::remove_file(&added).unwrap();
    assert_eq!(verify().output.status.code(), Some(0));
}

#[test]
fn commands_read_a_store_and_what_they_ask_is_recorded_there() {
    let bucket = Bucket::start();
    let database = server::database();
    let mut sidecar = Sidecar::into_bucket(&bucket, "", "flush = \"1s\"\n");
    load(&sidecar, &database, 1, 20);
    sidecar.stop();
    // No sidecar runs: the command takes its own row up.
    sidecar.command(["query", COUNTED, "--format", "json"]).expect_success();
    everything_went_up(&sidecar);
    let other = tempfile::tempdir().unwrap();
    let ask = |arguments: &[&str]| elsewhere(&bucket, "", other.path(), arguments);
    let asked = ask(&["query", "select about from reviews where verdict = 'queried'", "--format", "csv"]).out();
    assert!(asked.contains("in_phase") || asked.contains("select count"), "{asked}");
    let day = ask(&["query", "--explain", "select count(*) from statements where dt = '2020-01-01'"]).expect_success();
    assert!(day.contains("no file is opened"), "a day's files only: {day}");
    let today = "select count(*) from statements where at > now() - interval '1 hour'";
    let lately = ask(&["query", "--explain", today]).expect_success();
    assert!(lately.contains("statements: ") && !lately.contains("no file"), "{lately}");
    for arguments in [&["policy", "backtest", "--since", "1d"][..], &["report", "--format", "text"]] {
        ask(arguments).expect_success();
    }
    assert!(ask(&["who", "shop.customers", "4711"]).err().contains("key"), "the key is not there");
    let missing = elsewhere(&bucket, "nowhere", other.path(), &["query", "select 1"]);
    assert_eq!((missing.output.status.code(), missing.err().lines().count()), (Some(2), 1), "{}", missing.err());
}

#[test]
fn a_store_that_cannot_be_reached_is_told_of_in_one_line_and_soon() {
    let mut bucket = Bucket::start();
    bucket.stop();
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let told = elsewhere(&bucket, "x", folder.path(), &["query", "select 1"]);
    assert_eq!((told.output.status.code(), told.err().lines().count()), (Some(2), 1), "{}", told.err());
    let config = folder.path().join("mitsuke.toml");
    std::fs::write(&config, format!("[log]\npath = \"{}\"\n{}", bucket.url("x"), bucket.settings())).unwrap();
    let mut check = mitsuke();
    check.envs(bucket.variables()).arg("check").arg("--config").arg(&config);
    assert!(programs::run(check, b"").err().contains("`log.path` is a store that cannot be read"));
    assert!(told.err().contains("s3://audit/x") && !told.err().contains(SECRET_KEY), "{}", told.err());
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

/// Its certificate is signed by nobody whom the system knows.
#[test]
fn a_store_over_tls_is_trusted_by_the_authority_that_is_named_and_by_no_other() {
    let (authority, other) = (Authority::new("the store's"), Authority::new("another"));
    let bucket = Bucket::with_tls(&authority);
    let database = server::database();
    let mut sidecar = Sidecar::into_bucket(&bucket, "tls", "flush = \"1s\"\n");
    load(&sidecar, &database, 1, 50);
    sidecar.stop();
    everything_went_up(&sidecar);
    let answer = sidecar.command(["query", COUNTED, "--format", "json"]).expect_success();
    assert_eq!(counted(&answer), (50, 0));
    assert!(sidecar.command(["verify"]).expect_success().contains("Complete and unaltered"));
    let settings = std::fs::read_to_string(sidecar.config()).unwrap();
    let ca = authority.certificate().display().to_string();
    for (wrong, told) in [
        (settings.replace(&ca, &other.certificate().display().to_string()), "store's certificate as [log].store.ca"),
        (settings.replace(&format!("store.ca = \"{ca}\"\n"), ""), "store's certificate as [log].store.ca"),
        (settings.replace(&ca, "/nowhere/ca.pem"), "/nowhere/ca.pem"),
    ] {
        assert_ne!(wrong, settings);
        std::fs::write(sidecar.config(), wrong).unwrap();
        let refused = sidecar.command(["verify"]);
        assert_eq!((refused.output.status.code(), refused.err().lines().count()), (Some(2), 1), "{}", refused.err());
        assert!(refused.err().contains(told) && !refused.err().contains(SECRET_KEY), "{}", refused.err());
    }
}
