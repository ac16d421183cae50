//! What is grouped by codes, and by partitions' dates, is what the engine makes of the rows themselves.

use std::fs::File;

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use arrow::array::RecordBatch;

use super::*;

/// Statements of three weeks, half of them of one day: users of which some are null, empty, long or not of ASCII; texts too many for that day's
/// dictionary; four fifths sealed, in two turns, and the rest in the journal.
fn varied(folder: &Path, rows: u64) {
    let users =
        [Some("anna"), None, Some("ben"), Some(""), Some("a user whose name is long"), Some("見附"), Some("anna ")];
    let mut log = Log::open(&config(folder), "w").unwrap();
    let mut random = 4711_u64;
    let mut draw = |end: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % end
    };
    for number in 0..rows {
        let mut statement = Statement {
            db_user: users[usize::try_from(draw(7)).unwrap()].map(Into::into),
            kind: (draw(5) > 0).then_some(if draw(2) == 0 { Kind::Select } else { Kind::Update }),
            query: (draw(9) > 0).then(|| format!("{} {}", draw(1_500), "x".repeat(2_500)).into()),
            persons: (draw(3) > 0).then(|| draw(50)),
            rows_returned: (draw(4) > 0).then(|| draw(2)),
            duration_us: (draw(2) > 0).then(|| u64::MAX - draw(3)),
            ..Statement::default()
        };
        // On both borders of a day, too.
        let within = [0, 1, DAY_US - 1, i64::try_from(draw(86_400)).unwrap() * 1_000_000];
        let day = if number % 2 == 0 { 5 } else { number * 21 / rows };
        let day = MONDAY - 10 * HOUR_US + i64::try_from(day).unwrap() * DAY_US;
        statement.common.at = Timestamp(day + within[usize::try_from(draw(4)).unwrap()]);
        log.append(statement);
        if number % 1_000 == 999 {
            log.commit(&Checkpoint::default()).unwrap();
        }
        if number == rows / 3 || number == rows * 4 / 5 {
            log.seal().unwrap();
        }
    }
    log.commit(&Checkpoint::default()).unwrap();
}

/// Takes a column out of a file, as one of an older version lacks it.
fn without_column(path: &Path, name: &str) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    let rest: Vec<usize> =
        (0..batches[0].num_columns()).filter(|column| batches[0].schema().field(*column).name() != name).collect();
    let schema = Arc::new(batches[0].schema().project(&rest).unwrap());
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), schema, None).unwrap();
    batches.iter().for_each(|batch| writer.write(&batch.project(&rest).unwrap()).unwrap());
    writer.close().unwrap();
}

/// A question, and one of the same meaning that is answered without codes; `{}` is the text that is grouped by.
fn both_ways(keys: &str, rest: &str, what: &str) -> [String; 2] {
    let plain =
        |key: &str| if key.contains(['(', ':']) { key.to_owned() } else { format!("arrow_cast({key}, 'LargeUtf8')") };
    let slow: Vec<String> = keys.split("; ").map(plain).collect();
    [keys.replace("; ", ", "), slow.join(", ")]
        .map(|keys| format!("select {keys}, {what} from statements {rest} group by {keys} order by {keys}"))
}

const QUESTIONS: [(&str, &str, &str); 13] = [
    ("db_user", "", "count(*), sum(persons), min(at), max(persons), avg(rows_returned)"),
    ("db_user; kind", "", "count(*), count(persons), sum(duration_us % 10)"),
    (
        "kind; db_user; outcome",
        "",
        "count(*) filter (where persons > 10), sum(persons) filter (where rows_returned = 1)",
    ),
    ("query", "", "count(*)"),
    ("query; db_user", "where persons > 30", "count(*), max(at)"),
    ("db_user; date_trunc('hour', at)", "", "count(*)"),
    ("date_trunc('day', at); db_user", "", "count(*)"),
    ("db_user; at::date", "where at >= '2026-11-25T12:00:00Z'", "count(*)"),
    ("db_user; arrow_cast(duration_us, 'UInt64')", "", "count(*)"),
    ("kind; extract(dow from at); date_trunc('week', at)", "", "count(*)"),
    ("kind; date_trunc('month', at at time zone 'Asia/Tokyo')", "", "count(*)"),
    ("db_user", "where kind = 'select' and dt < '2026-12-01'", "count(*)"),
    ("db_user", "where dt > '2027-12-01'", "count(*)"),
];

