//! What a policy need not be asked.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::policy::{Config, load};

/// The kinds that a policy of that rest is asked about, sorted.
fn kinds(rest: &str) -> Vec<&'static str> {
    let engine = engine(&[rest]);
    let concerned = |name: &&&str| !engine.of_kind[name.parse::<Kind>().unwrap() as usize].is_empty();
    let mut kinds: Vec<&str> = Kind::ALL.iter().filter(concerned).copied().collect();
    kinds.sort_unstable();
    kinds
}

#[test]
fn a_policy_sees_the_kinds_that_it_can_concern_and_all_where_it_has_to() {
    assert_eq!(kinds("when: kind = 'select' and persons > 5"), ["select"]);
    assert_eq!(kinds("when: kind in ('ddl', 'grant') or (kind = 'do' and hour < 6)"), ["ddl", "do", "grant"]);
    assert_eq!(kinds("when: not (kind <> 'copy_out')"), ["copy_out"]);
    let all = Kind::ALL.len();
    assert_eq!(kinds("when: persons > 5").len(), all);
    assert_eq!(kinds("when: kind = 'select' or persons > 5").len(), all);
    assert_eq!(kinds("when: kind is null"), [""; 0], "a record without a kind is asked about anyway");
    assert_eq!(kinds("when: kind = 'select'\nbaseline: { by: [db_user], first: relation }").len(), all);
    let after =
        |when| format!("when: kind = 'select'\nafter:\n  by: [db_user]\n  within: 1h\n  times: 1\n  when: {when}");
    assert_eq!(kinds(&after("persons > 5")).len(), all);
    assert_eq!(kinds(&after("kind = 'do'")), ["do", "select"], "and those that it counts");
    let mut engine = engine(&["when: kind is null and persons > 5", "when: kind = 'select' and persons > 5"]);
    let of = |kind, seq| Statement { kind, ..statement(seq, 0, 6) };
    let found = [None, Some(Kind::Select), Some(Kind::Ddl)].map(|kind| engine.statement(&mut of(kind, 1)).len());
    assert_eq!(found, [1, 1, 0]);
}

#[test]
fn what_was_found_of_an_earlier_set_is_not_used() {
    let mut engine = engine(&["when: query = 'a'"]);
    let of = |seq| Statement { query: Some("b".into()), ..statement(seq, 0, 6) };
    let concerned = engine.concerned(&of(1), &|column| column.name == "query");
    assert!(concerned.judges.is_empty());
    engine.replace(Arc::new(set(&["when: query = 'b'"])));
    assert_eq!(engine.statement_after(&mut of(2), Some(&concerned), None).len(), 1);
}

static BUILT_IN: LazyLock<Arc<PolicySet>> = LazyLock::new(|| Arc::new(load(&Config::default()).unwrap()));

const SETTLED: [&str; 4] = ["query", "kind", "relations", "functions"];

/// One of few texts, kinds and lists, so that policies match now and then.
fn statements() -> impl Strategy<Value = Statement> {
    let texts = [
        "select email from shop.customers",
        "grant all on t to public",
        "alter system set log_statement = $1",
        "select $1 where a = $2 or $3 = $3",
        "create function f() returns int language plpythonu security definer",
        "copy t to program $1",
        "drop table shop.customers",
    ];
    let relations = ["shop.customers", "pg_catalog.pg_authid", "pg_catalog.pg_class", "shop.orders"];
    let functions = ["pg_sleep", "dblink", "pg_read_file"];
    let subset = |names: &'static [&'static str]| proptest::sample::subsequence(names, 0..=names.len());
    let settled = (
        proptest::sample::select(texts.to_vec()),
        proptest::sample::select(Kind::ALL.to_vec()),
        subset(relations.to_vec().leak()),
        subset(functions.to_vec().leak()),
    );
    let rest = (
        prop_oneof![Just(0_u64), Just(1), Just(500), Just(5_000)],
        proptest::sample::select(vec!["clerk", "postgres", "app"]),
        proptest::sample::select(vec!["psql", "shop"]),
        0..20 * DAY,
        any::<bool>(),
    );
    (settled, rest).prop_map(|((query, kind, relations, functions), (persons, user, application, at, ok))| {
        let list = |names: Vec<&str>| Some(names.into_iter().map(Text::from).collect());
        Statement {
            query: Some(query.into()),
            kind: kind.parse().ok(),
            relations: list(relations),
            functions: list(functions),
            columns: list(if persons > 0 { vec!["shop.customers.email"] } else { Vec::new() }),
            rows_returned: Some(persons),
            application_name: Some(application.into()),
            outcome: Some(if ok { Outcome::Ok } else { Outcome::Error }),
            ..by(user, statement(0, at, persons))
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Over the built-in policies: whom a statement concerns is found by another that is like it in what is settled.
    #[test]
    fn nothing_that_would_be_found_is_ruled_out(records in proptest::collection::vec(statements(), 1..60)) {
        let (mut asking_all, mut asking_few) = (Engine::new(BUILT_IN.clone()), Engine::new(BUILT_IN.clone()));
        let (mut asking_alike, mut known) = (Engine::new(BUILT_IN.clone()), Alike::default());
        for (seq, mut record) in (1..).zip(records) {
            record.common.seq = seq;
            let alike = Statement {
                query: record.query.clone(),
                kind: record.kind,
                relations: record.relations.clone(),
                functions: record.functions.clone(),
                ..Statement::default()
            };
            let concerned = asking_few.concerned(&alike, &|column| SETTLED.contains(&column.name));
            prop_assert!(concerned.judges.len() <= asking_few.of_any.len());
            let (mut few, mut like) = (record.clone(), record.clone());
            // All of them, whatever its kind.
            asking_all.of_kind.clear();
            let expected = asking_all.statement(&mut record);
            prop_assert_eq!(&asking_few.statement_after(&mut few, Some(&concerned), None), &expected);
            prop_assert_eq!(few.policies, record.policies.clone());
            prop_assert_eq!(asking_alike.statement_like(&mut like, &mut known), expected);
            prop_assert_eq!(like.policies, record.policies);
        }
    }
}
