//! Chains of objects, one over the other, drawn at random from a fixed seed: views, functions, operators, triggers, rules, casts, defaults. Whatever stands
//! at their end: where a customer's address comes out, the record says so. One half of what is no filling is laid before the sidecar knows of it.

use mitsuke::record::{Certainty, Statement};

use super::{doors, set_up};
use crate::differential::Dice;
use crate::support::programs::psql;
use crate::support::server::{SUPERUSER, direct, shared};
use crate::support::sidecar::Sidecar;
use crate::support::wire::{Client, query};

const CHAINS: usize = 240;
const CHAINS_AT_ONCE: usize = 120;
const LINKS_MAX: usize = 4;
const SEED: u64 = 20_261_127;
/// `r.f` is looked for along the path, as the function it is.
const PATH: &str = "set search_path to other, public";
const EMAIL: &str = "shop.customers.email";

/// Links that are no more than a query. `{q}` is the query before.
const QUERIES: [&str; 11] = [
    "with q as ({q}) select v from q",
    "select (select v from ({q}) q limit 1) as v",
    "({q}) union all select 'x'",
    "select lower(q.v) || '' as v from ({q}) q",
    "select unnest(string_to_array(string_agg(v, ','), ',')) as v from ({q}) q",
    "select to_json(q) ->> 'v' as v from ({q}) q",
    "select l.v from ({q}) q, lateral (select q.v) l",
    "select (array_agg(v))[1] as v from ({q}) q",
    "select first_value(v) over () as v from ({q}) q",
    "select case when true then v end as v from ({q}) q where v is not null order by v",
    "select coalesce(a.v, b.v) as v from ({q}) a full join (select 'y'::text as v) b on a.v = b.v",
];

/// Links that make something: what is laid, what fills it, and the query that reads it. `{n}` is its name, `{short}` that without its schema, `{all}` a
/// function that gives what the query before gives, `{one}` one that gives one of it by number, `{op}` an operator with that behind it.
const OBJECTS: [(&[&str], &[&str], &str); 24] = [
    (&["create view {n} as {q}"], &[], "select v from {n}"),
    (&["create view {n} as select {one}(i) as v, i from generate_series(0, 3) i"], &[], "select v from {n}"),
    (&["create view {n} as select x.v from {all}() as x(v)"], &[], "select x.v from {n} x"),
    (&["create view {n} as select i, 0 operator({op}) i as v from generate_series(0, 3) i"], &[], "select v from {n}"),
    (&["create materialized view {n} as {q}"], &["refresh materialized view {n}"], "select v from {n}"),
    (&["create table {n} (v text)"], &["insert into {n} {q}"], "select v from {n}"),
    (
        &["create table {n} (v text)", "create table {n}_c () inherits ({n})"],
        &["insert into {n}_c {q}"],
        "select v from {n}",
    ),
    (
        &["create table {n} (v text)", "create view {n}_w as select v from {n}"],
        &["insert into {n}_w {q}"],
        "select v from {n}",
    ),
    (
        &["create table {n} (v text)"],
        &["insert into {n} values ('')", "update {n} set v = (select q.v from ({q}) q limit 1)"],
        "select v from {n}",
    ),
    (
        &["create table {n} (w text, v text generated always as (lower(w)) stored)"],
        &["insert into {n} (w) {q}"],
        "select v from {n}",
    ),
    (&["create table {n} (i int, v text default {one}(1))"], &["insert into {n} values (1), (2)"], "select v from {n}"),
    (
        &["create table {n} (i int, v text default (0 operator({op}) 1))"],
        &["insert into {n} values (1), (2)"],
        "select v from {n}",
    ),
    (&["create table {n} (v text)"], &["do $d$ begin insert into {n} {q}; end $d$"], "select v from {n}"),
    (
        &["create table {n} (v text)"],
        &["do $d$ begin execute $x$ insert into {n} {q} $x$; end $d$"],
        "select v from {n}",
    ),
    (
        &[
            "create table {n} (v text)",
            "create table {n}_b (v text)",
            "create function {n}_f() returns trigger language plpgsql as \
             $t$ begin insert into {n} values (new.v); return new; end $t$",
            "create trigger t after insert on {n}_b for each row execute function {n}_f()",
        ],
        &["insert into {n}_b {q}"],
        "select v from {n}",
    ),
    (
        &[
            "create table {n} (v text)",
            "create table {n}_b (i int)",
            "create function {n}_f() returns trigger language plpgsql as \
             $t$ begin insert into {n} {q}; return null; end $t$",
            "create trigger t after insert on {n}_b for each statement execute function {n}_f()",
        ],
        &["insert into {n}_b values (1)"],
        "select v from {n}",
    ),
    (
        &[
            "create table {n} (i int, v text)",
            "create function {n}_f() returns trigger language plpgsql as \
             $t$ begin new.v := (select q.v from ({q}) q limit 1); return new; end $t$",
            "create trigger t before insert on {n} for each row execute function {n}_f()",
        ],
        &["insert into {n} values (1, '')"],
        "select v from {n}",
    ),
    (
        &[
            "create table {n} (v text)",
            "create table {n}_b (v text)",
            "create rule r as on insert to {n}_b do also insert into {n} values (new.v)",
        ],
        &["insert into {n}_b {q}"],
        "select v from {n}",
    ),
    (
        &[
            "create table {n} (v text)",
            "create function {n}_f(text) returns void language sql as $s$ insert into {n} values ($1) $s$",
        ],
        &["select {n}_f(v) from ({q}) q"],
        "select v from {n}",
    ),
    (&[], &[], "select {one}(i) as v from generate_series(0, 3) i"),
    (&[], &[], "select v from {all}() as f(v)"),
    (&[], &[], "select 0 operator({op}) i as v from generate_series(0, 3) i"),
    (
        &[
            "create table {n}_r (i int)",
            "create function {n}_a({n}_r) returns text language sql as $s$ select {one}($1.i) $s$",
        ],
        &["insert into {n}_r values (0), (1)"],
        "select r.{short}_a as v from {n}_r r",
    ),
    (
        &[
            "create type {n}_t as (v text)",
            "create function {n}_x(int) returns {n}_t language sql as $s$ select row({one}($1))::{n}_t $s$",
            "create cast (int as {n}_t) with function {n}_x(int)",
            "create view {n} as select ((1::{n}_t)).v as v",
        ],
        &[],
        "select v from {n}",
    ),
];

