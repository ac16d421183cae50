//! Queries drawn at random from a fixed seed: joins, sub-selects that see the query around them, names that hide others, rows as a whole, CTEs, those that
//! read themselves, set operations, functions, aggregates, RETURNING. Whatever a customer's, an order's or a colleague's values come out of: the record names the column, and so many people
//! at least; just so many where it is exact.

use std::collections::{BTreeMap, BTreeSet};

use mitsuke::record::{Certainty, Statement};

use super::{doors, set_up};
use crate::differential::Dice;
use crate::support::server::SUPERUSER;
use crate::support::wire::{Client, bind, describe, execute, last_error, packet, parse, query, sync};

const QUERIES: usize = 500;
const SEED: u64 = 20_261_127;
const APPLICATION: &str = "drawn";
const DEPTH_MAX: usize = 3;

/// Relations, and their columns: `#` before a number.
const TABLES: [(&str, &str); 10] = [
    ("shop.customers", "#id name email phone my_number city"),
    ("customers", "#id name email phone my_number city"),
    ("shop.orders", "#id #customer_id #total note ship_to"),
    ("shop.staff", "#id name email"),
    ("only shop.managers", "#id name email #level"),
    ("shop.products", "#id title #price"),
    ("other.customers", "#id email"),
    ("shop.contacts", "#id mail city"),
    ("shop.everyone", "#id name email phone my_number city"),
    ("shop.contact_names", "#id mail name"),
];
const FUNCTIONS: [(&str, &str); 2] =
    [("shop.all_customers()", "#id name email phone my_number city"), ("shop.pairs()", "#who mail")];
/// Names of what is in FROM, so that they hide each other, and tables and columns as well.
const NAMES: [&str; 8] = ["a", "b", "c", "customers", "email", "orders", "name", "r"];

#[derive(Clone)]
struct Item {
    alias: String,
    /// Name, and whether it is a text.
    columns: Vec<(String, bool)>,
}

fn columns(of: &str) -> Vec<(String, bool)> {
    of.split(' ').map(|name| (name.trim_start_matches('#').to_owned(), !name.starts_with('#'))).collect()
}

/// What is drawn from, and the CTEs that are in force.
struct Draw {
    dice: Dice,
    ctes: Vec<(String, Vec<(String, bool)>)>,
    numbered: usize,
}

impl Draw {
    fn name(&mut self) -> String {
        let name = self.dice.pick(&NAMES);
        if self.dice.once_in(3) {
            return name.to_owned();
        }
        self.numbered += 1;
        format!("{name}{}", self.numbered)
    }

    fn column(&mut self, scope: &[Item], is_text: bool) -> Option<String> {
        let fit = |item: &Item| {
            let its = item.columns.iter().filter(|(_, text)| *text == is_text);
            its.map(|(name, _)| (item.alias.clone(), name.clone())).collect::<Vec<_>>()
        };
        let all: Vec<(String, String)> = scope.iter().flat_map(fit).collect();
        if all.is_empty() {
            return None;
        }
        let (alias, name) = &all[self.dice.below(all.len())];
        Some(match self.dice.below(6) {
            0 | 1 => name.clone(),
            2 => format!("({alias}).{name}"),
            _ => format!("{alias}.{name}"),
        })
    }

    fn number(&mut self, scope: &[Item]) -> String {
        let literal = format!("{}", 1 + self.dice.below(5));
        if self.dice.once_in(4) { literal } else { self.column(scope, false).unwrap_or(literal) }
    }

