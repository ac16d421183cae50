//! Windows against the obvious way to compute them, and at their bounds.

use proptest::prelude::*;

use super::*;
use crate::record::Value;

const MINUTE: i64 = 60_000_000;

fn key(number: u64) -> Key {
    Key::of_value(Value::U64(number))
}

#[test]
fn a_window_slides_and_what_is_below_the_threshold_carries_over_its_edge() {
    let mut windows = Windows::new(10 * MINUTE);
    assert_eq!(windows.add(key(1), Timestamp(0), Amount::Number(4), Some(1)).total, 4);
    assert_eq!(windows.add(key(1), Timestamp(9 * MINUTE), Amount::Number(4), Some(2)).total, 8);
    let later = windows.add(key(1), Timestamp(10 * MINUTE), Amount::Number(4), Some(3));
    assert_eq!(later, Figure { total: 8, evidence: vec![2, 3] });
    assert_eq!(windows.add(key(2), Timestamp(10 * MINUTE), Amount::Number(1), None).total, 1);
}

#[test]
fn different_values_are_counted_once() {
    let mut windows = Windows::new(10 * MINUTE);
    let mut total = 0;
    for value in [1, 2, 1, 3, 2] {
        total = windows.add(key(0), Timestamp(0), Amount::Values(vec![key(value)]), None).total;
    }
    assert_eq!(total, 3);
    assert_eq!(windows.add(key(0), Timestamp(11 * MINUTE), Amount::Values(vec![key(1)]), None).total, 1);
}

#[test]
fn a_clock_set_back_hides_nothing() {
    let mut windows = Windows::new(10 * MINUTE);
    windows.add(key(1), Timestamp(100 * MINUTE), Amount::Number(5), None);
    assert_eq!(windows.add(key(1), Timestamp(0), Amount::Number(5), None).total, 10);
    assert_eq!(windows.add(key(1), Timestamp(105 * MINUTE), Amount::Number(5), None).total, 15);
}

#[test]
fn a_flood_of_keys_cannot_push_out_what_a_key_has_read() {
    let mut windows = Windows::bounded(60 * MINUTE, 64);
    windows.add(key(7), Timestamp(0), Amount::Number(900), None);
    for other in 1_000..2_000 {
        windows.add(key(other), Timestamp(MINUTE), Amount::Number(1), None);
        assert!(windows.series.len() <= 64);
    }
    assert!(windows.evicted() > 0);
    let back = windows.add(key(7), Timestamp(2 * MINUTE), Amount::Number(101), None).total;
    assert!(back >= 1_001, "{back}");
    let after = windows.add(key(7), Timestamp(61 * MINUTE), Amount::Number(1), None).total;
    assert!(after < 900, "what was carried leaves with its window: {after}");
}

#[test]
fn a_keys_memory_is_bounded_and_sums_near_the_end_of_u64_do_not_wrap() {
    let mut windows = Windows::new(60 * MINUTE);
    for step in 0..100_000 {
        windows.add(key(1), Timestamp(step * 1_000), Amount::Number(1), Some(1));
    }
    assert!(windows.series[&key(1)].entries.len() <= ENTRIES_MAX);
    assert!(windows.series[&key(1)].evidence.len() <= EVIDENCE_MAX);
    for step in 0..1_000 {
        let total = windows.add(key(2), Timestamp(step), Amount::Number(u64::MAX), None).total;
        assert_eq!(total, u64::MAX);
    }
    assert!(windows.series[&key(2)].entries.len() <= ENTRIES_MAX);
}

proptest! {
    /// Never less than the true sum, and never more than that of a window a 64th longer.
    #[test]
    fn a_sum_is_right_to_a_64th_of_its_window(
        steps in proptest::collection::vec((0_i64..200, 0_u64..1_000), 1..600),
    ) {
        let within = 64 * 100;
        let mut windows = Windows::new(within);
        let mut all: Vec<(i64, u64)> = Vec::new();
        let mut now = 0;
        for (step, number) in steps {
            now += step;
            all.push((now, number));
            let total = windows.add(key(1), Timestamp(now), Amount::Number(number), None).total;
            let sum = |length: i64| all.iter().filter(|(at, _)| *at > now - length).map(|(_, n)| n).sum::<u64>();
            prop_assert!(total >= sum(within));
            prop_assert!(total <= sum(within + 100));
        }
    }
}
