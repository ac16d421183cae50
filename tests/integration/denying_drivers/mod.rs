//! Every driver takes a denial for the ordinary error that it is: what a script prints behind the gate is what it prints
//! directly for a user whom PostgreSQL itself refuses the table.

use mitsuke::session::gate::Message;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use crate::support::gate::TestGate;
use crate::support::programs::{node, psql, psql_script, python};
use crate::support::server::{self, database, direct, shared};
use crate::support::through::Through;

/// A new database with a table that nobody may read, and the connection string of such a nobody.
fn with_forbidden_table() -> (String, String) {
    let name = database();
    let nobody = format!("nobody_of_{name}");
    let set_up = format!(
        "create role {nobody} login; create table t (id int); insert into t select generate_series(1, 20);
         grant all on t to {nobody}; create table forbidden (id int); insert into forbidden values (1)"
    );
    psql(&direct(shared(), &name), &set_up).expect_success();
    let url = format!("postgresql://{nobody}@{}/{name}", server::address(shared()));
    (name, url)
}

/// Gates that deny at each place where one can be denied.
fn gates() -> [TestGate; 4] {
    let only = |messages: &[Message]| TestGate { messages: messages.to_vec(), ..TestGate::denying("forbidden") };
    let all = TestGate::denying("forbidden");
    [
        all,
        only(&[Message::Query, Message::Parse]),
        only(&[Message::Query, Message::Bind]),
        only(&[Message::Query, Message::Execute]),
    ]
}

#[track_caller]
fn assert_same(run: impl Fn(&str) -> String) {
    let (name, nobody) = with_forbidden_table();
    let refused = run(&nobody);
    assert!(!refused.contains("was not denied"), "{refused}");
    for gate in gates() {
        let places = gate.messages.clone();
        let through = Through::gated(gate, Default::default());
        assert_eq!(run(&through.url(&name)), refused, "{places:?}");
    }
}

#[test]
fn psql_goes_on() {
    let script = r"
        \set VERBOSITY sqlstate
        select * from forbidden;
        begin;
        select 1;
        select * from forbidden;
        select 2;
        rollback;
        \copy forbidden to stdout
        \copy forbidden from stdin
7
\.
        select 'goes on' as said \gset
        \echo :said :SQLSTATE :ERROR :LAST_ERROR_SQLSTATE
        \set FETCH_COUNT 7
        select * from t;
        select * from forbidden;
        select count(*) from t;
    ";
    // What it prints on standard error are SQLSTATEs.
    assert_same(|url| {
        let ran = psql_script(url, script);
        format!("{}{}", ran.out(), ran.err())
    });
}

#[test]
fn psycopg_goes_on() {
    assert_same(|url| python(url, include_str!("psycopg.py")).expect_success());
}

#[test]
fn libpq_s_pipelines_go_on() {
    assert_same(|url| python(url, include_str!("libpq.py")).expect_success());
}

#[test]
fn asyncpg_goes_on() {
    assert_same(|url| python(url, include_str!("asyncpg.py")).expect_success());
}

#[test]
fn node_postgres_goes_on() {
    assert_same(|url| node(url, include_str!("node.js")).expect_success());
}

async fn tokio_postgres(url: &str) -> Vec<String> {
    let (mut db, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut said = Vec::new();
    let denied = |error: tokio_postgres::Error| {
        let said = error.as_db_error().unwrap_or_else(|| panic!("{error}"));
        format!("{} {}", said.severity(), said.code().code())
    };
    said.push(denied(db.simple_query("select * from forbidden").await.unwrap_err()));
    said.push(denied(db.query("select * from forbidden where id = $1", &[&1]).await.unwrap_err()));
    said.push(denied(db.batch_execute("select * from forbidden").await.unwrap_err()));
    // PostgreSQL lets everybody prepare it: only its execution is held against another.
    let executed = match db.prepare("select id from forbidden").await {
        Ok(statement) => db.query(&statement, &[]).await.map(|_| ()),
        Err(error) => Err(error),
    };
    said.push(denied(executed.unwrap_err()));
    said.push(count(&db).await);
    let transaction = db.transaction().await.unwrap();
    transaction.execute("insert into t values (100)", &[]).await.unwrap();
    said.push(denied(transaction.query("select * from forbidden", &[]).await.unwrap_err()));
    said.push(transaction.query("select 1", &[]).await.unwrap_err().code().unwrap().code().to_owned());
    transaction.rollback().await.unwrap();
    // Three pipelines at once.
    let (before, between, behind) = tokio::join!(
        db.query("select 'before'", &[]),
        db.query("select * from forbidden", &[]),
        db.query("select 'behind'", &[])
    );
    said.push(format!("{} {}", before.unwrap().len(), behind.unwrap().len()));
    said.push(denied(between.unwrap_err()));
    said.push(count(&db).await);
    said.push(db.is_closed().to_string());
    drop(db);
    connection.await.unwrap().unwrap();
    said
}

async fn count(db: &Client) -> String {
    db.query_one("select count(*) from t", &[]).await.unwrap().get::<_, i64>(0).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokio_postgres_goes_on() {
    let (name, nobody) = with_forbidden_table();
    let refused = tokio_postgres(&nobody).await;
    assert_eq!(refused[0], format!("ERROR {}", SqlState::INSUFFICIENT_PRIVILEGE.code()));
    for gate in gates() {
        let places = gate.messages.clone();
        let through = Through::gated(gate, Default::default());
        assert_eq!(tokio_postgres(&through.url(&name)).await, refused, "{places:?}");
    }
}
