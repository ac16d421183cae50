//! What statements are understood to touch, with a catalog and without.

use std::path::Path;

use super::doubted::{Doubt, Written};
use super::functions::Function;
use super::snapshot::{Listed, View};
use super::*;
use crate::clock::Timestamp;
use crate::sql;

const CLASSIFICATION: &str = "\
levels: [internal, personal, sensitive]
tables:
  shop.customers:
    subject: id
    columns: { email: personal, name: personal, my_number: sensitive }
  \"*.*\": { columns: { \"*phone*\": personal } }
";

fn listed(oid: u32, schema: &str, name: &str, kind: char, size: Option<u64>, columns: &[&str]) -> Listed {
    let columns = (1..).zip(columns).map(|(number, name)| (Text::from(*name), number)).collect();
    Listed { oid, schema: schema.into(), name: name.into(), kind, size, columns }
}

fn view(oid: u32, definition: &str) -> (u32, Arc<View>) {
    (oid, Arc::new(View::new(String::new(), definition.to_owned())))
}

fn rows() -> Rows {
    let text = |text: &str| Text::from(text);
    Rows {
        relations: vec![
            listed(1, "shop", "customers", 'p', Some(500), &["id", "email", "created"]),
            listed(2, "shop", "customers_2026", 'r', Some(300), &["id", "email"]),
            listed(3, "shop", "contacts", 'v', None, &["who", "mail"]),
            listed(4, "shop", "orders", 'r', None, &["id", "note"]),
            listed(5, "public", "notes", 'r', None, &["body", "labelled"]),
            listed(6, "shop", "loud", 'v', None, &["x"]),
        ],
        views: vec![
            view(3, "SELECT c.id AS who, c.email AS mail FROM shop.customers c;"),
            view(6, "SELECT something_odd(k.mail) OVER strange AS x FROM ROWS FROM (f()) k;"),
        ],
        view_calls: Vec::new(),
        dependencies: vec![(3, 1, 1), (3, 1, 2), (6, 3, 2)],
        inherits: vec![(2, 1)],
        unique: vec![(1, 1)],
        comments: vec![(4, 2, "free text @personal".to_owned()), (5, 2, "once @personal".to_owned())],
        labels: vec![(5, 2, "classification:sensitive".to_owned()), (5, 1, "system_u:object_r:other_t:s0".to_owned())],
        functions: vec![Function {
            schema: text("shop"),
            name: text("leak"),
            language: text("plpython3u"),
            ..Function::default()
        }],
        computed: Vec::new(),
        references: Vec::new(),
        dependents: Vec::new(),
        written: None,
        written_by: Timestamp(0),
        generated: Vec::new(),
        unnamed: Vec::new(),
        triggers: Vec::new(),
        rules: Vec::new(),
        widths: vec![(1, 1, 4), (1, 2, 20)],
        operators: Vec::new(),
        function_oids: Arc::default(),
        foreign: Vec::new(),
        foreign_columns: Vec::new(),
        published: Vec::new(),
        built_in: vec![text("lower"), text("count")],
        search_path: vec![text("$user"), text("public")],
        login_paths: Vec::new(),
        members: Default::default(),
    }
}

fn catalog() -> Catalog {
    let classification = Classification::parse(CLASSIFICATION, Path::new("c.yaml")).expect("faultless");
    let catalog = Catalog::new(classification);
    catalog.seen("shop");
    catalog.put("shop", rows(), 0);
    catalog
}

fn context(database: &str) -> Context {
    Context {
        database: database.into(),
        role: "clerk".into(),
        search_path: Some(vec!["shop".into(), "public".into()]),
        ..Context::default()
    }
}

fn understand(text: &str, database: &str, wire: Option<&[Origin]>) -> Understanding {
    let analysis = sql::analyze(text).remove(0);
    catalog().understand(&analysis, &context(database), wire)
}

fn origin(name: &str, table_oid: u32, attribute: i16) -> Origin {
    Origin { name: name.to_owned(), table_oid, attribute, type_oid: 25 }
}

fn columns(understanding: &Understanding) -> Vec<&str> {
    understanding.columns.iter().map(|column| &**column).collect()
}

