//! One person's history: files and row groups that have never seen them are not read.

use std::fs::File;
use std::path::PathBuf;

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::schema::types::ColumnPath;
use arrow::array::RecordBatch;

use super::*;

const PEOPLE: u64 = 300;

fn hash(person: u64) -> String {
    format!("{:032x}", u128::from(person).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

/// Each day another hundred people, one or two a statement, and statements that read nobody.
fn log_of_people(folder: &Path) -> Vec<PathBuf> {
    let mut log = Log::open(&config(folder), "w").unwrap();
    for person in 0..PEOPLE {
        for subjects in [None, Some(vec![]), Some(vec![hash(person), hash(person / 100 * 100)])] {
            let mut statement = Statement { db_user: Some("anna".into()), ..Statement::default() };
            let day = i64::try_from(person / 100).unwrap();
            statement.common.at = Timestamp(MONDAY + day * DAY_US + i64::try_from(person % 100).unwrap());
            statement.subjects = subjects.map(|of: Vec<String>| of.into_iter().map(Text::from).collect());
            log.append(statement);
        }
    }
    log.commit(&Checkpoint::default()).unwrap();
    log.seal().unwrap();
    log.close().unwrap();
    let days = ["2026-11-23", "2026-11-24", "2026-11-25"];
    let file = |day| std::fs::read_dir(folder.join(format!("statements/dt={day}"))).unwrap().next().unwrap();
    days.map(|day| file(day).unwrap().path()).into()
}

fn history(person: u64) -> String {
    format!("select count(*) from statements where array_has(subjects, '{}')", hash(person))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_has_never_seen_a_person_is_not_read_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let files = log_of_people(folder.path());
    // Whoever reads the people of the first day meets a fault.
    let reader = SerializedFileReader::new(File::open(&files[0]).unwrap()).unwrap();
    let group = reader.metadata().row_group(0);
    let subjects = group.columns().iter().find(|column| column.column_path().string().starts_with("subjects"));
    let (begin, bytes) = subjects.unwrap().byte_range();
    let mut contents = std::fs::read(&files[0]).unwrap();
    contents[usize::try_from(begin).unwrap()..usize::try_from(begin + bytes).unwrap()].fill(0);
    std::fs::write(&files[0], contents).unwrap();
    let engine = Engine::open(folder.path()).unwrap();
    let mut spared = 0;
    for person in (100..PEOPLE).step_by(4) {
        match engine.sql(&history(person)).await {
            Ok(_) => spared += 1,
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    assert!(spared > 35, "a filter errs for one in twenty: {spared} of 50");
    assert_eq!(ask(&engine, &history(299)).await, "1");
    assert_eq!(ask(&engine, &history(200)).await, "100", "whom each of the day's pairs has");
    assert!(engine.sql(&history(50)).await.is_err(), "the fault is there");
}

/// A file of row groups of fifty rows.
fn in_small_groups(path: &Path) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    let items = ColumnPath::new(["subjects", "list", "item"].map(ToOwned::to_owned).into());
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(50))
        .set_data_page_row_count_limit(10)
        .set_write_batch_size(10)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_column_bloom_filter_enabled(items, true);
    let schema = batches[0].schema();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), schema, Some(properties.build())).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.close().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_a_file_is_what_a_person_is_in() {
    let folder = tempfile::tempdir().unwrap();
    let files = log_of_people(folder.path());
    files[..2].iter().for_each(|file| in_small_groups(file));
    let engine = Engine::open(folder.path()).unwrap();
    for person in (0..PEOPLE).step_by(29).chain([0, 100, 200, PEOPLE]) {
        let hash = hash(person);
        for rest in ["", "and at >= '2026-11-23T10:00:00.000040Z'", "and db_user = 'anna' and dt <> '2026-11-24'"] {
            for answer in ["count(*), min(at), max(seq)", "db_user, count(*)"] {
                let by = if answer.starts_with("db_user") { "group by db_user" } else { "" };
                let [sought, read] = ["array_has(subjects, '{}')", "array_position(subjects, '{}') is not null"]
                    .map(|of| format!("select {answer} from statements where {} {rest} {by}", of.replace("{}", &hash)));
                assert_eq!(ask(&engine, &sought).await, ask(&engine, &read).await, "{sought}");
            }
        }
    }
}
