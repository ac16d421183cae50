//! Rows that a piece of code may take as a whole: a relation's name, or the one that it goes by, where no column is behind it.
//!
//! In: tokens. Out: names of which that may be so, as they stand without their schemas: more than there are, never fewer. `*` is not looked for.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::tokens::{Lexeme, Tokens};
use crate::record::Text;

/// Behind these stands a relation. Behind a comma or a parenthesis it may be one, or a row.
const BEFORE_A_RELATION: [&str; 5] = ["from", "join", "update", "only", "into"];

/// Words that stand behind a relation, and that SQL does not reserve.
const NO_ALIASES: [&str; 2] = ["set", "loop"];

/// See the module.
pub(super) fn whole_rows(tokens: &Tokens<'_>) -> BTreeSet<Text> {
    let mut whole: BTreeSet<Text> = BTreeSet::new();
    // Where relations stand, and the names that they are given there.
    let mut places: HashSet<usize> = HashSet::new();
    let mut aliases: BTreeMap<String, BTreeSet<Text>> = BTreeMap::new();
    let mut bare: Vec<String> = Vec::new();
    let is_name = |at: usize| tokens.all.get(at).is_some_and(|lexeme: &Lexeme<'_>| lexeme.is_name() && !lexeme.fixed);
    for before in 0..tokens.all.len() {
        if !BEFORE_A_RELATION.contains(&tokens.word(before).as_str()) || !is_name(before + 1) {
            continue;
        }
        let is_qualified = tokens.word(before + 2) == "." && is_name(before + 3);
        let last = if is_qualified { before + 3 } else { before + 1 };
        let name = tokens.word(last);
        let is_followed = |lexeme: &Lexeme<'_>| lexeme.is_name() || matches!(lexeme.text, ")" | "," | ";" | "(");
        if tokens.all.get(last + 1).is_some_and(|lexeme| !is_followed(lexeme)) {
            continue;
        }
        places.insert(last);
        if !is_qualified {
            bare.push(name.clone());
        }
        let alias = if tokens.word(last + 1) == "as" { last + 2 } else { last + 1 };
        if is_name(alias) && !NO_ALIASES.contains(&tokens.word(alias).as_str()) {
            places.insert(alias);
            // Its columns get other names.
            if tokens.word(alias + 1) == "(" {
                whole.insert(name.as_str().into());
            }
            aliases.entry(tokens.word(alias)).or_default().insert(name.into());
        }
    }
    let alone = |at: usize, lexeme: &Lexeme<'_>| {
        let is_label = at > 0 && tokens.word(at - 1) == "as";
        lexeme.is_name() && !places.contains(&at) && !is_label && !matches!(tokens.word(at + 1).as_str(), "." | "(")
    };
    let loose =
        tokens.all.iter().enumerate().filter(|(at, lexeme)| alone(*at, lexeme)).map(|(_, lexeme)| lexeme.name());
    for name in loose.chain(bare.into_iter().filter(|name| aliases.contains_key(name)).collect::<Vec<_>>()) {
        whole.extend(aliases.get(&name).into_iter().flatten().cloned());
        whole.insert(name.into());
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(code: &str) -> bool {
        whole_rows(&Tokens::scan(code).expect("tokens")).contains("customers")
    }

    #[test]
    fn a_row_is_taken_by_its_name_or_by_the_one_that_it_goes_by() {
        for code in [
            "select customers from shop.customers",
            "select c from shop.customers c",
            "select c::text from shop.customers as c",
            "select row_to_json(c) from a join shop.customers c on true",
            "select x.b from shop.customers x (a, b)",
            "select x.b from (table shop.customers) x (a, b)",
            "select trim('a' from customers::text) from shop.customers",
            "select trim('a' from c::text) from shop.customers c",
            "select 1 from a, shop.customers",
            "declare r shop.customers; begin null; end",
            "declare r customers%rowtype; begin null; end",
            "select \"customers\" from customers",
            "select shop.customers from shop.customers",
            "select x is distinct from c from shop.customers c",
            "for c in select email from shop.customers c loop return next c; end loop",
            "update shop.customers c set id = 1 returning c",
            "insert into t select c from shop.customers c",
        ] {
            assert!(takes(code), "{code}");
        }
    }

    #[test]
    fn columns_that_are_named_are_no_row() {
        for code in [
            "select email from shop.customers",
            "select c.email from shop.customers c where c.id = 1 limit 1",
            "begin for r in select email from shop.customers loop raise notice '%', r.email; end loop; end",
            "update shop.customers set city = 'x' where id = 1",
            "update shop.customers as c set city = 'x' from orders o where o.id = c.id",
            "delete from only shop.customers where id = 1",
            "insert into shop.customers (id, email) values (1, 'customers') on conflict (id) do update set id = 2",
            "if exists (select 1 from shop.customers where email = mail) then return true; end if",
            "select o.id from orders o left join shop.customers c on c.id = o.customer_id order by o.id",
            "select email as customers from shop.customers",
        ] {
            assert!(!takes(code), "{code}");
        }
    }
}