#[test]
fn the_wire_decides_where_every_column_is_plain() {
    let wire = [origin("id", 1, 1), origin("email", 1, 2)];
    let found = understand("select id, email from customers", "shop", Some(&wire));
    assert_eq!(columns(&found), ["shop.customers.email"]);
    assert_eq!(found.relations_read, [Text::from("shop.customers")]);
    assert_eq!((found.certainty, found.state), (Certainty::Exact, CatalogState::Fresh));
    assert_eq!(found.people, PeopleRule::EachRowOne);
    assert_eq!(found.level.as_deref(), Some("personal"));
}

#[test]
fn an_expression_is_followed_in_the_text() {
    let found = understand("select lower(email) from customers", "shop", Some(&[origin("lower", 0, 0)]));
    assert_eq!(columns(&found), ["shop.customers.email"]);
    assert_eq!((found.certainty, found.people), (Certainty::Inferred, PeopleRule::AtMostInRow(1)));
    let counted = understand("select count(*) from customers", "shop", Some(&[origin("count", 0, 0)]));
    assert!(counted.columns.is_empty() && !counted.personal);
}

#[test]
fn a_view_is_its_base_tables() {
    let found = understand("select mail from contacts", "shop", Some(&[origin("mail", 3, 2)]));
    assert_eq!(columns(&found), ["shop.customers.email"]);
    assert_eq!(found.relations_read, [Text::from("shop.customers")]);
    // One whose definition cannot be followed shows all that it depends on.
    let found = understand("select x from loud", "shop", Some(&[origin("x", 6, 1)]));
    assert_eq!(columns(&found), ["shop.customers.email"]);
}

#[test]
fn people_are_counted_by_subject_columns_of_tables_partitions_and_views() {
    let subjects = catalog().subject_columns("shop");
    let mut places: Vec<_> = subjects.columns.keys().copied().collect();
    places.sort_unstable();
    assert_eq!(places, [(1, 1), (2, 1), (3, 1)]);
}

/// In a table, its partitions and views over it; under another name of the table, too. Of what COPY sends, only where it reads one of these.
#[test]
fn baits_lie_wherever_the_subject_column_of_their_table_is() {
    let yaml = format!("{CLASSIFICATION}baits:\n  - {{ name: bait, table: shop.customers, subject: 900001 }}\n");
    let catalog = catalog();
    catalog.set_classification(Classification::parse(&yaml, std::path::Path::new("c.yaml")).expect("faultless"));
    let lies_in = |catalog: &Catalog| {
        let found: Vec<Text> = vec!["bait".into()];
        ["shop.customers", "shop.customers_2026", "shop.contacts", "shop.orders", "archive.clients"]
            .into_iter()
            .filter(|name| !catalog.baits_of("shop", Kind::CopyOut, Some(&[(*name).into()]), &found).is_empty())
            .collect::<Vec<_>>()
    };
    assert_eq!(lies_in(&catalog), ["shop.customers", "shop.customers_2026", "shop.contacts"]);
    let mut renamed = rows();
    renamed.relations[0].schema = "archive".into();
    renamed.relations[0].name = "clients".into();
    catalog.put("shop", renamed, 0);
    assert!(lies_in(&catalog).contains(&"archive.clients"), "{:?}", lies_in(&catalog));
    let found: [Text; 1] = ["bait".into()];
    let told = |kind, relations: Option<&[Text]>| catalog.baits_of("shop", kind, relations, &found).len();
    // What is not understood may have read it; a row of a result is its table's for certain; a base backup is no result.
    assert_eq!(told(Kind::CopyOut, None), 1);
    assert_eq!(told(Kind::Select, Some(&["shop.orders".into()])), 1);
    assert_eq!(told(Kind::Replication, None), 0);
}

#[test]
fn partitions_and_comments_are_classified() {
    let found = understand("select email from customers_2026", "shop", Some(&[origin("email", 2, 2)]));
    assert_eq!(columns(&found), ["shop.customers_2026.email"]);
    let found = understand("select note from orders", "shop", Some(&[origin("note", 4, 2)]));
    assert_eq!(columns(&found), ["shop.orders.note"]);
}

