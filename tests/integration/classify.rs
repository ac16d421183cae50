//! `mitsuke classify` before real databases: what it finds, what it misses, what it takes for personal that is not; that what it writes
//! loads and holds; that it prints no value and changes nothing.

use std::path::Path;
use std::time::Duration;

use mitsuke::catalog::Classification;
use mitsuke::demo::shop;
use mitsuke::record::Finding;
use serde_json::Value;

use crate::support::programs::{self, Ran, psql};
use crate::support::server::{self, SUPERUSER, database, direct, shared};
use crate::support::sidecar::{Sidecar, mitsuke};
use crate::support::wait_for;

fn classify(url: &str, more: &[&str]) -> Ran {
    let mut command = mitsuke();
    command.args(["classify", "--database", url]).args(more).current_dir(env!("CARGO_TARGET_TMPDIR"));
    programs::run(command, b"")
}

/// What is proposed, as `table.column level`, those that only sound personal left out.
fn proposed(url: &str) -> Vec<String> {
    let told: Value = serde_json::from_str(&classify(url, &["--format", "json"]).expect_success()).expect("JSON");
    let mut found = Vec::new();
    for table in told["tables"].as_array().expect("a list") {
        for column in table["columns"].as_array().expect("a list").iter().filter(|column| column["level"] != "internal")
        {
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            found.push(format!("{}.{} {}", text(&table["table"]), text(&column["name"]), text(&column["level"])));
        }
    }
    found.sort();
    found
}

fn parse(yaml: &str) -> Classification {
    Classification::parse(yaml, Path::new("classification.yaml")).unwrap_or_else(|faults| panic!("{faults}\n{yaml}"))
}

/// No false one and none missed, but for a card's last four digits, which alone are nobody's.
#[test]
fn the_ticket_shop_is_classified_as_a_person_would() {
    let own = server::start(&[]);
    let superuser: tokio_postgres::Config = direct(&own, "postgres").parse().expect("a connection string");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(shop::build(&superuser, |_| "abcdef".to_owned())).expect("the shop");
    let url = direct(&own, shop::DATABASE);
    assert_eq!(
        proposed(&url),
        [
            "customers.address personal",
            "customers.birth_date personal",
            "customers.email personal",
            "customers.my_number sensitive",
            "customers.name personal",
            "customers.name_kana personal",
            "customers.phone personal",
        ]
    );
    let yaml = classify(&url, &[]).expect_success();
    let classification = parse(&yaml);
    assert_eq!(classification.subject("shop", "customers"), Some("id"));
    assert!(yaml.contains("      email: personal  # by its name: e-mail addresses; 200 of 200 different values look like e-mail addresses"), "{yaml}");
    // Made-up My Numbers have a wrong check digit: the name alone speaks for them.
    assert!(
        yaml.contains("my_number: sensitive  # by its name: My Numbers; by its comment: My Numbers; its one value does not look like My Numbers"),
        "{yaml}"
    );
    // Values are counted, never told.
    let values = psql(
        &url,
        "select name || chr(10) || email || chr(10) || phone || chr(10) || address from shop.customers limit 3000",
    )
    .expect_success();
    for (number, value) in values.lines().enumerate() {
        assert!(!yaml.contains(value.trim()), "value {number} is in the proposal");
    }
}

/// Made up, and varied: English, Japanese and romaji, names that tell and names that don't, innocents beside them.
const VARIED: &str = "
create schema app; create schema legacy;
create table app.users (id bigint primary key, login text, \"eMail\" text, password_hash text, created_at timestamptz, email_verified bool,
    email_sent_at timestamptz, last_ip inet, locale text, phone_verified_on date, dob date);
insert into app.users select i, 'user' || i, 'u' || i || '@example.com', md5(i::text), now(), true, now(), ('192.0.2.' || i % 250)::inet, 'ja',
    date '2025-01-01' + i % 300, date '1950-01-01' + i * 60 from generate_series(1, 300) i;
create table app.invoices (id bigint primary key, user_id bigint not null references app.users, approved_by bigint references app.users,
    ship_to text, total numeric, pan text, issued_on date, note text, invoice_no text);
insert into app.invoices select i, i, 1, '100-' || lpad(i::text, 4, '0'), i * 10, (array['4111111111111111', '5555555555554444', '378282246310005', '6011111111111117', '3530111333300000', '4012888888881881'])[i % 6 + 1],
    date '2026-01-01' + i % 300, case when i % 5 = 0 then 'call +81 90-1234-' || lpad(i::text, 4, '0') else 'nothing ' || i end,
    lpad(i::text, 10, '0') from generate_series(1, 300) i;
