//! What is said to be read against what the server itself says that it reads: `EXPLAIN (VERBOSE, FORMAT JSON)`.
//!
//! Over PostgreSQL's own regression statements that still plan when the suite has run, with the catalog as the loader reads it; and over the
//! evasion corpus, through the real binary. A relation that the planner leaves out, because nothing can come of it, may be named all the same; one that
//! it reads must be, and so must every column of its topmost target list. Prints the table, and holds it: never `exact` and wrong.

mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use mitsuke::catalog::{Catalog, Classification, Context, loader};
use mitsuke::record::{Certainty, Kind, Statement};
use mitsuke::session::event::Origin;
use mitsuke::sql::analyze;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use self::plan::{Plan, is_system};
use crate::conformance::{sources, statements};
use crate::evasion::{classification, families, set_up};
use crate::support::server::{self, direct, shared};

/// Every column of the regression database is classified, so that every one is told of.
const EVERYTHING: &str = "levels: [internal, personal]\ntables:\n  \"*.*\":\n    columns: { \"*\": internal }\n";
/// The stack that hostile texts take within the limits of `sql`, bytes.
const STACK_BYTES: usize = 64 << 20;

/// What may be missing of the statements that are not `exact`: relations, columns. What it was when this was written.
const REGRESSION_MISSING_MAX: (usize, usize) = (0, 0);
/// The same of the evasion corpus: what was made, filled or renamed a moment ago, before the catalog was read again. Each is one of its cases.
const EVASION_MISSING_MAX: (usize, usize) = (17, 0);

/// Asks for a plan …
const EXPLAIN: &str = "explain (verbose, format json)";
/// … of a statement with parameters, too; from version 16 on.
const EXPLAIN_GENERIC: &str = "explain (verbose, generic_plan, format json)";
/// How many of each kind are printed.
const PRINTED_MAX: usize = 24;
/// One of the suite's statements in so many is held against its plan.
const ONE_IN: usize = 3;

/// How the server's word and ours compare.
#[derive(Debug, Default)]
struct Table {
    /// Statements by certainty.
    planned: BTreeMap<String, usize>,
    /// Statements that name more relations than are planned, and those of which the server's own parse tree does not have them.
    more: usize,
    too_many: Vec<String>,
    /// Read, and not named.
    relations: Vec<String>,
    /// Returned, and not named.
    columns: Vec<String>,
    /// Columns that were held against the plan's.
    compared: usize,
}

/// What is said of one statement.
struct Said {
    certainty: Certainty,
    relations: BTreeSet<String>,
    columns: BTreeSet<String>,
}

/// What stands above a partition, and behind a materialised view; and the columns of what is no view.
#[derive(Debug, Default)]
struct Family {
    above: BTreeMap<String, BTreeSet<String>>,
    columns: BTreeSet<String>,
}

impl Family {
    async fn of(client: &Client) -> Family {
        let name = "(select nspname || '.' || relname from pg_class c join pg_namespace n on n.oid = relnamespace where c.oid = ";
        let sql = format!(
            "with recursive up(child, above) as (select inhrelid, inhparent from pg_inherits \
             union select r.ev_class, d.refobjid from pg_depend d join pg_rewrite r on r.oid = d.objid \
             where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass and r.ev_class <> d.refobjid \
             union select u.child, i.inhparent from up u join pg_inherits i on i.inhrelid = u.above), \
             behind(child, above) as (select * from up union select b.child, u.above from behind b join up u on u.child = b.above) \
             select {name} child), {name} above) from behind"
        );
        let mut above: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for row in client.query(&sql, &[]).await.expect("the server's own catalog") {
            if let (Ok(child), Ok(parent)) = (row.try_get::<_, String>(0), row.try_get(1)) {
                above.entry(child).or_default().insert(parent);
            }
        }
        let columns = "select nspname || '.' || relname || '.' || attname from pg_attribute join pg_class c on c.oid = attrelid \
                       join pg_namespace n on n.oid = relnamespace where attnum > 0 and not attisdropped and relkind in ('r', 'p', 'f')";
        let columns = client.query(columns, &[]).await.expect("the server's own catalog");
        Family { above, columns: columns.iter().map(|row| row.get(0)).collect() }
    }

