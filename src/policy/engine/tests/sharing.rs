//! Windows of a fleet, as one engine has a part in them: what it contributes, what it tells, and what it tells alone.

use super::*;

const SUM: &str = "when: persons > 0\nwindow: { by: [db_user], within: 1h, sum: persons, above: 10 }";
const DISTINCT: &str = "window: { by: [db_user], within: 1h, distinct: subjects, above: 2 }";

fn joined(rests: &[&str]) -> Engine {
    let mut engine = engine(rests);
    assert!(engine.share(true).is_empty());
    engine
}

fn numbers(contributions: &[Contribution]) -> Vec<(String, Option<u64>)> {
    let number = |of: &Contribution| match &of.added {
        Added::Number(number) => Some(*number),
        Added::Values(_) => None,
    };
    contributions.iter().map(|of| (of.policy.id.to_string(), number(of))).collect()
}

#[test]
fn what_records_add_is_added_up_by_policy_and_key_until_it_is_taken() {
    let mut engine = joined(&[SUM, "window: { by: [db_user], within: 1h, count: true, above: 99 }"]);
    assert_eq!(observed(&mut engine, [statement(1, 0, 3), statement(2, SECOND, 4), statement(3, SECOND, 0)]), NONE);
    let taken = engine.take_shared(10);
    assert_eq!(numbers(&taken), [("a".to_owned(), Some(7)), ("b".to_owned(), Some(3))]);
    assert_eq!(taken[0].at, Timestamp(SECOND));
    assert!(engine.take_shared(10).is_empty());
    let other = Statement { db_user: Some("other".into()), ..statement(4, 0, 5) };
    assert_eq!(observed(&mut engine, [other, statement(5, 0, 5)]), NONE);
    let more = engine.take_shared(1);
    assert!(more[0].by != taken[0].by && more[0].policy.id == taken[0].policy.id, "who is whose is told apart");
    engine.put_back_shared(more);
    assert_eq!(engine.take_shared(10).len(), 4);
}

#[test]
fn a_finding_waits_for_the_fleet_s_word_and_has_its_figures() {
    let mut engine = joined(&[SUM]);
    let mut many = statement(1, 0, 11);
    assert_eq!(engine.statement(&mut many), Vec::new());
    assert_eq!(many.policies.as_deref(), Some(["a".into()].as_slice()), "the record says that it matched");
    let taken = engine.take_shared(10);
    assert_eq!(engine.heard_shared(&taken[0], 40, false, false), None, "another sidecar tells it");
    let finding = engine.heard_shared(&taken[0], 40, false, true).unwrap();
    assert_eq!(
        (finding.observed, finding.threshold, finding.evidence.as_deref()),
        (Some(40), Some(10), Some([1].as_slice()))
    );
    let told = finding.explanation.as_deref().unwrap();
    assert!(told.starts_with("clerk read 40 people's data within 1 hour (limit 10), the last"), "{told}");
    // Told is told: the store may have forgotten, this one has not.
    assert_eq!(engine.heard_shared(&taken[0], 41, false, true), None);
    // Nothing here has matched, all of them together have.
    let small = Statement { db_user: Some("other".into()), ..statement(2, SECOND, 1) };
    assert_eq!(engine.statement(&mut small.clone()), Vec::new());
    let taken = engine.take_shared(10);
    assert_eq!(engine.heard_shared(&taken[0], 12, true, true).unwrap().observed, Some(12));
}

#[test]
fn alone_it_tells_by_its_own_figures_also_what_was_waiting() {
    let mut engine = joined(&[SUM]);
    assert_eq!(observed(&mut engine, [statement(1, 0, 11)]), NONE);
    let alone = engine.share(false);
    assert_eq!(alone.iter().map(|finding| finding.observed).collect::<Vec<_>>(), [Some(11)]);
    assert_eq!(engine.share(false), Vec::new(), "once");
    let other = |seq, persons| Statement { db_user: Some("other".into()), ..statement(seq, SECOND, persons) };
    assert_eq!(observed(&mut engine, [other(2, 12)]), [12]);
    // What it has not contributed yet it still will, and tells it no second time.
    engine.share(true);
    let taken = engine.take_shared(10);
    assert_eq!(numbers(&taken), [("a".to_owned(), Some(11)), ("a".to_owned(), Some(12))]);
    assert_eq!(engine.heard_shared(&taken[0], 11, false, true), None);
}

