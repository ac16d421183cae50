//! SQL's three-valued logic (PostgreSQL manual, 9.1 Logical Operators and 9.2 Comparison Functions and Operators).

use super::*;

/// Of [`record`]: TRUE, NULL, FALSE.
const VALUES: [(&str, Tri); 3] =
    [("persons = 7", Tri::True), ("personal_rows = 7", Tri::Unknown), ("persons = 8", Tri::False)];

#[test]
fn and_or_not_have_the_manuals_truth_tables() {
    for (left, l) in VALUES {
        assert_eq!(eval(&format!("not ({left})"), &record()), l.negate(), "not {left}");
        for (right, r) in VALUES {
            let and = match (l, r) {
                (Tri::False, _) | (_, Tri::False) => Tri::False,
                (Tri::True, Tri::True) => Tri::True,
                _ => Tri::Unknown,
            };
            let or = match (l, r) {
                (Tri::True, _) | (_, Tri::True) => Tri::True,
                (Tri::False, Tri::False) => Tri::False,
                _ => Tri::Unknown,
            };
            assert_eq!(eval(&format!("{left} and {right}"), &record()), and, "{left} and {right}");
            assert_eq!(eval(&format!("{left} or {right}"), &record()), or, "{left} or {right}");
        }
    }
}

#[test]
fn is_tells_the_three_apart_and_is_never_null() {
    for (operand, tri) in VALUES {
        for (name, wanted) in [("true", Tri::True), ("unknown", Tri::Unknown), ("false", Tri::False)] {
            let is = eval(&format!("({operand}) is {name}"), &record());
            assert_eq!(is, (tri == wanted).into(), "({operand}) is {name}");
            let is_not = eval(&format!("({operand}) is not {name}"), &record());
            assert_eq!(is_not, (tri != wanted).into(), "({operand}) is not {name}");
        }
        assert_eq!(eval(&format!("({operand}) is null"), &record()), (tri == Tri::Unknown).into());
        assert_eq!(eval(&format!("({operand}) is not null"), &record()), (tri != Tri::Unknown).into());
    }
}

#[test]
fn truth_values_are_equal_or_not_or_null() {
    holds("(persons = 7) = true");
    holds("(persons = 7) = (bytes_in = 0)");
    holds("(persons = 7) <> (persons = 8)");
    fails("(persons = 7) = (persons = 8)");
    unknown("(persons = 7) = (personal_rows = 7)");
    unknown("(personal_rows = 7) <> (personal_rows = 7)");
}

#[test]
fn whatever_meets_a_null_is_null() {
    for condition in [
        "personal_rows = 0",
        "personal_rows <> 0",
        "personal_rows < 1",
        "personal_rows >= 0",
        "personal_rows = personal_rows",
        "persons = personal_rows",
        "persons + personal_rows > 0",
        "personal_rows * 0 = 0",
        "personal_rows - personal_rows = 0",
        "-personal_rows < 0",
        "permit = 'OPS-1'",
        "permit <> 'OPS-1'",
        "permit < db_user",
        "lower(permit) = 'ops-1'",
        "length(permit) = 5",
        "permit like '%'",
        "permit not like '%'",
        "permit ilike 'ops%'",
        "permit in ('OPS-1')",
        "permit not in ('OPS-1')",
        "personal_rows in (1, 2)",
        "personal_rows not in (1, 2)",
        "personal_rows between 1 and 2",
        "personal_rows not between 1 and 2",
        "persons between personal_rows and 9",
        "ended_at > at",
        "ended_at = '2026-06-02T14:45:00Z'",
        "has(columns, 'shop.customers.email')",
        "has(relations, permit)",
        "cardinality(columns) = 0",
        "in_list(permit, 'tools')",
    ] {
        unknown(condition);
        unknown(&format!("not ({condition})"));
    }
}

#[test]
fn a_comparison_that_one_side_decides_is_decided() {
    // x BETWEEN a AND b is x >= a AND x <= b: FALSE where one half is.
    fails("persons between personal_rows and 6");
    holds("persons not between personal_rows and 6");
    fails("persons = 8 and personal_rows = 1");
    holds("persons = 7 or personal_rows = 1");
}

#[test]
fn is_null_works_on_every_type() {
    for column in ["personal_rows", "permit", "ended_at", "columns", "personal_rows + 1", "lower(permit)"] {
        holds(&format!("{column} is null"));
        fails(&format!("{column} is not null"));
    }
    for column in ["persons", "db_user", "at", "relations", "functions", "persons + 1", "lower(db_user)", "holiday"] {
        fails(&format!("{column} is null"));
        holds(&format!("{column} is not null"));
    }
}

#[test]
fn a_holiday_outside_the_years_that_are_known_is_null() {
    let mut record = record();
    record.common.at = Timestamp("2150-01-01T00:00:00Z".parse::<jiff::Timestamp>().expect("a time").as_microsecond());
    assert_eq!(eval("holiday", &record), Tri::Unknown);
    assert_eq!(eval("not holiday", &record), Tri::Unknown);
    assert_eq!(eval("holiday is unknown", &record), Tri::True);
}