    /// Whether a relation, or one above or behind it, is among those named.
    fn is_named(&self, relation: &str, named: &BTreeSet<String>) -> bool {
        named.contains(relation) || self.above.get(relation).into_iter().flatten().any(|above| named.contains(above))
    }

    fn has_column(&self, column: &str, named: &BTreeSet<String>) -> bool {
        let Some((relation, column_name)) = column.rsplit_once('.') else { return false };
        let above = self.above.get(relation).into_iter().flatten();
        named.contains(column) || above.into_iter().any(|above| named.contains(&format!("{above}.{column_name}")))
    }
}

impl Table {
    fn judge(&mut self, statement: &str, plan: &Plan, said: &Said, family: &Family) -> bool {
        *self.planned.entry(format!("{:?}", said.certainty)).or_default() += 1;
        let at = |missing: &[&String]| {
            let line = statement.split_whitespace().collect::<Vec<_>>().join(" ");
            format!("{:?} {missing:?} of {line} | {:?} {:?}", said.certainty, said.relations, said.columns)
        };
        let missing: Vec<&String> =
            plan.relations.iter().filter(|relation| !family.is_named(relation, &said.relations)).collect();
        if !missing.is_empty() {
            self.relations.push(at(&missing));
        }
        // A join may call them otherwise.
        let columns = || plan.columns.iter().filter(|column| family.columns.contains(*column));
        self.compared += columns().count();
        let missing: Vec<&String> = columns().filter(|column| !family.has_column(column, &said.columns)).collect();
        if !missing.is_empty() {
            self.columns.push(at(&missing));
        }
        let planned = |named: &&String| {
            let is_above = |relation: &String| family.above.get(relation).is_some_and(|above| above.contains(*named));
            is_system(named) || plan.relations.contains(*named) || plan.relations.iter().any(is_above)
        };
        let more = said.relations.iter().any(|named| !planned(&named));
        self.more += usize::from(more);
        more
    }

    /// Prints it, and fails where more is wrong than was.
    fn hold(&self, what: &str, missing_max: (usize, usize)) {
        println!("{what}: statements that the server plans   {:6}", self.planned.values().sum::<usize>());
        self.planned.iter().for_each(|(certainty, count)| println!("  {certainty:40} {count:6}"));
        println!("  name relations that are not planned      {:6}", self.more);
        println!("    and that its parse tree does not have  {:6}", self.too_many.len());
        println!("  read relations that are not named        {:6}", self.relations.len());
        println!("  columns held against the plan's          {:6}", self.compared);
        println!("  return columns that are not named        {:6}", self.columns.len());
        let exact_first = |wrong: &'_ [String]| {
            let mut wrong = wrong.to_vec();
            wrong.sort_by_key(|wrong| !wrong.starts_with("Exact"));
            wrong.into_iter().take(PRINTED_MAX)
        };
        for wrong in [&self.relations, &self.columns, &self.too_many].into_iter().flat_map(|wrong| exact_first(wrong)) {
            println!("    {}", wrong.chars().take(400).collect::<String>());
        }
        let exact = |wrong: &[String]| wrong.iter().filter(|wrong| wrong.starts_with("Exact")).count();
        assert_eq!(
            (exact(&self.relations), exact(&self.columns), exact(&self.too_many)),
            (0, 0, 0),
            "exact, and wrong"
        );
        assert!(
            self.relations.len() <= missing_max.0 && self.columns.len() <= missing_max.1,
            "more is missing than was"
        );
    }
}

#[test]
fn what_postgresql_s_own_statements_read_is_what_the_server_plans() {
    let Some(folder) = sources() else {
        println!("not run: no sources of PostgreSQL; tests/postgres_regress.sh fetches them");
        return;
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(regression(&folder))
    });
    let table = thread.expect("a thread").join().expect("no statement is too much");
    assert!(table.planned.values().sum::<usize>() > PLANNED_MIN, "the suite was not run");
    table.hold("regression suite", REGRESSION_MISSING_MAX);
}

/// So many of the suite's statements plan when it has run, less a little.
const PLANNED_MIN: usize = 3_000;