#[test]
fn different_values_are_contributed_each_once() {
    let mut engine = joined(&[DISTINCT]);
    let read = |seq, subjects: &[&str]| Statement {
        subjects: Some(subjects.iter().map(|subject| Text::from(*subject)).collect()),
        ..statement(seq, 0, 1)
    };
    assert_eq!(observed(&mut engine, [read(1, &["x", "y"]), read(2, &["y"])]), NONE);
    let taken = engine.take_shared(10);
    assert!(matches!(&taken[0].added, Added::Values(values) if values.len() == 2));
}

#[test]
fn what_a_window_shares_not_and_what_decides_not_alone_is_told_at_once() {
    let unshared = "window: { by: [db_user], within: 1h, sum: persons, above: 10, shared: false }";
    let first = "window: { by: [db_user], within: 1h, sum: persons, above: 10 }\nbaseline: { by: [db_user], first: application_name, learn: 0d }";
    for rest in [unshared, first] {
        let mut engine = joined(&[rest]);
        let record = Statement { application_name: Some("psql".into()), ..statement(1, 0, 11) };
        assert_eq!(engine.statement(&mut record.clone()).len(), 1, "{rest}");
        assert!(engine.take_shared(10).is_empty(), "{rest}");
    }
}

#[test]
fn the_guard_counts_what_the_others_are_known_to_have() {
    let engine = SharedEngine::new(joined(&[SUM]));
    assert_eq!(engine.lock().statement(&mut statement(1, 0, 4)), Vec::new());
    assert_eq!(engine.window_with("a", &statement(2, SECOND, 1)), Some(5));
    let taken = engine.lock().take_shared(10);
    engine.lock().heard_shared(&taken[0], 9, false, false);
    assert_eq!(engine.window_with("a", &statement(2, SECOND, 1)), Some(10));
    assert_eq!(engine.window_with("a", &statement(2, HOUR + SECOND, 1)), Some(1), "for as long as the window is");
}

#[test]
fn more_than_it_keeps_is_told_alone_and_counted() {
    let mut engine = joined(&[SUM]);
    for number in 0..super::super::sharing::CONTRIBUTIONS_MAX as u64 {
        let one = Statement { db_user: Some(format!("u{number}").into()), ..statement(number, 0, 1) };
        assert_eq!(observed(&mut engine, [one]), NONE);
    }
    assert_eq!(observed(&mut engine, [statement(9_999, 0, 11)]), [11]);
    assert_eq!((engine.missed_shared(), engine.missed_shared()), (1, 0));
}

#[test]
fn what_waits_when_it_dies_is_told_by_the_next_one() {
    let mut engine = joined(&[SUM]);
    let mut many = statement(1, 0, 11);
    assert_eq!(engine.statement(&mut many), Vec::new());
    assert_eq!(observed(&mut engine, [statement(2, SECOND, 1)]), NONE);
    let unsaid = engine.unsaid();
    assert_eq!(unsaid.len(), 1, "one finding for both");
    let taken = engine.take_shared(10);
    assert_eq!(engine.unsaid(), unsaid, "on its way to the store");

    // It dies. The next one has learned from the log what it had seen.
    let mut next = joined(&[SUM]);
    next.learn_statement(&many);
    let said = next.say_unsaid(&unsaid);
    assert_eq!(said.iter().map(|finding| finding.observed).collect::<Vec<_>>(), [Some(11)]);

    // It lives. Another one tells it, or it does itself, or there is nothing to tell any more: then nothing waits.
    let told = engine.heard_shared(&taken[0], 40, false, true).unwrap();
    assert_eq!(engine.unsaid(), unsaid, "on its way into the log");
    engine.said(&told);
    assert!(engine.unsaid().is_empty());
    for tells in [false, true] {
        assert_eq!(observed(&mut engine, [statement(3, SECOND, 1)]), NONE);
        assert_eq!(engine.unsaid().len(), 1);
        let taken = engine.take_shared(10);
        assert_eq!(engine.heard_shared(&taken[0], 41, false, tells), None);
        assert!(engine.unsaid().is_empty(), "{tells}");
    }
}

#[test]
fn what_finds_no_room_on_its_way_back_is_told_alone() {
    let mut engine = joined(&[SUM]);
    assert_eq!(observed(&mut engine, [statement(1, 0, 11)]), NONE);
    let taken = engine.take_shared(10);
    for number in 0..super::super::sharing::CONTRIBUTIONS_MAX as u64 {
        let one = Statement { db_user: Some(format!("u{number}").into()), ..statement(number, 0, 11) };
        engine.statement(&mut one.clone());
    }
    let findings = engine.put_back_shared(taken);
    assert_eq!(findings.iter().map(|finding| finding.observed).collect::<Vec<_>>(), [Some(11)]);
    assert_eq!(engine.missed_shared(), 1);
}
