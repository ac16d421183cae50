//! Replication connections: backups, WAL and logical changes pass, and each command is told.

use std::process::Child;

use mitsuke::demo::Postgres;
use mitsuke::record::Protocol;
use mitsuke::session::Event;

use crate::support::programs::{is_too_old, major, program, psql, run};
use crate::support::script::told;
use crate::support::server::{self, SUPERUSER, direct};
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
