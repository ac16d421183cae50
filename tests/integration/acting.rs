//! Policies that intervene, with the real binary before a real server: what is denied never runs, what is cut stops at the limit, and
//! who is kept out stays out; and the record says so. Without such a policy, or in `mode = "observe"`, nothing intervenes.

use mitsuke::record::{Action, Finding, Outcome, Session, SessionOutcome, Statement};

use crate::support::programs::{psql, psql_script};
use crate::support::server::{self, SUPERUSER, direct, shared};
use crate::support::sidecar::{Sidecar, mitsuke};
use crate::support::wire::{Client, field, messages, query};
use crate::support::{programs, wait_for};

pub const CLASSIFICATION: &str = "levels: [internal, personal, sensitive]\ntables:\n  shop.customers: { subject: id, columns: { email: personal } }\n  shop.cards: { subject: id, columns: { number: sensitive } }\n";

pub const NO_CARDS: &str =
    "when: has(relations, 'shop.cards')\nunless: db_user = 'payment'\non: statement\naction: deny\n";
const LIMIT: &str = "on: progress\naction: cut\nwhen: persons > 100\n";
const BURST: &str = "on: session\naction: quarantine\nwhom: client_addr\nfor: 1h\nwhen: outcome = 'auth_failed'\nwindow: { by: [client_addr], within: 1m, count: true, above: 2 }\n";
pub const KEPT_OUT: &str =
    "on: statement\naction: quarantine\nwhom: db_user\nfor: 1h\nwhen: query like '%honeytoken%'\n";

/// A shop of 5,000 customers, its roles, and a sidecar with these policies; and the name of the database.
pub fn shop(policies: &[(&str, &str)], mode: &str) -> (Sidecar, String, tempfile::TempDir) {
    let name = server::database();
    let set_up = "create schema shop; create schema other;
        create table shop.customers (id int primary key, email text);
        insert into shop.customers select i, 'c' || i || '@example.com' from generate_series(1, 5000) i;
        create table shop.cards (id int primary key, number text);
        insert into shop.cards values (1, '4111');
        create table other.cards (id int); create view shop.plain as select number from shop.cards;";
    psql(&direct(shared(), &name), set_up).expect_success();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("classification.yaml"), CLASSIFICATION).unwrap();
    for (id, rest) in policies {
        let text = format!(
            "id: {id}\ntitle: Of {id}\nwhy: w\nstatus: stable\nseverity: high\ntags: [attack.t1213.006]\n{rest}"
        );
        std::fs::write(folder.path().join(format!("{id}.yaml")), text).unwrap();
    }
    let more = format!(
        "[policies]\npath = \"{}\"\nmode = \"{mode}\"\n[catalog]\nurl = \"{}\"\n",
        folder.path().display(),
        direct(shared(), &name)
    );
    let sidecar = Sidecar::start(&more);
    // Its catalog is read when the database is first used.
    wait_for("the catalog", || {
        psql(&sidecar.url(&name), "select 1 from shop.customers limit 1").expect_success();
        let last = sidecar.records::<Statement>().into_iter().next_back()?;
        (last.catalog?.as_str() == "fresh").then_some(())
    });
    (sidecar, name, folder)
}

fn findings(sidecar: &Sidecar) -> Vec<Finding> {
    wait_for("a finding", || Some(sidecar.records::<Finding>()).filter(|found| !found.is_empty()))
}

fn of_kind(sidecar: &Sidecar, outcome: Outcome) -> Vec<Statement> {
    wait_for("the record", || {
        let records = sidecar.records::<Statement>();
        Some(records.into_iter().filter(|record| record.outcome == Some(outcome)).collect::<Vec<_>>())
            .filter(|records| !records.is_empty())
    })
}

