//! `baseline: { first: … }`: what a principal has never done before.

use super::*;

fn reads(seq: u64, at: i64, columns: &[&str]) -> Statement {
    Statement { columns: texts(columns), ..statement(seq, at, 1) }
}

fn touches(seq: u64, at: i64, relations: &[&str]) -> Statement {
    Statement { relations: texts(relations), ..statement(seq, at, 1) }
}

/// For each statement, whether it was found.
fn found(engine: &mut Engine, statements: impl IntoIterator<Item = Statement>) -> Vec<bool> {
    statements.into_iter().map(|mut statement| !engine.statement(&mut statement).is_empty()).collect()
}

#[test]
fn a_principal_is_learned_from_until_it_has_been_about_for_long_enough() {
    let mut engine = engine(&["baseline: { by: [db_user], first: relation, learn: 14d }"]);
    let statements = [
        touches(1, 0, &["orders"]),
        touches(2, 14 * DAY - 1, &["events"]),
        touches(3, 14 * DAY, &["orders", "events"]),
        touches(4, 14 * DAY, &["cards"]),
        touches(5, 15 * DAY, &["cards"]),
    ];
    assert_eq!(found(&mut engine, statements), [false, false, false, true, false]);
    let another = by("anna", touches(6, 15 * DAY, &["cards"]));
    assert_eq!(found(&mut engine, [another]), [false], "a newcomer is learned from");
}

#[test]
fn fourteen_days_are_learned_from_where_nothing_is_said_and_none_with_0d() {
    let mut usual = engine(&["baseline: { by: [db_user], first: relation }"]);
    assert_eq!(found(&mut usual, [touches(1, 0, &["a"]), touches(2, 14 * DAY - 1, &["b"])]), [false, false]);
    assert_eq!(found(&mut usual, [touches(3, 14 * DAY, &["c"])]), [true]);
    let mut at_once = engine(&["baseline: { by: [db_user], first: relation, learn: 0d }"]);
    assert_eq!(found(&mut at_once, [touches(1, 0, &["a"]), touches(2, 1, &["a"])]), [true, false]);
}

#[test]
fn a_classified_relation_is_one_whose_classified_columns_came_back() {
    let mut engine = engine(&["baseline: { by: [db_user], first: classified_relation, learn: 0d }"]);
    let mut both =
        Statement { relations: texts(&["shop.events"]), ..reads(1, 0, &["shop.cards.number", "shop.cards.cvc"]) };
    let findings = engine.statement(&mut both);
    assert!(findings[0].explanation.as_deref().expect("a sentence").contains("read shop.cards for the first time"));
    assert_eq!((findings[0].observed, findings[0].threshold), (Some(1), None), "nothing was held against a number");
    assert_eq!(found(&mut engine, [touches(2, 0, &["shop.members"])]), [false]);
}

#[test]
fn any_text_column_has_a_first_time() {
    let mut engine = engine(&["baseline: { by: [db_user], first: client_addr, learn: 1d }"]);
    let from = |seq, at, address: &str| Statement { client_addr: Some(address.into()), ..statement(seq, at, 1) };
    let unknown = Statement { client_addr: None, ..statement(3, 2 * DAY, 1) };
    let statements = [from(1, 0, "10.0.0.1"), from(2, 2 * DAY, "10.0.0.1"), unknown, from(4, 2 * DAY, "10.0.0.66")];
    assert_eq!(found(&mut engine, statements), [false, false, false, true]);
}

#[test]
fn what_the_condition_leaves_out_is_not_learned_but_shows_that_somebody_is_about() {
    let mut engine = engine(&["when: rows_returned > 0\nbaseline: { by: [db_user], first: relation, learn: 14d }"]);
    let empty = Statement { rows_returned: Some(0), ..touches(1, 0, &["cards"]) };
    let full = Statement { rows_returned: Some(1), ..touches(2, 14 * DAY, &["cards"]) };
    assert_eq!(found(&mut engine, [empty, full]), [false, true]);
}

#[test]
fn what_was_long_not_touched_is_a_first_again() {
    let mut engine = engine(&["baseline: { by: [db_user], first: relation, learn: 0d }"]);
    let statements = [touches(1, 0, &["a"]), touches(2, 35 * DAY, &["a"]), touches(3, 70 * DAY + 1, &["a"])];
    assert_eq!(found(&mut engine, statements), [true, false, true]);
}

#[test]
fn principals_are_kept_apart_by_all_their_columns() {
    let mut engine = engine(&["baseline: { by: [db_user, end_user], first: relation, learn: 0d }"]);
    let of = |end_user: Option<&str>, seq| Statement { end_user: end_user.map(Into::into), ..touches(seq, 0, &["a"]) };
    let statements = [of(None, 1), of(Some("anna"), 2), of(Some("ben"), 3), of(None, 4)];
    assert_eq!(found(&mut engine, statements), [true, true, true, false]);
}

#[test]
fn a_baseline_and_a_window_have_to_match_both() {
    let mut engine = engine(&[
        "baseline: { by: [db_user], first: relation, learn: 0d }\nwindow: { by: [db_user], within: 1h, count: true, above: 2 }",
    ]);
    let statements = [touches(1, 0, &["a"]), touches(2, 0, &["b"]), touches(3, 0, &["a"]), touches(4, 0, &["c"])];
    assert_eq!(found(&mut engine, statements), [false, false, false, true]);
}

