//! Replication connections: backups, WAL and logical changes pass, and each command is told.

use std::process::{Child, Stdio};

use mitsuke::demo::Postgres;
use mitsuke::record::{Kind, Outcome, Protocol, Statement};
use mitsuke::session::Event;
use mitsuke::session::streaming::INSTALMENT_BYTES;

use crate::support::programs::{is_too_old, major, program, psql, run};
use crate::support::script::told;
use crate::support::server::{self, SUPERUSER, direct};
use crate::support::sidecar::Sidecar;
use crate::support::through::Through;
use crate::support::wire::{Client, message, packet, query};
use crate::support::{PATIENCE, wait_for};

/// A server that may be replicated, and the sidecar before it.
fn replicated() -> (Postgres, Through) {
    // What is not flushed is not sent.
    let settings = [("wal_level", "logical"), ("max_wal_senders", "8"), ("synchronous_commit", "on")];
    let server = server::start(&settings);
    server::set_hba(&server, "local replication all trust\nhost replication all 127.0.0.1/32 trust");
    let through = Through::before(&server, |_| {});
    (server, through)
}

/// `dbname=…` for a program that asks for replication itself.
fn conninfo(through: &Through, more: &str) -> String {
    let (host, port) = (through.address()).rsplit_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    format!("host={host} port={port} user={SUPERUSER} {more}")
}

/// The commands' texts, if all of them were told as replication and ended as `told` says they must.
fn commands(events: &[Event]) -> Vec<String> {
    let of_replication =
        |event: &&Event| matches!(event, Event::Begun(begun) if begun.protocol == Protocol::Replication);
    assert!(events.iter().filter(|event| matches!(event, Event::Begun(_))).all(|event| of_replication(&event)));
    told(events)
}

#[track_caller]
fn has(told: &[String], beginning: &str, text: &str) {
    let found = told.iter().any(|line| {
        let (head, said) = line.split_once('|').unwrap();
        said.starts_with(text) && head.split_once(' ').unwrap().1.starts_with(beginning)
    });
    assert!(found, "no `{beginning}… |{text}…` in {told:#?}");
}

#[test]
fn pg_basebackup_makes_a_backup_that_verifies() {
    if is_too_old("pg_basebackup") {
        return;
    }
    let (server, through) = replicated();
    psql(&direct(&server, "postgres"), "create table t as select generate_series(1, 50000) i").expect_success();
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup");
    let mut command = program("pg_basebackup");
    command.args(["--checkpoint=fast", "--wal-method=stream", "--progress", "-d", &conninfo(&through, "")]);
    run(
        {
            command.arg("-D").arg(&backup);
            command
        },
        b"",
    )
    .expect_success();
    let mut verify = program("pg_verifybackup");
    if major("pg_verifybackup") != major("postgres") {
        // It reads the WAL of its own version only.
        verify.arg("--no-parse-wal");
    }
    verify.arg(&backup);
    assert!(run(verify, b"").expect_success().contains("successfully verified"));
    let told = commands(&through.stop());
    has(&told, "replication ok", "BASE_BACKUP");
    has(&told, "replication ok 1 - IDENTIFY_SYSTEM", "IDENTIFY_SYSTEM");
    has(&told, "replication ok", "START_REPLICATION");
    let rows = |line: &String| line.split(' ').nth(3).unwrap().parse::<u64>().unwrap();
    let messages: u64 = told.iter().filter(|line| line.contains("|BASE_BACKUP")).map(rows).sum();
    assert!(messages > 100, "{told:#?}");
}

#[test]
fn pg_receivewal_receives_up_to_its_end() {
    if is_too_old("pg_receivewal") {
        return;
    }
    let (server, through) = replicated();
    let admin = direct(&server, "postgres");
    let folder = tempfile::tempdir().unwrap();
    let receive = |more: &[&str]| {
        let mut command = program("pg_receivewal");
        command.args(["-d", &conninfo(&through, ""), "--slot", "kept", "-D"]).arg(folder.path()).args(more);
        command
    };
    run(receive(&["--create-slot"]), b"").expect_success();
    psql(&admin, "create table t as select generate_series(1, 50000) i").expect_success();
    psql(&admin, "select pg_switch_wal()").expect_success();
    let end = psql(&admin, "create table u as select 1; select pg_current_wal_flush_lsn()").expect_success();
    run(receive(&["--no-loop", "--endpos", end.trim()]), b"").expect_success();
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert!(files >= 1, "nothing was received");
    run(receive(&["--drop-slot"]), b"").expect_success();
    let told = commands(&through.stop());
    for command in ["CREATE_REPLICATION_SLOT", "IDENTIFY_SYSTEM", "START_REPLICATION SLOT", "DROP_REPLICATION_SLOT"] {
        has(&told, "replication ok", command);
    }
}