#[test]
fn a_denied_statement_never_runs_and_its_record_and_finding_say_who_wanted_it() {
    let (sidecar, name, _folder) = shop(&[("no-cards", NO_CARDS)], "enforce");
    let url = sidecar.url(&name);
    let said = psql(&url, "select number from shop.cards");
    assert!(said.err().contains("policy no-cards: Of no-cards"), "{}", said.err());
    // However it is named: a view, a search path, a prepared statement, a cursor, COPY, DELETE.
    for sql in [
        "select * from shop.plain",
        "set search_path = shop; select * from cards",
        "delete from shop.cards",
        "copy shop.cards to stdout",
        "begin; declare c cursor for select * from shop.cards; fetch all from c",
        "prepare p as select * from shop.cards; execute p",
    ] {
        let said = psql_script(&url, &sql.replace("; ", ";\n"));
        assert!(said.err().contains("policy no-cards"), "{sql}: {} {}", said.out(), said.err());
        assert!(!said.out().contains("4111"), "{sql}");
    }
    // What is not of the policy, or not of the user, goes on.
    assert_eq!(psql(&url, "select count(*) from other.cards").expect_success().trim(), "0");
    psql(&direct(shared(), &name), "create role payment login superuser").out();
    let payment = sidecar.url_as("payment", &name);
    assert_eq!(psql(&payment, "select number from shop.cards").expect_success().trim(), "4111");
    assert_eq!(psql(&direct(shared(), &name), "select count(*) from shop.cards").expect_success().trim(), "1");

    let denied = of_kind(&sidecar, Outcome::Denied);
    let record = &denied[0];
    assert_eq!(record.relations.as_deref(), Some(&["shop.cards".into()][..]));
    assert_eq!(record.policies.as_deref(), Some(&["no-cards".into()][..]));
    assert_eq!((record.sqlstate.as_deref(), record.rows_returned), (Some("42501"), Some(0)));
    assert_eq!(record.error.as_deref(), Some("policy no-cards: Of no-cards"));
    let found = findings(&sidecar);
    assert_eq!(found[0].action, Some(Action::Deny));
    let listed = sidecar.command(["policy", "list", "--format", "json"]).expect_success();
    assert!(listed.contains("\"last_match\":\"20"), "{listed}");
    let told = found[0].explanation.as_deref().unwrap();
    assert!(told.starts_with("postgres was denied SELECT from shop.cards at "), "{told}");
    let log = std::fs::read_to_string(shared().log_file()).unwrap();
    assert!(!log.contains("select number from shop.cards") || log.contains("payment"));
}

#[test]
fn a_result_is_cut_at_the_limit_and_the_record_says_how_many_people_got_out() {
    let (sidecar, name, _folder) = shop(&[("limit", LIMIT)], "enforce");
    let url = sidecar.url(&name);
    psql(&url, "select count(email) from (select * from shop.customers limit 100) c").expect_success();
    psql(&url, "select id, email from shop.customers limit 100").expect_success();
    let said = psql(&url, "select id, email from shop.customers");
    assert!(said.err().contains("policy limit: Of limit"), "{}", said.err());
    let cut = of_kind(&sidecar, Outcome::Cut);
    assert_eq!(cut.len(), 1);
    let (rows, people) = (cut[0].rows_returned.unwrap(), cut[0].persons.unwrap());
    assert_eq!((rows, people), (100, 100));
    assert_eq!(cut[0].policies.as_deref(), Some(&["limit".into()][..]));
    let found = findings(&sidecar);
    assert_eq!((found[0].action, found[0].observed, found[0].threshold), (Some(Action::Cut), Some(100), Some(100)));
    let told = found[0].explanation.as_deref().unwrap();
    let expected = "postgres was cut off after having read 100 people's data (limit 100) by SELECT from shop.customers";
    assert!(told.starts_with(expected), "{told}");
    // By COPY, of which no row says whose it is, as well.
    let said = psql(&url, "copy shop.customers to stdout");
    assert!(said.err().contains("policy limit"), "{}", said.err());
    assert!(said.out().lines().count() <= 100, "{}", said.out().lines().count());
}

#[test]
fn many_small_reads_are_cut_where_they_come_to_the_limit_together() {
    let day = "on: progress\naction: cut\nwhen: persons > 0\nwindow: { by: [db_user], within: 24h, sum: persons, above: 100 }\n";
    let (sidecar, name, _folder) = shop(&[("day", day)], "enforce");
    let url = sidecar.url(&name);
    for page in [0, 40] {
        psql(&url, &format!("select id, email from shop.customers order by id limit 40 offset {page}"))
            .expect_success();
    }
    wait_for("both pages in the window", || {
        let persons = sidecar.records::<Statement>().iter().filter_map(|record| record.persons).sum::<u64>();
        (persons == 80).then_some(())
    });
    let said = psql(&url, "select id, email from shop.customers order by id limit 40 offset 80");
    assert!(said.err().contains("policy day"), "{}", said.err());
    let cut = of_kind(&sidecar, Outcome::Cut);
    assert_eq!((cut[0].rows_returned, cut[0].persons), (Some(20), Some(20)));
    let told = findings(&sidecar)[0].explanation.clone().unwrap();
    assert!(told.contains("cut off after having read 100 people's data within 24 hours (limit 100)"), "{told}");
}

