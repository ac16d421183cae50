//! An engine that learns what the log holds goes on as one that has always run; and no order of records breaks one.

use proptest::prelude::*;

use super::*;

const POLICIES: [&str; 7] = [
    "when: persons > 5\nunless: permit is not null\nthrottle: { by: [db_user], once: 10m }",
    "window: { by: [db_user], within: 20m, sum: persons, above: 12 }",
    "when: persons > 0\nwindow: { by: [client_addr], within: 15m, distinct: db_user, above: 1 }",
    "baseline: { by: [db_user], first: relation, learn: 30m }\nthrottle: { by: [db_user], once: 1m }",
    "window: { by: [db_user, end_user], within: 5m, count: true, above: 2 }\nthrottle: { by: [db_user], once: 7m }",
    "baseline: { by: [db_user, client_addr], first: relation, learn: 90m }",
    "on: session\nwhen: outcome = 'auth_failed'\nwindow: { by: [client_addr], within: 30m, count: true, above: 3 }",
];
const PERMIT: &str = "- { id: OPS-1, db_user: anna, relations: [r1, r2], persons_max: 30, from: 1970-01-01T00:05Z, \
                      until: 1970-01-01T01:00Z }";

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a few records of a test")]
enum Record {
    Statement(Statement),
    Session(Session),
}

fn record() -> impl Strategy<Value = (i64, Record)> {
    let user = prop::sample::select(vec![Some("clerk"), Some("anna"), Some("ben"), None]);
    let address = prop::sample::select(vec![Some("10.0.0.1"), Some("10.0.0.2"), None]);
    let relations = prop::sample::subsequence(vec!["r1", "r2", "r3"], 0..=3);
    let persons = prop::option::of(prop_oneof![0_u64..12, Just(u64::MAX)]);
    // A step back in time now and then.
    let step = prop_oneof![9 => 0_i64..8 * MINUTE, 1 => -20 * MINUTE..0];
    (step, user, address, relations, persons, 0_u8..4).prop_map(|(step, user, address, relations, persons, kind)| {
        let (db_user, client_addr) = (user.map(Text::from), address.map(Text::from));
        let record = if kind == 0 {
            Record::Session(Session {
                db_user,
                client_addr,
                outcome: Some(SessionOutcome::AuthFailed),
                ..Session::default()
            })
        } else {
            let relations = texts(&relations);
            Record::Statement(Statement { db_user, client_addr, relations, persons, ..Statement::default() })
        };
        (step, record)
    })
}

/// Judges, and writes into the record what the log will hold.
fn judge(engine: &mut Engine, record: &mut Record) -> Vec<Finding> {
    match record {
        Record::Statement(statement) => engine.statement(statement),
        Record::Session(session) => engine.session(session),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn a_restart_changes_nothing(steps in prop::collection::vec(record(), 1..80), at in any::<prop::sample::Index>()) {
        let mut records: Vec<Record> = Vec::new();
        let mut now = 0;
        for (seq, (step, mut record)) in steps.into_iter().enumerate() {
            now += step;
            let common = match &mut record {
                Record::Statement(statement) => &mut statement.common,
                Record::Session(session) => &mut session.common,
            };
            (common.seq, common.at) = (seq as u64 + 1, Timestamp(now));
            records.push(record);
        }
        let set = with_permits(&POLICIES, PERMIT);
        let mut steady = Engine::new(set.clone());
        let found: Vec<Vec<Finding>> = records.iter_mut().map(|record| judge(&mut steady, record)).collect();

        let restart = at.index(records.len());
        let mut restarted = Engine::new(set);
        for record in &records[..restart] {
            match record {
                Record::Statement(statement) => restarted.learn_statement(statement),
                Record::Session(session) => restarted.learn_session(session),
            }
        }
        for (before, expected) in records[restart..].iter().zip(&found[restart..]) {
            let mut again = before.clone();
            if let Record::Statement(statement) = &mut again {
                (statement.policies, statement.permit) = (None, None);
            }
            prop_assert_eq!(&judge(&mut restarted, &mut again), expected);
            if let (Record::Statement(again), Record::Statement(before)) = (&again, before) {
                prop_assert_eq!((&again.policies, &again.permit), (&before.policies, &before.permit));
            }
        }
    }
}

#[test]
fn learning_finds_nothing_and_tells_nothing_twice() {
    let mut engine = engine(&["when: persons > 5\nthrottle: { by: [db_user], once: 1h }"]);
    let told = Statement { policies: texts(&["a"]), ..statement(1, 0, 6) };
    engine.learn_statement(&told);
    assert_eq!(observed(&mut engine, [statement(2, MINUTE, 6)]), NONE, "told before the restart");
    assert_eq!(observed(&mut engine, [statement(3, HOUR, 6)]), [6]);
}

#[test]
fn what_was_judged_without_the_policy_does_not_count_as_told() {
    let mut engine = engine(&["when: persons > 5\nthrottle: { by: [db_user], once: 1h }"]);
    engine.learn_statement(&Statement { policies: texts(&[]), ..statement(1, 0, 6) });
    assert_eq!(observed(&mut engine, [statement(2, MINUTE, 6)]), [6]);
}

#[test]
fn a_transactions_past_moves_its_windows() {
    let rest = "on: transaction\nwindow: { by: [db_user], within: 1h, sum: rows_affected, above: 10 }";
    let mut engine = engine(&[rest]);
    let transaction = |at: i64, rows: u64| {
        let mut transaction =
            Transaction { db_user: Some("clerk".into()), rows_affected: Some(rows), ..Transaction::default() };
        transaction.common.at = Timestamp(at);
        transaction
    };
    engine.learn_transaction(&transaction(0, 9));
    let found = engine.transaction(&transaction(MINUTE, 2));
    assert_eq!(found[0].observed, Some(11));
    let sentence = found[0].explanation.as_deref().expect("a sentence");
    assert!(sentence.starts_with("clerk changed 11 rows within 1 hour (limit 10)"), "{sentence}");
}