#[test]
fn pg_recvlogical_receives_changes() {
    let (server, through) = replicated();
    let admin = direct(&server, "postgres");
    psql(&admin, "create table t (i int primary key); create publication p for table t").expect_success();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("changes");
    let receive = |more: &[&str]| {
        let mut command = program("pg_recvlogical");
        command.args(["-d", &conninfo(&through, "dbname=postgres"), "--slot", "logical"]).args(more);
        command
    };
    run(receive(&["--create-slot", "--plugin", "pgoutput"]), b"").expect_success();
    psql(&admin, "insert into t select generate_series(1, 1000)").expect_success();
    let end = psql(&admin, "select pg_current_wal_flush_lsn()").expect_success();
    let options = ["--start", "--no-loop", "-o", "proto_version=1", "-o", "publication_names=p", "--endpos"];
    let mut start = receive(&options);
    start.arg(end.trim()).arg("-f").arg(&file);
    run(start, b"").expect_success();
    let changes = std::fs::read(&file).unwrap();
    assert!(changes.len() > 10_000, "{} bytes at {end}: {:?}", changes.len(), String::from_utf8_lossy(&changes));
    run(receive(&["--drop-slot"]), b"").expect_success();
    let told = commands(&through.stop());
    for command in ["CREATE_REPLICATION_SLOT", "START_REPLICATION SLOT", "DROP_REPLICATION_SLOT"] {
        has(&told, "replication ok", command);
    }
    let streamed = told.iter().find(|line| line.contains("|START_REPLICATION")).unwrap();
    let rows: u64 = streamed.split(' ').nth(3).unwrap().parse().unwrap();
    // Changes, and neither what says how tables look nor where transactions begin and end.
    assert_eq!(rows, 1000, "{streamed}");
}

/// A program that streams, ended with the test.
struct Streaming(Child);

impl Streaming {
    fn start(mut command: std::process::Command) -> Streaming {
        Streaming(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"))
    }

    fn runs(&mut self) -> bool {
        self.0.try_wait().expect("its status").is_none()
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that may be replicated, and the real binary before it, its log read while it runs.
fn recorded(more: &str) -> (Postgres, Sidecar) {
    let settings = [("wal_level", "logical"), ("max_wal_senders", "8"), ("synchronous_commit", "on")];
    let server = server::start(&settings);
    server::set_hba(&server, "local replication all trust\nhost replication all 127.0.0.1/32 trust");
    let sidecar = Sidecar::before(&server, more);
    (server, sidecar)
}

fn streams(sidecar: &Sidecar) -> Vec<Statement> {
    let is_stream =
        |record: &Statement| record.query.as_deref().is_some_and(|query| query.starts_with("START_REPLICATION"));
    let mut records: Vec<Statement> = sidecar.records().into_iter().filter(is_stream).collect();
    records.sort_by_key(|record| record.common.seq);
    records
}

/// Rows whose WAL is so many MiB at least.
fn written(mebibytes: u32) -> String {
    format!(
        "create table if not exists t (v text); insert into t select repeat('v', 1024) from generate_series(1, 1024 * {mebibytes})"
    )
}

/// Whoever reads the log learns of a stream while it flows, and its instalments add up to what flowed.
#[test]
fn a_stream_is_in_the_log_while_it_flows() {
    if is_too_old("pg_receivewal") {
        return;
    }
    let (server, mut sidecar) = recorded("");
    let admin = direct(&server, "postgres");
    let folder = tempfile::tempdir().unwrap();
    let (host, port) = sidecar.address().rsplit_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let conninfo = format!("host={host} port={port} user={SUPERUSER}");
    let receive = |more: &[&str]| {
        let mut command = program("pg_receivewal");
        command.args(["-d", &conninfo, "--slot", "kept", "-D"]).arg(folder.path()).args(more);
        command
    };
    run(receive(&["--create-slot"]), b"").expect_success();
    let mut streaming = Streaming::start(receive(&["--no-loop"]));
    psql(&admin, &written(150)).expect_success();
    wait_for("two instalments", || (streams(&sidecar).len() >= 2).then_some(()));
    assert!(streaming.runs(), "it was told at its end only");
    let told = streams(&sidecar);
    assert!(told.iter().all(|record| record.bytes_out >= Some(INSTALMENT_BYTES)), "{told:?}");
    assert!(told.iter().all(|record| record.outcome == Some(Outcome::Ok) && record.kind == Some(Kind::Replication)));
    let numbers: Vec<u64> = told.iter().map(|record| record.statement_no).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
    drop(streaming);
    sidecar.stop();
    let bytes: u64 = streams(&sidecar).iter().filter_map(|record| record.bytes_out).sum();
    let received = std::fs::read_dir(folder.path()).unwrap().count() as u64 - 1;
    // Whoever is ended has not written all that it got.
    assert!(bytes >= received * (16 << 20) && received >= 1, "{bytes} bytes of {received} files");
}

/// A policy stops a stream at so many bytes, however few of its messages are rows.
#[test]
fn a_stream_is_cut_while_it_flows() {
    let folder = tempfile::tempdir().unwrap();
    let policy = "id: no-copies\ntitle: Nobody copies the database\nwhy: w\nstatus: stable\nseverity: high\ntags: [attack.t1213]\n\
        on: progress\naction: cut\nwhen: kind = 'replication' and bytes_out > 3000000\n";
    std::fs::write(folder.path().join("classification.yaml"), "levels: [internal, personal]\ntables: {}\n").unwrap();
    std::fs::write(folder.path().join("no-copies.yaml"), policy).unwrap();
    let (server, mut sidecar) =
        recorded(&format!("[policies]\npath = \"{}\"\ntimezone = \"UTC\"\n", folder.path().display()));
    let admin = direct(&server, "postgres");
    psql(&admin, "create table t (v text); create publication p for table t").expect_success();
    let (host, port) = sidecar.address().rsplit_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let conninfo = format!("host={host} port={port} user={SUPERUSER} dbname=postgres");
    let receive = |more: &[&str]| {
        let mut command = program("pg_recvlogical");
        command.args(["-d", &conninfo, "--slot", "logical"]).args(more);
        command
    };
    run(receive(&["--create-slot", "--plugin", "pgoutput"]), b"").expect_success();
    psql(&admin, &written(8)).expect_success();
    let file = folder.path().join("changes");
    let options = ["--start", "--no-loop", "-o", "proto_version=1", "-o", "publication_names=p", "-f"];
    let mut start = receive(&options);
    start.arg(&file);
    let ran = run(start, b"");
    assert!(ran.err().contains("Nobody copies the database"), "{}", ran.err());
    let length = std::fs::metadata(&file).unwrap().len();
    assert!((2_500_000..=3_000_000).contains(&length), "{length}");
    sidecar.stop();
    let told = streams(&sidecar);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].outcome, told[0].kind), (Some(Outcome::Cut), Some(Kind::Replication)));
    // The beginning of the message that passes the limit has gone on where a read ended in it.
    assert!(told[0].bytes_out.is_some_and(|bytes| bytes <= 3_000_000 + (32 << 10)), "{told:?}");
}