/// What gives all that a query gives.
const SETS: [&str; 5] = [
    "language sql as $f$ {q} $f$",
    "language plpgsql as $f$ begin return query {q}; end $f$",
    "language plpgsql as $f$ declare each_one record; begin for each_one in {q} loop return next each_one.v; end loop; end $f$",
    "language plpgsql as $f$ begin return query execute $e$ {q} $e$; end $f$",
    "language sql stable as $f$ with s as ({q}) select v from s $f$",
];

/// How one is laid, what fills it, and the query that reads its end.
struct Chain {
    laid: Vec<String>,
    filled: Vec<String>,
    read: String,
}

impl Chain {
    fn drawn(number: usize, dice: &mut Dice) -> Chain {
        let mut chain =
            Chain { laid: Vec::new(), filled: Vec::new(), read: "select email as v from shop.customers".to_owned() };
        for link in 0..=dice.below(LINKS_MAX) {
            match dice.below(3) {
                0 => chain.read = pick(&QUERIES, dice).replace("{q}", &chain.read),
                _ => chain.lay(&format!("n{number}_{link}"), dice),
            }
        }
        chain
    }

    fn lay(&mut self, short: &str, dice: &mut Dice) {
        let ((laid, filled, read), set) = (*pick(&OBJECTS, dice), pick(&SETS, dice));
        let before = std::mem::take(&mut self.read);
        let sign: String = short.bytes().map(|byte| char::from(b"@#%&|^<>=~*!"[usize::from(byte % 12)])).collect();
        let write = |text: &&str| {
            let text = text.replace("{one}", "{n}_one").replace("{all}", "{n}_all");
            let text = text.replace("{op}", &format!("other.@{sign}@")).replace("{n}", &format!("other.{short}"));
            text.replace("{short}", short).replace("{q}", &before)
        };
        let uses = |word: &str| laid.iter().chain(filled).chain([&read]).any(|text| text.contains(word));
        let is_called = ["{one}", "{all}", "{op}"].iter().any(|word| uses(word));
        if is_called {
            self.laid.push(write(&&*format!("create function {{all}}() returns setof text {set}")));
            self.laid.push(write(
                &"create function {one}(int) returns text language sql as $f$ select v from {all}() as f(v) order by v offset $1 limit 1 $f$",
            ));
        }
        if uses("{op}") {
            self.laid
                .push(write(&"create function {n}_o(int, int) returns text language sql as $f$ select {one}($2) $f$"));
            self.laid.push(write(&"create operator {op} (leftarg = int, rightarg = int, function = {n}_o)"));
        }
        self.laid.extend(laid.iter().map(write));
        self.filled.extend(filled.iter().map(write));
        self.read = write(&read);
    }
}

