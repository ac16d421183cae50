//! What is refused: with its place in the text, in words, and how to mend it.

use super::*;

#[track_caller]
fn refused(condition: &str, offset: usize, what: &str, mend: &str) {
    let found = mistakes(condition);
    assert_eq!(found.len(), 1, "{condition}: {found:?}");
    let (at, told, how) = &found[0];
    assert_eq!(*at, offset, "{condition}: {told}");
    assert!(told.contains(what) && how.contains(mend), "{condition}: {told}; {how}");
}

#[test]
fn an_unknown_column_gets_the_nearest_one() {
    refused("person > 5", 0, "`statements` has no column `person`", "did you mean `persons`?");
    refused("persons > 5 and hours = 3", 16, "has no column `hours`", "did you mean `hour`?");
    refused("wombat = 1", 0, "no column `wombat`", "describe statements");
    refused("persons > 1000 and db_user = clerk", 29, "no column `clerk`", "");
    refused("statements.persons > 1", 0, "a column is named without its table", "alone");
    refused("顧客 = 1 or persons = 1", 0, "`顧客`", "");
}

#[test]
fn columns_are_those_of_the_records_table() {
    let on_sessions = Condition::<crate::record::Session>::compile("persons > 5", &lists()).err().expect("refused");
    assert_eq!(on_sessions[0].what, "`sessions` has no column `persons`");
    assert!(Condition::<crate::record::Session>::compile("auth_method = 'trust'", &lists()).is_ok());
    assert!(Condition::<crate::record::Transaction>::compile("has(relations_read, 'x')", &lists()).is_ok());
}

#[test]
fn mixed_types_are_told() {
    refused("persons > 'many'", 0, "a number cannot be compared with a text", "quotes");
    refused("db_user = 5", 0, "a text cannot be compared with a number", "quotes");
    refused("at > 5", 0, "a time cannot be compared with a number", "");
    refused("at > 'yesterday'", 5, "not a time", "2026-11-23T18:00:00+09:00");
    refused("at > '2026-02-30T00:00:00Z'", 5, "not a time", "");
    refused("relations = 'shop.customers'", 0, "`relations` is a list", "has(relations, 'x')");
    refused("relations in ('x')", 0, "`relations` is a list", "has(relations, 'x')");
    refused("holiday > true", 0, "truth values have no order", "");
    refused("holiday = 1", 0, "a truth value cannot be compared with a number", "");
    refused("persons + db_user > 1", 10, "`+` needs a number, this is a text", "length(text)");
    refused("persons like 'x%'", 0, "LIKE needs a text, this is a number", "single quotes");
    refused("db_user like query", 13, "the pattern of LIKE is a literal", "");
    refused("persons in ('x')", 12, "this IN needs a number", "");
    refused("persons in (1, rows_returned)", 15, "IN takes literals", "");
    refused("db_user in ('x', 5)", 17, "this IN needs a text", "");
    refused("at in ('2026-01-01T00:00:00Z')", 0, "IN takes numbers or texts, this is a time", "");
    refused("-db_user = 'x'", 1, "`-` needs a number", "");
    refused("persons between 'a' and 5", 0, "a number cannot be compared with a text", "");
}

#[test]
fn what_is_not_a_condition_is_told() {
    refused("persons", 0, "a number stands where a condition is needed", "compare it");
    refused("db_user and true", 0, "a text stands where a condition is needed", "");
    refused("not persons", 4, "a number stands", "");
    refused("", 0, "found the end", "");
    refused("persons >", 9, "found the end", "");
    refused("persons > 5 and", 15, "found the end", "");
    refused("persons > 5 persons", 12, "should end before `persons`", "what follows WHERE");
    refused("persons > 5; drop table x", 11, "should end before `;`", "");
    refused("where persons > 5", 6, "should end before `persons`", "what follows WHERE");
    refused("persons > 5 -- why", 12, "a comment", "YAML comment");
    refused("persons > /* no */ 5", 10, "a comment", "");
    refused("db_user = 'clerk", 10, "Unterminated string literal", "");
    refused("(persons > 5", 12, "found the end", "");
}