    fn text(&mut self, scope: &[Item], depth: usize) -> String {
        let column = self.column(scope, true).unwrap_or_else(|| "'k'".to_owned());
        if depth == 0 {
            return column;
        }
        let depth = depth - 1;
        let row = scope.get(self.dice.below(scope.len().max(1))).map(|item| item.alias.clone());
        match (self.dice.below(26), row) {
            (0, _) => format!("lower({}) || {}", self.text(scope, depth), self.text(scope, depth)),
            (1, _) => format!("coalesce({}, {})", self.text(scope, depth), self.text(scope, depth)),
            (2, _) => {
                format!("case when {} then {} else {column} end", self.condition(scope, depth), self.text(scope, depth))
            }
            (3, _) => format!("({} limit 1)", self.of_one(scope, depth)),
            (4, Some(row)) => format!("{row}::text"),
            (5, Some(row)) => format!("row_to_json({row})::text"),
            (6, Some(row)) => format!("concat({row})"),
            (7, _) => format!("(array[{}])[1]", self.text(scope, depth)),
            (8, _) => format!("array_to_string(array({}), ',')", self.of_one(scope, depth)),
            (9, _) => format!("(select {})", self.text(scope, depth)),
            (10, _) => format!("(select v.w from (select {} as w) v)", self.text(scope, depth)),
            (11, _) => format!("(select {} from (select 1) as one)", self.text(scope, depth)),
            (12, _) => format!("(select z from (values (1, {})) as v (y, z))", self.text(scope, depth)),
            (13, _) => format!("first_value({}) over (order by {column})", self.text(scope, depth)),
            (14, _) => format!("(row({}, {column})).f1", self.text(scope, depth)),
            (15, _) => format!("({})::text", self.condition(scope, depth)),
            (16, _) => format!("nullif({}, {})", self.text(scope, depth), self.text(scope, depth)),
            (18, _) => format!("shop.email_of({})", self.number(scope)),
            (19, _) => format!("coalesce(shop.phone_of({}), '')", self.number(scope)),
            (17, _) => format!("substr({}, 1, 100)", self.text(scope, depth)),
            _ => column,
        }
    }

    fn picked(&mut self, scope: &[Item], depth: usize) -> String {
        let text = self.text(scope, depth);
        match self.dice.below(5) {
            0 => format!("min({text})"),
            1 => format!("max({text})"),
            2 => format!("string_agg({text}, ',')"),
            3 => format!("json_agg({text})::text"),
            _ => format!("count({text})::text"),
        }
    }

    fn condition(&mut self, scope: &[Item], depth: usize) -> String {
        match self.dice.below(if depth == 0 { 2 } else { 8 }) {
            2 => format!("exists ({})", self.of_one(scope, depth - 1)),
            3 => format!("{} in ({})", self.text(scope, depth - 1), self.of_one(scope, depth - 1)),
            4 => format!("{} is not null", self.text(scope, depth - 1)),
            5 => format!("({} or true)", self.condition(scope, depth - 1)),
            6 | 7 => {
                let (one, other) = (self.number(scope), self.number(scope));
                format!("({one} = {other}) and {}", self.condition(scope, depth - 1))
            }
            _ => format!("{} = {}", self.number(scope), self.number(scope)),
        }
    }

    /// A query of one text, which may be of the queries around.
    fn of_one(&mut self, outer: &[Item], depth: usize) -> String {
        let (from, mut scope) = self.from(depth, outer);
        if self.dice.below(5) > 1 {
            scope.extend_from_slice(outer);
        }
        let text = self.text(&scope, depth.min(1));
        match self.dice.once_in(2) {
            true => format!("select {text} from {from}"),
            false => format!("select {text} from {from} where {}", self.condition(&scope, 0)),
        }
    }

    fn item(&mut self, depth: usize, before: &[Item]) -> (String, Item) {
        let alias = self.name();
        let is_deep = depth > 0;
        match self.dice.below(10) {
            0 | 1 if is_deep => {
                let (query, columns) = self.query(depth - 1, &[]);
                (format!("({query}) as {alias}"), Item { alias, columns })
            }
            2 if is_deep => {
                let (query, columns) = self.query(depth - 1, before);
                (format!("lateral ({query}) as {alias}"), Item { alias, columns })
            }
            3 if is_deep => {
                let (function, its) = self.dice.pick(&FUNCTIONS);
                (format!("{function} as {alias}"), Item { alias, columns: columns(its) })
            }
            4 | 5 if !self.ctes.is_empty() => {
                let (name, its) = self.ctes[self.dice.below(self.ctes.len())].clone();
                (format!("{name} as {alias}"), Item { alias, columns: its })
            }
            kind => {
                let (table, its) = self.dice.pick(&TABLES);
                let mut columns = columns(its);
                match kind {
                    6 => {
                        let bare = table.rsplit(['.', ' ']).next().unwrap_or(table).to_owned();
                        (table.to_owned(), Item { alias: bare, columns })
                    }
                    7 => {
                        columns[0].0 = "u".to_owned();
                        columns[1].0 = "email".to_owned();
                        columns.truncate(2);
                        (format!("{table} as {alias} (u, email)"), Item { alias, columns })
                    }
                    _ => (format!("{table} {alias}"), Item { alias, columns }),
                }
            }
        }
    }

