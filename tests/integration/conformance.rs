//! How much of PostgreSQL's own regression tests is understood, and that what is said of it is not wrong.
//!
//! Over every statement of the suite that PostgreSQL's grammar takes: how many both parsers take, on how many of these they name the
//! same relations, and whether a column is ever said to come from a relation that the grammar does not see there. Prints the table, and holds it
//! from getting worse. Needs the sources that `tests/postgres_regress.sh` fetches; without them it says so and passes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mitsuke::record::Parse;
use mitsuke::sql::{Analysis, Effect, Output, RelationName, analyze};

/// One statement in so many: all of them take half a minute without optimisation.
const ONE_IN: usize = 2;
/// The stack that hostile texts take within the limits of `sql`, bytes.
const STACK_BYTES: usize = 64 << 20;

#[derive(Debug, Default)]
struct Counts {
    accepted: usize,
    full: usize,
    summary: usize,
    none: usize,
    agree: usize,
    wrong: Vec<String>,
    differ: Vec<String>,
}

#[test]
fn postgresql_s_own_statements_are_understood_and_never_wrongly() {
    let Some(folder) = sources() else {
        println!("not run: no sources of PostgreSQL; tests/postgres_regress.sh fetches them");
        return;
    };
    let counting = move || count(&folder);
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(counting).expect("a thread");
    let counts = thread.join().expect("no statement is too much");
    let percent = |part: usize, of: usize| part * 1_000 / of.max(1);
    let (full, agree) = (percent(counts.full, counts.accepted), percent(counts.agree, counts.full));
    println!("statements that PostgreSQL's grammar takes   {:6}", counts.accepted);
    println!("  taken by both parsers                      {:6}   {:5.1} %", counts.full, full as f64 / 10.0);
    println!(
        "    that name the same relations             {:6}   {:5.1} % of these",
        counts.agree,
        agree as f64 / 10.0
    );
    println!("  by the grammar alone, the worst assumed    {:6}", counts.summary);
    println!("  by neither                                 {:6}", counts.none);
    println!("columns of relations that are not there      {:6}", counts.wrong.len());
    counts.differ.iter().take(12).for_each(|statement| println!("differ: {statement}"));
    assert!(counts.accepted > 3_000, "{}", counts.accepted);
    assert!(counts.wrong.is_empty(), "{:#?}", counts.wrong.iter().take(5).collect::<Vec<_>>());
    assert_eq!(counts.none, 0, "what the grammar takes is understood to that degree");
    assert!(full >= FULL_PER_MILLE && agree >= AGREE_PER_MILLE, "{full} and {agree} of a thousand");
}

/// What it was when this was written, less a little.
const FULL_PER_MILLE: usize = 960;
const AGREE_PER_MILLE: usize = 985;

/// The newest suite in the cache.
pub(crate) fn sources() -> Option<PathBuf> {
    #[allow(clippy::disallowed_methods, reason = "where the cache lies")]
    let home = std::env::var_os("HOME")?;
    let versions = std::fs::read_dir(Path::new(&home).join(".cache/mitsuke/postgres-sources")).ok()?;
    let folders = versions.flatten().map(|version| version.path().join("source/src/test/regress/sql"));
    folders.filter(|folder| folder.is_dir()).max()
}

fn count(folder: &Path) -> Counts {
    let mut counts = Counts::default();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("it is there").flatten().map(|file| file.path()).collect();
    files.sort();
    let mut number = 0;
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "sql")) {
        for statement in statements(file) {
            number += 1;
            if number % ONE_IN == 0 {
                judge(&statement, &mut counts);
            }
        }
    }
    counts
}

/// The statements of one of its files.
pub(crate) fn statements(file: &Path) -> Vec<String> {
    let bytes = std::fs::read(file).expect("a file");
    let text = without_psql(&String::from_utf8_lossy(&bytes));
    pg_query::split_with_scanner(&text).unwrap_or_default().into_iter().map(str::to_owned).collect()
}

/// A script without psql's own commands and the data of COPY.
fn without_psql(script: &str) -> String {
    let mut out = String::new();
    let mut in_copy = false;
    for line in script.lines() {
        if in_copy {
            in_copy = line != "\\.";
            continue;
        }
        match line.find('\\').filter(|_| !line.contains('\'')) {
            Some(at) => out.push_str(&format!("{};", &line[..at])),
            None => out.push_str(line),
        }
        out.push('\n');
        let lower = line.to_lowercase();
        in_copy = lower.contains("copy ") && lower.contains("from stdin") && line.trim_end().ends_with(';');
    }
    out
}

fn judge(statement: &str, counts: &mut Counts) {
    let Ok(parsed) = pg_query::parse(statement, 0) else { return };
    let analyses = analyze(statement);
    let [analysis] = &analyses[..] else { return };
    if analysis.query.is_empty() {
        return;
    }
    counts.accepted += 1;
    match analysis.parse {
        Parse::Full => counts.full += 1,
        Parse::Summary => counts.summary += 1,
        Parse::None => counts.none += 1,
    }
    let seen: BTreeSet<String> = parsed.tables().into_iter().collect();
    let mut named = BTreeSet::new();
    named_by(analysis, &mut named);
    let one_line = || statement.split_whitespace().collect::<Vec<_>>().join(" ");
    if analysis.parse == Parse::Full {
        match named == seen {
            true => counts.agree += 1,
            false => counts.differ.push(format!("{} | {named:?} | {seen:?}", one_line())),
        }
    }
    if let Output::Columns(columns) = &analysis.output {
        let strange = |relation: &&RelationName| {
            // The list leaves out what TABLESAMPLE reads, and what WITH RECURSIVE names before it is there; the tree has both.
            let in_tree = || format!("{:?}", parsed.protobuf).contains(&format!("relname: {:?}", &*relation.name));
            !seen.contains(&written(relation)) && !in_tree()
        };
        let stray = columns.iter().filter_map(|column| column.relation.as_ref()).find(strange);
        counts.wrong.extend(stray.map(|stray| format!("{} of {}", written(stray), one_line())));
    }
}

fn named_by(analysis: &Analysis, named: &mut BTreeSet<String>) {
    named.extend(analysis.reads.iter().chain(&analysis.writes).map(written));
    for effect in &analysis.effects {
        if let Effect::Prepare { inner, .. } | Effect::Declare { inner, .. } = effect {
            named_by(inner, named);
        }
    }
}

fn written(relation: &RelationName) -> String {
    match &relation.schema {
        Some(schema) => format!("{schema}.{}", relation.name),
        None => relation.name.to_string(),
    }
}