/// SQL on a connection of `replication=database`, an error, and a command that no grammar has.
#[test]
fn sql_and_errors_on_a_replication_connection() {
    let (_server, through) = replicated();
    let mut client = Client::connect(&through.address());
    let parameters = format!("user\0{SUPERUSER}\0database\0postgres\0replication\0database\0\0");
    client.say(&packet(196_608, parameters.as_bytes()));
    client.hear_until_ready(1);
    for (number, text) in
        ["select 1", "IDENTIFY_SYSTEM", "no such command", "select 1; select 2"].into_iter().enumerate()
    {
        client.say(&query(text));
        client.hear_until_ready(number + 2);
    }
    // The extended protocol is refused there, and skipped to the Sync.
    client.say(&[message(b'P', b"\0select 3\0\0\0"), message(b'S', b"")].concat());
    client.hear_until_ready(6);
    drop(client);
    let told = told(&through.stop());
    assert_eq!(told[0], "1.0 replication ok 1 - SELECT 1|select 1");
    assert_eq!(told[1], "2.0 replication ok 1 - IDENTIFY_SYSTEM|IDENTIFY_SYSTEM");
    assert_eq!(told[2], "3.0 replication error 0 42601 |no such command");
    assert_eq!(
        told[3..5],
        ["4.0 replication ok 1 - SELECT 1|select 1; select 2", "4.1 replication ok 1 - SELECT 1|select 1; select 2"]
    );
    assert_eq!(told[5], "5.0 extended error 0 08P01 |select 3");
}

/// A receiver that is killed leaves a session that ends, and a stream whose end was not seen.
#[test]
fn a_receiver_that_dies_is_told_with_what_it_received() {
    if is_too_old("pg_receivewal") {
        return;
    }
    let (server, through) = replicated();
    let folder = tempfile::tempdir().unwrap();
    let mut command = program("pg_receivewal");
    command.args(["-d", &conninfo(&through, ""), "-D"]).arg(folder.path());
    let mut child: Child = command.spawn().unwrap();
    let streaming = "select count(*) from pg_stat_replication where state = 'streaming'";
    wait_for("streaming", || {
        (psql(&direct(&server, "postgres"), streaming).expect_success().trim() == "1").then_some(())
    });
    psql(&direct(&server, "postgres"), "create table t as select generate_series(1, 50000) i").expect_success();
    std::thread::sleep(PATIENCE / 60);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for("its end", || {
        (psql(&direct(&server, "postgres"), streaming).expect_success().trim() == "0").then_some(())
    });
    let told = commands(&through.stop());
    let stream = told.iter().find(|line| line.contains("|START_REPLICATION")).unwrap();
    assert!(stream.contains("replication unknown "), "{stream}");
    assert_ne!(stream.split(' ').nth(3), Some("0"), "{stream}");
}