    fn from(&mut self, depth: usize, outer: &[Item]) -> (String, Vec<Item>) {
        let (mut from, first) = self.item(depth, outer);
        let mut scope = vec![first];
        while scope.len() < 3 && self.dice.once_in(3) {
            let before: Vec<Item> = scope.iter().chain(outer).cloned().collect();
            let (text, item) = self.item(depth.saturating_sub(1), &before);
            let mut both = scope.clone();
            both.push(item.clone());
            let kind = self.dice.pick(&["join", "left join", "right join", "join"]);
            from = match self.dice.below(8) {
                0 => format!("{from} natural join {text}"),
                1 => format!("{from} join {text} using (id)"),
                2 => format!("{from}, {text}"),
                3 => format!("{from} {kind} {text} on true"),
                4 => format!("{from} {kind} {text} on {}", self.condition(&both, 1)),
                _ => {
                    let number =
                        |item: &Item| item.columns.iter().find(|(_, text)| !text).map(|(name, _)| name.clone());
                    let pair = scope.last().and_then(number).zip(number(&item));
                    let on = pair
                        .map(|(one, other)| format!("{}.{one} = {}.{other}", scope[scope.len() - 1].alias, item.alias));
                    format!("{from} {kind} {text} on {}", on.unwrap_or_else(|| "true".to_owned()))
                }
            };
            scope = both;
        }
        (from, scope)
    }

    /// A query, and the columns that it gives.
    fn query(&mut self, depth: usize, outer: &[Item]) -> (String, Vec<(String, bool)>) {
        let before = self.ctes.len();
        let mut with = String::new();
        if depth > 0 && self.dice.once_in(4) {
            let name = self.dice.pick(&["customers", "w", "orders", "staff"]);
            let (query, its) = self.query(depth - 1, &[]);
            let (text, its) = match self.dice.below(4) {
                0 => self.recursive(name, &query, its),
                1 => {
                    // What is read stands behind what reads it.
                    let names: Vec<&str> = its.iter().map(|(name, _)| &**name).collect();
                    let labels = names.join(", ");
                    (format!("with recursive {name} ({labels}) as (select * from later), later as ({query}) "), its)
                }
                _ => (format!("with {name} as ({query}) "), its),
            };
            with = text;
            self.ctes.push((name.to_owned(), its));
        }
        let (mut query, columns) = self.simple(depth, outer, None);
        if depth > 0 && self.dice.once_in(8) {
            let types: Vec<bool> = columns.iter().map(|(_, text)| *text).collect();
            let (second, _) = self.simple(depth - 1, outer, Some(&types));
            let kind = self.dice.pick(&["union", "union all", "except", "intersect"]);
            query = format!("({query}) {kind} ({second})");
        }
        self.ctes.truncate(before);
        (format!("{with}{query}"), columns)
    }

    /// A query that reads itself, three times: of rows that `first` begins with, and of a table's, one each time.
    fn recursive(&mut self, name: &str, first: &str, its: Vec<(String, bool)>) -> (String, Vec<(String, bool)>) {
        let labels: Vec<&str> = its.iter().map(|(name, _)| &**name).collect();
        let labels = labels.join(", ");
        let mut all = vec![("step".to_owned(), false)];
        all.extend(its.iter().cloned());
        let (table, of_table) = self.dice.pick(&TABLES);
        let scope = [
            Item { alias: "rr".to_owned(), columns: all.clone() },
            Item { alias: "tt".to_owned(), columns: columns(of_table) },
        ];
        let again: Vec<String> = its
            .iter()
            .map(|(_, is_text)| if *is_text { self.text(&scope, 1) } else { self.number(&scope) })
            .map(|text| format!(", {text}"))
            .collect();
        let (again, offset) = (again.concat(), self.dice.below(3));
        let text = format!(
            "with recursive {name} (step, {labels}) as (select 1, x.* from (select * from ({first}) as y limit 4) as x \
             union all select rr.step + 1{again} from {name} as rr join {table} as tt on tt.id = rr.step + {offset} where rr.step < 4) "
        );
        (text, all)
    }

