//! Which roles somebody is a member of, with the real binary before a real server: the log says it, follows GRANT and REVOKE, and a policy
//! that denies may ask it before a statement runs.

use mitsuke::record::{Session, Statement, Text, Texts, Transaction};

use super::acting::shop;
use crate::support::programs::psql;
use crate::support::server::{direct, shared};
use crate::support::wait_for;

const NO_CONTRACTORS: &str =
    "when: has(member_of, 'contractors_of_shop') and has(relations, 'shop.customers')\non: statement\naction: deny\n";

fn roles(names: &[&str]) -> Option<Texts> {
    Some(names.iter().map(|name| Text::from(*name)).collect())
}

#[test]
fn the_log_says_whose_member_a_user_is_and_a_policy_may_ask_it() {
    let (sidecar, name, _folder) = shop(&[("no-contractors", NO_CONTRACTORS)], "enforce");
    let set_up = "create role readers_of_shop; create role clerks_of_shop in role readers_of_shop; create role contractors_of_shop;
        create role anna_of_shop login in role clerks_of_shop; create role zoe_of_shop login;
        grant usage on schema shop to readers_of_shop, zoe_of_shop;
        grant select on all tables in schema shop to readers_of_shop, zoe_of_shop;";
    psql(&sidecar.url(&name), set_up).expect_success();
    let (anna, zoe) = (sidecar.url_as("anna_of_shop", &name), sidecar.url_as("zoe_of_shop", &name));
    // What was changed through the sidecar is read soon after.
    let member_of = |url: &str, user: &str, expected: &Option<Texts>| {
        wait_for("the catalog", || {
            psql(url, "select 1").out();
            let last =
                sidecar.records::<Statement>().into_iter().rfind(|record| record.db_user.as_deref() == Some(user))?;
            (last.member_of == *expected).then_some(())
        });
    };
    let of_a_clerk = roles(&["clerks_of_shop", "readers_of_shop"]);
    member_of(&anna, "anna_of_shop", &of_a_clerk);
    member_of(&zoe, "zoe_of_shop", &roles(&[]));
    psql(&anna, "begin; update shop.cards set number = number where false; select 1 from shop.customers; commit").out();
    psql(&zoe, "select email from shop.customers where id = 1").expect_success();

    psql(&sidecar.url(&name), "grant contractors_of_shop to zoe_of_shop").expect_success();
    member_of(&zoe, "zoe_of_shop", &roles(&["contractors_of_shop"]));
    let said = psql(&zoe, "select email from shop.customers where id = 1");
    assert!(said.err().contains("policy no-contractors"), "{}", said.err());
    psql(&anna, "select email from shop.customers where id = 1").expect_success();
    psql(&sidecar.url(&name), "revoke contractors_of_shop from zoe_of_shop").expect_success();
    member_of(&zoe, "zoe_of_shop", &roles(&[]));
    psql(&zoe, "select email from shop.customers where id = 1").expect_success();

    let of = |user: Option<&str>| user == Some("anna_of_shop");
    let sessions = wait_for("the sessions", || {
        Some(sidecar.records::<Session>()).filter(|all| all.iter().any(|session| of(session.db_user.as_deref())))
    });
    let last = sessions.iter().rfind(|session| of(session.db_user.as_deref())).expect("one");
    assert_eq!(last.member_of, of_a_clerk);
    let transactions = sidecar.records::<Transaction>();
    let last = transactions.iter().rfind(|transaction| of(transaction.db_user.as_deref())).expect("one");
    assert_eq!(last.member_of, of_a_clerk);
    let drop = "drop owned by readers_of_shop, zoe_of_shop; drop role anna_of_shop, clerks_of_shop, readers_of_shop, contractors_of_shop, zoe_of_shop";
    psql(&direct(shared(), &name), drop).expect_success();
}
