//! Drivers and authentication methods: what works directly works through the sidecar.

use mitsuke::record::SessionOutcome;
use mitsuke::session::Event;
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::support::programs::{psql, python};
use crate::support::server::{self, database, direct, shared};
use crate::support::through::Through;
use crate::support::wire::{self, Client};

const PYTHON: &str = r#"
import sys, uuid, datetime, decimal, psycopg
from psycopg.rows import dict_row
with psycopg.connect(sys.argv[1], row_factory=dict_row) as db:
    notices = []
    db.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    db.execute("create temp table t (id int primary key, u uuid, d date, n numeric, b bytea, a text[])")
    for i in range(5):
        db.execute("insert into t values (%s, %s, %s, %s, %s, %s)", (i, uuid.UUID(int=i), datetime.date(2026, 11, 23), decimal.Decimal("1.10"), bytes([i, 0]), ["見附", None]))
    print(db.execute("select * from t order by id").fetchall())
    print(db.execute("select * from t order by id", binary=True).fetchall())
    with db.cursor() as cur:
        cur.executemany("insert into t (id) values (%s)", [(i,) for i in range(10, 110)])
        print(cur.rowcount)
        with cur.copy("copy t (id, a) from stdin") as copy:
            for i in range(200, 1200): copy.write_row((i, ["x" * 100]))
        with cur.copy("copy (select id, a from t order by id) to stdout") as copy:
            print(sum(len(chunk) for chunk in copy))
    with db.cursor(name="server_side") as cur:
        cur.itersize = 7
        cur.execute("select id from t order by id")
        print(sum(row["id"] for row in cur))
    try:
        with db.transaction(): db.execute("select 1/0")
    except psycopg.errors.DivisionByZero as error: print(error.sqlstate, error.diag.message_primary)
    db.execute("do $$ begin raise notice 'seen'; end $$")
    print(notices)
    with db.pipeline():
        cursors = [db.execute("select %s::int as i", (i,)) for i in range(50)]
    print([c.fetchone()["i"] for c in cursors])
    try:
        with db.pipeline() as p:
            db.execute("select 1"); db.execute("select nothing"); db.execute("select 2"); p.sync()
    except psycopg.errors.UndefinedColumn as error: print("pipeline", error.sqlstate)
    db.rollback()
    for i in range(12): db.execute("select %s::text as v", (str(i),), prepare=True)
    print(db.execute("select count(*) from pg_prepared_statements").fetchone())
"#;

#[test]
fn a_psycopg_script_prints_the_same() {
    let name = database();
    let through = Through::start();
    let direct = python(&direct(shared(), &name), PYTHON).expect_success();
    let passed = python(&through.url(&name), PYTHON).expect_success();
    assert_eq!(passed, direct);
    assert!(direct.contains("22012") && direct.contains("pipeline 42703"), "{direct}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokio_postgres_works_with_everything_pipelined() {
    let name = database();
    let through = Through::start();
    let (mut client, connection) = tokio_postgres::connect(&through.url(&name), NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute("create table t (id int primary key, v text)").await.unwrap();
    let insert = client.prepare("insert into t values ($1, $2)").await.unwrap();
    let one = |id: i32| {
        let (client, insert) = (&client, &insert);
        async move { client.execute(insert, &[&id, &"v"]).await }
    };
    let (a, b, c) = tokio::join!(one(1), one(2), one(3));
    assert_eq!((a.unwrap(), b.unwrap(), c.unwrap()), (1, 1, 1));
    assert_eq!(one(1).await.unwrap_err().code().unwrap().code(), "23505");
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("select id from t order by id", &[]).await.unwrap();
    assert_eq!(transaction.query_portal(&portal, 2).await.unwrap().len(), 2);
    assert_eq!(transaction.query_portal(&portal, 2).await.unwrap().len(), 1);
    transaction.rollback().await.unwrap();
    let said = client.simple_query("select 1; select 2").await.unwrap();
    assert_eq!(said.iter().filter(|message| matches!(message, SimpleQueryMessage::Row(_))).count(), 2);
    drop(client);
    connection.await.unwrap().unwrap();
    let events = tokio::task::spawn_blocking(|| through.stop()).await.unwrap();
    let rows: u64 =
        events.iter().map(|event| if let Event::Ended(ended) = event { ended.rows_returned } else { 0 }).sum();
    assert_eq!(rows, 3 + 2, "three of the portal, however many Executes it took, and two");
}

/// `pg_hba.conf` knows a user a method; each password is right through the sidecar, and a wrong one is recorded as that.
#[test]
fn every_authentication_method_passes_through() {
    let name = database();
    let server = server::start(&[]);
    let admin = direct(&server, "postgres");
    psql(&admin, &format!("create database {name}")).expect_success();
    for (user, encryption) in [("of_scram", "scram-sha-256"), ("of_md5", "md5"), ("of_password", "scram-sha-256")] {
        let create = format!("set password_encryption = '{encryption}'; create role {user} login password 'right'");
        psql(&admin, &create).expect_success();
    }
    server::set_hba(
        &server,
        "host all of_scram 127.0.0.1/32 scram-sha-256\nhost all of_md5 127.0.0.1/32 md5\n\
         host all of_password 127.0.0.1/32 password\nhost all of_nobody 127.0.0.1/32 reject",
    );
    let through = Through::before(&server, |_| {});
    for user in ["of_scram", "of_md5", "of_password"] {
        let right = psql(&through.url_as(&format!("{user}:right"), &name), "select session_user").expect_success();
        assert_eq!(right.trim(), user);
        let wrong = psql(&through.url_as(&format!("{user}:wrong"), &name), "select 1");
        assert!(wrong.err().contains("password authentication failed"), "{}", wrong.err());
    }
    let rejected = psql(&through.url_as("of_nobody", &name), "select 1");
    assert!(rejected.err().contains("pg_hba.conf rejects connection"), "{}", rejected.err());
    let events = through.stop();
    let ended = |user: &str| -> Vec<(SessionOutcome, Option<String>, Option<String>)> {
        let of_user = |event: &Event| match event {
            Event::Closed(closed) if closed.who.db_user.as_deref() == Some(user) => {
                Some((closed.outcome, closed.sqlstate.clone(), closed.auth_method.clone()))
            }
            _ => None,
        };
        events.iter().filter_map(of_user).collect()
    };
    for (user, method) in [("of_scram", "scram-sha-256"), ("of_md5", "md5"), ("of_password", "password")] {
        let method = Some(method.to_owned());
        let right = (SessionOutcome::Closed, None, method.clone());
        let wrong = (SessionOutcome::AuthFailed, Some("28P01".to_owned()), method);
        let found = ended(user);
        assert!(found.contains(&right) && found.contains(&wrong), "{user}: {found:?}");
    }
    assert_eq!(ended("of_nobody")[0].1.as_deref(), Some("28000"));
}

#[test]
fn a_notification_reaches_an_idle_client() {
    let name = database();
    let through = Through::start();
    let mut listener = Client::session(&through.address(), "postgres", &name);
    listener.say(&wire::query("listen bell"));
    listener.hear_until_ready(2);
    psql(&through.url(&name), "notify bell, '見附'").expect_success();
    listener.hear_until(b'A', 1);
    let all = wire::messages(&listener.heard);
    let body = all.iter().find(|message| message.0 == b'A').unwrap().1;
    assert!(body.ends_with("bell\0見附\0".as_bytes()));
}
