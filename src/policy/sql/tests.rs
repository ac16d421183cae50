//! Queries as they are written; that they find the same is held in `tests/policies/translated.rs`.

use super::*;
use crate::policy::{Config, PolicySet, load};

fn built_in() -> PolicySet {
    load(&Config { timezone: Some("Asia/Tokyo".to_owned()), ..Config::default() }).expect("the built-in policies load")
}

fn ask(dialect: Dialect, since: Option<&str>) -> Ask {
    let moment = |text: &str| Timestamp(text.parse::<jiff::Timestamp>().expect("a time").as_microsecond());
    Ask {
        dialect,
        log: "/var/lib/mitsuke/it's".into(),
        timezone: TimeZone::get("Asia/Tokyo").expect("bundled"),
        since: since.map(moment),
        now: moment("2026-11-25T00:00:00Z"),
    }
}

fn said(id: &str, dialect: Dialect, since: Option<&str>) -> String {
    let set = built_in();
    query(set.policy(id).expect("it is there"), &ask(dialect, since)).expect("it can be said")
}

#[test]
fn a_condition_alone_is_one_select() {
    let sql = said("bulk-personal-read", Dialect::DataFusion, None);
    let expected = "/* bulk-personal-read: Many people's personal data read */\nWITH records AS (\n  SELECT *,\n    \
        greatest(\"at\", ended_at) AS judged_at,\n    CAST(greatest(\"at\", ended_at) AS BIGINT) AS us\n  FROM statements\n),\n\
        matching AS (\n  SELECT * FROM records\n  WHERE (persons > 1000)\n    AND (permit IS NOT NULL) IS NOT TRUE\n)\n\
        SELECT judged_at, writer, seq, session_id, database, db_user, role, end_user, application_name, client_addr,\n  \
        persons AS observed, 1000 AS threshold\nFROM matching\nORDER BY us, writer, seq";
    assert_eq!(sql, expected);
}

#[test]
fn duckdb_reads_the_files_of_the_days_that_matter() {
    let sql = said("many-people-in-a-day", Dialect::DuckDb, Some("2026-11-20T10:00:00Z"));
    let files = "read_parquet('/var/lib/mitsuke/it''s/statements/**/*.parquet', hive_partitioning = true";
    assert!(sql.contains(files), "{sql}");
    // A window of a day before, and one more for what began the day before that.
    assert!(sql.contains("WHERE dt >= DATE '2026-11-18'"), "{sql}");
    assert!(sql.contains("us >= 1795168800000000"), "{sql}");
}

#[test]
fn the_clock_is_asked_only_where_a_condition_does_and_holidays_are_listed() {
    let sql = said("after-hours-personal-read", Dialect::DataFusion, Some("2026-11-01T00:00:00Z"));
    assert!(sql.contains("date_part('hour', \"at\" AT TIME ZONE 'Asia/Tokyo') AS \"hour\""), "{sql}");
    assert!(
        sql.contains("DATE '2026-11-23'") && sql.contains("BETWEEN DATE '2025-01-01' AND DATE '2027-12-31'"),
        "{sql}"
    );
    assert!(!said("bulk-personal-read", Dialect::DataFusion, None).contains("holiday"));
}

#[test]
fn every_built_in_policy_is_said_but_the_one_that_asks_what_is_usual() {
    let set = built_in();
    for dialect in [Dialect::DataFusion, Dialect::DuckDb] {
        let unsaid: Vec<String> = set
            .active()
            .filter_map(|policy| query(policy, &ask(dialect, None)).err().map(|why| format!("{}: {why}", policy.id)))
            .collect();
        assert_eq!(unsaid.len(), 1, "{unsaid:?}");
        assert!(unsaid[0].starts_with("unusual-day: `baseline: { of, unusual }`"), "{unsaid:?}");
    }
}
