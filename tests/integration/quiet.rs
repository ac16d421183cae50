//! The built-in policies before what does no harm: pgbench. None of them says more than that a table was dropped or emptied.

use mitsuke::record::{Finding, Severity, Statement};

use crate::support::programs::pgbench;
use crate::support::server;
use crate::support::sidecar::Sidecar;
use crate::support::wait_for;

#[test]
fn pgbench_raises_nothing_above_low() {
    let name = server::database();
    let mut sidecar = Sidecar::start("");
    let url = sidecar.url(&name);
    pgbench(&url, &["-i", "-s", "1", "-q"]).expect_success();
    for protocol in ["simple", "extended", "prepared"] {
        pgbench(&url, &["-t", "200", "-c", "2", "-M", protocol]).expect_success();
    }
    wait_for("its statements", || {
        let updates = sidecar
            .records::<Statement>()
            .iter()
            .filter(|one| one.kind.is_some_and(|kind| kind.as_str() == "update"))
            .count();
        (updates >= 3 * 200 * 2 * 3).then_some(())
    });
    sidecar.stop();
    let loud: Vec<String> = sidecar
        .records::<Finding>()
        .iter()
        .filter(|finding| finding.severity > Some(Severity::Low))
        .map(|finding| format!("{}: {}", finding.policy, finding.explanation.as_deref().unwrap_or_default()))
        .collect();
    assert!(loud.is_empty(), "{loud:#?}");
}