/// Runs the suite, as far as it goes without psql and files, and asks for the plans of what still plans.
async fn regression(folder: &Path) -> Table {
    let server = server::start(&[
        ("statement_timeout", "300"),
        ("max_prepared_transactions", "10"),
        ("allow_in_place_tablespaces", "on"),
    ]);
    let url = direct(&server, "postgres");
    let files = in_order(folder);
    assert!(files.len() > 100, "the suite's schedule");
    for file in &files {
        let client = connect(&url).await;
        for statement in statements(file) {
            let waits = statement.to_lowercase().contains("stdin");
            if !waits && !client.is_closed() {
                let _ = client.simple_query(&statement).await;
            }
        }
    }
    let classification = Classification::parse(EVERYTHING, Path::new("everything.yaml")).expect("it is right");
    let catalog = Catalog::new(classification);
    loader::read_first(&catalog, &loader_config(&url)).await;
    assert!(catalog.is_fresh("postgres"), "the catalog of the suite's database is read");
    let client = connect(&url).await;
    client.batch_execute("set statement_timeout = '60s'").await.expect("a setting");
    let family = Family::of(&client).await;
    let explain = if server::major(&server) >= 16 { EXPLAIN_GENERIC } else { EXPLAIN };
    let mut table = Table::default();
    let mut asked = BTreeSet::new();
    for statement in files.iter().flat_map(|file| statements(file)).step_by(ONE_IN) {
        if asked.insert(statement.clone()) {
            compare(&client, &catalog, &family, (&statement, explain), &mut table).await;
        }
    }
    table
}

fn loader_config(url: &str) -> mitsuke::catalog::Config {
    mitsuke::catalog::Config { url: Some(url.to_owned()), ..mitsuke::catalog::Config::default() }
}

/// The suite's files in the order of its schedule.
fn in_order(folder: &Path) -> Vec<PathBuf> {
    let schedule = folder.parent().map(|above| above.join("parallel_schedule")).expect("a folder above");
    let schedule = std::fs::read_to_string(schedule).expect("the suite's schedule");
    let tests = schedule.lines().filter_map(|line| line.strip_prefix("test:")).flat_map(str::split_whitespace);
    tests.map(|test| folder.join(test).with_extension("sql")).filter(|file| file.is_file()).collect()
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the server answers");
    tokio::spawn(connection);
    client
}

async fn compare(
    client: &Client,
    catalog: &Catalog,
    family: &Family,
    (statement, explain): (&str, &str),
    table: &mut Table,
) {
    let analyses = analyze(statement);
    let [analysis] = &analyses[..] else { return };
    if !explains(analysis.kind) || client.is_closed() {
        return;
    }
    let Some(origins) = origins(client, statement, explain).await else { return };
    let Some(plan) = explained(client, statement, explain).await.map(|json| Plan::parse(&json, origins.len())) else {
        return;
    };
    let context = Context { database: "postgres".into(), role: "postgres".into(), ..Context::default() };
    let understood = catalog.understand(analysis, &context, Some(&origins));
    let relations = understood.relations_read.iter().chain(&understood.relations_written);
    let said = Said {
        certainty: understood.certainty,
        relations: relations.map(ToString::to_string).collect(),
        columns: understood.columns.iter().map(ToString::to_string).collect(),
    };
    if table.judge(statement, &plan, &said, family)
        && let Some(parsed) = parsed(client, statement).await
    {
        let stray: Vec<&String> = said
            .relations
            .iter()
            .filter(|named| !is_system(named) && !plan.relations.contains(*named) && !parsed.contains(*named))
            .collect();
        if !stray.is_empty() {
            let line = statement.split_whitespace().collect::<Vec<_>>().join(" ");
            table.too_many.push(format!("{:?} {stray:?} of {line} | {parsed:?}", said.certainty));
        }
    }
}

/// What EXPLAIN takes, and may be asked before it is run.
fn explains(kind: Kind) -> bool {
    matches!(kind, Kind::Select | Kind::Insert | Kind::Update | Kind::Delete | Kind::Merge)
}

/// The result's columns, as the wire names them.
async fn origins(client: &Client, statement: &str, explain: &str) -> Option<Vec<Origin>> {
    let takes = |prepared: &tokio_postgres::Statement| prepared.params().is_empty() || explain == EXPLAIN_GENERIC;
    let prepared = client.prepare(statement).await.ok().filter(takes)?;
    let origin = |column: &tokio_postgres::Column| Origin {
        name: column.name().to_owned(),
        table_oid: column.table_oid().unwrap_or(0),
        attribute: column.column_id().unwrap_or(0),
        type_oid: column.type_().oid(),
    };
    Some(prepared.columns().iter().map(origin).collect())
}