#[test]
fn who_is_kept_out_is_refused_and_cut_and_let_in_again_by_a_person() {
    let (mut sidecar, name, _folder) = shop(&[("bait", KEPT_OUT)], "enforce");
    psql(&direct(shared(), &name), "create role insider login superuser").out();
    let url = sidecar.url_as("insider", &name);
    // A session of the same user that is at work meanwhile.
    let working = {
        let url = url.clone();
        std::thread::spawn(move || psql(&url, "select pg_sleep(20)"))
    };
    wait_for("the other session", || {
        let sql = "select 1 from pg_stat_activity where usename = 'insider' and query like '%pg_sleep%'";
        (!psql(&direct(shared(), &name), sql).expect_success().is_empty()).then_some(())
    });
    psql(&url, "select 1 as honeytoken").expect_success();
    let refused = wait_for("the quarantine", || {
        let said = psql(&url, "select 2");
        (!said.output.status.success()).then(|| said.err())
    });
    assert!(refused.contains("mitsuke keeps role \"insider\" out until "), "{refused}");
    let said = working.join().unwrap();
    assert!(said.err().contains("mitsuke keeps role \"insider\" out"), "{}", said.err());
    psql(&sidecar.url(&name), "select 'another may'").expect_success();
    assert_eq!(findings(&sidecar)[0].action, Some(Action::Quarantine));

    // It outlives a restart; a person sees and lifts it, and says why.
    sidecar.stop();
    sidecar.launch();
    assert!(!psql(&url, "select 3").output.status.success());
    let listed = sidecar.command(["quarantine", "list"]).expect_success();
    assert!(listed.starts_with("db_user\tinsider\t"), "{listed}");
    assert!(listed.contains("\tbait\t"), "{listed}");
    let wrong = sidecar.command(["quarantine", "lift", "db_user", "insidr"]);
    assert_eq!(wrong.output.status.code(), Some(1), "{}", wrong.err());
    sidecar.command(["quarantine", "lift", "db_user", "insider", "--comment", "a test"]).expect_success();
    wait_for("the door", || psql(&url, "select 4").output.status.success().then_some(()));
    assert_eq!(sidecar.command(["quarantine", "list"]).expect_success(), "");

    let sessions = wait_for("the sessions", || {
        let sessions: Vec<Session> = sidecar.records();
        Some(sessions).filter(|all| all.iter().any(|one| one.outcome == Some(SessionOutcome::Refused)))
    });
    let of = |outcome| {
        sessions.iter().filter(move |one| one.outcome == Some(outcome) && one.sqlstate.as_deref() == Some("28000"))
    };
    assert!(of(SessionOutcome::Terminated).count() == 1 && of(SessionOutcome::Refused).count() >= 1);
    assert_eq!(of(SessionOutcome::AuthFailed).count(), 0, "nobody failed to authenticate");
}

#[test]
fn an_address_that_tries_one_password_after_the_other_is_kept_out() {
    let server = server::start(&[]);
    psql(&direct(&server, "postgres"), "create role clerk login password 'right'").expect_success();
    server::set_hba(&server, "host all clerk 127.0.0.1/32 scram-sha-256");
    let folder = tempfile::tempdir().unwrap();
    let text =
        format!("id: burst\ntitle: t\nwhy: w\nstatus: stable\nseverity: high\ntags: [attack.t1110.003]\n{BURST}");
    std::fs::write(folder.path().join("burst.yaml"), text).unwrap();
    let sidecar = Sidecar::before(&server, &format!("[policies]\npath = \"{}\"\n", folder.path().display()));
    let right = sidecar.url_as("clerk:right", "postgres");
    psql(&right, "select 1").expect_success();
    for _ in 0..3 {
        let said = psql(&sidecar.url_as("clerk:wrong", "postgres"), "select 1");
        assert!(said.err().contains("password authentication failed"), "{}", said.err());
    }
    let refused = wait_for("the quarantine", || {
        let said = psql(&right, "select 1");
        (!said.output.status.success()).then(|| said.err())
    });
    assert!(refused.contains("mitsuke keeps 127.0.0.1 out until "), "{refused}");
}