create table app.outbox (id bigint primary key, mail text, mailbox_id int, telemetry jsonb, filename text, hostname text, body text);
insert into app.outbox select i, (array['sent', 'queued'])[i % 2 + 1], i, json_build_object('cpu', i), 'f' || i || '.txt', 'host' || i,
    'Dear u' || i || '@example.com, thank you' from generate_series(1, 300) i;
create table app.places (id int primary key, name text, address text, phone text, postal_code text);
insert into app.places select i, '会場' || i, '東京都', '03-1234-' || lpad(i::text, 4, '0'), '100-' || lpad(i::text, 4, '0') from generate_series(1, 100) i;
create table app.items (id bigint primary key, jan_code text, serial_no bigint, version text, name text, title text, released date);
insert into app.items select i, (4901234000000 + i * 17)::text, 100000000000 + i * 7919, '1.2.' || i, 'Item ' || i, 'コンサート チケット', date '1960-01-01' + i * 70
    from generate_series(1, 300) i;
create table legacy.m_kaiin (kaiin_bangou int primary key, shimei text, shimei_kana text, denwa text, juusho text, seinengappi text, mynumber text, f1 text, f2 text);
insert into legacy.m_kaiin select i, '見附' || i, '', '', '', '', '', (array['佐藤 太郎', '鈴木 花子', '田中 一郎', '神無月 蓮'])[i % 4 + 1] || repeat('一', i % 3),
    (array['サトウ タロウ', 'スズキ ハナコ', 'タナカ イチロウ', 'カンナヅキ レン'])[i % 4 + 1] || repeat('ー', i % 3) from generate_series(1, 300) i;
create table legacy.\"T_顧客\" (\"顧客番号\" int primary key, \"氏名\" text, \"電話番号\" text, \"メール送信日時\" timestamp, \"備考\" text);
create table legacy.t_uriage (id int primary key, kaiin_bangou int, c1 text, kingaku int);
insert into legacy.t_uriage select i, i, 'x' || i || '@example.jp', i from generate_series(1, 300) i;
create table legacy.empty_one (id int primary key, tel text, tel_flag bool);
";

/// The truth of [`VARIED`].
const PERSONAL: [&str; 20] = [
    "T_顧客.氏名 personal",
    "T_顧客.電話番号 personal",
    "empty_one.tel personal",
    "invoices.note personal",
    "invoices.pan sensitive",
    "invoices.ship_to personal",
    "m_kaiin.denwa personal",
    "m_kaiin.f1 personal",
    "m_kaiin.f2 personal",
    "m_kaiin.juusho personal",
    "m_kaiin.mynumber sensitive",
    "m_kaiin.seinengappi personal",
    "m_kaiin.shimei personal",
    "m_kaiin.shimei_kana personal",
    "outbox.body personal",
    "t_uriage.c1 personal",
    "users.dob personal",
    "users.eMail personal",
    "users.last_ip personal",
    "users.password_hash sensitive",
];

#[test]
fn a_varied_schema_is_classified_without_a_false_one() {
    let url = direct(shared(), &database());
    psql(&url, VARIED).expect_success();
    let found = proposed(&url);
    let expected = PERSONAL.to_vec();
    let missed: Vec<_> = expected.iter().filter(|column| !found.contains(&(**column).to_owned())).collect();
    let wrong: Vec<_> = found.iter().filter(|column| !expected.contains(&column.as_str())).collect();
    println!(
        "{} of {} personal columns found, {} of 40 taken for personal that are not",
        expected.len() - missed.len(),
        expected.len(),
        wrong.len()
    );
    assert!(missed.is_empty() && wrong.is_empty(), "missed {missed:?}, wrong {wrong:?}");

    let classification = parse(&classify(&url, &[]).expect_success());
    let subject = |schema, table| classification.subject(schema, table);
    assert_eq!(subject("app", "users"), Some("id"));
    assert_eq!(subject("app", "invoices"), Some("user_id"));
    assert_eq!(subject("legacy", "m_kaiin"), Some("kaiin_bangou"));
    assert_eq!(subject("legacy", "t_uriage"), Some("kaiin_bangou"), "no key is declared");
    let level = |column| {
        classification.level("app", "users", column).and_then(|level| classification.name(level)).map(|name| &**name)
    };
    assert_eq!(
        (level("email_sent_at"), level("email_verified"), level("email")),
        (Some("internal"), Some("internal"), Some("personal"))
    );
}

