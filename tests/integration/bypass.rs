//! Sessions that reach the server by another way are found; those that come through the sidecar are not, whatever becomes of their clients.

use std::process::{Child, Stdio};
use std::time::Duration;

use mitsuke::record::{Action, Finding, Severity};

use crate::support::programs::{program, psql};
use crate::support::server::{self, direct, shared};
use crate::support::sidecar::Sidecar;
use crate::support::wait_for;
use crate::support::wire::Client;

fn config(url: &str, more: &str) -> String {
    format!("[catalog]\nurl = \"{url}\"\n[bypass]\nevery = \"1s\"\n{more}")
}

/// psql that runs something long.
fn psql_that_stays(url: &str) -> Child {
    let mut command = program("psql");
    command.args(["-X", url, "-c", "select pg_sleep(60)"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("psql runs")
}

/// Of this database: other tests use the server as they like.
fn findings(sidecar: &Sidecar, database: &str) -> Vec<Finding> {
    let all = sidecar.records::<Finding>();
    all.into_iter()
        .filter(|finding| &*finding.policy == "bypass" && finding.database.as_deref() == Some(database))
        .collect()
}

fn role(database: &str, name: &str) -> String {
    let role = format!("{database}_{name}");
    psql(&direct(shared(), database), &format!("create role {role} login")).expect_success();
    role
}

fn as_role(database: &str, role: &str) -> String {
    let address = server::address(shared());
    format!("postgresql://{role}@{address}/{database}?application_name=hand")
}

fn backends(database: &str, user: &str) -> String {
    let sql = format!("select count(*) from pg_stat_activity where datname = '{database}' and usename = '{user}'");
    psql(&direct(shared(), database), &sql).expect_success().trim().to_owned()
}

#[test]
fn who_comes_another_way_is_found_once_and_who_comes_through_is_not() {
    let name = server::database();
    let (clerk, web, backup) = (role(&name, "clerk"), role(&name, "web"), role(&name, "backup"));
    let sidecar = Sidecar::start(&config(&direct(shared(), &name), &format!("allow = [\"{backup}@127.*\"]\n")));
    let _idle = Client::session(&sidecar.address(), &web, &name);
    let mut short_lived = psql_that_stays(&sidecar.url_as(&web, &name));
    wait_for("both of them", || (backends(&name, &web) == "2").then_some(()));
    // Its statement runs on in the server.
    short_lived.kill().and_then(|()| short_lived.wait()).expect("psql ends");
    let (mut direct_one, mut allowed) =
        (psql_that_stays(&as_role(&name, &clerk)), psql_that_stays(&as_role(&name, &backup)));
    let found = wait_for("the finding", || Some(findings(&sidecar, &name)).filter(|found| !found.is_empty()));
    // Three looks more.
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(backends(&name, &backup), "1");
    let all = findings(&sidecar, &name);
    for child in [&mut direct_one, &mut allowed] {
        child.kill().and_then(|()| child.wait()).expect("psql ends");
    }
    assert_eq!(all.len(), 1, "{all:?}");
    let finding = &found[0];
    assert_eq!((finding.db_user.as_deref(), finding.severity), (Some(&*clerk), Some(Severity::Medium)));
    assert_eq!((finding.application_name.as_deref(), finding.action), (Some("hand"), Some(Action::Alert)));
    let says = finding.explanation.as_deref().expect("a sentence");
    assert!(
        says.starts_with(&format!("{clerk} has been connected to the database {name} from 127.0.0.1 with hand since ")),
        "{says}"
    );
}

#[test]
fn without_the_right_to_see_others_nothing_is_found_and_it_is_said() {
    let name = server::database();
    let (clerk, catalog) = (role(&name, "clerk"), role(&name, "catalog"));
    let url = format!("postgresql://{catalog}@{}/{name}", server::address(shared()));
    let sidecar = Sidecar::start(&config(&url, ""));
    let says = format!("grant pg_read_all_stats to {catalog}");
    let mut stays = psql_that_stays(&as_role(&name, &clerk));
    wait_for("the warning", || sidecar.errors().contains(&says).then_some(()));
    let checked = sidecar.command(["check"]);
    assert!(checked.output.status.success() && checked.err().contains(&says), "{}", checked.err());
    std::thread::sleep(Duration::from_secs(3));
    assert!(findings(&sidecar, &name).is_empty());
    assert_eq!(sidecar.errors().matches(&says).count(), 1, "{}", sidecar.errors());
    psql(&direct(shared(), &name), &format!("grant pg_read_all_stats to {catalog}")).expect_success();
    let found = wait_for("the finding", || findings(&sidecar, &name).into_iter().next());
    stays.kill().and_then(|()| stays.wait()).expect("psql ends");
    assert_eq!(found.db_user.as_deref(), Some(&*clerk));
    let checked = sidecar.command(["check"]);
    assert!(checked.output.status.success() && !checked.err().contains(&says), "{}", checked.err());
}

/// Who stays for a moment only is found by what they ran; what came through, what the server itself runs and what is allowed is not.
#[test]
fn statements_that_did_not_come_through_are_found_by_the_server_s_counts() {
    let server = server::start(&[("shared_preload_libraries", "pg_stat_statements")]);
    let admin = direct(&server, "postgres");
    for sql in [
        "create extension pg_stat_statements",
        "create role watcher login; grant pg_read_all_stats to watcher",
        "create role clerk login; create role web login; create role backup login",
        "create table parents (id int primary key); create table children (id int references parents deferrable initially deferred)",
        "grant all on parents, children to clerk, web, backup; insert into parents values (1), (2)",
    ] {
        psql(&admin, sql).expect_success();
    }
    let more = format!(
        "[catalog]\nurl = \"{}\"\n[bypass]\nevery = \"1s\"\nallow = [\"backup\", \"postgres\"]\n",
        server.url("watcher", "postgres")
    );
    let sidecar = Sidecar::before(&server, &more);
    let found = || -> Vec<Finding> {
        sidecar.records::<Finding>().into_iter().filter(|finding| &*finding.policy == "bypass-statements").collect()
    };
    // The drain time of a sidecar that was before this one, a look to find the extension, and one at which counting begins.
    std::thread::sleep(Duration::from_secs(9));
    let through = |sql: &str| psql(&sidecar.url_as("web", "postgres"), sql).expect_success();
    for number in 0..5 {
        through(&format!("select count(*) from parents where id = {number}"));
    }
    through("begin; insert into children values (1); insert into children values (2); commit");
    through("prepare p as select id + 1 from parents; execute p; execute p");
    through("do $$ begin perform sum(id) from children; end $$");
    through("begin; declare c cursor for select id from children; fetch 1 from c; fetch all from c; commit");
    through("copy children to stdout");
    psql(&server.url("backup", "postgres"), "select max(id) from parents").expect_success();
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(found().len(), 0, "{:?}", found());

    let by = |user: &str, sql: &str| psql(&server.url(user, "postgres"), sql).expect_success();
    by("clerk", "select min(id), max(id) from children");
    let finding = wait_for("the finding", || found().into_iter().next());
    assert_eq!((finding.db_user.as_deref(), finding.severity), (Some("clerk"), Some(Severity::Medium)));
    assert_eq!((finding.observed, finding.measure.as_deref()), (Some(1), Some("statements")));
    let says = finding.explanation.as_deref().expect("a sentence");
    assert!(says.contains("as clerk in the database postgres") && says.contains("certain"), "{says}");

    // The same as what came through, many times more.
    let many = "select count(*) from parents where id = 7;".repeat(80);
    by("web", &many);
    let likely =
        wait_for("the other", || found().into_iter().find(|finding| finding.db_user.as_deref() == Some("web")));
    assert_eq!(likely.severity, Some(Severity::Low));
    assert!(likely.observed.is_some_and(|observed| (70..=80).contains(&observed)), "{likely:?}");
    assert!(likely.explanation.as_deref().is_some_and(|says| says.contains("likely")), "{likely:?}");
    assert_eq!(found().len(), 2, "{:?}", found());
}