#[test]
fn what_could_fail_or_asks_elsewhere_is_not_known() {
    refused("persons / 2 > 5", 10, "`/` can fail while a record is judged", "multiply");
    refused("persons % 0 = 1", 10, "`%` can fail", "");
    refused("persons > (select 1)", 11, "no queries inside", "window");
    refused("persons in (select 1)", 0, "no queries inside", "");
    refused("exists (select 1)", 8, "no queries inside", "");
    refused("persons = null", 10, "nothing is ever equal to NULL", "IS NULL");
    refused("persons in (1, null)", 15, "nothing is ever equal to NULL", "");
    refused("persons > 1.5", 10, "not a whole number", "multiply");
    refused("persons > 1e3", 10, "not a whole number", "");
    refused("persons > 999999999999999999999999999999999999999", 10, "not a whole number", "");
    for elsewhere in [
        "persons::text = 'x'",
        "cast(persons as text) = 'x'",
        "case when true then true end",
        "db_user similar to 'x'",
        "relations[1] = 'x'",
        "db_user like 'x' escape '!'",
        "at > timestamp '2026-01-01'",
        "persons = any(array[1])",
        "(persons, 1) = true",
        "position('a' in db_user) = 1",
        "extract(hour from at) = 1",
        "db_user is distinct from 'x'",
    ] {
        refused(elsewhere, mistakes(elsewhere)[0].0, "not known to conditions", "policies/README.md");
    }
    refused("db_user || 'x' = 'y'", 11, "the operator `||` is not known", "");
    refused("db_user ~ 'x'", 10, "the operator `~` is not known", "");
}

#[test]
fn functions_are_known_or_named_and_take_what_they_take() {
    refused("lenght(db_user) = 1", 0, "there is no function `lenght`", "did you mean `length`?");
    refused("pg_sleep(1) = 1", 0, "there is no function `pg_sleep`", "known are lower, length");
    refused("has(relations)", 0, "`has` takes 2 arguments, here is 1", "");
    refused("lower() = 'x'", 0, "`lower` takes 1 argument, here are 0", "");
    refused("has(db_user, 'x')", 4, "has needs a list, this is a text", "relations");
    refused("has(relations, 5)", 15, "has needs a text, this is a number", "");
    refused("cardinality(db_user) = 1", 12, "cardinality needs a list", "lists are relations");
    refused("length(persons) = 1", 7, "length needs a text", "");
    refused("in_list(db_user, 'tolls')", 17, "there is no list `tolls`", "did you mean `tools`?");
    refused("in_list(db_user, 'wombats')", 17, "there is no list `wombats`", "lists.yaml");
    refused("in_list(db_user, query)", 17, "the list's name is a literal", "");
    for dressed in ["lower(distinct db_user) = 'x'", "lower(db_user) over () = 'x'", "lower(x => db_user) = 'x'"] {
        refused(dressed, 0, "more than plain arguments", "");
    }
    let sessions = Condition::<crate::record::Session>::compile("cardinality(db_user) = 1", &lists()).err();
    assert_eq!(sessions.expect("refused")[0].mend, "lists are member_of");
}

#[test]
fn every_mistake_is_told_in_order_and_once() {
    let found = mistakes("person > 5\n  and db_usr = 'x'\n  and (hour = 'x' or has(relation, 'y'))");
    let told: Vec<(usize, &str)> = found.iter().map(|(at, what, _)| (*at, what.as_str())).collect();
    assert_eq!(
        told,
        [
            (0, "`statements` has no column `person`"),
            (17, "`statements` has no column `db_usr`"),
            (37, "a number cannot be compared with a text"),
            (55, "`statements` has no column `relation`"),
        ]
    );
    assert_eq!(mistakes("person between 1 and 2").len(), 1);
    assert_eq!(mistakes("persons in ('a', 'b')").len(), 2);
}