    fn simple(&mut self, depth: usize, outer: &[Item], types: Option<&[bool]>) -> (String, Vec<(String, bool)>) {
        let (from, mut scope) = self.from(depth, outer);
        if self.dice.once_in(2) {
            scope.extend_from_slice(outer);
        }
        let (mut list, mut columns) = (Vec::new(), Vec::new());
        if types.is_none() && self.dice.once_in(6) {
            let item = scope[0].clone();
            list.push(if self.dice.once_in(3) { format!("({}).*", item.alias) } else { format!("{}.*", item.alias) });
            columns.extend(item.columns);
        }
        if types.is_none() && self.dice.once_in(5) {
            return self.plain(&from, &scope, depth);
        }
        let drawn: Vec<bool> = (0..=self.dice.below(3)).map(|_| self.dice.below(4) > 0).collect();
        let is_grouped = types.is_none() && list.is_empty() && self.dice.once_in(8);
        for (at, is_text) in types.unwrap_or(&drawn).iter().enumerate() {
            let expression = match is_text {
                true if is_grouped => self.picked(&scope, depth),
                true => self.text(&scope, depth),
                false if is_grouped => "count(*)::int".to_owned(),
                false => self.number(&scope),
            };
            let label = format!("{}{at}", self.dice.pick(&["id", "email", "name", "v"]));
            list.push(format!("{expression} as {label}"));
            columns.push((label, *is_text));
        }
        let mut query = format!("select {} from {from}", list.join(", "));
        if self.dice.once_in(3) {
            query.push_str(&format!(" where {}", self.condition(&scope, depth)));
        }
        (query, columns)
    }

    /// Columns as they are, keys among them, of some of what is in FROM.
    fn plain(&mut self, from: &str, scope: &[Item], depth: usize) -> (String, Vec<(String, bool)>) {
        let (mut list, mut columns) = (Vec::new(), Vec::new());
        for item in scope {
            let is_left_out = self.dice.once_in(4);
            for (name, is_text) in &item.columns {
                let is_key = name.ends_with("id");
                if !is_left_out && list.len() < 12 && self.dice.below(4) > usize::from(!is_key) {
                    let label = format!("v{}", list.len());
                    list.push(format!("{}.{name} as {label}", item.alias));
                    columns.push((label, *is_text));
                }
            }
        }
        if list.is_empty() {
            list.push("1 as v0".to_owned());
            columns.push(("v0".to_owned(), false));
        }
        let mut query = format!("select {} from {from}", list.join(", "));
        if self.dice.once_in(2) {
            query.push_str(&format!(" where {}", self.condition(scope, depth.min(1))));
        }
        (query, columns)
    }

    fn statement(&mut self) -> String {
        let depth = self.dice.below(DEPTH_MAX + 1);
        match self.dice.below(12) {
            0 => format!("copy ({}) to stdout", self.query(depth, &[]).0),
            1 => {
                let (from, scope) = self.from(1, &[]);
                let (text, sub) = (self.text(&scope, 2), self.of_one(&scope, 1));
                format!("update shop.shadow set what = what from {from} returning {text}, ({sub} limit 1)")
            }
            2 => format!("insert into shop.shadow values (1, 'k') returning ({} limit 1)", self.of_one(&[], 1)),
            _ => self.query(depth, &[]).0,
        }
    }
}

/// The values of each column, by person.
fn values() -> Vec<(&'static str, Vec<(usize, String)>)> {
    let of = |count: usize, value: &dyn Fn(usize) -> String| (1..=count).map(|i| (i, value(i))).collect::<Vec<_>>();
    vec![
        ("shop.customers.name", of(40, &|i| format!("Name {i}"))),
        ("shop.customers.email", of(40, &|i| format!("person{i}@"))),
        ("shop.customers.phone", of(40, &|i| format!("+8190{i:08}"))),
        ("shop.customers.my_number", of(40, &|i| format!("{i:012}"))),
        ("shop.orders.ship_to", (1..=80).map(|i| (usize::div_ceil(i, 2), format!("Street {i}"))).collect()),
        ("shop.staff.email", of(5, &|i| format!("{}{i}@", if i < 4 { "staff" } else { "boss" }))),
        ("shop.staff.name", of(5, &|i| format!("{} {i}", if i < 4 { "Staff" } else { "Boss" }))),
    ]
}

