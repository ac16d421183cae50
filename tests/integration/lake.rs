//! The log as a lake: other engines read every file of it and agree, by the definitions of `deploy/lake`, which follow from the
//! record's schema and cannot drift from it.

#[cfg(feature = "query")]
mod answers;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use mitsuke::audit::schema::tables;
use mitsuke::audit::{Checkpoint, Config, Durability, Log, Retention, WhenUnwritable};
use mitsuke::clock::Timestamp;
use mitsuke::record::{Common, Finding, Review, Session, Statement, Transaction};

use crate::support::programs;

/// 2026-11-23T10:00:00Z.
const MONDAY: i64 = 1_795_428_000_000_000;
const DAY_US: i64 = 86_400_000_000;

/// What an engine's definition is made of.
struct Engine {
    file: &'static str,
    /// Behind the first line.
    head: &'static str,
    quote: char,
    /// U64, text, time, list of texts, list of numbers.
    types: [&'static str; 5],
    /// `{t}` the table, `{c}` its columns with their types, `{n}` their names.
    table: &'static str,
}

const ENGINES: [Engine; 5] = [
    Engine {
        file: "duckdb.sql",
        head: "-- DuckDB: duckdb mitsuke.duckdb < duckdb.sql. LOG may be a folder or, with httpfs, s3://bucket/prefix.\n",
        quote: '"',
        types: ["ubigint", "varchar", "timestamptz", "varchar[]", "ubigint[]"],
        table: "create or replace view {t} as\nselect {n}, dt\n  from read_parquet('LOG/{t}/dt=*/*.parquet', hive_partitioning = true, \
                union_by_name = true);\n",
    },
    Engine {
        file: "clickhouse.sql",
        head: "-- ClickHouse: clickhouse local --path mitsuke --queries-file clickhouse.sql. For a bucket, s3('https://…') in place of file('…').\n\
               create database if not exists mitsuke;\n",
        quote: '`',
        types: [
            "Nullable(UInt64)",
            "Nullable(String)",
            "Nullable(DateTime64(6, 'UTC'))",
            "Array(Nullable(String))",
            "Array(Nullable(UInt64))",
        ],
        table: "create or replace view mitsuke.{t} as\nselect {n}, toDate(extract(_path, 'dt=([0-9-]+)')) as dt\n  from file('LOG/{t}/dt=*/*.parquet', 'Parquet', \
                $$\n{c}\n$$);\n",
    },
    Engine {
        file: "spark.sql",
        head: "-- Spark, 3.2 or newer: spark-sql -f spark.sql. Spark has no unsigned numbers, and reads them as decimal(20, 0).\n\
               create database if not exists mitsuke;\n",
        quote: '`',
        types: ["decimal(20, 0)", "string", "timestamp", "array<string>", "array<decimal(20, 0)>"],
        table: "create table if not exists mitsuke.{t} (\n{c},\n    `dt` date\n)\nusing parquet partitioned by (dt) location 'LOG/{t}';\n\
                msck repair table mitsuke.{t};\n",
    },
    Engine {
        file: "athena.sql",
        head: "-- Athena: one statement at a time. LOG is s3://bucket/prefix. Days need no crawler: they are projected.\n\
               create database if not exists mitsuke;\n",
        quote: '`',
        types: ["bigint", "string", "timestamp", "array<string>", "array<bigint>"],
        table: "create external table if not exists mitsuke.{t} (\n{c}\n)\npartitioned by (`dt` date)\nstored as parquet\nlocation 'LOG/{t}/'\n\
                tblproperties ('projection.enabled' = 'true', 'projection.dt.type' = 'date', 'projection.dt.format' = 'yyyy-MM-dd',\n    \
                'projection.dt.range' = '2026-01-01,NOW');\n",
    },
    Engine {
        file: "trino.sql",
        head: "-- Trino, with a catalog `hive` of its Hive connector: trino -f trino.sql. LOG is s3://bucket/prefix. The last line of each\n\
               -- table finds new days: run it daily.\n\
               create schema if not exists hive.mitsuke;\n",
        quote: '"',
        types: ["bigint", "varchar", "timestamp(6)", "array(varchar)", "array(bigint)"],
        table: "create table if not exists hive.mitsuke.{t} (\n{c},\n    \"dt\" date\n)\nwith (format = 'PARQUET', external_location = 'LOG/{t}/', \
                partitioned_by = array['dt']);\n\
                call hive.system.sync_partition_metadata('mitsuke', '{t}', 'ADD');\n",
    },
];

impl Engine {
    fn definition(&self) -> String {
        use arrow::datatypes::DataType;
        let mut text = format!(
            "-- The log's tables. Put its folder or prefix in place of LOG: sed 's#LOG#s3://bucket/prefix#'.\n{}",
            self.head
        );
        for table in tables() {
            let kind = |kind: &DataType| match kind {
                DataType::UInt64 => self.types[0],
                DataType::Utf8 => self.types[1],
                DataType::Timestamp(..) => self.types[2],
                DataType::List(item) if *item.data_type() == DataType::Utf8 => self.types[3],
                DataType::List(item) if *item.data_type() == DataType::UInt64 => self.types[4],
                other => panic!("{other} has no name in the engines yet"),
            };
            let quoted = |name: &str| format!("{0}{name}{0}", self.quote);
            let fields = table.schema.fields();
            let columns: Vec<String> = fields
                .iter()
                .map(|field| format!("    {} {}", quoted(field.name()), kind(field.data_type())))
                .collect();
            let names: Vec<String> = fields.iter().map(|field| quoted(field.name())).collect();
            let filled = self.table.replace("{t}", table.name).replace("{c}", &columns.join(",\n"));
            let _ = write!(text, "\n{}", filled.replace("{n}", &names.join(", ")));
        }
        text
    }
}

#[test]
fn the_definitions_are_those_of_the_schema() {
    let wanted = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lake");
    std::fs::create_dir_all(&wanted).unwrap();
    let mut wrong = Vec::new();
    for engine in &ENGINES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/lake").join(engine.file);
        if std::fs::read_to_string(path).unwrap_or_default() != engine.definition() {
            std::fs::write(wanted.join(engine.file), engine.definition()).unwrap();
            wrong.push(engine.file);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?} of deploy/lake are not the schema's; copy them from {}", wanted.display());
}

fn config(path: &Path) -> Config {
    Config {
        path: path.to_path_buf(),
        durability: Durability::Process,
        store: None,
        when_unwritable: WhenUnwritable::Block,
        flush: std::time::Duration::from_secs(60),
        retention: Retention::default(),
        key_file: path.join("key"),
        signing_key: path.join("signing.key"),
    }
}

/// Statements of three days by two writers, and a row of every other table; all sealed.
fn write_log(path: &Path) {
    for writer in ["db-1", "db-2"] {
        let mut log = Log::open(&config(path), writer).unwrap();
        for number in 0..9_u64 {
            let mut statement = Statement {
                statement_no: number + 1,
                db_user: Some(if number % 2 == 0 { "anna" } else { "ben" }.into()),
                relations: (number > 0).then(|| ["shop.customers".into(), "shop.注文".into()].into()),
                persons: (number < 8).then_some(number),
                ..Statement::default()
            };
            statement.common.at = Timestamp(MONDAY + i64::try_from(number % 3).unwrap() * DAY_US);
            log.append(statement);
        }
        let common = || Common { at: Timestamp(MONDAY), ..Common::default() };
        log.append(Session { common: common(), ..Session::default() });
        log.append(Transaction { common: common(), ..Transaction::default() });
        log.append(Finding {
            common: common(),
            finding_id: "f".into(),
            evidence: Some([1, 2].into()),
            ..Finding::default()
        });
        log.append(Review { common: common(), reviewer: Some("anna".into()), ..Review::default() });
        log.commit(&Checkpoint::default()).unwrap();
        log.close().unwrap();
    }
}

#[test]
fn every_engine_that_is_here_reads_the_lake_and_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    write_log(&log);
    let mut command = Command::new(programs::interpreter());
    command
        .args(["-c", include_str!("lake/engines.py")])
        .arg(&log)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/lake"));
    let ran = programs::run(command, b"");
    assert!(ran.output.status.success(), "{}\n{}", ran.out(), ran.err());
    let told = ran.out();
    println!("{told}");
    // Polars, ClickHouse (`chdb`, 500 MB) and Spark (`pyspark`, and Java) are asked where they are installed.
    for engine in ["duckdb agrees", "pyarrow agrees"] {
        assert!(told.contains(engine), "{told}\n{}", ran.err());
    }
}