/// The built-in set before a server that asks for passwords, with these addresses shared, after eleven users were refused. Whether who
/// has the right password is let in, and what was found.
fn after_a_password_list(shared_addresses: &str, mode: &str) -> (bool, Vec<Finding>) {
    let server = server::start(&[]);
    let users: Vec<String> = (0..11).map(|number| format!("u{number}")).collect();
    psql(&direct(&server, "postgres"), "create role clerk login password 'right'").expect_success();
    server::set_hba(&server, &format!("host all clerk,{} 127.0.0.1/32 scram-sha-256", users.join(",")));
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in mitsuke::policy::built_in::FILES {
        let path = folder.path().join(path.strip_prefix("policies/").unwrap_or(path));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let shared = format!("shared_addresses: {shared_addresses}\nbefore:\n");
        std::fs::write(path, text.replace("shared_addresses:\n", &shared)).unwrap();
    }
    let more = format!("[policies]\npath = \"{}\"\nmode = \"{mode}\"\n", folder.path().display());
    let sidecar = Sidecar::before(&server, &more);
    for user in &users {
        let said = psql(&sidecar.url_as(&format!("{user}:guess"), "postgres"), "select 1");
        assert!(said.err().contains("password authentication failed"), "{}", said.err());
    }
    let found = wait_for("a finding", || {
        let found = sidecar.records::<Finding>();
        let last = if shared_addresses.contains("127") { "password-spraying" } else { "password-list-kept-out" };
        found.iter().any(|finding| &*finding.policy == last).then_some(found)
    });
    // Who is kept out is so at once; a second shows who is not.
    std::thread::sleep(std::time::Duration::from_secs(1));
    (psql(&sidecar.url_as("clerk:right", "postgres"), "select 1").output.status.success(), found)
}

#[test]
fn a_password_list_s_address_is_kept_out_unless_many_share_it_or_policies_observe() {
    let kept_out = |found: &[Finding]| -> Vec<Option<Action>> {
        found.iter().filter(|one| &*one.policy == "password-list-kept-out").map(|one| one.action).collect()
    };
    let (is_let_in, found) = after_a_password_list("[10.0.0.1]", "enforce");
    assert!(!is_let_in);
    assert_eq!(kept_out(&found), [Some(Action::Quarantine)]);
    let (is_let_in, found) = after_a_password_list("[10.0.0.1]", "observe");
    assert!(is_let_in);
    assert_eq!(kept_out(&found), [Some(Action::Alert)]);
    let (is_let_in, found) = after_a_password_list("[\"127.*\"]", "enforce");
    assert!(is_let_in);
    assert!(kept_out(&found).is_empty());
}

#[test]
fn where_policies_are_observed_everything_is_found_and_nothing_done() {
    let (sidecar, name, _folder) = shop(&[("no-cards", NO_CARDS), ("limit", LIMIT), ("bait", KEPT_OUT)], "observe");
    let url = sidecar.url(&name);
    assert_eq!(psql(&url, "select number from shop.cards").expect_success().trim(), "4111");
    let all = psql(&url, "select id, email from shop.customers").expect_success();
    assert_eq!(all.lines().count(), 5_000);
    psql(&url, "select 1 as honeytoken").expect_success();
    let found = wait_for("the findings", || Some(findings(&sidecar)).filter(|found| found.len() >= 3));
    for id in ["no-cards", "limit", "bait"] {
        let of_it: Vec<_> = found.iter().filter(|finding| *finding.policy == *id).collect();
        assert!(!of_it.is_empty() && of_it.iter().all(|finding| finding.action == Some(Action::Alert)), "{id}");
    }
    psql(&url, "select 'still here'").expect_success();
}