fn pick<'t, T>(all: &'t [T], dice: &mut Dice) -> &'t T {
    &all[dice.below(all.len())]
}

/// Chains, laid one half before the sidecar knows of them and one half through it.
struct Laid {
    sidecar: Sidecar,
    name: String,
    chains: Vec<Chain>,
    client: Client,
    _policies: tempfile::TempDir,
}

impl Laid {
    fn of(count: usize, seed: u64) -> Laid {
        let (name, sidecar, policies) = set_up();
        let mut dice = Dice::new(seed);
        let chains: Vec<Chain> = (0..count).map(|number| Chain::drawn(number, &mut dice)).collect();
        let url = sidecar.url(&name);
        let (before, through) = chains.split_at(chains.len() / 2);
        let laid = |chains: &[Chain]| {
            let all: Vec<&str> = chains.iter().flat_map(|chain| &chain.laid).map(String::as_str).collect();
            format!("{PATH};\n{}", all.join(";\n"))
        };
        psql(&direct(shared(), &name), &laid(before)).expect_success();
        psql(&url, "create table other.anything (v int)").expect_success();
        doors::until_fresh(&sidecar, &name);
        through.iter().for_each(|chain| drop(psql(&url, &laid(std::slice::from_ref(chain))).expect_success()));
        doors::until_fresh(&sidecar, &name);
        let client = Client::session(&sidecar.address(), SUPERUSER, &name);
        let mut laid = Laid { sidecar, name, chains, client, _policies: policies };
        laid.ask(PATH);
        laid
    }

    /// Whether a customer's address came out.
    fn ask(&mut self, text: &str) -> bool {
        self.client.heard.clear();
        self.client.say(&query(text));
        self.client.hear_until_ready(1);
        assert_eq!(crate::support::wire::last_error(&self.client.heard), None, "{text}");
        self.client.heard.windows(12).any(|part| part == b"@example.com")
    }

    fn read(&mut self, number: usize) -> bool {
        let read = format!("with chain_{number} as ({}) select v from chain_{number}", self.chains[number].read);
        self.ask(&read)
    }

    /// Of those that leak, the ones of which the record is no good.
    fn hold(mut self, leaks: &[bool], is_good: impl Fn(&Statement) -> bool) {
        self.sidecar.stop();
        assert!(leaks.iter().filter(|leaks| **leaks).count() > leaks.len() / 2, "{leaks:?}");
        let records = self.sidecar.records::<Statement>();
        let mut wrong = Vec::new();
        for (number, chain) in self.chains.iter().enumerate().filter(|(number, _)| leaks[*number]) {
            let begins = format!("with chain_{number} as");
            let of_it = |record: &&Statement| record.query.as_deref().is_some_and(|query| query.starts_with(&begins));
            let record = records.iter().find(of_it).expect("its record");
            if !is_good(record) {
                let (laid, filled) = (chain.laid.join(";\n  "), chain.filled.join(";\n  "));
                let said = (record.certainty, &record.columns, record.persons);
                wrong.push(format!("{said:?}\n  {laid};\n  {filled};\n  {}", chain.read));
            }
        }
        assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    }
}

fn says(record: &Statement) -> bool {
    let names = record.columns.iter().flat_map(|columns| columns.iter()).any(|column| **column == *EMAIL);
    names && record.persons.unwrap_or(0) > 0
}

#[test]
fn what_comes_out_at_the_end_of_any_chain_is_known() {
    let mut laid = Laid::of(CHAINS, SEED);
    // What one has filled is known to what fills the next once the catalog has been read.
    for round in 0..laid.chains.iter().map(|chain| chain.filled.len()).max().unwrap_or(0) {
        let filling: Vec<String> = laid.chains.iter().filter_map(|chain| chain.filled.get(round).cloned()).collect();
        filling.iter().for_each(|text| _ = laid.ask(text));
        doors::until_fresh(&laid.sidecar, &laid.name);
    }
    let leaks: Vec<bool> = (0..CHAINS).map(|number| laid.read(number)).collect();
    laid.hold(&leaks, says);
}

/// Filled and read in one breath, before the catalog has been read again.
#[test]
fn what_comes_out_at_once_is_never_exact_and_wrong() {
    let mut laid = Laid::of(CHAINS_AT_ONCE, SEED + 1);
    let mut leaks = Vec::new();
    for number in 0..CHAINS_AT_ONCE {
        let filling = laid.chains[number].filled.clone();
        filling.iter().for_each(|text| _ = laid.ask(text));
        leaks.push(laid.read(number));
    }
    laid.hold(&leaks, |record| says(record) || record.certainty != Some(Certainty::Exact));
}
