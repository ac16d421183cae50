//! Permits in the engine: what they cover, what they do not, and that nothing is used up by what they do not.

use super::*;

const UNLESS: &str = "when: persons > 1000\nunless: permit is not null";
const PERMITS: &str = "
- { id: OPS-1, db_user: batch, relations: [shop.customers], persons_max: 3000,
    from: 1970-01-01T01:00Z, until: 1970-01-01T02:00Z }
- { id: OPS-2, db_user: batch, relations: [\"shop.*\"], persons_max: 2000,
    from: 1970-01-01T01:30Z, until: 1970-01-01T03:00Z }
";

fn batch(seq: u64, at: i64, persons: u64) -> Statement {
    Statement { relations: texts(&["shop.customers"]), ..by("batch", statement(seq, at, persons)) }
}

/// The permit that it carries, and whether it was found all the same.
fn judged(engine: &mut Engine, mut statement: Statement) -> (Option<String>, bool) {
    let found = !engine.statement(&mut statement).is_empty();
    (statement.permit.map(|id| id.to_string()), found)
}

fn ops(number: u64) -> (Option<String>, bool) {
    (Some(format!("OPS-{number}")), false)
}

const FOUND: (Option<String>, bool) = (None, true);

#[test]
fn a_permit_excuses_its_user_its_relations_and_its_time() {
    let engine = || Engine::new(with_permits(&[UNLESS], PERMITS));
    assert_eq!(judged(&mut engine(), batch(1, HOUR, 2_000)), ops(1));
    assert_eq!(judged(&mut engine(), batch(1, HOUR - 1, 2_000)), FOUND, "not yet");
    assert_eq!(judged(&mut engine(), batch(1, 3 * HOUR, 2_000)), FOUND, "expired");
    assert_eq!(judged(&mut engine(), by("clerk", batch(1, HOUR, 2_000))), FOUND, "somebody else");
    let other = Statement { relations: texts(&["shop.customers", "hr.staff"]), ..batch(1, HOUR, 2_000) };
    assert_eq!(judged(&mut engine(), other), FOUND, "more than it is for");
    let nothing_known = Statement { relations: None, ..batch(1, HOUR, 2_000) };
    assert_eq!(judged(&mut engine(), nothing_known), FOUND);
}

#[test]
fn what_goes_past_a_permit_is_found_and_uses_nothing_up() {
    let mut engine = Engine::new(with_permits(&[UNLESS], PERMITS));
    assert_eq!(judged(&mut engine, batch(1, HOUR, 2_000)), ops(1));
    assert_eq!(judged(&mut engine, batch(2, HOUR, 1_001)), FOUND, "3,001 in all");
    assert_eq!(judged(&mut engine, batch(3, HOUR, 1_000)), ops(1));
    assert_eq!(judged(&mut engine, batch(4, HOUR, 1_500)), FOUND, "used up");
}

#[test]
fn a_second_permit_covers_what_the_first_does_not() {
    let mut engine = Engine::new(with_permits(&[UNLESS], PERMITS));
    let half = HOUR + 30 * MINUTE;
    assert_eq!(judged(&mut engine, batch(1, half, 3_000)), ops(1));
    assert_eq!(judged(&mut engine, batch(2, half, 2_000)), ops(2));
    assert_eq!(judged(&mut engine, batch(3, half, 1_500)), FOUND);
    assert_eq!(judged(&mut engine, batch(4, 2 * HOUR, 0)), (Some("OPS-2".to_owned()), false), "nobody, but covered");
}

#[test]
fn a_policy_that_does_not_ask_for_permits_finds_what_they_cover() {
    let mut engine = Engine::new(with_permits(&["when: persons > 1000"], PERMITS));
    assert_eq!(judged(&mut engine, batch(1, HOUR, 2_000)), (Some("OPS-1".to_owned()), true));
}

#[test]
fn a_statement_that_names_its_permit_keeps_it() {
    let mut engine = Engine::new(with_permits(&[UNLESS], PERMITS));
    let named = Statement { permit: Some("OPS-9".into()), ..batch(1, HOUR, 3_000) };
    assert_eq!(judged(&mut engine, named), ops(9));
    assert_eq!(judged(&mut engine, batch(2, HOUR, 3_000)), ops(1), "and used up none of another");
}

#[test]
fn what_is_used_up_outlives_a_reload_and_a_restart() {
    let permits = with_permits(&[UNLESS], PERMITS);
    let mut reloaded = Engine::new(permits.clone());
    let mut first = batch(1, HOUR, 2_500);
    reloaded.statement(&mut first);
    reloaded.replace(with_permits(&[UNLESS], PERMITS));
    assert_eq!(judged(&mut reloaded, batch(2, HOUR, 1_001)), FOUND);
    let mut restarted = Engine::new(permits);
    restarted.learn_statement(&first);
    assert_eq!(judged(&mut restarted, batch(2, HOUR, 1_001)), FOUND);
    assert_eq!(judged(&mut restarted, batch(3, HOUR, 500)), ops(1));
    reloaded.replace(with_permits(&[UNLESS], "[]"));
    assert_eq!(judged(&mut reloaded, batch(4, HOUR, 1_001)), FOUND, "no permit any more");
}
