//! CEF:0, ArcSight's Common Event Format.
//!
//! In: a finding. Out: one line, its header and extension escaped as the format's specification says.

use std::fmt::Write as _;

use super::{explanation, severity};
use crate::record::{Finding, Severity};

/// CEF:0, its header and extension escaped as its specification says.
pub(super) fn line(finding: &Finding, held_back: u64) -> String {
    let level = match severity(finding) {
        Severity::Low => 3,
        Severity::Medium => 5,
        Severity::High => 8,
        Severity::Critical => 10,
    };
    let header = |text: &str| text.replace('\\', "\\\\").replace('|', "\\|").replace(['\r', '\n'], " ");
    let value = |text: &str| text.replace('\\', "\\\\").replace('=', "\\=").replace(['\r', '\n'], " ");
    let mut line = format!(
        "CEF:0|Mitsuke|Mitsuke|{}|{}|{}|{level}|",
        env!("CARGO_PKG_VERSION"),
        header(&finding.policy),
        header(&finding.title)
    );
    let _ = write!(line, "rt={} externalId={}", finding.common.at.0 / 1_000, value(&finding.finding_id));
    let address = finding.client_addr.as_deref().filter(|address| address.parse::<std::net::IpAddr>().is_ok());
    let texts = [
        ("src", address),
        ("suser", finding.db_user.as_deref()),
        ("duser", finding.role.as_deref()),
        ("requestClientApplication", finding.application_name.as_deref()),
        ("act", finding.action.map(|action| action.as_str())),
        ("cs1Label", finding.database.as_ref().map(|_| "database")),
        ("cs1", finding.database.as_deref()),
        ("cs2Label", finding.end_user.as_ref().map(|_| "endUser")),
        ("cs2", finding.end_user.as_deref()),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            let _ = write!(line, " {key}={}", value(text));
        }
    }
    if let Some(observed) = finding.observed {
        let _ = write!(line, " cn1Label=observed cn1={observed}");
    }
    if let Some(threshold) = finding.threshold {
        let _ = write!(line, " cn2Label=threshold cn2={threshold}");
    }
    let _ = write!(line, " cnt={} msg={}", held_back.saturating_add(1), value(&explanation(finding)));
    line
}
