//! The shop on a real server: whole, the same every time, and each role held to its work.

use super::super::{Auth, Options, Postgres};
use super::*;

async fn started() -> (Postgres, tokio_postgres::Config) {
    let auth = Auth::Scram("root-of-the-test".to_owned());
    let start = tokio::task::spawn_blocking(|| Postgres::start(&Options { auth, ..Options::default() }));
    let postgres = start.await.unwrap().unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(postgres.port()).dbname("postgres");
    config.user(super::super::postgres::SUPERUSER).password("root-of-the-test");
    build(&config, |role| format!("pw-{}", role.name())).await.unwrap();
    (postgres, config)
}

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn is_whole_and_the_same_every_time() {
    let (_postgres, mut config) = started().await;
    let shop = connect(config.dbname(DATABASE)).await.unwrap();
    assert_eq!(number(&shop, "select count(*) from shop.customers").await, i64::from(CUSTOMERS));
    assert_eq!(number(&shop, "select count(*) from shop.order_list").await, i64::from(ORDERS));
    assert_eq!(number(&shop, "select count(distinct email) from shop.customers").await, i64::from(CUSTOMERS));
    let fingerprint = "select md5(string_agg(c::text, '|' order by id)) from shop.customers c";
    let fingerprint: String = shop.query_one(fingerprint, &[]).await.unwrap().get(0);
    assert_eq!(fingerprint, "285621062867722c1a846aa3ec179ea8");
}

#[tokio::test]
async fn each_role_is_held_to_its_work() {
    let (_postgres, mut config) = started().await;
    config.dbname(DATABASE);
    for (role, allowed, denied) in [
        (Role::ShopWeb, "select 1 from shop.cards limit 1", "delete from shop.orders"),
        (Role::Clerk, "select 1 from shop.customers limit 1", "select 1 from shop.cards"),
        (Role::Batch, "select 1 from shop.customers limit 1", "select 1 from shop.orders"),
        (Role::Backoffice, "select 1 from shop.order_list limit 1", "select 1 from shop.customers"),
        (Role::Catalog, "select 1 from pg_class limit 1", "select 1 from shop.venues"),
    ] {
        let client = connect(config.user(role.name()).password(format!("pw-{}", role.name()))).await.unwrap();
        client.simple_query(allowed).await.unwrap_or_else(|error| panic!("{role:?}: {allowed}: {error:?}"));
        let error = client.simple_query(denied).await.expect_err(denied);
        assert_eq!(error.code().unwrap().code(), "42501", "{role:?}: {denied}");
    }
}
