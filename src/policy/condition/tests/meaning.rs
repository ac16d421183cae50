//! What each operator and function means where nothing is NULL.

use super::*;

#[test]
fn numbers_compare_exactly_over_the_whole_of_u64() {
    holds("persons = 7 and persons <> 8 and persons < 8 and persons <= 7 and persons > 6 and persons >= 7");
    holds("7 = persons and 8 > persons and 6 < persons and 7 <= persons");
    holds("rows_returned = 18446744073709551615");
    fails("rows_returned = 18446744073709551614");
    holds("rows_returned < 18446744073709551616");
    holds("persons > -1 and bytes_in > -99999999999999999999");
    holds("persons <> -7");
}

#[test]
fn arithmetic_is_exact_in_128_bits_and_null_beyond() {
    holds("rows_returned + rows_returned = 36893488147419103230");
    holds("bytes_in - rows_returned = -18446744073709551615");
    holds("rows_returned * persons > rows_returned");
    holds("persons + 1 * 2 = 9 and (persons + 1) * 2 = 16 and persons - 2 - 1 = 4");
    holds("-persons = -7 and - -persons = 7 and +persons = 7");
    unknown("rows_returned * rows_returned * rows_returned > 0");
    unknown("99999999999999999999999999999999999999 * 99 > 0");
    holds("rows_returned * rows_returned * rows_returned is null");
}

#[test]
fn texts_compare_by_their_bytes() {
    holds("db_user = 'clerk' and db_user <> 'Clerk' and db_user < 'clerks' and db_user > 'Z' and 'a' < db_user");
    holds("query >= 'SELECT'");
    holds("db_user <> application_name");
    holds("lower(application_name) = 'dbeaver 24.1' and lower('ÄB') = 'äb'");
    holds("db_user = 'it''s' or db_user = 'clerk'");
}

#[test]
fn length_is_in_characters_and_cardinality_in_entries() {
    holds("length(query) = 19 and length('顧客') = 2 and length('') = 0");
    holds("cardinality(relations) = 2 and cardinality(functions) = 0");
}

#[test]
fn times_compare_with_texts_that_are_times_whatever_their_offset() {
    holds("at = '2026-06-02T23:45:00+09:00' and at = '2026-06-02 14:45:00Z'");
    holds("at > '2026-06-02T14:44:59.999999Z' and '2026-06-03T00:00:00Z' > at");
    holds("at between '2026-06-02T00:00:00Z' and '2026-06-03T00:00:00Z'");
}

#[test]
fn hour_weekday_and_holiday_are_the_time_zones() {
    holds("hour = 23 and weekday = 2 and not holiday");
    fails("holiday");
    let mut record = record();
    // 2026-11-23T00:30 in Tokyo, Labour Thanksgiving Day, a Monday.
    record.common.at = Timestamp("2026-11-22T15:30:00Z".parse::<jiff::Timestamp>().expect("a time").as_microsecond());
    assert_eq!(eval("hour = 0 and weekday = 1 and holiday", &record), Tri::True);
}

#[test]
fn in_and_between_and_their_negations() {
    holds("persons in (1, 7, -3) and persons not in (1, 8)");
    holds("db_user in ('clerk', 'manager') and db_user not in ('Clerk')");
    fails("db_user in ('clerks') or persons in (-7)");
    holds("persons between 7 and 7 and persons between 1 and 9 and persons not between 8 and 9");
    fails("persons between 9 and 1");
    holds("db_user between 'a' and 'd'");
    holds("persons + 1 in (8) and length(db_user) in (5)");
}

#[test]
fn like_knows_case_and_ilike_does_not() {
    holds("application_name like 'DBeaver%' and application_name not like 'dbeaver%'");
    holds("application_name ilike 'dbeaver%' and application_name not ilike '%psql%'");
    holds("db_user like 'cl_rk' and db_user not like 'cl_k' and db_user like 'clerk'");
    holds("query like '%100\\%%顧_' and query not like '%100\\_%'");
    holds("query like 'SELECT%顧客'");
}

#[test]
fn has_looks_for_one_entry_and_in_list_for_entries_and_stars() {
    holds("has(relations, 'shop.cards') and not has(relations, 'shop') and not has(functions, 'shop.cards')");
    holds("has(relations, lower('SHOP.CARDS'))");
    holds("in_list(application_name, 'tools') and not in_list(db_user, 'tools')");
    holds("in_list(lower('BATCH'), 'service_accounts')");
}

#[test]
fn names_and_keywords_are_read_in_any_case() {
    holds("PERSONS = 7 AND Db_User LIKE 'clerk' Or FALSE");
    holds("\"persons\" = 7");
    holds("LOWER(DB_USER) = 'clerk' and Has(RELATIONS, 'shop.cards')");
}

/// As PostgreSQL has them (manual, 4.1.6 Operator Precedence).
#[test]
fn operators_bind_as_in_postgresql() {
    // OR < AND < NOT < IS < comparison < BETWEEN, IN, LIKE < + - < * < unary minus.
    holds("true or false and false");
    fails("(true or false) and false");
    holds("not false and true");
    fails("not (false or true)");
    holds("not persons = 8");
    holds("not persons in (8) and not permit is not null");
    holds("permit is null = true or true");
    holds("persons = 7 is true");
    holds("persons between 1 and 3 + 4 and db_user = 'clerk'");
    holds("persons - 3 * 2 = 1 and -persons + 8 = 1");
    holds("persons > 1 and permit = 'x' or db_user = 'clerk'");
    holds("not not persons = 7");
}

#[test]
fn the_limit_is_what_a_number_has_to_exceed() {
    let limit = |condition: &str| {
        let condition = compile(condition).expect("it compiles");
        condition.limit().map(|(column, number)| (column.name, number))
    };
    assert_eq!(limit("persons > 1000"), Some(("persons", 1_000)));
    assert_eq!(limit("1000 < persons"), Some(("persons", 1_000)));
    assert_eq!(limit("db_user = 'x' and rows_returned >= 10 and persons > 5"), Some(("rows_returned", 9)));
    assert_eq!(limit("persons >= 0"), Some(("persons", 0)));
    for none in ["persons < 5", "persons > 5 or persons = 1", "persons > 1 + 1", "not persons > 5", "persons > -5"] {
        assert_eq!(limit(none), None, "{none}");
    }
}
