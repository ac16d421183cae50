//! Windows as policies have them: whose, what is counted, where they begin and end.

use super::*;

#[test]
fn a_count_matches_past_its_number_and_not_at_it() {
    let mut engine = engine(&["when: persons > 0\nwindow: { by: [db_user], within: 5m, count: true, above: 10 }"]);
    assert_eq!(observed(&mut engine, (1..=10).map(|seq| statement(seq, 0, 1))), NONE);
    assert_eq!(observed(&mut engine, [statement(11, 0, 0)]), NONE, "what does not match is not counted");
    let mut eleventh = statement(12, 0, 1);
    let findings = engine.statement(&mut eleventh);
    assert_eq!((findings[0].observed, findings[0].threshold), (Some(11), Some(10)));
    assert_eq!(findings[0].evidence.as_deref(), Some([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12].as_slice()));
}

#[test]
fn a_window_is_open_at_its_old_end() {
    let sum = "window: { by: [db_user], within: 1h, sum: persons, above: 10 }";
    for (age, expected) in [(HOUR - 1, vec![11]), (HOUR, vec![]), (HOUR + 1, vec![])] {
        let mut engine = engine(&[sum]);
        assert_eq!(observed(&mut engine, [statement(1, 0, 10), statement(2, age, 1)]), expected, "{age}");
    }
}

#[test]
fn a_records_end_counts_and_not_its_beginning() {
    let mut engine = engine(&["window: { by: [db_user], within: 1h, sum: persons, above: 10 }"]);
    let long = Statement { ended_at: Some(Timestamp(2 * HOUR)), ..statement(1, 0, 10) };
    assert_eq!(observed(&mut engine, [long, statement(2, 2 * HOUR + MINUTE, 1)]), [11]);
    // An end before the beginning is a clock that was set back: the later of the two counts.
    let odd = Statement { ended_at: Some(Timestamp(0)), ..statement(3, 9 * HOUR, 11) };
    assert_eq!(engine.statement(&mut odd.clone())[0].common.at, Timestamp(9 * HOUR));
}

#[test]
fn a_sum_takes_nothing_for_an_unknown_number_and_does_not_wrap() {
    let mut engine = engine(&["window: { by: [db_user], within: 1h, sum: persons, above: 10 }"]);
    let unknown = Statement { persons: None, ..statement(1, 0, 0) };
    assert_eq!(observed(&mut engine, [unknown, statement(2, 0, 10)]), NONE);
    assert_eq!(observed(&mut engine, [statement(3, 0, u64::MAX)]), [u64::MAX]);
}

#[test]
fn windows_are_kept_apart_by_all_their_columns_and_null_is_a_value() {
    let mut engine = engine(&["window: { by: [db_user, client_addr], within: 1h, sum: persons, above: 10 }"]);
    let from = |address: Option<&str>, seq| Statement { client_addr: address.map(Into::into), ..statement(seq, 0, 9) };
    let apart = [from(Some("a"), 1), from(Some("b"), 2), from(None, 3), by("anna", from(Some("a"), 4))];
    assert_eq!(observed(&mut engine, apart), NONE);
    assert_eq!(observed(&mut engine, [from(None, 5)]), [18]);
}

#[test]
fn distinct_counts_values_and_entries_of_lists_once() {
    let mut engine = engine(&[
        "window: { by: [db_user], within: 1h, distinct: client_addr, above: 2 }\nthrottle: { by: [db_user], once: 1s }",
        "window: { by: [db_user], within: 1h, distinct: relations, above: 3 }\nthrottle: { by: [db_user], once: 1s }",
    ]);
    let from = |seq: u64, at: i64, address: Option<&str>, relations: &[&str]| Statement {
        client_addr: address.map(Into::into),
        relations: texts(relations),
        ..statement(seq, at, 1)
    };
    let quiet = [
        from(1, 0, Some("a"), &["x", "y"]),
        from(2, MINUTE, Some("a"), &["y", "x", "x"]),
        from(3, 2 * MINUTE, Some("b"), &[]),
        from(4, 3 * MINUTE, None, &["z"]),
    ];
    assert_eq!(observed(&mut engine, quiet), NONE);
    assert_eq!(observed(&mut engine, [from(5, 4 * MINUTE, Some("c"), &["z", "w"])]), [3, 4]);
    // `a`, `x` and `y` are older than an hour now, `b` not yet.
    let later = from(6, HOUR + 90 * SECOND, Some("d"), &["v"]);
    assert_eq!(observed(&mut engine, [later]), [3], "b, c, d are three; z, w, v are no more than three");
}

#[test]
fn a_window_speaks_once_in_its_length_unless_told_otherwise() {
    let repeated = |policy: &str| {
        let mut engine = engine(&[policy]);
        let steps = (0..10).map(|step| statement(step + 1, i64::try_from(step).expect("small") * 10 * MINUTE, 6));
        observed(&mut engine, steps).len()
    };
    let window = "window: { by: [db_user], within: 30m, sum: persons, above: 10 }";
    assert_eq!(repeated(window), 3, "at 10, 40 and 70 minutes");
    assert_eq!(repeated(&format!("{window}\nthrottle: {{ by: [db_user], once: 1s }}")), 9);
}

#[test]
fn a_window_over_sessions_counts_them_by_address() {
    let mut engine = engine(&[
        "on: session\nwhen: outcome = 'auth_failed'\nwindow: { by: [client_addr], within: 5m, count: true, above: 2 }",
    ]);
    let session = |user: &str, outcome| Session {
        db_user: Some(user.into()),
        client_addr: Some("10.0.0.9".into()),
        outcome: Some(outcome),
        ..Session::default()
    };
    let mut found = Vec::new();
    for user in ["a", "b", "c"] {
        found.extend(engine.session(&session(user, SessionOutcome::AuthFailed)));
        assert!(engine.session(&session(user, SessionOutcome::Closed)).is_empty());
    }
    assert_eq!(found.iter().map(|finding| finding.observed).collect::<Vec<_>>(), [Some(3)]);
}

/// Past what is counted exactly, and after a restart, too: an engine that learns the past goes on about where the other was.
#[test]
fn thousands_of_different_values_are_estimated_and_known_again_after_a_restart() {
    let policy =
        "window: { by: [db_user], within: 1h, distinct: query, above: 5000 }\nthrottle: { by: [db_user], once: 1s }";
    let (mut engine, mut again) = (engine(&[policy]), engine(&[policy]));
    let mut told = None;
    for number in 0..5_600_u64 {
        let query = Some(format!("select {number}").into());
        // The last one comes later, past the throttle.
        let second = if number == 5_599 { 600 } else { i64::try_from(number / 10).unwrap() };
        let mut statement = Statement { query, ..by("clerk", statement(number, 1_000_000 * second, 0)) };
        let found = engine.statement(&mut statement);
        if told.is_none() && !found.is_empty() {
            told = Some((number, found[0].explanation.as_deref().unwrap_or_default().to_owned()));
        }
        if number < 5_599 {
            again.learn_statement(&statement);
        } else {
            let found = again.statement(&mut statement);
            assert!(found[0].observed.is_some_and(|observed| (5_040..6_160).contains(&observed)), "{found:?}");
        }
    }
    let (number, sentence) = told.expect("a finding");
    assert!((4_500..5_500).contains(&number), "five standard errors either way: {number}");
    assert!(sentence.starts_with("clerk came with about 5,"), "{sentence}");
}
