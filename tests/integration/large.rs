//! Messages as large as the protocol has them pass in constant memory.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use mitsuke::record::{Outcome, Statement};

use crate::support::PATIENCE;
use crate::support::server::{self, SUPERUSER};
use crate::support::sidecar::Sidecar;
use crate::support::wire::{describe, execute, parse, startup, sync, terminate};

/// Of the largest messages' data, bytes: PostgreSQL has no value over a gigabyte.
const DATA_BYTES: usize = 1_000_000_000;
/// Of the others', bytes: much more than the sidecar may take.
const SOME_BYTES: usize = 200_000_000;
/// How much more memory the sidecar may take than before, KiB: the captured beginnings of texts, and the journal's pages.
const GROWTH_KIB_MAX: u64 = 32 * 1024;

/// A header whose body is `before`, the data, and `after`; then all of it.
fn say_large(stream: &mut TcpStream, kind: u8, before: &[u8], bytes: usize, after: &[u8]) {
    let length = u32::try_from(4 + before.len() + bytes + after.len()).unwrap();
    stream.write_all(&[&[kind], &length.to_be_bytes()[..], before].concat()).unwrap();
    let block = [b'x'; 100_000];
    for _ in 0..bytes / block.len() {
        stream.write_all(&block).unwrap();
    }
    stream.write_all(after).unwrap();
}

/// Hears to the next ReadyForQuery; gives each message's type and length, and the last bytes of the first DataRow.
fn hear(stream: &mut TcpStream) -> (Vec<(u8, usize)>, Vec<u8>) {
    let (mut found, mut row) = (Vec::new(), Vec::new());
    let mut sink = vec![0; 1 << 20];
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        found.push((head[0], length));
        let mut left = length - 4;
        while left > 0 {
            let count = stream.read(&mut sink[..left.min(1 << 20)]).unwrap();
            assert!(count > 0, "closed in the middle of a message");
            left -= count;
            if head[0] == b'D' {
                row = sink[..count].to_vec();
            }
        }
        if head[0] == b'Z' {
            return (found, row);
        }
    }
}

/// A number of `/proc/PID/status`, KiB.
fn status(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_gigabyte_in_either_direction_takes_no_memory() {
    let server = server::start(&[]);
    let mut sidecar = Sidecar::before(&server, "");
    let mut stream = TcpStream::connect(sidecar.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&startup(SUPERUSER, "postgres")).unwrap();
    hear(&mut stream);
    let pid = sidecar.pid();
    // The highest so far is forgotten (`man 5 proc`).
    fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
    let (before, of_files_before) = (status(pid, "VmRSS"), status(pid, "RssFile"));

    // Up: a Query that is one long comment, and a Bind with one large parameter, binary.
    say_large(&mut stream, b'Q', b"select 1 /*", SOME_BYTES, b"*/\0");
    assert!(hear(&mut stream).0.iter().any(|(kind, _)| *kind == b'D'));
    stream.write_all(&parse("", "select length($1::bytea)")).unwrap();
    let value_length = u32::try_from(DATA_BYTES).unwrap().to_be_bytes();
    say_large(&mut stream, b'B', &[b"\0\0\0\x01\0\x01\0\x01".as_slice(), &value_length].concat(), DATA_BYTES, &[0, 0]);
    stream.write_all(&[describe(b'P', ""), execute("", 0), sync()].concat()).unwrap();
    assert!(hear(&mut stream).1.ends_with(DATA_BYTES.to_string().as_bytes()));

    // Down: a DataRow with one large value, and COPY data of one large row.
    for sql in
        [format!("select repeat('x', {DATA_BYTES})"), format!("copy (select repeat('x', {SOME_BYTES})) to stdout")]
    {
        stream.write_all(&crate::support::wire::query(&sql)).unwrap();
        let (messages, _) = hear(&mut stream);
        assert!(messages.iter().any(|(_, length)| *length > SOME_BYTES), "{messages:?}");
    }
    // What was read of the program's own file meanwhile, some 10 MiB of an unoptimised one, is not memory that was taken.
    let of_files = status(pid, "RssFile").saturating_sub(of_files_before);
    let growth = status(pid, "VmHWM").saturating_sub(before + of_files);
    assert!(growth < GROWTH_KIB_MAX, "{growth} KiB more than {before} KiB");

    stream.write_all(&terminate()).unwrap();
    sidecar.stop();
    let statements = sidecar.records::<Statement>();
    assert_eq!(statements.len(), 4);
    assert!(statements.iter().all(|statement| statement.outcome == Some(Outcome::Ok)));
    let large = u64::try_from(SOME_BYTES).unwrap();
    assert!(statements[..2].iter().all(|statement| statement.bytes_in > Some(large)));
    assert!(statements[2..].iter().all(|statement| statement.bytes_out > Some(large)));
}
