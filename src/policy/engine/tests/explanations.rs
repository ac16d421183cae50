//! The sentence that a finding says: who, how much, the limit, by what, when, from where.

use super::*;
use crate::record::Kind;

#[track_caller]
fn says(rest: &str, records: impl IntoIterator<Item = Statement>) -> String {
    let mut engine = engine(&[rest]);
    let found = records.into_iter().flat_map(|mut record| engine.statement(&mut record)).last();
    found.expect("a finding").explanation.expect("a sentence").to_string()
}

#[test]
fn a_statement_is_told_by_its_figure_its_limit_and_its_means() {
    let copy = Statement {
        kind: Some(Kind::CopyOut),
        columns: texts(&["shop.customers.email", "shop.customers.phone"]),
        ..statement(1, 23 * HOUR + 40 * MINUTE, 20_000)
    };
    assert_eq!(
        says("when: persons > 1000", [copy.clone()]),
        "clerk read 20,000 people's data in one statement (limit 1,000) by COPY of shop.customers at 23:40 from 10.0.0.9"
    );
    assert_eq!(
        says(
            "when: kind = 'copy_out'",
            [Statement { persons: Some(1), end_user: Some("anna".into()), ..copy.clone() }]
        ),
        "anna (as clerk) read 1 person's data in one statement by COPY of shop.customers at 23:40 from 10.0.0.9"
    );
    let by_tool = Statement { end_user: Some("psql".into()), application_name: Some("psql".into()), ..copy.clone() };
    assert!(says("when: persons > 1000", [by_tool]).starts_with("clerk read 20,000"), "a tool is nobody's name");
    let bare = Statement { db_user: None, client_addr: None, persons: None, ..statement(1, 0, 0) };
    assert_eq!(says("when: true", [bare]), "someone unknown ran a statement at 00:00");
    let empty = Statement { kind: Some(Kind::Select), relations: texts(&["shop.cards"]), ..statement(1, 0, 0) };
    assert_eq!(says("when: true", [empty]), "clerk ran SELECT from shop.cards at 00:00 from 10.0.0.9");
    let many =
        Statement { kind: Some(Kind::Select), relations: texts(&["a", "b", "c", "d", "e"]), ..statement(1, 0, 2) };
    assert!(says("when: persons > 1", [many]).contains("by SELECT from a, b, c and 2 more at"));
    let written = Statement { kind: Some(Kind::Delete), rows_affected: Some(1), ..statement(1, 0, 0) };
    assert!(says("when: rows_affected > 0", [written]).contains("changed 1 row in one statement (limit 0) by DELETE"));
}

#[test]
fn sessions_and_transactions_are_told_by_what_became_of_them() {
    let db_user: Option<Text> = Some("postgres".into());
    let session = Session { db_user: db_user.clone(), outcome: Some(SessionOutcome::Closed), ..Session::default() };
    let found = engine(&["on: session\nwhen: db_user = 'postgres'"]).session(&session);
    assert_eq!(found[0].explanation.as_deref(), Some("postgres had a session that ended `closed` at 00:00"));
    let relations_written = texts(&["shop.orders"]);
    let transaction = Transaction { db_user, relations_written, rows_affected: Some(2_000), ..Transaction::default() };
    let found = engine(&["on: transaction\nwhen: rows_affected > 1000"]).transaction(&transaction);
    let told = "postgres changed 2,000 rows in one transaction (limit 1,000) on shop.orders at 00:00";
    assert_eq!(found[0].explanation.as_deref(), Some(told));
}

#[test]
fn a_window_is_told_by_whose_it_is_and_how_long() {
    let window = |by: &str, what: &str| format!("window: {{ by: [{by}], within: 24h, {what} }}");
    let two = || [statement(1, 0, 600), statement(2, HOUR, 500)];
    assert_eq!(
        says(&window("db_user", "sum: persons, above: 1000"), two()),
        "clerk read 1,100 people's data within 24 hours (limit 1,000), the last by a statement at 01:00 from 10.0.0.9"
    );
    let by_address = says(&window("client_addr", "count: true, above: 1"), two());
    assert!(
        by_address.starts_with("address 10.0.0.9 made 2 statements within 24 hours (limit 1), the last by clerk by")
    );
    let users = [statement(1, 0, 1), by("anna", statement(2, 0, 1))];
    let spraying = says(&window("client_addr", "distinct: db_user, above: 1"), users);
    assert!(
        spraying.starts_with("address 10.0.0.9 came with 2 different users within 24 hours (limit 1)"),
        "{spraying}"
    );
    let reach = [Statement { relations: texts(&["a", "b"]), ..statement(1, 0, 1) }];
    let reached = says(&window("db_user", "distinct: relations, above: 1"), reach);
    assert!(reached.starts_with("clerk reached 2 different relations within 24 hours"), "{reached}");
}

#[test]
fn something_new_is_named() {
    let first = |what: &str| format!("baseline: {{ by: [db_user], first: {what}, learn: 0d }}");
    let reads = Statement { relations: texts(&["shop.cards"]), ..statement(1, 0, 3) };
    assert!(
        says(&first("relation"), [reads.clone()])
            .starts_with("clerk read shop.cards for the first time, 3 people's data by a statement on shop.cards at")
    );
    assert!(says(&first("client_addr"), [reads]).starts_with("clerk came with address 10.0.0.9 for the first time"));
}

#[test]
fn names_that_a_client_made_up_are_tamed() {
    let hostile = Statement {
        end_user: Some("\u{1b}[2Jroot\n\u{202e}x".into()),
        relations: texts(&[&"r".repeat(1_000)]),
        ..statement(1, 0, 2)
    };
    let sentence = says("when: persons > 1", [hostile]);
    assert!(sentence.starts_with("?[2Jroot??x (as clerk) read 2 people's data"), "{sentence}");
    assert!(sentence.chars().count() < 300 && sentence.contains('…'));
    assert!(!sentence.chars().any(char::is_control));
}