#[test]
fn policies_that_act_come_and_go_with_a_reload() {
    let (sidecar, name, folder) = shop(&[("alone", "on: statement\naction: alert\nwhen: persons > 100\n")], "enforce");
    let url = sidecar.url(&name);
    assert_eq!(psql(&url, "select number from shop.cards").expect_success().trim(), "4111");
    let text =
        format!("id: no-cards\ntitle: t\nwhy: w\nstatus: stable\nseverity: high\ntags: [attack.t1213]\n{NO_CARDS}");
    std::fs::write(folder.path().join("no-cards.yaml"), &text).unwrap();
    sidecar.hang_up();
    wait_for("the denial", || (!psql(&url, "select number from shop.cards").output.status.success()).then_some(()));
    std::fs::write(folder.path().join("no-cards.yaml"), text.replace("status: stable", "status: off")).unwrap();
    sidecar.hang_up();
    wait_for("its end", || psql(&url, "select number from shop.cards").output.status.success().then_some(()));
}

#[test]
fn a_policy_that_could_not_act_as_it_says_is_refused_with_its_place() {
    for (rest, expected) in [
        (
            "on: statement\naction: deny\nwhen: persons > 5\n",
            "p.yaml:8:9: `persons` is not known before the statement runs, when this policy is to act; with `on: progress`",
        ),
        (
            "on: statement\naction: cut\nwhen: persons > 5\n",
            "p.yaml:8:9: `action: cut` ends a statement while its rows flow; write `on: progress`",
        ),
        (
            "on: progress\naction: cut\nwhen: duration_us > 5\n",
            "p.yaml:8:9: `duration_us` is not known while rows flow",
        ),
        ("on: progress\naction: alert\nwhen: persons > 5\n", "p.yaml:8:9: `on: progress` is for what ends a statement"),
        (
            "on: session\naction: quarantine\nwhen: true\n",
            "p.yaml:8:9: a quarantine without an end; add a line `for: 15m`",
        ),
        (
            "on: session\naction: quarantine\nfor: 5m\nwhom: everybody\nwhen: true\n",
            "p.yaml:10:7: not one who can be kept out; write one of db_user, client_addr",
        ),
        (
            "on: session\naction: alert\nfor: 5m\nwhen: true\n",
            "p.yaml:9:6: `for` goes with `action: quarantine` only; leave it out",
        ),
        (
            "on: statement\naction: deny\nbaseline: { by: [db_user], first: relation }\n",
            "p.yaml:8:9: a `baseline` or `after` is not judged before the statement runs",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("id: p\ntitle: t\nwhy: w\nstatus: stable\nseverity: high\ntags: [attack.t1213]\n{rest}");
        std::fs::write(folder.path().join("p.yaml"), text).unwrap();
        let mut command = mitsuke();
        command.args(["policy", "list", "--path"]).arg(folder.path());
        let ran = programs::run(command, b"");
        assert_eq!(ran.output.status.code(), Some(2), "{rest}");
        assert!(ran.err().contains(expected), "{expected}\nis not in\n{}", ran.err());
    }
}

/// A name that the session itself changed is judged as what it was for as long as that may be, and no longer.
#[test]
fn a_name_that_was_changed_is_what_it_says_once_the_catalog_has_been_read() {
    let denies = "on: statement\naction: deny\nwhen: kind = 'select' and has(relations, 'shop.cards')\n";
    let (sidecar, name, _folder) = shop(&[("no-cards", denies)], "enforce");
    let mut client = Client::session(&sidecar.address(), SUPERUSER, &name);
    let mut denied = |sql: &str| {
        client.heard.clear();
        client.say(&query(sql));
        client.hear_until_ready(1);
        messages(&client.heard).iter().any(|(kind, body)| *kind == b'E' && field(body, b'C') == "42501")
    };
    assert!(!denied("begin"));
    assert!(!denied("alter table shop.cards rename to receipts"));
    assert!(denied("select count(*) from shop.receipts"));
    assert!(!denied("rollback"));
    assert!(!denied("create table shop.receipts (v int)"));
    wait_for("the name to mean what it says", || (!denied("select v from shop.receipts")).then_some(()));
    assert!(denied("select count(*) from shop.cards"));
    assert!(!denied("begin; alter table shop.cards rename to slips"));
    assert!(denied("select count(*) from shop.slips"));
    assert!(!denied("rollback"));
}
