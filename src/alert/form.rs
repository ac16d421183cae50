//! A finding in the forms that other programs read: JSON, OCSF, CEF, and the bodies that chat services take. PURE.
//!
//! In: a finding, and how many like it were held back before it. Out: one text. It holds what the log's `findings` holds, and no more:
//! names and figures, no value of the database.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::record::{Finding, Severity};

/// `[[alert]].format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// A sentence.
    #[default]
    Text,
    /// The finding's columns as JSON.
    Json,
    /// OCSF 1.3, Detection Finding (class 2004).
    Ocsf,
    /// ArcSight's Common Event Format, version 0.
    Cef,
    /// What Slack's and Mattermost's incoming webhooks take.
    Slack,
    /// What Teams' incoming webhooks take: an adaptive card.
    Teams,
}

impl Form {
    /// The type of what `write` gives, for HTTP.
    pub fn media_type(self) -> &'static str {
        match self {
            Form::Text | Form::Cef => "text/plain; charset=utf-8",
            Form::Json | Form::Ocsf | Form::Slack | Form::Teams => "application/json",
        }
    }
}

/// The finding in that form, on one line.
pub fn write(form: Form, finding: &Finding, held_back: u64) -> String {
    match form {
        Form::Text => sentence(finding, held_back),
        Form::Json => columns(finding, held_back).to_string(),
        Form::Ocsf => ocsf(finding, held_back).to_string(),
        Form::Cef => cef(finding, held_back),
        Form::Slack => json!({ "text": sentence(finding, held_back) }).to_string(),
        Form::Teams => json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "content": {
                    "type": "AdaptiveCard", "version": "1.4",
                    "body": [{ "type": "TextBlock", "wrap": true, "text": sentence(finding, held_back) }],
                },
            }],
        })
        .to_string(),
    }
}

fn severity(finding: &Finding) -> Severity {
    finding.severity.unwrap_or(Severity::Low)
}

fn explanation(finding: &Finding) -> String {
    let text = finding.explanation.as_deref().unwrap_or(&finding.title);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `HIGH bulk-personal-read: clerk read …`.
fn sentence(finding: &Finding, held_back: u64) -> String {
    let mut text =
        format!("{} {}: {}", severity(finding).as_str().to_uppercase(), finding.policy, explanation(finding));
    if held_back > 0 {
        let _ = write!(text, " ({held_back} more were held back)");
    }
    text
}

fn columns(finding: &Finding, held_back: u64) -> Value {
    json!({
        "finding_id": finding.finding_id, "at": finding.common.at.to_string(), "policy": finding.policy,
        "title": finding.title, "severity": severity(finding), "action": finding.action,
        "observed": finding.observed, "threshold": finding.threshold, "explanation": explanation(finding),
        "tags": finding.tags, "evidence": finding.evidence, "writer": finding.common.writer,
        "session_id": finding.common.session_id, "database": finding.database, "db_user": finding.db_user,
        "role": finding.role, "end_user": finding.end_user, "application_name": finding.application_name,
        "client_addr": finding.client_addr, "held_back": held_back,
    })
}

/// Detection Finding, with what its schema requires (ocsf-schema, events/findings/detection_finding.json) and what is known
/// besides; what it has no place for is under `unmapped`.
fn ocsf(finding: &Finding, held_back: u64) -> Value {
    let severity_id = match severity(finding) {
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    };
    let time = finding.common.at.0 / 1_000;
    json!({
        "category_uid": 2, "category_name": "Findings", "class_uid": 2004, "class_name": "Detection Finding",
        "activity_id": 1, "activity_name": "Create", "type_uid": 200_401, "type_name": "Detection Finding: Create",
        "time": time, "severity_id": severity_id, "status_id": 1, "is_alert": true, "message": explanation(finding),
        "metadata": {
            "version": "1.3.0",
            "product": { "name": "Mitsuke", "vendor_name": "Mitsuke", "version": env!("CARGO_PKG_VERSION") },
            "log_name": "findings", "uid": finding.finding_id,
        },
        "finding_info": {
            "uid": finding.finding_id, "title": finding.title, "desc": explanation(finding), "created_time": time,
            "types": finding.tags, "analytic": { "type_id": 1, "type": "Rule", "uid": finding.policy, "name": finding.title },
        },
        "resources": [{ "type": "database", "name": finding.database, "uid": finding.common.writer }],
        "evidences": [{
            "actor": { "user": { "name": finding.db_user }, "session": { "uid": finding.common.session_id } },
            "src_endpoint": { "ip": finding.client_addr },
        }],
        "unmapped": {
            "action": finding.action, "observed": finding.observed, "threshold": finding.threshold,
            "role": finding.role, "end_user": finding.end_user, "application_name": finding.application_name,
            "statements": finding.evidence, "held_back": held_back,
        },
    })
}

/// CEF:0, its header and extension escaped as its specification says.
fn cef(finding: &Finding, held_back: u64) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Action;

    fn finding() -> Finding {
        Finding {
            finding_id: "0199".into(),
            policy: "bulk|read".into(),
            title: "Many = too\nmany".into(),
            severity: Some(Severity::High),
            action: Some(Action::Cut),
            observed: Some(20_000),
            threshold: Some(1_000),
            explanation: Some("clerk\u{7} read a|b=c\\d".into()),
            db_user: Some("cl=erk".into()),
            client_addr: Some("127.0.0.66".into()),
            database: Some("shop".into()),
            ..Finding::default()
        }
    }

    #[test]
    fn cef_is_escaped_so_that_no_name_begins_a_field() {
        let line = write(Form::Cef, &finding(), 2);
        assert!(line.starts_with("CEF:0|Mitsuke|Mitsuke|"), "{line}");
        assert!(
            line.contains("|bulk\\|read|Many = too many|8|rt=0 externalId=0199 src=127.0.0.66 suser=cl\\=erk act=cut")
        );
        assert!(
            line.ends_with(
                "cn1Label=observed cn1=20000 cn2Label=threshold cn2=1000 cnt=3 msg=clerk  read a|b\\=c\\\\d"
            )
        );
        assert_eq!(line.lines().count(), 1);
    }

    /// base_event.json, finding.json, metadata.json, product.json, finding_info.json: `"requirement": "required"`.
    #[test]
    fn ocsf_has_what_its_schema_requires() {
        let event: Value = serde_json::from_str(&write(Form::Ocsf, &finding(), 0)).expect("JSON");
        for key in ["activity_id", "category_uid", "class_uid", "severity_id", "time", "type_uid"] {
            assert!(event[key].is_u64(), "{key}");
        }
        assert_eq!(event["type_uid"].as_u64(), Some(2004 * 100 + 1), "class_uid * 100 + activity_id");
        assert!(event["metadata"]["version"].is_string() && event["metadata"]["product"]["vendor_name"].is_string());
        assert!(event["finding_info"]["uid"].is_string() && event["finding_info"]["title"].is_string());
        assert_eq!(event["severity_id"].as_u64(), Some(4));
        assert_eq!(event["unmapped"]["observed"].as_u64(), Some(20_000));
    }

    #[test]
    fn every_form_is_one_line_and_those_of_services_are_json() {
        for form in [Form::Text, Form::Json, Form::Ocsf, Form::Cef, Form::Slack, Form::Teams] {
            let text = write(form, &finding(), 0);
            assert_eq!(text.lines().count(), 1, "{form:?}");
            assert_eq!(serde_json::from_str::<Value>(&text).is_ok(), form.media_type() == "application/json");
        }
        assert_eq!(write(Form::Text, &finding(), 1), "HIGH bulk|read: clerk  read a|b=c\\d (1 more were held back)");
    }
}
