//! The log judged again: what other policies would have found in it, and why one did or did not match a record.

use mitsuke::record::{Finding, Statement};

use crate::support::programs::{Ran, psql};
use crate::support::server::{self, direct, shared};
use crate::support::sidecar::Sidecar;
use crate::support::wait_for;

const CLASSIFICATION: &str = "levels: [internal, personal, sensitive]\ntables:\n  shop.customers: { subject: id, columns: { email: personal } }\n";

/// A sidecar without policies that has seen three reads: of 5, 40 and 60 people.
fn seen() -> (Sidecar, tempfile::TempDir) {
    let name = server::database();
    let set_up = "create schema shop; create table shop.customers (id int primary key, email text);
        insert into shop.customers select i, 'c' || i || '@example.com' from generate_series(1, 100) i;";
    psql(&direct(shared(), &name), set_up).expect_success();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("classification.yaml"), CLASSIFICATION).unwrap();
    let more = format!(
        "[policies]\npath = \"{}\"\n[catalog]\nurl = \"{}\"\n",
        folder.path().display(),
        direct(shared(), &name)
    );
    let sidecar = Sidecar::start(&more);
    wait_for("the catalog", || {
        psql(&sidecar.url(&name), "select id from shop.customers limit 0").expect_success();
        let last = sidecar.records::<Statement>().into_iter().next_back()?;
        (last.catalog?.as_str() == "fresh").then_some(())
    });
    for people in [5, 40, 60] {
        psql(&sidecar.url(&name), &format!("select id, email from shop.customers order by id limit {people}"))
            .expect_success();
    }
    wait_for("the records", || {
        let people: u64 = sidecar.records::<Statement>().iter().filter_map(|record| record.persons).sum();
        (people == 105).then_some(())
    });
    (sidecar, folder)
}

fn write(folder: &tempfile::TempDir, id: &str, rest: &str) -> String {
    let text = format!(
        "id: {id}\ntitle: t\nwhy: w\nstatus: stable\nseverity: high\ntags: [attack.t1213]\non: statement\naction: alert\n{rest}"
    );
    let path = folder.path().join(format!("{id}.yaml"));
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn lines(ran: Ran) -> Vec<String> {
    ran.expect_success().lines().map(str::to_owned).collect()
}

#[test]
fn the_log_is_judged_again_by_new_policies_and_nothing_is_written() {
    let (sidecar, folder) = seen();
    write(&folder, "many", "when: persons > 30\n");
    write(&folder, "day", "when: persons > 0\nwindow: { by: [db_user], within: 24h, sum: persons, above: 100 }\n");
    let told = lines(sidecar.command(["policy", "backtest", "--since", "1d"]));
    assert_eq!(told[0], "day\thigh\t1 finding, 1.00 a day; the log has 0", "{told:#?}");
    assert_eq!(told[1], "  postgres 1");
    assert!(told[2].contains("postgres read 105 people's data within 24 hours (limit 100)"), "{told:#?}");
    assert_eq!(told[3], "many\thigh\t2 findings, 2.00 a day; the log has 0");
    assert!(told.last().unwrap().ends_with(" findings"), "{told:#?}");
    let one = lines(sidecar.command(["policy", "backtest", "many", "--format", "json"]));
    assert_eq!(one.len(), 1);
    let object: serde_json::Value = serde_json::from_str(&one[0]).unwrap();
    assert_eq!((object["findings"].as_u64(), object["users"]["postgres"].as_u64()), (Some(2), Some(2)));
    assert_eq!(sidecar.records::<Finding>().len(), 0, "nothing is written");
    let listed = lines(sidecar.command(["policy", "list", "--format", "json"]));
    assert!(listed.iter().all(|line| line.contains("\"last_match\":null")), "{listed:#?}");
    // A policy's file that is not in force.
    let elsewhere = tempfile::tempdir().unwrap();
    let file = write(&elsewhere, "forty", "when: persons = 40\n");
    let told = lines(sidecar.command(["policy", "backtest", "--policy", &file]));
    assert!(told[0].starts_with("forty\thigh\t1 finding, "), "{told:#?}");
    let wrong = sidecar.command(["policy", "backtest", "--since", "soon"]);
    assert_eq!(wrong.output.status.code(), Some(2));
    assert!(wrong.err().contains("write 12h, 30d or 4w"), "{}", wrong.err());
    let long = sidecar.command(["policy", "backtest", "--since", "99999d"]);
    assert_eq!(long.output.status.code(), Some(2));
    assert!(long.err().contains("too long: 3653d, ten years, is the most"), "{}", long.err());
    assert!(sidecar.command(["policy", "backtest", "mani"]).err().contains("did you mean `many`?"));
}

#[test]
fn an_explanation_shows_every_part_of_a_condition_and_what_the_window_held() {
    let (sidecar, folder) = seen();
    write(
        &folder,
        "many",
        "when: persons > 50 and (kind = 'copy_out' or has(relations, 'shop.customers'))\nunless: permit is not null\n",
    );
    write(&folder, "day", "when: persons > 0\nwindow: { by: [db_user], within: 24h, sum: persons, above: 100 }\n");
    let of = |people: u64| {
        let all = sidecar.records::<Statement>();
        let record = all.iter().find(|record| record.persons == Some(people)).unwrap();
        record.common.seq.to_string()
    };
    let told = lines(sidecar.command(["policy", "explain", "many", &of(60)]));
    assert!(told[0].starts_with("many: statement "), "{told:#?}");
    assert_eq!(
        told[1..7],
        [
            "when   TRUE  persons > 50 AND (kind = 'copy_out' OR has(relations, 'shop.customers'))",
            "       TRUE    persons > 50   [persons = 60]",
            "       TRUE    (kind = 'copy_out' OR has(relations, 'shop.customers'))",
            "       FALSE     kind = 'copy_out'   [kind = 'select']",
            "       TRUE      has(relations, 'shop.customers')   [relations = [shop.customers]]",
            "unless FALSE permit IS NOT NULL   [permit = NULL]",
        ]
    );
    assert!(told[7].starts_with("match: postgres read 60 people's data in one statement (limit 50)"), "{told:#?}");
    let told = lines(sidecar.command(["policy", "explain", "many", &of(40)]));
    assert_eq!(told.last().unwrap(), "no match: `when` is not TRUE, or `unless` is");
    let told = lines(sidecar.command(["policy", "explain", "day", &of(40)]));
    assert!(told.last().unwrap().starts_with("no finding: the figure is within its limit"), "{told:#?}");
    let told = lines(sidecar.command(["policy", "explain", "day", &of(60)]));
    assert!(told.last().unwrap().contains("read 105 people's data within 24 hours (limit 100)"), "{told:#?}");
    let none = sidecar.command(["policy", "explain", "day", "999999"]);
    assert_eq!(none.output.status.code(), Some(2));
    assert!(none.err().contains("there is no record 999999 in statements"), "{}", none.err());
}