/// Renamed, moved, and a column renamed, by somebody who did not come through here; and read again once more, with the classification.
#[test]
fn what_is_renamed_is_followed_by_oid() {
    let catalog = catalog();
    let mut renamed = rows();
    renamed.relations[0].schema = "archive".into();
    renamed.relations[0].name = "clients".into();
    renamed.relations[0].columns = ["id", "contact", "created"].map(Text::from).into_iter().zip(1..).collect();
    let analysis = sql::analyze("select id, contact from archive.clients").remove(0);
    for _ in 0..2 {
        catalog.put("shop", renamed.clone(), 0);
        let wire = [origin("id", 1, 1), origin("contact", 1, 2)];
        let found = catalog.understand(&analysis, &context("shop"), Some(&wire));
        assert_eq!(columns(&found), ["shop.customers.email"]);
        assert!(found.personal && found.certainty != Certainty::Exact);
        assert!(catalog.subject_columns("shop").columns.contains_key(&(1, 1)));
    }
    assert!(catalog.has_grown() && !catalog.has_grown());
    let reload = |yaml: &str| {
        catalog.set_classification(Classification::parse(yaml, Path::new("c.yaml")).unwrap());
        catalog.put("shop", renamed.clone(), 0);
        catalog.subject_columns("shop").columns.contains_key(&(1, 1))
    };
    assert!(reload(CLASSIFICATION));
    assert!(!reload(&CLASSIFICATION.replace("subject: id", "")), "nobody is counted by it any more");
}

/// A rule's own relations, and those of the rules that it sets off; of the event alone.
#[test]
fn what_rules_touch_is_named() {
    let catalog = catalog();
    catalog.put("shop", Rows { rules: vec![(1, '2', 4), (4, '3', 5)], ..rows() }, 0);
    let written = |text: &str| {
        let analysis = sql::analyze(text).remove(0);
        let found = catalog.understand(&analysis, &context("shop"), None);
        found.relations_written.iter().map(ToString::to_string).collect()
    };
    let ruled: Vec<String> = written("update customers set email = 'x'");
    assert_eq!(ruled, ["public.notes", "shop.customers", "shop.orders"]);
    let plain: Vec<String> = written("delete from customers");
    assert_eq!(plain, ["shop.customers"]);
    let copied: Vec<String> = written("copy shop.orders from stdin");
    assert_eq!(copied, ["shop.orders"]);
}

/// As PostgreSQL ranks them.
#[test]
fn a_session_begins_with_the_search_path_of_its_role_and_database() {
    let path = |role: Option<&str>, of_database: bool, schema: &str| snapshot::LoginPath {
        role: role.map(Text::from),
        of_database,
        path: vec![schema.into()],
    };
    let paths = vec![
        path(None, true, "of_database"),
        path(Some("clerk"), false, "of_role"),
        path(Some("chief"), false, "of_role"),
        path(Some("chief"), true, "of_both"),
    ];
    let snapshot =
        Snapshot::build(&Rows { login_paths: paths, ..rows() }, &Classification::built_in(), &Lineage::default(), None);
    let first = |role: &str| snapshot.login_path(role)[0].to_string();
    assert_eq!([first("chief"), first("clerk"), first("other")], ["of_both", "of_role", "of_database"]);
}

/// Of a comment and a label the higher one counts; a label of another purpose says nothing.
#[test]
fn security_labels_are_classified() {
    let found = understand("select labelled from notes", "shop", Some(&[origin("labelled", 5, 2)]));
    assert_eq!((columns(&found), found.level.as_deref()), (vec!["public.notes.labelled"], Some("sensitive")));
    let found = understand("select body from notes", "shop", Some(&[origin("body", 5, 1)]));
    assert!(columns(&found).is_empty());
}

#[test]
fn copy_is_exact_and_counts_each_row() {
    let found = understand("copy shop.customers to stdout", "shop", None);
    assert_eq!(columns(&found), ["shop.customers.email"]);
    assert_eq!((found.certainty, found.people), (Certainty::Exact, PeopleRule::EachRowOne));
}

#[test]
fn what_cannot_be_followed_is_assumed_to_be_the_worst() {
    let chain = format!("select email from customers where {} true", "true or ".repeat(2_000));
    let found = understand(&chain, "shop", Some(&[origin("email", 0, 0)]));
    assert_eq!((found.certainty, columns(&found)), (Certainty::Assumed, vec!["shop.customers.email"]));
    let found = understand("select leak(1)", "shop", Some(&[origin("leak", 0, 0)]));
    assert_eq!(found.certainty, Certainty::Assumed);
}

