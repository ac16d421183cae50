//! What a statement costs on the disk.

use std::fs::File;

use ::parquet::basic::Encoding;
use ::parquet::file::reader::{FileReader, SerializedFileReader};

use super::*;
use crate::record::{Kind, Protocol, Text, Texts};

/// Statements of a test: fewer than the sidecar seals at once under load.
const STATEMENTS: u32 = 30_000;
const SESSIONS: usize = 8;

/// Statements as `pgbench -S` with eight clients makes them: alike but for time, numbers and one constant each.
fn pgbench(folder: &Path, hashed: bool) -> std::path::PathBuf {
    let config = config(folder);
    let mut log = Log::open(&config, "w").unwrap();
    let key = Key::load_or_create(&folder.join("key")).unwrap();
    let sessions: Vec<Text> = (0..SESSIONS).map(|n| format!("0190-{n}").into()).collect();
    let none = Texts::from([]);
    let mut random = 1_u64;
    let mut numbers = [0; SESSIONS];
    let mut at = MONDAY;
    for _ in 0..STATEMENTS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let drawn = random >> 33;
        let session = usize::try_from(drawn).unwrap() % SESSIONS;
        numbers[session] += 1;
        at += 40 + (drawn % 120).cast_signed();
        let micros = 300 + drawn % 900;
        let mut statement = statement(at);
        statement.common.session_id = Some(sessions[session].clone());
        statement.ended_at = Some(Timestamp(at + micros.cast_signed()));
        statement.duration_us = Some(micros);
        (statement.statement_no, statement.transaction_no) = (numbers[session], Some(numbers[session]));
        statement.query = Some("SELECT abalance FROM pgbench_accounts WHERE aid = $1".into());
        statement.fingerprint = Some("50fde20626009aba".into());
        (statement.kind, statement.protocol) = (Some(Kind::Select), Some(Protocol::Simple));
        (statement.functions, statement.columns) = (Some(none.clone()), Some(none.clone()));
        (statement.rows_returned, statement.rows_affected) = (Some(1), Some(0));
        (statement.bytes_in, statement.bytes_out) = (Some(62 + drawn % 3), Some(71));
        statement.literals = hashed.then(|| [key.subject_hash(&(drawn % 1_000_000).to_string())].into());
        log.append(statement);
    }
    log.commit(&checkpoint(1)).unwrap();
    log.seal().unwrap();
    folder.join("statements/dt=2026-11-23/w-00000000000000000001.parquet")
}

#[test]
fn a_statement_of_pgbench_takes_a_dozen_bytes_and_its_constant_s_hash() {
    for (hashed, bytes_max) in [(false, 12), (true, 12 + 17)] {
        let folder = tempfile::tempdir().unwrap();
        let bytes = pgbench(folder.path(), hashed).metadata().unwrap().len();
        assert!(bytes <= bytes_max * u64::from(STATEMENTS), "{} bytes each", bytes / u64::from(STATEMENTS));
        assert_eq!(seqs(folder.path()), numbers(STATEMENTS.into()));
    }
}

#[test]
fn what_rises_is_written_as_differences_and_hashes_without_a_large_dictionary() {
    let folder = tempfile::tempdir().unwrap();
    let file = SerializedFileReader::new(File::open(pgbench(folder.path(), true)).unwrap()).unwrap();
    let columns = file.metadata().row_group(0).columns();
    let encodings = |name: &str| {
        let column = columns.iter().find(|column| column.column_path().string() == name).unwrap();
        column.encodings().collect::<Vec<_>>()
    };
    for column in ["seq", "at", "ended_at", "statement_no", "transaction_no"] {
        assert!(encodings(column).contains(&Encoding::DELTA_BINARY_PACKED), "{column}");
        assert!(!encodings(column).contains(&Encoding::RLE_DICTIONARY), "{column}");
    }
    assert!(encodings("literals.list.item").contains(&Encoding::DELTA_LENGTH_BYTE_ARRAY));
    assert!(encodings("query").contains(&Encoding::RLE_DICTIONARY));
    let searched = columns.iter().filter(|column| column.bloom_filter_offset().is_some());
    let searched: Vec<String> = searched.map(|column| column.column_path().string()).collect();
    assert_eq!(searched, ["session_id", "fingerprint", "subjects.list.item"]);
    let filter = columns.iter().find(|column| column.column_path().string() == "subjects.list.item").unwrap();
    assert!(filter.bloom_filter_length().unwrap() < 64, "of nobody, it is next to nothing");
}
