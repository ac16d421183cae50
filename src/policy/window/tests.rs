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
    assert_eq!((later, windows.evidence(key(1))), (Figure { total: 8, is_estimate: false }, vec![2, 3]));
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

fn add(windows: &mut Windows, of: u64, at: i64, value: u64) -> Figure {
    windows.add(key(of), Timestamp(at), Amount::Values(vec![key(value)]), None)
}

#[test]
fn more_different_values_than_are_kept_are_estimated_and_leave_with_their_part_of_the_window() {
    let mut windows = Windows::new(64 * MINUTE);
    for value in 0..DISTINCT_MAX as u64 {
        let figure = add(&mut windows, 1, 0, value);
        assert_eq!((figure.total, figure.is_estimate), (value + 1, false));
    }
    let mut last = Figure::default();
    // One after the other over 32 minutes, and all of them a second time: that makes no difference.
    for value in DISTINCT_MAX as u64..20_000 {
        let at = i64::try_from(value).unwrap() * 32 * MINUTE / 20_000;
        last = add(&mut windows, 1, at, value);
        add(&mut windows, 1, at, value / 2);
    }
    let off = last.total as f64 / 20_000.0 - 1.0;
    assert!(last.is_estimate && off.abs() < 0.1, "{last:?}");
    let asked = windows.with(key(1), Timestamp(32 * MINUTE), &Amount::Number(0));
    assert_eq!(asked, last.total);
    // At minute 90 what came after minute 26 is left: the values from 16,250 on, and 8,125 to 10,000.
    let later = windows.with(key(1), Timestamp(90 * MINUTE), &Amount::Number(0));
    let left = add(&mut windows, 1, 90 * MINUTE, 19_999).total;
    assert_eq!(left, later);
    let off = left as f64 / (3_750.0 + 1_875.0) - 1.0;
    assert!((-0.1..0.2).contains(&off), "a part too long at most: {left}");
    let gone = add(&mut windows, 1, 300 * MINUTE, 7);
    assert_eq!((gone.total, gone.is_estimate), (1, false), "exact again");
}

#[test]
fn keys_with_estimates_are_bounded_and_what_they_had_is_not_lost() {
    let mut windows = Windows::new(64 * MINUTE);
    for of in 0..ESTIMATED_KEYS_MAX as u64 + 40 {
        let values = (0..1_100).map(|value| key(of << 20 | value)).collect();
        windows.add(key(of), Timestamp(0), Amount::Values(values), None);
        let estimated = windows.series.values().filter(|series| series.is_estimated()).count();
        assert!(estimated <= ESTIMATED_KEYS_MAX + 1, "{estimated}");
    }
    assert!(windows.evicted() > 0);
    // The first one comes back: whatever was poured together, it has no fewer than it had, but for the error.
    let back = add(&mut windows, 0, MINUTE, 1 << 40);
    assert!(back.total as f64 > 1_101.0 * 0.9 && back.is_estimate, "{back:?}");
}

/// Somebody with many names for what they come with, who wants to be forgotten between two of them.
#[test]
fn a_flood_of_keys_cannot_hide_how_many_different_ones_a_key_has_had() {
    let mut windows = Windows::bounded(60 * MINUTE, 64);
    for value in 0..1_000 {
        add(&mut windows, 7, 0, value);
        for other in 0..3 {
            add(&mut windows, 1_000 + value * 3 + other, 0, 5);
        }
    }
    let back = add(&mut windows, 7, MINUTE, 1_000).total;
    assert!(back >= 1_001 * 9 / 10, "{back}");
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

proptest! {
    // Each looks at thousands of values.
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Never fewer than there are within the window, nor more than within one a 64th longer, but for the error that is stated.
    #[test]
    fn different_values_are_right_to_a_64th_of_the_window_and_the_error(
        steps in proptest::collection::vec((0_i64..60, 0_u64..400, 1_u64..30), 300..900),
    ) {
        let within = 64 * 100;
        let mut windows = Windows::new(within);
        let mut all: Vec<(i64, u64)> = Vec::new();
        let mut now = 0;
        for (number, (step, from, count)) in steps.into_iter().enumerate() {
            now += step;
            let values: Vec<u64> = (from * 20..from * 20 + count).collect();
            all.extend(values.iter().map(|value| (now, *value)));
            let figure = windows.add(key(1), Timestamp(now), Amount::Values(values.into_iter().map(key).collect()), None);
            if number % 40 != 0 {
                continue;
            }
            let different = |length: i64| {
                let within = all.iter().filter(|(at, _)| *at > now - length).map(|(_, value)| *value);
                within.collect::<std::collections::HashSet<u64>>().len() as f64
            };
            let slack = if figure.is_estimate { 0.12 } else { 0.0 };
            prop_assert!(figure.total as f64 >= different(within) * (1.0 - slack));
            prop_assert!(figure.total as f64 <= different(within + 100) * (1.0 + slack));
        }
    }
}
