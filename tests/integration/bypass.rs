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
