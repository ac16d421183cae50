//! What is understood of statements, and that no literal ever survives.

use proptest::prelude::*;

use super::*;

fn one(text: &str) -> Analysis {
    let mut analyses = analyze(text);
    assert_eq!(analyses.len(), 1, "{text}");
    analyses.remove(0)
}

/// `table.column` for each column that reaches the client, `*` for all, `~` before what is not plain, `?` before what depends on the catalog.
fn columns(text: &str) -> String {
    match one(text).output {
        Output::Unknown => "unknown".to_owned(),
        Output::Nothing => "nothing".to_owned(),
        Output::Columns(columns) => {
            let shown = columns.iter().map(|column| {
                let relation = column.relation.as_ref().map_or("?", |relation| &relation.name);
                let name = column.column.as_deref().unwrap_or("*");
                let sought = if column.sought.is_some() { "?" } else { "" };
                format!("{sought}{}{relation}.{name}", if column.plain { "" } else { "~" })
            });
            shown.collect::<Vec<_>>().join(" ")
        }
    }
}

fn names(relations: &[RelationName]) -> String {
    let shown = relations.iter().map(|relation| match &relation.schema {
        Some(schema) => format!("{schema}.{}", relation.name),
        None => relation.name.to_string(),
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn columns_that_reach_the_client_are_followed() {
    let cases = [
        ("select email from customers where phone = '1'", "customers.email"),
        ("select * from shop.customers", "customers.*"),
        ("select c.* from customers c join orders o on o.customer_id = c.id", "customers.*"),
        ("select count(*), count(email) from customers", ""),
        ("select lower(email) || name from customers", "~customers.email ~customers.name"),
        ("select email from (select * from customers) s", "customers.email"),
        ("select x from (select email as x, name from customers) s", "customers.email"),
        ("with s as (select id, email as e from customers) select e from s", "customers.email"),
        ("with customers as (select 1 as email) select email from customers", ""),
        ("with recursive t(n) as (select 1 union all select n + 1 from t) select n from t", ""),
        // From one column to the next, and in whatever order.
        (
            "with recursive t(a, b, c) as (select '', '', email from customers union all select b, c, c from t) select a from t",
            "customers.email",
        ),
        (
            "with recursive t(a, b, c) as ((select '', '', email from customers union all (select b, c, c from t))) select b from t",
            "customers.email",
        ),
        (
            "with recursive b as (select v from a), a as (select lower(email) as v from customers) select v from b",
            "~customers.email",
        ),
        ("with recursive a as (select v from b), b as (select v from a) select v from b", "unknown"),
        (
            "with recursive t(v) as (with u as (select email from customers) select email from u union all select v from t) select v from t",
            "customers.email",
        ),
        ("select c from customers c", "?~customers.* ?customers.c"),
        ("select email from customers union select note from orders", "customers.email orders.note"),
        ("select o.id from orders o where exists (select 1 from customers)", "orders.id"),
        ("select json_agg(c) from customers c", "?~customers.* ?~customers.c"),
        ("select row_to_json(c.*) from customers c", "~customers.*"),
        ("insert into orders values (1)", "nothing"),
        ("insert into customers (email) values ('x') returning id, email", "customers.email customers.id"),
        ("update customers set email = 'x' where id = 1 returning *", "customers.*"),
        ("delete from customers where id = 1", "nothing"),
        ("copy customers to stdout", "customers.*"),
        (
            "copy customers (id, email) to stdout (format csv)",
            "customers.email customers.id"
                .replace("customers.email customers.id", "customers.id customers.email")
                .leak(),
        ),
        ("copy (select email from customers) to stdout", "customers.email"),
        ("copy customers from stdin", "nothing"),
        ("explain analyze select email from customers", "nothing"),
        ("create table t as select * from customers", "nothing"),
        ("table customers", "customers.*"),
        ("with c as (select email from customers) table c", "customers.email"),
        ("values (1), (2)", ""),
        (
            "select case when name = 'x' then email else phone end from customers",
            "~customers.email ~customers.name ~customers.phone",
        ),
        ("select email, total from customers, orders", "?customers.email ?customers.total ?orders.email ?orders.total"),
        ("select generate_series(1, 3)", ""),
        ("select g from generate_series(1, 3) g", ""),
        ("begin", "nothing"),
        // A column that has the name of a type, under a quoted name; and one that has the name of what is called without parentheses.
        ("select date \"a\", text \"b\" from customers", "customers.date customers.text"),
        ("select '' || date \"a\" from customers", "unknown"),
        ("select c.user, 1 from customers c", "customers.user"),
        ("select lower(c.current_user || 'x') from customers c", "~customers.current_user"),
    ];
    for (text, expected) in cases {
        assert_eq!(columns(text), expected, "{text}");
    }
}

/// Where a name may mean several, each is there, with what it depends on.
#[test]
fn names_mean_columns_of_the_query_around_rows_and_parts_of_them() {
    let cases = [
        // A name that the table within may lack is one of the query around it.
        ("select (select email from customers where id = o.id) from orders o", "?~customers.email ?~orders.email"),
        ("select (select email from (select 1) as x) from customers", "~customers.email"),
        (
            "select (select email from (select id as email from orders) as x) from customers",
            "?~customers.id ?~orders.id",
        ),
        ("select (select (c).email from orders o) from customers c", "?~customers.c ~customers.email ?~orders.c"),
        ("select x.a from orders o, (select id as a from customers) x", "customers.id"),
        (
            "select c.email from only customers c join only orders on true where c.id in (select id from only staff)",
            "customers.email",
        ),
        ("select lower(shop.customers.email) from other.customers, shop.customers", "~customers.email"),
        ("select j.email from (customers c join orders o on true) as j", "?customers.email ?orders.email"),
        ("select (row(id, email)).f2 from customers", "~customers.email"),
        ("select u from (values (1, 'a')) as v (t, u)", ""),
        (
            "select email from (select id, email from orders union all select * from customers) x",
            "~customers.* orders.email",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(columns(text), expected, "{text}");
    }
}

#[test]
fn kinds_reads_and_writes() {
    let cases = [
        ("select 1", Kind::Select, "", ""),
        ("with x as (delete from orders returning *) select * from x", Kind::Select, "", "orders"),
        ("insert into a.b select * from c", Kind::Insert, "c", "a.b"),
        ("update orders set n = 1", Kind::Update, "", "orders"),
        ("copy customers to stdout", Kind::CopyOut, "customers", ""),
        ("copy customers from stdin", Kind::CopyIn, "", "customers"),
        ("create table t as select * from customers", Kind::Ddl, "customers", "t"),
        ("select * into t from customers", Kind::Ddl, "customers", "t"),
        ("grant select on customers to clerk", Kind::Grant, "", "customers"),
        ("alter role clerk password 'x'", Kind::Grant, "", ""),
        ("set search_path to shop", Kind::Set, "", ""),
        ("rollback to savepoint s", Kind::Transaction, "", ""),
        ("do $$ begin perform 1; end $$", Kind::Do, "", ""),
        ("vacuum", Kind::Other, "", ""),
        ("call f(1)", Kind::Call, "", ""),
        ("", Kind::Other, "", ""),
    ];
    for (text, kind, reads, writes) in cases {
        let found = one(text);
        assert_eq!(
            (found.kind, names(&found.reads).as_str(), names(&found.writes).as_str()),
            (kind, reads, writes),
            "{text}"
        );
    }
}

#[test]
fn effects_are_told() {
    let text = |text: &str| Text::from(text);
    let cases = [
        ("begin", vec![Effect::TransactionBegun]),
        ("commit", vec![Effect::TransactionCommitted]),
        ("rollback to s", vec![Effect::RolledBackToSavepoint]),
        ("set local role auditor", vec![Effect::Role { role: Some(text("auditor")), local: true }]),
        ("set session authorization 'Anna'", vec![Effect::Role { role: Some(text("Anna")), local: false }]),
        ("reset role", vec![Effect::Role { role: None, local: false }]),
        (
            "set search_path = shop, \"Odd\"",
            vec![Effect::Set { name: text("search_path"), value: Some(text("shop, Odd")), local: false }],
        ),
        (
            "set app.\"user\" = 'anna'",
            vec![Effect::Set { name: text("app.user"), value: Some(text("anna")), local: false }],
        ),
        ("set work_mem = '1GB'", vec![]),
        ("execute p(1)", vec![Effect::Execute { name: text("p") }]),
        ("deallocate all", vec![Effect::Deallocate { name: None }]),
        ("fetch 10 from c", vec![Effect::Fetch { name: text("c") }]),
        ("drop table t", vec![Effect::SchemaChanged]),
        ("grant clerks to anna", vec![Effect::SchemaChanged]),
        ("revoke admin option for clerks from anna", vec![Effect::SchemaChanged]),
        ("alter group clerks add user anna", vec![Effect::SchemaChanged]),
        ("drop role clerks", vec![Effect::SchemaChanged]),
        ("grant select on t to anna", vec![]),
    ];
    for (statement, effects) in cases {
        assert_eq!(one(statement).effects, effects, "{statement}");
    }
    let prepared = one("prepare p (int) as select email from customers where id = $1");
    let [Effect::Prepare { name, inner }] = &prepared.effects[..] else { panic!("{prepared:?}") };
    assert_eq!((&**name, names(&inner.reads).as_str()), ("p", "customers"));
}

#[test]
fn literals_and_comments_leave_the_text() {
    let cases = [
        ("select 'Taro', 42, 1.5, B'01', E'a\\n', $$x$$ -- note\n, $1", "select $2, $3, $4, $5, $6, $7 , $1"),
        ("alter role clerk password 'hush'", "alter role clerk password $1"),
        ("select /* user='anna' */ 1;", "select $1"),
        ("SELECT 'unterminated", "select …"),
        ("create user u passwort hush", "create user …"),
    ];
    for (text, expected) in cases {
        assert_eq!(&*one(text).query, expected, "{text}");
    }
}

#[test]
fn a_ticket_is_read_where_a_comment_names_one() {
    for (text, ticket) in [
        ("-- ticket: OPS-1234\nselect 1", Some("OPS-1234")),
        ("select 1 /* Ticket:OPS-1234, for the auditors */", Some("OPS-1234")),
        ("select 1 /*app='x',ticket='INC/7#2'*/", Some("INC/7#2")),
        ("/* nightly; ticket: A_1.2 */ select 1", Some("A_1.2")),
        ("--ticket:X\nselect 1 -- ticket: Y", Some("X")),
        ("select '-- ticket: OPS-1'", None),
        ("select 1 -- ticketing: OPS-1", None),
        ("select 1 -- no-ticket: OPS-1", None),
        ("select 1 -- ticket:", None),
        ("select 1 -- ticket: 見附", None),
    ] {
        assert_eq!(analyze(text)[0].ticket.as_deref(), ticket, "{text}");
    }
    assert_eq!(analyze(&format!("select 1 -- ticket: {}", "x".repeat(65)))[0].ticket, None);
}

#[test]
fn sqlcommenter_pairs_are_read() {
    let found = one("select 1 /*user='anna%20b',route='/x'*/");
    assert_eq!(found.comment_tags, [("user".into(), "anna b".into()), ("route".into(), "/x".into())]);
    let found = analyze("-- user='a'\nselect 1; /*user='b'*/ select 2 /*user='c'*/; select 3; -- user='d'");
    let users: Vec<Vec<&str>> =
        found.iter().map(|one| one.comment_tags.iter().map(|(_, value)| &**value).collect()).collect();
    assert_eq!(users, [vec!["a"], vec!["b", "c"], vec!["d"]], "before, within and behind");
}

#[test]
fn hostile_texts_cost_bounded_time_and_stack() {
    let plus = format!("select {}1", "1+".repeat(100_000));
    let ors = format!("select email from customers where {} true", "true or ".repeat(100_000));
    let parens = format!("select {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    let nots = format!("select {} true", "not ".repeat(50_000));
    let just_below = format!("select {}1", "1+".repeat(248));
    let unions = format!("select 1 {}", "union select 1 ".repeat(5_000));
    let casts = format!("select 1{}", "::int".repeat(5_000));
    let cases = format!("select {} 1 {}", "case when true then ".repeat(5_000), "end ".repeat(5_000));
    for text in [&unions, &casts, &cases] {
        assert!(!analyze(text).is_empty());
    }
    for text in [&plus, &ors, &parens, &nots, &just_below, &"(".repeat(1 << 20), &"\u{1}".repeat(1_000)] {
        assert!(!analyze(text).is_empty());
    }
    assert_eq!(analyze("select 1\0; drop table t").len(), 1);
}

#[test]
fn several_statements_are_several() {
    let kinds: Vec<Kind> = analyze("begin; select 1; ; commit").iter().map(|analysis| analysis.kind).collect();
    assert_eq!(kinds, [Kind::Transaction, Kind::Select, Kind::Transaction]);
}

proptest! {
    #[test]
    fn any_text_is_analysed(text in "\\PC{0,200}") {
        prop_assert!(!analyze(&text).is_empty());
    }

    #[test]
    fn no_literal_survives(marker in "[a-z]{12}", shape in 0..8_usize) {
        let secret = format!("zq{marker}");
        let text = match shape {
            0 => format!("select * from t where a = '{secret}' and b in ('{secret}', E'{secret}')"),
            1 => format!("insert into t values ($x${secret}$x$)"),
            2 => format!("alter role r password '{secret}'"),
            3 => format!("do $$ begin perform '{secret}'; end $$"),
            4 => format!("prepare p as select '{secret}'"),
            5 => format!("copy t from program '{secret}'"),
            6 => format!("select 1 -- {secret}\n"),
            _ => format!("selec t where a = {secret} '{secret}'"),
        };
        for analysis in analyze(&text) {
            prop_assert!(!format!("{analysis:?}").contains(&secret), "{:?}", analysis);
        }
    }
}

#[test]
fn a_text_is_cut_as_its_grammar_cuts_it() {
    for text in [
        "select 1",
        "  select 1 ; ",
        "select 1;;",
        "select ';'",
        "\n\tselect 'a' || b\n",
        "select 1; select 2",
        "begin; update t set a = ';' where b = 1; commit",
        "/* a */ select 1 -- b",
        "create function f() returns int begin atomic select 1; select 2; end",
        "",
        " ;",
    ] {
        // It keeps white space before a semicolon.
        let by_grammar = pg_query::split_with_parser(text).expect("statements").into_iter().map(str::trim_end);
        assert!(split(text).into_iter().map(str::trim_end).eq(by_grammar), "{text}");
    }
}

/// The grammar's summary names the target of a MERGE and nothing else.
#[test]
fn a_merge_reads_its_source_and_fills_what_it_names() {
    let merge = "with w as (select k from s.u) merge into t using (select a, b from v) x on x.a = t.id and f(t.id) \
        when matched and exists (select from w) then update set p = x.b, (q, r) = (select c, d from y) \
        when not matched then insert (id, p) values (x.a, default)";
    let analysis = one(merge);
    assert_eq!(
        (names(&analysis.reads), names(&analysis.writes)),
        (names(&one("select from s.u, v, y").reads), "t".into())
    );
    assert_eq!((analysis.functions, analysis.output, analysis.parse), (vec!["f".into()], Output::Nothing, Parse::Full));
    let sources = analysis.flows[0].columns.as_ref().unwrap();
    let filled = |name: &str| {
        let of = sources.iter().filter(|(its, _)| its.as_deref() == Some(name)).flat_map(|(_, refs)| refs);
        of.filter_map(|found| found.column.as_deref()).collect::<Vec<_>>().join(" ")
    };
    // What `y` lacks would be of `t`.
    assert_eq!((filled("p"), filled("id"), filled("r")), ("b".into(), "a".into(), "c c d d".into()));
    assert_eq!(columns("merge into t using v on true when matched then delete returning v.a, t.*"), "t.* v.a");
    assert_eq!(columns("merge into t using v on true when matched then delete returning merge_action()"), "nothing");
    assert_eq!(names(&one("explain analyze merge into t using v on true when matched then delete").reads), "v");
}

/// `relation.column < sources` for each that is filled.
fn filled(text: &str) -> String {
    let shown = one(text).flows.into_iter().map(|flow| {
        let columns = flow.columns.map(|columns| {
            let by_name = columns.iter().enumerate().map(|(at, (name, refs))| {
                let its = flow.names.get(at).or(name.as_ref()).map_or("*", |name| name);
                let from: Vec<_> = refs.iter().map(|found| found.column.as_deref().unwrap_or("*")).collect();
                format!("{its} < {}", from.join(" "))
            });
            by_name.collect::<Vec<_>>().join(", ")
        });
        format!("{}: {}", flow.into.name, columns.as_deref().unwrap_or("anything"))
    });
    shown.collect::<Vec<_>>().join("; ")
}

#[test]
fn what_writes_within_with_fills_what_it_names() {
    let within = one("with m as (merge into t using s.v on t.id = v.id when matched then update set p = v.b, \
        q = (select max(z) from y) returning v.a, t.p) select a from m where f(p)");
    assert_eq!((names(&within.reads), names(&within.writes)), (names(&one("select from s.v, y").reads), "t".into()));
    assert_eq!((within.code, within.parse), (None, Parse::Full));
    assert_eq!(within.functions, [Text::from("f"), "max".into()]);
    let merge = "merge into t using v on t.id = v.id when matched then update set p = v.b";
    let cases = [
        (format!("with m as ({merge} returning v.a) select * from m"), "t: p < b", "v.a"),
        (format!("with m as ({merge}) select a, c from u"), "t: p < b", "u.a u.c"),
        (format!("with w as (select a as b, id from x), m as ({merge}) select 1"), "t: p < b", ""),
        ("with v as (select a as b, id from x) ".to_owned() + merge, "t: p < a", "nothing"),
        (
            format!("with m as ({merge} returning v.a) insert into o (k) select a from m"),
            "t: p < b; o: k < a",
            "nothing",
        ),
        // What is returned may be what has been filled in.
        (
            format!("with m as ({merge} returning t.p as a) insert into o (k) select a from m"),
            "t: p < b; o: k < p b",
            "nothing",
        ),
        ("with i as (insert into t (p) select b from v returning p) select p from i".to_owned(), "t: p < b", "t.p"),
        (
            "with i as (insert into t (p) select b from v returning p) update o set k = p, l = 1 from i".to_owned(),
            "t: p < b; o: k < p b, l < ",
            "nothing",
        ),
        (
            "with w as (select a, b from v) insert into t (p, q) select b, 1 from w".to_owned(),
            "t: p < b, q < ",
            "nothing",
        ),
        ("with d as (delete from t using v where v.a = t.a returning t.b) select b from d".to_owned(), "", "t.b"),
        (
            "with recursive w as (select a from v) insert into t (p) select 1 from w".to_owned(),
            "t: anything",
            "nothing",
        ),
        (
            "with i as (insert into t (p) select b from v) select setval('s', n) from u".to_owned(),
            "t: p < b; s: anything",
            "~u.n",
        ),
        (
            "create table k as with i as (insert into t (p) select b from v returning p) select 1".to_owned(),
            "k: ?column? < ; t: anything",
            "nothing",
        ),
        ("copy (insert into t (p) select b from v returning p) to stdout".to_owned(), "t: p < b", "t.p"),
    ];
    for (text, fills, shows) in cases {
        assert_eq!((filled(&text).as_str(), columns(&text).as_str()), (fills, shows), "{text}");
    }
    // A MERGE of which the query before it is another one.
    let twice = one(
        "with m as (merge into t using s.v on true when matched then delete returning v.a) merge into o using m on true \
        when matched then update set k = m.a",
    );
    assert_eq!((names(&twice.reads), names(&twice.writes)), ("t s.v".into(), "o t".into()));
    let unfollowed =
        one("with recursive m as (merge into t using v on true when matched then delete returning a) select * from m");
    assert!(unfollowed.code.is_some_and(|code| code.relations.iter().any(|relation| &*relation.name == "v")));
}

/// What may be somebody's own: no product of stars, and no type of the grammar's.
#[test]
fn operators_and_types_that_something_is_cast_to_are_told() {
    let told = |text: &str| analyze(text).remove(0).operators.iter().map(ToString::to_string).collect::<Vec<_>>();
    let text = "select a % 7, count(*), t.*, d::other.hole, cast(e as hole), f::int, g::pg_catalog.text from t where x != 1 and b <= c";
    assert_eq!(told(text), ["%", "<=", "<>", "::hole"]);
    assert_eq!(told("select a as hole, b * c from t"), ["*"]);
}

/// What a column is made from does not grow without bound.
#[test]
fn names_that_double_with_every_query_around_end_as_unknown() {
    let nested = |step: &dyn Fn(&str) -> String| {
        let text = (0..30).fold("select a from t".to_owned(), |text, _| step(&text));
        one(&text).output
    };
    assert_eq!(nested(&|text| format!("select a || a as a from ({text}) x")), Output::Unknown);
    assert_eq!(nested(&|text| format!("select x.*, x.* from ({text}) x")), Output::Unknown);
    assert_eq!(nested(&|text| format!("with x as ({text}) select c.a || d.a as a from x c, x d")), Output::Unknown);
    let many = |count: usize, of: &dyn Fn(usize) -> String| (0..count).map(of).collect::<Vec<_>>().join(", ");
    let (names, tables) = (many(3_000, &|n| format!("c{n}")), many(3_000, &|n| format!("t{n}")));
    assert_eq!(one(&format!("select {names} from {tables}")).output, Output::Unknown);
    assert_eq!(one(&format!("select (select {names} from {tables} limit 1) from {tables}")).output, Output::Unknown);
}

#[test]
fn a_value_that_grows_from_row_to_row_holds_many_rows() {
    for (text, collects) in [
        (
            "with recursive t(v) as (select '' union all select v || (select email from customers) from t) select v from t",
            true,
        ),
        (
            "with recursive t(v) as (select name from customers union all select concat(v, c.name) from t, customers c) select v from t",
            true,
        ),
        (
            "with recursive t(n, v) as (select 1, name from customers union all select n + 1, c.name from t, customers c) select v from t",
            false,
        ),
        (
            "with recursive t(a, b) as (select id, name from customers union all select c.id, t.b from t, customers c) select * from t",
            false,
        ),
        (
            "insert into copies with recursive t(v) as (select name from customers union all select v from t) select v from t",
            true,
        ),
    ] {
        assert_eq!(one(text).collects, collects, "{text}");
        assert!(text.starts_with("insert") || super::collects(text) == collects, "{text}");
    }
}

#[test]
fn rows_of_queries_that_are_put_together_are_joined_where_they_are_in_both() {
    let joined = |second: &str| {
        let first = "select c.id, o.note from customers c, orders o where o.customer_id = c.id";
        one(&format!("{first} union all {second}")).joined.into_iter().filter(|joined| joined.of.0 <= 2).count()
    };
    assert_eq!(joined("select c.id, o.note from customers c join orders o on o.customer_id = c.id where o.x = 1"), 2);
    assert_eq!(joined("select c.id, o.note from customers c left join orders o on o.customer_id = c.id"), 1);
    assert_eq!(joined("select c.id, o.note from customers c, orders o where o.id = c.id"), 0);
    assert_eq!(joined("select c.id, o.note from customers c, orders o"), 0);
    assert_eq!(joined("select 1, 'x'"), 2);
    // The address of an earlier row beside another one's key.
    let again = "with recursive t(id, note) as (select c.id, o.note from customers c, orders o where o.customer_id = c.id \
        union all select d.id, t.note from t, customers d) select id, note from t";
    assert!(one(again).joined.is_empty(), "{:?}", one(again));
}

/// `a, b` are rows 1 and 2.
#[test]
fn names_without_a_table_join_what_they_are_meant_to_be() {
    let joined = |condition: &str| -> Vec<String> {
        let analysis = one(&format!("select a.x, b.y from a, b where {condition}"));
        let meant = |column: &ColumnRef| column.relation.as_ref().map_or("?", |name| &*name.name).to_owned();
        let text = |joined: &Joined| {
            let provided: Vec<String> = joined.provided.iter().map(meant).collect();
            let ((of, own), (to, other)) = (&joined.of, &joined.to);
            format!("{of}.{own} = {to}.{other} if {}", provided.join(" and "))
        };
        analysis.joined.iter().map(text).collect()
    };
    assert_eq!(
        joined("k = b.id"),
        ["1.k = 2.id if a", "2.id = 1.k if a", "2.k = 2.id if b", "2.id = 2.k if b"],
        "of either"
    );
    assert_eq!(joined("id = k").len(), 8);
    assert!(joined("a = b.id").is_empty(), "a row");
    assert!(joined("name = b.id").is_empty(), "a word of the grammar");
    let one_of_two = one("select u.id, b.y from (select id from a union all select id from c) u, b where id = b.k");
    assert!(one_of_two.joined.is_empty(), "{:?}", one_of_two.joined);
}

#[test]
fn a_row_in_parentheses_is_its_columns() {
    assert_eq!(columns("select (c).* from customers c"), "customers.* ?~customers.c");
    assert_eq!(columns("select 1, (c).*, lower(x) from (select a as x, b from t) c"), "~t.a t.a t.b");
    assert_eq!(columns("select (c).x from (select a as x, b from t) c"), "~t.a");
    assert_eq!(columns("select (c).x from (select a as x, b as c from t) c"), "~t.a ~t.b");
    assert_eq!(columns("select x.email from (select (c).* from customers c) x"), "?~customers.c customers.email");
    assert_eq!(columns("select (c.d).* from (select c as d from customers c) c"), "unknown");
    assert_eq!(columns("select (d).* from customers"), "?~customers.*");
}
