//! Nothing that is written makes the compiler crash, and nothing that is recorded makes a condition fail.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::super::{DEPTH_MAX, TEXT_BYTES_MAX, TOKENS_MAX};
use super::*;

/// Compiles on the small stack that tests and threads have: 2 MiB.
#[track_caller]
fn told(condition: &str) -> String {
    mistakes(condition).remove(0).1
}

#[test]
fn nesting_is_an_error_and_not_a_crash() {
    for levels in [DEPTH_MAX + 1, 500, 2_000] {
        let nested = format!("{}persons > 1{}", "(".repeat(levels), ")".repeat(levels));
        assert!(told(&nested).contains("64 levels") || told(&nested).contains("tokens"), "{}", told(&nested));
        let lowered = format!("{}db_user{} = 'x'", "lower(".repeat(levels), ")".repeat(levels));
        assert!(!told(&lowered).is_empty());
        let not = format!("{}true", "not ".repeat(levels));
        assert!(told(&not).contains("64 levels") || told(&not).contains("tokens"), "{}", told(&not));
        assert!(!told(&format!("{}1 = 1", "- ".repeat(levels))).is_empty());
        assert!(!told(&"(".repeat(levels)).is_empty());
        assert!(!told(&"case when ".repeat(levels)).is_empty());
        assert!(!told(&"persons[".repeat(levels)).is_empty());
    }
    let fits = format!("{}persons > 1{}", "(".repeat(20), ")".repeat(20));
    assert!(compile(&fits).is_ok());
}

#[test]
fn giant_chains_are_flat_or_an_error() {
    let chain = |link: &str, number: usize| vec![link; number].join(" or ");
    let links = (TOKENS_MAX - 3) / 4;
    assert!(compile(&chain("persons > 1", links)).is_ok(), "a chain of ORs is one level deep");
    assert!(compile(&vec!["persons > 1"; links].join(" and ")).is_ok());
    assert!(told(&chain("a>1", 500)).contains("tokens, more than 1024"));
    assert!(told(&chain("persons > 1", 100_000)).contains("bytes, more than 8192"));
    assert!(told(&format!("1{} > 1", " + 1".repeat(400))).contains("64 levels"));
    assert!(told(&format!("1{} > 1", "+1".repeat(100_000))).contains("bytes"));
    assert!(told(&"'x' = ".repeat(400)).contains("end"));
    assert!(!told(&"persons is null ".repeat(200)).is_empty());
    assert!(!told(&" and ".repeat(200)).is_empty());
    let alternating: String = (0..200).map(|n| format!("persons = {n} {} ", ["and", "or"][n % 2])).collect();
    assert!(compile(&(alternating + "true")).is_ok(), "ANDs in ORs are two levels deep");
}

/// One level a link in `sqlparser`'s tree, which it walks by recursion to tell a place, and to drop it.
#[test]
fn chains_as_long_as_tokens_allow_do_not_overflow_the_stack() {
    let sum = "1 + ".repeat(508) + "1";
    let is_null = "persons".to_owned() + &" is null".repeat(508);
    let between = "1 between 1 and ".repeat(254) + "1";
    let ors = "true or ".repeat(508) + "true";
    let like = "'x' like ".repeat(508) + "'x'";
    for chain in [sum, is_null, between, ors, like] {
        for around in
            ["_ > 1", "(_) = 1", "lower(_) = 'x'", "case when _ then 1 end", "not(_ + 1)", "has(_)", "(_)::int"]
        {
            let condition = around.replace('_', &chain);
            if let Err(mistakes) = compile(&condition) {
                assert!(
                    mistakes.iter().all(|mistake| !mistake.what.contains("tokens")),
                    "{around} {}",
                    mistakes[0].what
                );
            }
        }
    }
}

#[test]
fn a_mistake_in_every_link_of_a_giant_chain_is_told_without_a_crash() {
    let found = mistakes(&vec!["x = 1"; TOKENS_MAX / 4].join(" or "));
    assert_eq!(found.len(), TOKENS_MAX / 4);
}

#[test]
fn limits_are_exact() {
    let long = format!("db_user = '{}'", "x".repeat(TEXT_BYTES_MAX - 12));
    assert_eq!(long.len(), TEXT_BYTES_MAX);
    assert!(compile(&long).is_ok());
    assert!(told(&long.replacen('x', "xx", 1)).contains("8193 bytes"));
    let items = |number: usize| format!("persons in ({})", vec!["1"; number].join(","));
    assert!(compile(&items((TOKENS_MAX - 4) / 2)).is_ok());
    assert!(told(&items(TOKENS_MAX / 2)).contains("tokens"));
}

/// Words that conditions are made of, and some that they are not.
fn soup() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "persons",
        "db_user",
        "relations",
        "at",
        "holiday",
        "hour",
        "permit",
        "and",
        "or",
        "not",
        "is",
        "null",
        "in",
        "between",
        "like",
        "ilike",
        "true",
        "unknown",
        "(",
        ")",
        ",",
        "'x'",
        "'%'",
        "1",
        "-",
        "+",
        "*",
        "/",
        "=",
        "<>",
        ">",
        "has",
        "in_list",
        "lower",
        "'tools'",
        "case",
        "when",
        "end",
        "::",
        "[",
        "]",
        "select",
        "'",
        "\"",
        "--",
        "/*",
        "$1",
        "?",
        "@",
        "顧客",
        "\u{0}",
        "18446744073709551616",
        ".",
        ";",
        "any",
        "escape",
        "over",
        "interval",
    ]);
    prop::collection::vec(words, 0..40).prop_map(|words| words.join(" "))
}

fn number() -> impl Strategy<Value = Option<u64>> {
    prop::option::of(prop_oneof![Just(0), Just(1), Just(u64::MAX), Just(1 << 63), any::<u64>()])
}

static TOKYO: LazyLock<TimeZone> = LazyLock::new(|| TimeZone::get("Asia/Tokyo").expect("bundled"));
static TOTAL: LazyLock<Vec<Condition<Statement>>> = LazyLock::new(|| {
    let conditions = [
        "persons * rows_returned * rows_returned - 99999999999999999999999999999999999999 < -persons",
        "persons + rows_returned - 1 > rows_returned * persons",
        "hour between 0 and 23 and weekday between 1 and 7 and holiday is not unknown",
        "length(lower(db_user)) >= 0 and db_user like '%_a\\' and db_user ilike '%É%'",
        "in_list(db_user, 'tools') or has(relations, db_user) or cardinality(columns) > persons",
    ];
    conditions.iter().map(|condition| compile(condition).expect("it compiles")).collect()
});

proptest! {
    #[test]
    fn any_text_compiles_or_is_refused_with_a_place_inside_it(condition in prop_oneof![soup(), any::<String>()]) {
        if let Err(mistakes) = compile(&condition) {
            prop_assert!(!mistakes.is_empty());
            for mistake in mistakes {
                prop_assert!(mistake.offset <= condition.chars().count(), "{}", mistake.what);
                prop_assert!(!mistake.what.contains("Identifier("), "a debug form: {}", mistake.what);
            }
        }
    }

    #[test]
    fn no_record_makes_a_condition_fail(
        persons in number(), rows in number(), user in prop::option::of(any::<String>()), at in any::<i64>(),
    ) {
        let mut record = Statement { persons, rows_returned: rows, ..Statement::default() };
        record.db_user = user.map(|user| user.as_str().into());
        record.common.at = Timestamp(at);
        for condition in &*TOTAL {
            condition.eval(&record, &Moment::new(record.common.at, &TOKYO));
        }
    }
}