async fn compare(engine: &Engine) {
    for (keys, rest, what) in QUESTIONS {
        let [fast, slow] = both_ways(keys, rest, what);
        let [by_codes, by_rows] = [&fast, &slow].map(async |sql| engine.plan(sql).await.unwrap().explained());
        let is_empty = rest.contains("2027");
        assert!(is_empty || by_codes.await.contains("CountingByCodes"), "{fast}");
        assert!(!by_rows.await.contains("CountingByCodes"), "{slow}");
        let (by_codes, by_rows) = (ask(engine, &fast).await, ask(engine, &slow).await);
        assert!(is_empty == by_codes.is_empty(), "{fast}");
        assert_eq!(by_codes, by_rows, "{fast}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_by_codes_are_the_groups_of_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    varied(folder.path(), 4_000);
    let engine = Engine::open(folder.path()).unwrap();
    assert!(engine.plan("select 1 from statements").await.unwrap().explained().contains("UnionExec"), "a journal");
    compare(&engine).await;
    let day = folder.path().join("statements/dt=2026-11-28");
    let outgrown = std::fs::read_dir(day).unwrap().any(|file| {
        let file = SerializedFileReader::new(File::open(file.unwrap().path()).unwrap()).unwrap();
        let mut columns = file.metadata().row_group(0).columns().iter();
        columns.any(|column| column.column_path().string() == "query" && column.uncompressed_size() > 1 << 20)
    });
    assert!(outgrown, "a file has more texts than its dictionary");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_older_versions_are_grouped_by_codes_too() {
    let folder = tempfile::tempdir().unwrap();
    varied(folder.path(), 3_000);
    let mut files: Vec<_> = Vec::new();
    for day in std::fs::read_dir(folder.path().join("statements")).unwrap() {
        files.extend(std::fs::read_dir(day.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    files.sort();
    without_column(&files[0], "kind");
    without_column(&files[1], "db_user");
    without_column(&files[2], "query");
    compare(&Engine::open(folder.path()).unwrap()).await;
}

/// What is asked of a text besides is asked of the text.
#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_which_more_is_asked_stays_a_text() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path());
    let engine = Engine::open(folder.path()).unwrap();
    for (sql, answer) in [
        ("select db_user, max(db_user) from statements group by 1 order by 1", "anna anna, ben ben"),
        ("select upper(db_user), count(*) from statements group by 1 order by 1", "ANNA 4, BEN 3"),
        ("select db_user, count(*) from statements where db_user like 'a%' group by 1", "anna 4"),
        (
            "select db_user, count(*) filter (where db_user = 'ben') from statements group by 1 order by 1",
            "anna 0, ben 3",
        ),
        ("select db_user, count(distinct db_user) from statements group by 1 order by 1", "anna 1, ben 1"),
        ("select distinct db_user from statements order by 1", "anna, ben"),
        ("select db_user, count(*) from statements group by rollup (db_user) order by 2", "ben 3, anna 4,  7"),
        (
            "select db_user, relations, count(*) from statements group by 1, 2 order by 1",
            "anna [shop.customers] 4, ben [shop.customers] 3",
        ),
        (
            "select a.db_user, count(*) from statements a join statements b using (db_user) group by 1 order by 1",
            "anna 16, ben 9",
        ),
        ("select db_user from statements group by 1 order by max(persons) desc limit 1", "anna"),
    ] {
        assert_eq!(ask(&engine, sql).await, answer, "{sql}");
    }
}

/// A day is the partition's: `at` is not read for it, wherever in a question it stands and whatever it is called there.
#[tokio::test(flavor = "multi_thread")]
async fn days_are_read_off_the_partitions() {
    let folder = tempfile::tempdir().unwrap();
    varied(folder.path(), 2_000);
    let engine = Engine::open(folder.path()).unwrap().with_views().await.unwrap();
    let reads_at = |plan: &str| {
        let mut scans = plan.lines().filter(|line| line.contains("DataSourceExec"));
        scans.any(|line| line.contains("[at") || line.contains("at@"))
    };
    for (of_day, of_row) in [
        ("date_trunc('day', at)", "date_trunc('day', at + interval '0 days')"),
        ("date_trunc('week', at)", "date_trunc('week', at + interval '0 days')"),
        ("date_trunc('QUARTER', at)", "date_trunc('QUARTER', at + interval '0 days')"),
        ("at::date", "(at + interval '0 days')::date"),
        ("week(at)", "week(at + interval '0 days')"),
        ("extract(month from at)", "extract(month from at + interval '0 days')"),
        ("to_char(date_trunc('day', at), '%d')", "to_char(at, '%d')"),
    ] {
        for form in [
            "select {} as day, count(*) from statements group by 1 order by 1",
            "select day, count(*) from (select {} as day from statements where persons > 3) group by 1 order by 1",
            "select {} as day, sum(persons) from reads_of_personal_data s group by 1 order by 1",
            "select {} as day, count(*) from (select dt as since, dt, at from statements order by at) t group by 1 order by 1",
            "select distinct {} from statements order by 1",
        ] {
            let [fast, slow] = [of_day, of_row].map(|day| form.replace("{}", day));
            let answer = ask(&engine, &fast).await;
            assert!(!answer.is_empty() && answer == ask(&engine, &slow).await, "{fast}: {answer}");
            let plan = engine.plan(&fast).await.unwrap().explained();
            assert!(!reads_at(&plan), "{fast}: {plan}");
            let plan = engine.plan(&slow).await.unwrap().explained();
            assert!(reads_at(&plan), "{slow}: {plan}");
        }
    }
}

/// Another time that is called `at`, or another date that is called `dt`, is itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_has_the_names_of_time_and_date_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path());
    let engine = Engine::open(folder.path()).unwrap();
    for (sql, answer) in [
        (
            "select distinct at::date from (select at + interval '7 days' as at, dt from statements) order by 1 limit 1",
            "2026-11-30",
        ),
        (
            "select distinct at::date from (select at, date '2000-01-01' as dt from statements) order by 1 limit 1",
            "2026-11-23",
        ),
        ("select distinct at::date from (select dt as at, at as dt from statements) order by 1 limit 1", "2026-11-23"),
        ("select distinct date_trunc('hour', at) from statements order by 1 limit 1", "2026-11-23T10:00:00Z"),
        ("select s.at::date, count(*) from statements s join sessions t on s.session_id = t.session_id group by 1", ""),
        ("select max(at)::date from statements", "2026-11-25"),
        ("select count(*) from statements where at::date = (select max(at)::date from statements)", "3"),
    ] {
        assert_eq!(ask(&engine, sql).await, answer, "{sql}");
    }
}