#[test]
fn options_do_what_they_say() {
    let url = direct(shared(), &database());
    psql(&url, VARIED).expect_success();
    // Up to version 14 a process of its own counts, and tells twice a second.
    let written =
        || psql(&url, "select sum(n_tup_ins + n_tup_upd + n_tup_del) from pg_stat_user_tables").expect_success();
    let mut before = String::new();
    wait_for("all that was filled is counted", || {
        let last = std::mem::replace(&mut before, written());
        std::thread::sleep(Duration::from_millis(600));
        (before != "0\n" && last == before).then_some(())
    });
    let only = classify(&url, &["--schema", "legacy", "--format", "text"]).expect_success();
    assert!(only.contains("legacy.m_kaiin") && !only.contains("app.users"), "{only}");
    assert!(only.contains("people are counted by kaiin_bangou: the primary key of a table of people"), "{only}");
    let names_only = classify(&url, &["--sample", "0", "--format", "text"]).expect_success();
    assert!(
        names_only.contains("eMail") && !names_only.contains("different values") && !names_only.contains("\n  body"),
        "{names_only}"
    );
    let none = classify(&url, &["--schema", "nowhere"]);
    assert_eq!(
        (none.output.status.code(), none.err()),
        (Some(2), "mitsuke: there is no schema `nowhere` with a table in the database; correct --schema\n".to_owned())
    );
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("classification.yaml");
    let output = file.to_str().expect("UTF-8");
    let first = classify(&url, &["--output", output]);
    assert!(first.err().starts_with("Of 60 columns in 9 tables, "), "{}", first.err());
    first.expect_success();
    parse(&std::fs::read_to_string(&file).expect("it is there"));
    let again = classify(&url, &["--output", output]);
    assert_eq!(again.output.status.code(), Some(2));
    assert!(again.err().contains("is there already; name another --output"), "{}", again.err());
    assert_eq!(before, written());
}

#[test]
fn what_is_written_already_holds_and_a_table_that_may_not_be_read_is_told() {
    let name = database();
    let set_up = format!(
        "{VARIED}; create role peeker login; grant usage on schema app to peeker; grant select on app.outbox to peeker; \
        comment on column app.users.dob is 'known @sensitive'"
    );
    psql(&direct(shared(), &name), &set_up).expect_success();
    let url = shared().url("peeker", &name);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("policies")).expect("a folder");
    let yaml = "levels: [internal, personal, sensitive]\ntables:\n  app.users: { subject: login, columns: { email: personal } }\n";
    std::fs::write(folder.path().join("policies/classification.yaml"), yaml).expect("written");
    let mut command = mitsuke();
    std::fs::write(folder.path().join("mitsuke.toml"), "[policies]\npath = \"policies\"\n").expect("written");
    command.args(["classify", "--database", &url, "--schema", "app"]).current_dir(folder.path());
    let told = programs::run(command, b"").expect_success();
    assert!(
        told.contains(
            "# Not sampled, judged by names alone: app.users: permission denied for table users (SQLSTATE 42501)"
        ),
        "{told}"
    );
    assert!(told.contains("# Only what the classification in force does not have"), "{told}");
    let difference = parse(&told);
    assert_eq!(difference.level("app", "users", "email"), None);
    assert_eq!(difference.level("app", "users", "dob"), None);
    assert_eq!(difference.subject("app", "users"), None);
    assert!(difference.level("app", "users", "password_hash").is_some());
    assert!(difference.level("app", "outbox", "body").is_some(), "what may be read is sampled");
    psql(&direct(shared(), &name), "drop owned by peeker; drop role peeker").expect_success();
}

