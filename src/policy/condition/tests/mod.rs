//! Conditions: what each operator means, what is refused and where, and that nothing makes one fail.

mod hostile;
mod meaning;
mod mistakes;
mod null;
mod partial;

use jiff::tz::TimeZone;

use super::{Condition, Mistake, Tri};
use crate::clock::Timestamp;
use crate::policy::list::Lists;
use crate::policy::moment::Moment;
use crate::record::{Outcome, Statement, Text};
use crate::yaml::Source;

/// The lists of these tests.
fn lists() -> Lists {
    let yaml = "tools: [psql, \"DBeaver*\"]\nservice_accounts: [batch]\n";
    Lists::read(&mut Source::new(std::path::Path::new("lists.yaml"), yaml))
}

fn compile(condition: &str) -> Result<Condition<Statement>, Vec<Mistake>> {
    Condition::compile(condition, &lists())
}

/// A statement of Tuesday, 2026-06-02, 23:45 in Tokyo, of which much is not known.
fn record() -> Statement {
    let at: jiff::Timestamp = "2026-06-02T14:45:00Z".parse().expect("a time");
    let mut record = Statement {
        db_user: Some("clerk".into()),
        application_name: Some("DBeaver 24.1".into()),
        query: Some("SELECT 100%\nFROM 顧客".into()),
        persons: Some(7),
        rows_returned: Some(u64::MAX),
        bytes_in: Some(0),
        outcome: Some(Outcome::Ok),
        relations: Some([Text::from("shop.customers"), Text::from("shop.cards")].into()),
        functions: Some([].into()),
        ..Statement::default()
    };
    record.common.at = Timestamp(at.as_microsecond());
    record
}

#[track_caller]
fn eval(condition: &str, record: &Statement) -> Tri {
    let compiled = compile(condition).unwrap_or_else(|mistakes| panic!("{condition}: {mistakes:?}"));
    let tokyo = TimeZone::get("Asia/Tokyo").expect("bundled");
    compiled.eval(record, &Moment::new(record.common.at, &tokyo))
}

#[track_caller]
fn holds(condition: &str) {
    assert_eq!(eval(condition, &record()), Tri::True, "{condition}");
}

#[track_caller]
fn fails(condition: &str) {
    assert_eq!(eval(condition, &record()), Tri::False, "{condition}");
}

#[track_caller]
fn unknown(condition: &str) {
    assert_eq!(eval(condition, &record()), Tri::Unknown, "{condition}");
}

/// (offset, what, mend) of every mistake.
#[track_caller]
fn mistakes(condition: &str) -> Vec<(usize, String, String)> {
    let Err(mistakes) = compile(condition) else { panic!("{condition} compiles") };
    assert!(!mistakes.is_empty());
    mistakes.into_iter().map(|mistake| (mistake.offset, mistake.what, mistake.mend)).collect()
}