/// Three who have been about for twenty days.
fn three_others(rest: &str) -> Engine {
    let mut engine = engine(&[rest]);
    for day in 0..20 {
        for (who, hour) in [("anna", 9), ("ben", 11), ("cleo", 16)] {
            engine.learn_statement(&by(who, reads(1, day * DAY + hour * HOUR, &["shop.orders.email"])));
        }
    }
    engine
}

#[track_caller]
fn sentence(engine: &mut Engine, mut statement: Statement) -> String {
    let finding = engine.statement(&mut statement).pop().expect("a finding");
    finding.explanation.as_deref().expect("a sentence").to_owned()
}

#[test]
fn somebody_new_is_told_where_nobody_else_has_done_it() {
    let mut engine = three_others("baseline: { by: [db_user], first: classified_relation, learn: 14d }");
    engine.learn_statement(&by("new", reads(1, 20 * DAY, &["shop.orders.email"])));
    let said = sentence(&mut engine, by("new", reads(2, 23 * DAY, &["shop.orders.email", "shop.cards.number"])));
    let start = "new read shop.cards for the first time (new here for 3 days; none of 3 others has), 1 person's data by a statement on";
    assert!(said.starts_with(start), "{said}");
    assert_eq!(found(&mut engine, [by("newer", reads(3, 23 * DAY, &["shop.cards.number"]))]), [false]);
    let mut alone = three_others("baseline: { by: [db_user], first: classified_relation, learn: 14d, peers: false }");
    assert_eq!(found(&mut alone, [by("new", reads(1, 23 * DAY, &["shop.cards.number"]))]), [false]);
}

#[test]
fn peers_are_those_whose_columns_are_the_same() {
    let member = |who: &str, roles: &[&str], statement: Statement| Statement {
        member_of: Some(roles.iter().map(|role| Text::from(*role)).collect()),
        ..by(who, statement)
    };
    let (desk, office) = (["desk", "readers"], ["office"]);
    let mut engine =
        engine(&["baseline: { by: [db_user], first: classified_relation, learn: 14d, peers: [member_of] }"]);
    for day in 0..20 {
        for who in ["anna", "ben", "cleo"] {
            engine.learn_statement(&member(who, &desk, reads(1, day * DAY, &["shop.orders.email"])));
        }
        engine.learn_statement(&member("dora", &office, reads(1, day * DAY, &["shop.salaries.amount"])));
    }
    let said = sentence(&mut engine, member("new", &desk, reads(2, 20 * DAY, &["shop.salaries.amount"])));
    assert!(said.contains("none of 3 others has"), "{said}");
    let of_one = member("newer", &office, reads(3, 20 * DAY, &["shop.orders.email"]));
    assert_eq!(found(&mut engine, [of_one]), [false], "one other is too few");
}

#[test]
fn whose_newness_it_is_is_said_where_that_is_not_the_persons() {
    let mut engine = engine(&["baseline: { by: [database], first: relation, learn: 14d }"]);
    let of = |database: &str, seq, at, relation: &str| Statement {
        database: Some(database.into()),
        ..touches(seq, at, &[relation])
    };
    for (database, at) in [("a", 0), ("b", 0), ("c", DAY), ("shop", 13 * DAY)] {
        engine.learn_statement(&of(database, 1, at, "r"));
    }
    let said = sentence(&mut engine, of("shop", 2, 15 * DAY + HOUR, "other"));
    assert!(said.contains("(database shop: new here for 2 days; none of 3 others has)"), "{said}");
}

#[test]
fn an_unusual_hour_is_told_with_the_usual_ones() {
    let mut engine = three_others("baseline: { by: [db_user], first: hour, learn: 14d }");
    let said = sentence(&mut engine, by("anna", reads(1, 20 * DAY + 3 * HOUR, &["shop.orders.email"])));
    let start = "anna was active at an unusual hour (usual: 8 to 10 h; now 3 h), 1 person's data ";
    assert!(said.starts_with(start), "{said}");
    let beside = [8, 10].map(|hour| by("anna", reads(2, 21 * DAY + hour * HOUR, &["shop.orders.email"])));
    assert_eq!(found(&mut engine, beside), [false, false]);
    let said = sentence(&mut engine, by("new", reads(3, 21 * DAY + 22 * HOUR, &["shop.orders.email"])));
    let what = "(new here for less than a minute; usual for 3 others: 2 to 17 h; now 22 h)";
    assert!(said.contains(what), "{said}");
}

#[test]
fn the_hour_is_that_of_the_beginning_in_the_policies_time_zone() {
    let timezone = TimeZone::get("Asia/Tokyo").expect("bundled");
    let policies = set(&["baseline: { by: [db_user], first: hour, learn: 5d }"]);
    let mut engine = Engine::new(Arc::new(PolicySet { timezone, ..policies }));
    for day in 0..6 {
        engine.learn_statement(&statement(1, day * DAY + HOUR, 1));
    }
    let long = Statement { ended_at: Some(Timestamp(6 * DAY + 20 * HOUR)), ..statement(2, 6 * DAY + 2 * HOUR, 1) };
    assert_eq!(found(&mut engine, [long]), [false], "it began at 11");
    let said = sentence(&mut engine, statement(3, 7 * DAY + 20 * HOUR, 1));
    assert!(said.contains("(usual: 9 to 12 h; now 5 h)"), "{said}");
}