/// Whose values stand in a text, by column.
fn leaked<'v>(heard: &str, values: &'v [(&'static str, Vec<(usize, String)>)]) -> BTreeMap<&'v str, BTreeSet<usize>> {
    let small = heard.to_lowercase();
    let stands = |value: &str| {
        let value = value.to_lowercase();
        small.match_indices(&value).any(|(at, _)| {
            let behind = small[at + value.len()..].chars().next();
            value.ends_with('@') || !behind.is_some_and(|c| c.is_ascii_digit())
        })
    };
    let mut leaked: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (column, values) in values {
        let people: BTreeSet<usize> = values.iter().filter(|(_, value)| stands(value)).map(|(i, _)| *i).collect();
        if !people.is_empty() {
            leaked.insert(column, people);
        }
    }
    leaked
}

#[test]
fn what_comes_out_of_any_query_is_known() {
    let (name, mut sidecar, _policies) = set_up();
    doors::until_fresh(&sidecar, &name);
    let mut draw = Draw { dice: Dice::new(SEED), ctes: Vec::new(), numbered: 0 };
    let mut client = Client::connect(&sidecar.address());
    let words = format!("user\0{SUPERUSER}\0database\0{name}\0application_name\0{APPLICATION}\0\0");
    client.say(&packet(196_608, words.as_bytes()));
    client.hear_until_ready(1);
    let mut ask = |text: &str, is_extended: bool| {
        client.heard.clear();
        client.say(&match is_extended {
            true => [parse("", text), bind("", "", &[]), describe(b'P', ""), execute("", 0), sync()].concat(),
            false => query(text),
        });
        client.hear_until_ready(1);
        let refused = last_error(&client.heard).is_some();
        (refused, String::from_utf8_lossy(&client.heard).into_owned())
    };
    let values = values();
    let mut asked = vec![(String::new(), BTreeMap::new()); 2];
    ask("set search_path to shop, public", false);
    ask("set statement_timeout to '5s'", false);
    let mut taken = 0;
    for number in 0..QUERIES {
        draw.numbered = 0;
        let text = draw.statement();
        let (is_refused, heard) = ask(&text, number % 2 == 1);
        taken += usize::from(!is_refused);
        asked.push((text, if is_refused { BTreeMap::new() } else { leaked(&heard, &values) }));
    }
    drop(client);
    sidecar.stop();
    let mut records = sidecar.records::<Statement>();
    records.retain(|record| record.application_name.as_deref() == Some(APPLICATION));
    records.sort_by_key(|record| record.statement_no);
    assert_eq!(records.len(), asked.len());
    let leaks = asked.iter().filter(|(_, leaked)| !leaked.is_empty()).count();
    assert!(taken > QUERIES / 2 && leaks > QUERIES / 4, "{taken} taken, {leaks} leaks");
    let mut wrong = Vec::new();
    for ((text, leaked), record) in asked.iter().zip(&records) {
        // A partition, or a table that inherits, has a column of its parent's.
        let said: BTreeSet<String> = record
            .columns
            .iter()
            .flat_map(|columns| columns.iter())
            .map(|column| column.replace("shop.managers.", "shop.staff."))
            .collect();
        let of = |is_staff: bool| {
            let its = leaked.iter().filter(|(column, _)| column.starts_with("shop.staff.") == is_staff);
            its.flat_map(|(_, people)| people).collect::<BTreeSet<_>>().len() as u64
        };
        let people = of(false) + of(true);
        let missing: Vec<&&str> = leaked.keys().filter(|column| !said.contains(**column)).collect();
        let counted = record.persons.unwrap_or(0);
        let is_exact = record.certainty == Some(Certainty::Exact);
        if !missing.is_empty() || counted < people || is_exact && counted != people {
            let (certainty, persons) = (record.certainty, record.persons);
            wrong.push(format!("{certainty:?}, {persons:?} of {people} people, without {missing:?}: {text}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {leaks} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
