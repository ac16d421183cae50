//! Policies, lists, permits and classification that change while the sidecar runs: taken by itself, for sessions that are open too, as a
//! whole or not at all, and told where they are faulty, once.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use mitsuke::record::Statement;

use super::acting::{CLASSIFICATION, NO_CARDS, shop};
use crate::support::programs::psql;
use crate::support::server::{self, SUPERUSER, direct, shared};
use crate::support::sidecar::Sidecar;
use crate::support::wait_for;
use crate::support::wire::{self, Client};

const CARDS: &str = "select number from shop.cards";

fn no_cards(rest: &str) -> String {
    format!("id: no-cards\ntitle: t\nwhy: w\nstatus: stable\nseverity: high\ntags: [attack.t1213]\n{rest}")
}

/// Whether a session that is open is denied.
fn is_denied(client: &mut Client) -> bool {
    client.heard.clear();
    client.say(&wire::query(CARDS));
    client.hear_until_ready(1);
    wire::last_error(&client.heard).is_some()
}

#[test]
fn a_saved_policy_holds_for_open_sessions_and_a_faulty_one_changes_nothing_and_is_told_once() {
    let (sidecar, name, folder) = shop(&[("alone", "on: statement\naction: alert\nwhen: persons > 100\n")], "enforce");
    let mut open = Client::session(&sidecar.address(), SUPERUSER, &name);
    assert!(!is_denied(&mut open));
    let file = folder.path().join("no-cards.yaml");
    fs::write(&file, no_cards(NO_CARDS)).unwrap();
    wait_for("the denial", || is_denied(&mut open).then_some(()));
    assert!(!psql(&sidecar.url(&name), CARDS).output.status.success());

    fs::write(&file, no_cards(&NO_CARDS.replace("relations", "relation"))).unwrap();
    let place = format!("{}:7:11: `statements` has no column `relation`", file.display());
    wait_for("the fault", || sidecar.errors().contains(&place).then_some(()));
    assert!(is_denied(&mut open), "the old set is in force");
    // Two looks more.
    std::thread::sleep(mitsuke::policy::load::watch::EVERY * 3);
    assert_eq!(sidecar.errors().matches(&place).count(), 1, "{}", sidecar.errors());
    assert!(is_denied(&mut open));

    fs::remove_file(&file).unwrap();
    wait_for("its end", || (!is_denied(&mut open)).then_some(()));
    assert!(psql(&sidecar.url(&name), CARDS).output.status.success());
}

/// A version of the folder as the kubelet mounts a ConfigMap: links through `..data`.
fn version(folder: &Path, name: &str, permits: &str, classification: &str) {
    let of = folder.join(name);
    fs::create_dir(&of).unwrap();
    fs::write(of.join("permits.yaml"), permits).unwrap();
    fs::write(of.join("classification.yaml"), classification).unwrap();
    symlink(name, folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
}

#[test]
fn a_config_map_that_is_swapped_brings_permits_and_classification() {
    let name = server::database();
    psql(&direct(shared(), &name), "create table cards (id int, number text); insert into cards values (1, '4111')")
        .expect_success();
    let folder = tempfile::tempdir().unwrap();
    version(folder.path(), "..one", "", CLASSIFICATION);
    for file in ["permits.yaml", "classification.yaml"] {
        symlink(Path::new("..data").join(file), folder.path().join(file)).unwrap();
    }
    let sidecar = Sidecar::start(&format!("[policies]\npath = \"{}\"\n", folder.path().display()));
    let ask = || {
        psql(&sidecar.url(&name), "select number from public.cards").expect_success();
        wait_for("its record", || {
            let records = sidecar.records::<Statement>();
            records
                .into_iter()
                .rfind(|record| record.relations.as_deref().is_some_and(|relations| !relations.is_empty()))
        })
    };
    assert_eq!((ask().permit, ask().level), (None, None));
    let permit = format!(
        "- {{ id: OPS-1, db_user: {SUPERUSER}, relations: [\"*\"], persons_max: 99, from: 2020-01-01T00:00Z, until: 2100-01-01T00:00Z }}\n"
    );
    version(folder.path(), "..two", &permit, &CLASSIFICATION.replace("shop.cards", "public.cards"));
    let record = wait_for("the new folder", || Some(ask()).filter(|record| record.permit.is_some()));
    assert_eq!((record.permit.as_deref(), record.level.as_deref()), (Some("OPS-1"), Some("sensitive")));
}