#[test]
fn without_a_catalog_names_are_judged() {
    let wire = [origin("id", 77, 1), origin("email", 77, 2)];
    let found = understand("select * from customers", "elsewhere", Some(&wire));
    assert_eq!(columns(&found), ["shop.customers.email"]);
    assert_eq!((found.certainty, found.state), (Certainty::Inferred, CatalogState::None));
    let found = understand("select home_phone from people", "elsewhere", Some(&[origin("home_phone", 78, 2)]));
    assert_eq!(columns(&found), ["shop.people.home_phone"]);
    let found = understand("copy customers to stdout", "elsewhere", None);
    assert_eq!(columns(&found), ["shop.customers.email", "shop.customers.my_number", "shop.customers.name"]);
}

#[test]
fn a_change_makes_it_stale_until_it_is_read_again() {
    let catalog = catalog();
    assert!(catalog.is_fresh("shop"));
    catalog.schema_changed("shop", &[]);
    assert!(!catalog.is_fresh("shop"));
    catalog.put("shop", rows(), 0);
    assert!(!catalog.is_fresh("shop"), "read before the change");
    catalog.put("shop", rows(), catalog.changes("shop"));
    assert!(catalog.is_fresh("shop"));
}

/// A default that calls a function, and a trigger that assigns to the row: what they read is in the column.
#[test]
fn a_column_that_is_computed_holds_what_its_code_reads() {
    let text = |text: &str| Text::from(text);
    let mail_of = Function {
        schema: text("shop"),
        name: text("mail_of"),
        language: text("sql"),
        body: "select email from shop.customers where id = $1".to_owned(),
        ..Function::default()
    };
    let fills = "begin if new.note = '' then new.id := (select c.email from shop.customers c); end if; return new; end";
    let rows = Rows {
        functions: vec![mail_of],
        computed: vec![(5, 1, text("shop.mail_of"))],
        triggers: vec![
            (4, fills.to_owned()),
            (5, "begin perform email from shop.customers; return new; end".to_owned()),
        ],
        ..rows()
    };
    let classification = Classification::parse(CLASSIFICATION, Path::new("c.yaml")).expect("faultless");
    let snapshot = Snapshot::build(&rows, &classification, &Lineage::default(), None);
    let shown = |oid: u32, column: &str| {
        let relation = snapshot.relation(oid).expect("there");
        relation.shows(Some(column)).into_iter().map(|found| found.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(shown(5, "body"), ["shop.customers.email"]);
    assert_eq!(shown(5, "labelled"), ["public.notes.labelled"]);
    assert_eq!(shown(4, "id"), ["shop.customers.email"]);
    assert_eq!(shown(4, "note"), ["shop.orders.note"]);
}

/// A view over a table that a trigger fills, which a function reads, which a trigger of a third table reads and writes a fourth with: all of it is
/// followed. And when the code is gone, and a partition no longer one, what is there stays what it is.
#[test]
fn what_code_fills_is_followed_to_its_end_and_stays_when_the_code_is_gone() {
    let text = |text: &str| Text::from(text);
    let reads = Function {
        schema: text("shop"),
        name: text("reads"),
        language: text("plpgsql"),
        body: "begin return (select n from shop.over); end".to_owned(),
        ..Function::default()
    };
    let mut laid = Rows {
        functions: vec![reads],
        triggers: vec![
            (4, "begin insert into shop.end select shop.reads(); return new; end".to_owned()),
            (1, "begin insert into shop.first values (new.email); return new; end".to_owned()),
        ],
        ..rows()
    };
    laid.relations.push(listed(7, "shop", "first", 'r', None, &["n"]));
    laid.relations.push(listed(8, "shop", "over", 'v', None, &["n"]));
    laid.relations.push(listed(9, "shop", "end", 'r', None, &["n"]));
    laid.views.push(view(8, "SELECT first.n FROM shop.first;"));
    laid.dependencies.push((8, 7, 1));
    let mut gone = Rows { triggers: Vec::new(), inherits: Vec::new(), ..laid.clone() };
    gone.views.retain(|(oid, _)| *oid != 8);
    gone.relations.retain(|listed| listed.oid != 8);
    let catalog = catalog();
    for rows in [laid, gone] {
        catalog.put("shop", rows, 0);
        let read = |text: &str| {
            let understanding = catalog.understand(&sql::analyze(text).remove(0), &context("shop"), None);
            (understanding.columns.iter().map(ToString::to_string).collect::<Vec<_>>(), understanding.certainty)
        };
        for end in ["select n from shop.first", "select n from shop.end"] {
            let (columns, certainty) = read(end);
            assert!(columns.contains(&"shop.customers.email".to_owned()), "{end}: {columns:?}");
            assert_ne!(certainty, Certainty::Exact, "{end}");
        }
        assert_eq!(read("select email from shop.customers_2026").0, ["shop.customers_2026.email"]);
    }
}

/// What a table was filled with stays in the catalog as it was read; once the table was emptied that is no more than a guess.
#[test]
fn what_was_emptied_since_the_catalog_was_read_is_in_doubt() {
    let catalog = catalog();
    let mut own = std::sync::Arc::default();
    let mut run = |text: &str| {
        let understanding = catalog.understand(&sql::analyze(text).remove(0), &context("shop"), None);
        catalog.learn("shop", &mut own, &understanding.consequences, true);
        (understanding.columns.len(), understanding.certainty)
    };
    run("insert into notes (body) select email from shop.customers");
    catalog.put("shop", rows(), 0);
    assert_eq!(run("select body from notes"), (1, Certainty::Inferred));
    run("truncate notes");
    assert_eq!(run("select body from notes"), (1, Certainty::Assumed));
}

/// Of its own columns' making, and of what inherits from it: in views over it, too.
#[test]
fn a_generated_column_and_a_parent_hold_what_they_are_made_of() {
    let mut rows = Rows { generated: vec![(1, 3, 2)], ..rows() };
    rows.relations.push(listed(7, "shop", "above", 'r', None, &["email", "id"]));
    rows.relations.push(listed(8, "shop", "over", 'v', None, &["e"]));
    rows.inherits.push((1, 7));
    rows.views.push(view(8, "SELECT above.email AS e FROM shop.above;"));
    rows.dependencies.push((8, 7, 1));
    let classification = Classification::parse(CLASSIFICATION, Path::new("c.yaml")).expect("faultless");
    let snapshot = Snapshot::build(&rows, &classification, &Lineage::default(), None);
    let shown = |oid: u32, column: &str| {
        let relation = snapshot.relation(oid).expect("there");
        let shown = relation.shows(Some(column)).into_iter().map(|found| found.name.to_string());
        (shown.collect::<Vec<_>>(), relation.subject, relation.filled)
    };
    let email = || vec!["shop.customers.email".to_owned()];
    assert_eq!(shown(1, "created"), (email(), Some(1), true));
    assert_eq!(shown(7, "email"), (email(), Some(2), true));
    assert_eq!(shown(8, "e"), (email(), None, true));
}

/// Names that changed, until the catalog is read; in the session's own transaction for as long as that is open.
#[test]
fn what_shifted_is_the_worst_until_the_catalog_is_read() {
    let catalog = catalog();
    let run = |text: &str, own: &Arc<Own>| {
        let context = Context { own: Arc::clone(own), ..context("shop") };
        let found = catalog.understand(&sql::analyze(text).remove(0), &context, None);
        (found.columns.len(), found.certainty)
    };
    let (nobodys, mut own) = (Arc::default(), Arc::<Own>::default());
    assert_eq!(run("select created from customers", &nobodys), (0, Certainty::Inferred));
    catalog.schema_changed("shop", &["created".into(), "customers".into()]);
    assert_eq!(run("select created from customers", &nobodys), (1, Certainty::Assumed));
    assert_eq!(run("select id from customers", &nobodys), (0, Certainty::Inferred));
    assert_eq!(run("select count(*) from customers", &nobodys).0, 0);
    catalog.put("shop", rows(), catalog.changes("shop"));
    assert_eq!(run("select created from customers", &nobodys), (0, Certainty::Inferred));
    Arc::make_mut(&mut own).shift(&["created".into(), "customers".into(), "lower".into()]);
    assert_eq!(run("select created from customers", &own), (1, Certainty::Assumed));
    assert_eq!(run("select lower('x')", &own).1, Certainty::Assumed);
    assert_eq!(Arc::make_mut(&mut own).settle().map(|names| names.len()), Some(3));
    assert!(own.is_empty());
}

/// After code that may have changed the schema, by a name that the catalog does not have: a table's OID says what it is, a view's does not.
#[test]
fn a_suspected_name_is_what_the_wire_says_where_that_is_a_table() {
    let catalog = catalog();
    let run = |text: &str, wire: &[Origin]| {
        let found = catalog.understand(&sql::analyze(text).remove(0), &context("shop"), Some(wire));
        (found.columns.len(), found.certainty, found.consequences.wants_catalog)
    };
    let everything =
        catalog.read().get("shop").and_then(|shop| shop.snapshot.clone()).expect("read").everything().len();
    let plain = [origin("id", 4, 1), origin("note", 4, 2)];
    assert_eq!(run("select * from tickets", &plain), (1, Certainty::Exact, false));
    catalog.may_have_changed("shop");
    assert_eq!(run("select * from tickets", &plain), (1, Certainty::Exact, false));
    let made = origin("lower", 0, 0);
    assert_eq!(
        run("select id, lower(note) from tickets", &[origin("id", 4, 1), made]),
        (everything, Certainty::Assumed, true)
    );
    assert_eq!(run("select who from people", &[origin("who", 3, 1)]).0, everything, "a view");
    assert_eq!(run("select new from tickets", &[origin("new", 4, 9)]).0, everything, "a new column");
    let begun = catalog.read_again("shop");
    catalog.reading_begins("shop");
    assert!(!catalog.was_read_since("shop", begun));
    catalog.put("shop", rows(), 0);
    assert!(catalog.was_read_since("shop", begun));
    assert_eq!(run("select who from people", &[origin("who", 3, 1)]).0, 0);
}

/// Rows of which so much had been written of the relation 4, by then.
fn counted(by: i64, written: i64) -> Rows {
    Rows { written: Some(Arc::new(Written::from_iter([(4, written), (5, 1)]))), written_by: Timestamp(by), ..rows() }
}

#[test]
fn what_was_counted_before_is_of_a_reading_that_was_over_when_the_code_began() {
    let doubt = |begun: i64| {
        let catalog = Catalog::new(Classification::parse(CLASSIFICATION, Path::new("c.yaml")).unwrap());
        catalog.seen("shop");
        catalog.put("shop", counted(10, 1), 0);
        catalog.put("shop", counted(20, 2), 0);
        assert!(catalog.was_not_followed("shop", Timestamp(begun)));
        let before = catalog.read().get("shop").and_then(|shop| shop.doubt.counted_before().cloned());
        before.and_then(|before| before.get(4))
    };
    assert_eq!([5, 10, 11, 20, 21].map(doubt), [None, None, Some(1), Some(1), Some(2)]);
}

#[test]
fn where_nothing_had_been_counted_before_every_relation_may_have_been_filled() {
    let mut doubt = Doubt::default();
    doubt.resume(Written::from_iter([(4, 1), (5, 1)]), Duration::ZERO);
    doubt.reading_begins();
    let orders = (Text::from("shop"), Text::from("orders"));
    assert_eq!(doubt.was_read(&counted(1, 2)), Some([orders.clone()].into()));
    assert!(!doubt.is_open());
    let mut doubt = Doubt::default();
    assert!(doubt.raise(Timestamp(1), Duration::ZERO));
    assert_eq!(doubt.was_read(&counted(2, 1)), None, "no reading began since");
    assert!(doubt.counted_before().is_some(), "kept over a restart");
    doubt.reading_begins();
    let notes = (Text::from("public"), Text::from("notes"));
    assert_eq!(doubt.was_read(&counted(3, 1)), Some([orders, notes].into()));
}

/// Code that ran for a day finds what had been counted when it began, or not long before, and the first reading is never forgotten.
#[test]
fn readings_are_remembered_the_closer_the_later_they_are() {
    let mut doubt = Doubt::default();
    const LAST: i64 = 10_000;
    (1..=LAST).for_each(|minute| _ = doubt.was_read(&counted(minute, minute)));
    let found = |ago: i64| {
        let mut doubt = doubt.clone();
        doubt.raise(Timestamp(LAST - ago), Duration::ZERO);
        LAST - doubt.counted_before().expect("one was over by then").get(4).expect("counted")
    };
    assert_eq!(found(LAST - 2), LAST - 1);
    for ago in [1, 2, 5, 10, 100, 1000, 5000] {
        assert!((ago + 1..=ago * 12).contains(&found(ago)), "{ago} minutes: {}", found(ago));
    }
}

/// Triggers that hand on what they are given, so many one behind the other that it is not followed to the end.
#[test]
fn where_code_is_not_followed_to_its_end_nothing_is_exact() {
    let read = |links: u32| {
        let mut rows = rows();
        rows.relations
            .extend((100..=100 + links).map(|oid| listed(oid, "shop", &format!("t{oid}"), 'r', None, &["v"])));
        rows.relations.push(listed(900, "shop", "aside", 'r', None, &["v"]));
        let into = |oid: u32| format!("begin insert into shop.t{oid} values (new.v); return new; end");
        rows.triggers.push((1, "begin insert into shop.t100 values (new.email); return new; end".into()));
        rows.triggers.extend((100..100 + links).map(|oid| (oid, into(oid + 1))));
        let catalog = Catalog::new(Classification::parse(CLASSIFICATION, Path::new("c.yaml")).expect("faultless"));
        catalog.seen("shop");
        catalog.put("shop", rows, 0);
        let read = |oid: u32, table: &str| {
            let text = format!("select v from shop.{table}");
            let wire = [origin("v", oid, 1)];
            let read = catalog.understand(&sql::analyze(&text).remove(0), &context("shop"), Some(&wire));
            (read.columns.len(), read.certainty)
        };
        (read(100 + links, &format!("t{}", 100 + links)), read(900, "aside").1)
    };
    assert_eq!(read(50), ((1, Certainty::Assumed), Certainty::Exact));
    let ((_, end), aside) = read(80);
    assert_ne!(end, Certainty::Exact);
    assert_eq!(aside, Certainty::Inferred);
}

/// A column that was renamed when the catalog was read, and has its name again when the code runs.
#[test]
fn code_that_names_a_column_which_was_renamed_shows_that_one() {
    let function = |name: &str, language: &str, body: &str| Function {
        schema: "shop".into(),
        name: name.into(),
        language: language.into(),
        body: body.to_owned(),
        ..Function::default()
    };
    let catalog = catalog();
    let mut renamed = rows();
    renamed.relations[0].columns = ["id", "plain", "name", "my_number"].map(Text::from).into_iter().zip(1..).collect();
    renamed.functions = vec![
        function("in_sql", "sql", "select c.email from shop.customers c"),
        function("in_code", "plpgsql", "begin return (select c.email from shop.customers c); end"),
        function("by_its_name", "sql", "select c.plain from shop.customers c"),
    ];
    catalog.put("shop", renamed, 0);
    for name in ["in_sql", "in_code", "by_its_name"] {
        let analysis = sql::analyze(&format!("select shop.{name}()")).remove(0);
        let found = catalog.understand(&analysis, &context("shop"), None);
        assert_eq!(columns(&found), ["shop.customers.email"], "{name}");
    }
}

/// A table that was renamed when the catalog was read, and has its name again when code runs that names it.
#[test]
fn code_that_names_what_was_renamed_since_the_catalog_was_read_shows_all_of_it() {
    let mail_of = Function {
        schema: "shop".into(),
        name: "mail_of".into(),
        language: "sql".into(),
        body: "select email from shop.customers".to_owned(),
        ..Function::default()
    };
    let catalog = catalog();
    let mut renamed = rows();
    renamed.relations[0].name = "clients".into();
    renamed.functions.push(mail_of);
    catalog.put("shop", renamed.clone(), 0);
    let analysis = sql::analyze("select shop.mail_of()").remove(0);
    let ask = || catalog.understand(&analysis, &context("shop"), None);
    assert_eq!(columns(&ask()), [""; 0]);
    // Whatever the change was.
    catalog.schema_changed("shop", &[]);
    let found = ask();
    assert!(columns(&found).contains(&"shop.customers.email") && found.certainty == Certainty::Assumed, "{found:?}");
    renamed.relations[0].name = "customers".into();
    catalog.put("shop", renamed, 1);
    let found = ask();
    assert_eq!((columns(&found), found.certainty), (vec!["shop.customers.email"], Certainty::Inferred));
}