async fn explained(client: &Client, statement: &str, explain: &str) -> Option<String> {
    let said = client.simple_query(&format!("{explain} {statement}")).await.ok()?;
    said.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}

/// The relations that the server's parse tree has, with what is behind its views: as a view's dependencies.
async fn parsed(client: &Client, statement: &str) -> Option<BTreeSet<String>> {
    let view = format!("begin; create temp view as_parsed as {}", statement.trim_end_matches([';', '\n', ' ']));
    let relations = match client.batch_execute(&view).await {
        Ok(()) => {
            let below = "with recursive below(oid) as (select 'as_parsed'::regclass::oid \
                         union select d.refobjid from below b join pg_rewrite r on r.ev_class = b.oid join pg_depend d on d.objid = r.oid \
                         where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass) \
                         select nspname || '.' || relname from below join pg_class c using (oid) join pg_namespace n on n.oid = relnamespace";
            let rows = client.query(below, &[]).await.expect("the server's own catalog");
            Some(rows.iter().map(|row| row.get(0)).collect())
        }
        Err(_) => None,
    };
    client.batch_execute("rollback").await.expect("a transaction can be rolled back");
    relations
}

#[test]
fn what_the_evasion_corpus_reads_is_what_the_server_plans() {
    let (name, mut sidecar, _policies) = set_up();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let major = server::major(shared());
    let families = families();
    let cases: Vec<_> =
        families.iter().flat_map(|family| family.cases.iter().map(move |case| (&family.name, case))).collect();
    // By application: the number of a record, its statement, its plan.
    let mut plans: Vec<(String, usize, String, Plan)> = Vec::new();
    let family = runtime.block_on(async {
        for (family, case) in &cases {
            let application = format!("{family}:{}", case.line);
            let client = connect(&format!("{}?application_name={application}", sidecar.url(&name))).await;
            let mut records = 0;
            for step in case.steps.iter().filter(|step| step.runs(false, major)) {
                let text = step.text.replace("\\;", ";");
                let may_fail = step.expected.as_ref().is_some_and(|expected| expected.error);
                let analyses = analyze(&text);
                let asks = !may_fail && matches!(&analyses[..], [one] if explains(one.kind));
                let plan = if asks { explained(&client, &text, EXPLAIN).await } else { None };
                records += usize::from(asks);
                let heard = client.simple_query(&text).await.unwrap_or_default();
                let outputs = heard.iter().find_map(|message| match message {
                    SimpleQueryMessage::RowDescription(columns) => Some(columns.len()),
                    _ => None,
                });
                let plan = plan.map(|json| Plan::parse(&json, outputs.unwrap_or(0)));
                plans.extend(plan.map(|plan| (application.clone(), records, text, plan)));
                records += 1;
            }
        }
        Family::of(&connect(&direct(shared(), &name)).await).await
    });
    sidecar.stop();
    let mut logged: BTreeMap<String, Vec<Statement>> = BTreeMap::new();
    for statement in sidecar.records::<Statement>() {
        logged.entry(statement.application_name.as_deref().unwrap_or_default().to_owned()).or_default().push(statement);
    }
    logged.values_mut().for_each(|statements| statements.sort_by_key(|statement| statement.statement_no));
    let classification = classification();
    let mut table = Table::default();
    for (application, number, text, mut plan) in plans {
        let record = &logged[&application][number];
        plan.columns.retain(|column| {
            let parts: Vec<&str> = column.split('.').collect();
            matches!(parts[..], [schema, table, column] if classification.level(schema, table, column).is_some())
        });
        let names = |list: &Option<mitsuke::record::Texts>| {
            list.iter().flat_map(|list| list.iter()).map(ToString::to_string).collect()
        };
        let certainty = record.certainty.expect("every record has one");
        let said = Said { certainty, relations: names(&record.relations), columns: names(&record.columns) };
        table.judge(&text, &plan, &said, &family);
    }
    assert!(table.planned.values().sum::<usize>() > 250, "the corpus was not run");
    table.hold("evasion corpus", EVASION_MISSING_MAX);
}