/// No provider of labels comes with PostgreSQL: the row is put where SECURITY LABEL puts it.
#[test]
fn a_security_label_counts_and_check_names_what_is_not_there() {
    let name = database();
    let set_up = "create table people (id int primary key, \"Memo\" text, other text); insert into people values (1, 'a', 'b');
        insert into pg_seclabel (objoid, classoid, objsubid, provider, label) values ('people'::regclass, 'pg_class'::regclass, 2, 'made_up', 'personal');
        insert into pg_seclabel (objoid, classoid, objsubid, provider, label) values ('people'::regclass, 'pg_class'::regclass, 3, 'selinux', 'system_u:object_r:t:s0')";
    psql(&direct(shared(), &name), set_up).expect_success();
    let folder = tempfile::tempdir().expect("a folder");
    let yaml = "levels: [internal, personal]\ntables:\n  public.people:\n    subject: id\n    columns: { memo: internal, gone: personal, \"x*\": personal }\n  public.nowhere: { columns: { a: personal } }\n";
    std::fs::write(folder.path().join("classification.yaml"), yaml).expect("written");
    let url = direct(shared(), &name);
    let more = format!("[catalog]\nurl = \"{url}\"\n[policies]\npath = \"{}\"\n", folder.path().display());
    let mut sidecar = Sidecar::start(&more);
    psql(&sidecar.url(&name), "select \"Memo\" from people; select other from people").expect_success();
    let checked = sidecar.command(["check"]);
    sidecar.stop();
    let columns: Vec<String> = sidecar
        .records::<mitsuke::record::Statement>()
        .iter()
        .map(|record| record.columns.iter().flat_map(|columns| columns.iter()).map(ToString::to_string).collect())
        .collect();
    assert_eq!(columns, ["public.people.Memo", ""]);
    let told = checked.err();
    assert!(told.contains("classification.yaml:3: `public.people` has no column `gone` in the database"), "{told}");
    assert!(told.contains("classification.yaml:6: there is no relation `public.nowhere` in the database"), "{told}");
    assert!(!told.contains("column `memo`") && !told.contains("column `id`") && !told.contains("column `x"), "{told}");
    psql(&url, "delete from pg_seclabel where objoid = 'people'::regclass").expect_success();
}

#[test]
fn a_database_that_cannot_be_reached_is_told_in_one_line_without_the_password() {
    for (url, wanted) in [
        ("postgresql://postgres:hunter2@127.0.0.1:1/x", "the database cannot be reached"),
        ("postgresql://postgres:hun ter2@[x", "--database is not a connection string"),
    ] {
        let ran = classify(url, &[]);
        let told = ran.err();
        assert_eq!((ran.output.status.code(), told.lines().count()), (Some(2), 1), "{told}");
        assert!(told.contains(wanted) && !told.contains("ter2"), "{told}");
    }
}

/// Through a real sidecar: results of a column that nobody classified, until it is clear what it holds.
#[test]
fn a_column_that_nobody_classified_and_that_looks_personal_is_found_while_it_runs_once() {
    let name = database();
    let set_up = "create schema shop; create table shop.orders (id int primary key, note text, memo text, email text, place text, code text);
        insert into shop.orders select i, case when i % 12 = 0 then 'none ' || i else 'p' || i || '@example.com' end, 'memo ' || i,
            'q' || i || '@example.com', 'place ' || i, 'r' || i || '@example.com' from generate_series(1, 400) i;
        create table shop.people (id int, line text);
        insert into shop.people select i, 'ask +81 90-1234-' || lpad(i::text, 4, '0') || ' please' from generate_series(1, 400) i;
        comment on column shop.orders.code is 'looked at: @internal'";
    psql(&direct(shared(), &name), set_up).expect_success();
    let mut sidecar = Sidecar::start(&format!("[catalog]\nurl = \"{}\"\n", direct(shared(), &name)));
    let url = sidecar.url_as(SUPERUSER, &name);
    // The database of the URL is read before the first client comes.
    psql(&url, "select id, note, memo, email, place, code from shop.orders where id <= 150").expect_success();
    psql(&url, "select upper(note) from shop.orders").expect_success();
    psql(&url, "select * from shop.orders where id > 150").expect_success();
    psql(&url, "select line from shop.people; select line from shop.people; select note from shop.orders")
        .expect_success();
    sidecar.stop();
    let told = |sidecar: &Sidecar| {
        let findings =
            sidecar.records::<Finding>().into_iter().filter(|finding| &*finding.policy == "unclassified-personal-data");
        findings.collect::<Vec<_>>()
    };
    let findings = told(&sidecar);
    let explanations: Vec<String> =
        findings.iter().map(|finding| finding.explanation.as_deref().unwrap_or_default().to_owned()).collect();
    assert_eq!(explanations.len(), 2, "{explanations:?}");
    assert!(
        explanations[0]
            .starts_with("shop.orders.note looks like e-mail addresses: 92 % of 200 different values, and nothing"),
        "{explanations:?}"
    );
    assert!(
        explanations[1].starts_with("shop.people.line holds telephone numbers: 100 % of 200 different values"),
        "{explanations:?}"
    );
    assert_eq!(findings[0].severity.map(|severity| severity.to_string()).as_deref(), Some("medium"));
    assert_eq!((findings[0].db_user.as_deref(), findings[0].observed), (Some(SUPERUSER), Some(184)));

    // What was told is not told again after a restart.
    sidecar.launch();
    for _ in 0..3 {
        psql(&sidecar.url_as(SUPERUSER, &name), "select note from shop.orders; select line from shop.people")
            .expect_success();
    }
    sidecar.stop();
    assert_eq!(told(&sidecar).len(), 2);
}
