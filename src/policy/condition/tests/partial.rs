//! What is said of a record of which only some columns are known has to hold whatever the others are.

use std::collections::HashSet;

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::{Condition, Tri, compile, record};
use crate::clock::Timestamp;
use crate::policy::condition::Bounds;
use crate::policy::moment::Moment;
use crate::record::{Kind, Statement, Text};

fn leaf() -> impl Strategy<Value = String> {
    prop_oneof![
        (
            prop::sample::select(vec!["persons", "rows_returned", "bytes_out"]),
            prop::sample::select(vec!["=", "<>", "<", "<=", ">", ">="]),
            0_u64..4
        )
            .prop_map(|(column, op, number)| format!("{column} {op} {number}")),
        prop::sample::select(vec![
            "db_user = 'clerk'",
            "db_user in ('batch', 'clerk')",
            "kind = 'select'",
            "has(relations, 'shop.cards')",
            "persons is null",
            "db_user is not null",
            "persons + 1 > rows_returned",
            "query like '%x%'",
            "in_list(application_name, 'tools')",
            "cardinality(relations) > 1",
            "true",
            "hour < 6",
        ])
        .prop_map(str::to_owned),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    leaf().prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left} and {right})")),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left} or {right})")),
            inner.clone().prop_map(|inner| format!("not ({inner})")),
            (
                inner.clone(),
                prop::sample::select(vec!["is true", "is not true", "is false", "is unknown", "is not unknown"])
            )
                .prop_map(|(inner, is)| format!("(({inner}) {is})")),
            (inner.clone(), inner).prop_map(|(left, right)| format!("(({left}) = ({right}))")),
        ]
    })
}

fn any_record() -> impl Strategy<Value = Statement> {
    let number = || prop::option::of(0_u64..5);
    let name = |names: Vec<&'static str>| prop::option::of(prop::sample::select(names));
    let relations =
        prop::option::of(prop::collection::vec(prop::sample::select(vec!["shop.cards", "shop.orders"]), 0..3));
    (
        number(),
        number(),
        number(),
        name(vec!["clerk", "batch"]),
        name(vec!["psql", "web"]),
        name(vec!["x", "y"]),
        relations,
        any::<bool>(),
    )
        .prop_map(|(persons, rows, bytes, user, application, query, relations, selects)| {
            let text = |name: Option<&str>| name.map(Text::from);
            Statement {
                persons,
                rows_returned: rows,
                bytes_out: bytes,
                db_user: text(user),
                application_name: text(application),
                query: text(query),
                relations: relations.map(|all| all.into_iter().map(Text::from).collect()),
                kind: selects.then_some(Kind::Select),
                ..Statement::default()
            }
        })
}

const COLUMNS: [&str; 8] =
    ["persons", "rows_returned", "bytes_out", "db_user", "kind", "relations", "query", "application_name"];

fn eval(condition: &Condition<Statement>, record: &Statement, at: i64) -> Tri {
    let mut record = record.clone();
    record.common.at = Timestamp(at);
    let zone = TimeZone::UTC;
    condition.eval(&record, &Moment::new(record.common.at, &zone))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_of_a_part_holds_for_the_whole(
        text in condition(),
        seen in any_record(),
        other in any_record(),
        known in prop::collection::hash_set(prop::sample::select(COLUMNS.to_vec()), 0..8),
        hour in 0_i64..24,
    ) {
        let condition = compile(&text).unwrap_or_else(|mistakes| panic!("{text}: {mistakes:?}"));
        let known: HashSet<&str> = known;
        // The other record, with what is known of the one that was seen.
        let mut whole = other;
        for name in &known {
            let column = <Statement as crate::record::Table>::column(name).unwrap();
            prop_assert!((column.set)(&mut whole, (column.get)(&seen)));
        }
        let said = condition.at_any_time(&seen, &|column| known.contains(column.name));
        if said != Tri::Unknown {
            prop_assert_eq!(said, eval(&condition, &whole, hour * 3_600_000_000), "{}", text);
        }
        // What is left to ask says what the whole says.
        let is_true = eval(&condition, &whole, hour * 3_600_000_000) == Tri::True;
        let zone = TimeZone::UTC;
        whole.common.at = Timestamp(hour * 3_600_000_000);
        let open = condition.open(&seen, &|column| known.contains(column.name));
        let by_open = open.is_some_and(|open| condition.is_true(&whole, &Moment::new(whole.common.at, &zone), open));
        prop_assert_eq!(by_open, is_true, "{}", text);
        // All known: the same as ever, but for NULL, which may be either.
        let zone = TimeZone::UTC;
        let moment = Moment::new(seen.common.at, &zone);
        prop_assert_eq!(condition.partial(&seen, &moment, &|_| true), condition.eval(&seen, &moment));
    }

    #[test]
    fn between_its_bounds_a_condition_does_not_change(text in condition(), record in any_record(), from in 0_u64..6, to in 0_u64..6) {
        let condition = compile(&text).unwrap_or_else(|mistakes| panic!("{text}: {mistakes:?}"));
        let Bounds::At(bounds) = condition.bounds("persons") else { return Ok(()) };
        let (from, to) = (from.min(to), from.max(to));
        if bounds.iter().any(|bound| (from + 1..=to).contains(bound)) {
            return Ok(());
        }
        let with = |persons| Statement { persons: Some(persons), ..record.clone() };
        prop_assert_eq!(eval(&condition, &with(from), 0), eval(&condition, &with(to), 0), "{} from {} to {}", text, from, to);
    }
}

#[test]
fn a_column_that_is_not_known_is_not_one_that_is_null() {
    let said = |text: &str| compile(text).expect(text).at_any_time(&record(), &|column| column.name == "db_user");
    assert_eq!(said("persons is null"), Tri::Unknown);
    assert_eq!(said("(persons > 5) is not true"), Tri::Unknown);
    assert_eq!(said("(persons > 5 and db_user = 'x') is not true"), Tri::True);
    assert_eq!(said("persons > 5 or db_user = 'clerk'"), Tri::True);
    assert_eq!(said("hour < 6"), Tri::Unknown);
}
