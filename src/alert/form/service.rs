//! What services take that page people, keep tickets and carry chats.
//!
//! In: a finding and its sentence. Out: the service's JSON.

use std::fmt;

use serde_json::{Value, json};

use super::{Lang, severity};
use crate::alert::japanese;
use crate::record::{Finding, Severity};

/// The longest summary that PagerDuty takes, characters.
const PAGERDUTY_SUMMARY_CHARS_MAX: usize = 1_024;
/// The longest summary of a Jira issue, characters.
const JIRA_SUMMARY_CHARS_MAX: usize = 255;

/// A PagerDuty integration's key.
#[derive(Clone, PartialEq, Eq)]
pub struct RoutingKey(pub String);

/// Who has it can page people.
impl fmt::Debug for RoutingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoutingKey")
    }
}

/// Where a Jira issue goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jira {
    /// The project's key.
    pub project: String,
    /// The name of the issue's type.
    pub issue_type: String,
}

/// An adaptive card.
pub(super) fn teams(said: &str) -> Value {
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "type": "AdaptiveCard", "version": "1.4",
                "body": [{ "type": "TextBlock", "wrap": true, "text": said }],
            },
        }],
    })
}

/// A `trigger` of the Events API v2. What is about the same policy, user and address has the same `dedup_key`: one incident, which the
/// service keeps up to date. Whether it is over is for a person to say: nothing here resolves one.
pub(super) fn pagerduty(key: &RoutingKey, finding: &Finding, said: &str, details: Value) -> Value {
    let level = match severity(finding) {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "info",
    };
    json!({
        "routing_key": key.0, "event_action": "trigger", "dedup_key": incident(finding),
        "client": "Mitsuke",
        "payload": {
            "summary": clipped(said, PAGERDUTY_SUMMARY_CHARS_MAX), "severity": level,
            "source": finding.common.writer, "timestamp": finding.common.at.to_string(),
            "component": finding.database, "group": finding.policy, "class": finding.tags.as_deref().and_then(|tags| tags.first()),
            "custom_details": details,
        },
    })
}

/// The same for what is about the same policy, user and address, on every sidecar; tells nothing of them.
fn incident(finding: &Finding) -> String {
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    for part in
        [Some(&finding.policy), finding.db_user.as_ref(), finding.end_user.as_ref(), finding.client_addr.as_ref()]
    {
        // Nobody is another than somebody without a name.
        digest.update(&[u8::from(part.is_some())]);
        digest.update(part.map_or(&[][..], |part| part.as_bytes()));
        digest.update(&[0]);
    }
    let hex: String = digest.finish().as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("mitsuke-{hex}")
}

/// `POST /rest/api/2/issue`.
pub(super) fn jira(jira: &Jira, finding: &Finding, lang: Lang, said: &str) -> Value {
    let facts = [
        ("finding", Some(&finding.finding_id)),
        ("writer", Some(&finding.common.writer)),
        ("database", finding.database.as_ref()),
        ("role", finding.role.as_ref()),
        ("application", finding.application_name.as_ref()),
    ];
    let facts = facts.into_iter().filter_map(|(name, value)| Some(format!("{name}: {}", unmarked(value?))));
    let title = match lang {
        Lang::En => &*finding.title,
        Lang::Ja => japanese::title(finding),
    };
    let who = [&finding.db_user, &finding.client_addr].into_iter().flatten().map(|name| &**name).collect::<Vec<_>>();
    let who = if who.is_empty() { String::new() } else { format!(" ({})", who.join(", ")) };
    let query = format!("mitsuke query \"select * from findings where finding_id = '{}'\"", finding.finding_id);
    json!({
        "fields": {
            "project": { "key": jira.project },
            "issuetype": { "name": jira.issue_type },
            "summary": clipped(&format!("[mitsuke] {title}{who}"), JIRA_SUMMARY_CHARS_MAX),
            "description": format!("{}\n\n{}\n\n{{noformat}}{query}{{noformat}}", unmarked(said), facts.collect::<Vec<_>>().join("\n")),
            "labels": ["mitsuke", finding.policy, severity(finding).as_str()],
        },
    })
}

/// One line of so many characters.
fn clipped(text: &str, chars_max: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(chars_max).collect()
}

/// Names may be anything: nothing of them is a macro, a link or a mention of somebody.
fn unmarked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '{' | '}' | '[' | ']' | '|' | '!' | '*' | '_' | '~' | '^' | '\\') {
            out.push('\\');
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding() -> Finding {
        Finding {
            finding_id: "0199".into(),
            policy: "bulk-personal-read".into(),
            title: "Many people's personal data read".into(),
            severity: Some(Severity::High),
            db_user: Some("clerk".into()),
            client_addr: Some("10.0.0.7".into()),
            application_name: Some("{code}[~admin]".into()),
            tags: Some(["attack.t1213".into()].into()),
            ..Finding::default()
        }
    }

    /// developer.pagerduty.com, "Send an Alert Event": routing_key, event_action, and payload with summary, source and severity.
    #[test]
    fn pagerduty_has_what_an_event_requires_and_one_key_an_incident() {
        let said = "x".repeat(2_000);
        let event = |finding: &Finding| pagerduty(&RoutingKey("k".repeat(32)), finding, &said, json!({}));
        let one = event(&finding());
        assert_eq!(
            (one["event_action"].as_str(), one["routing_key"].as_str().map(str::len)),
            (Some("trigger"), Some(32))
        );
        let payload = &one["payload"];
        assert_eq!(payload["severity"].as_str(), Some("error"));
        assert_eq!(payload["summary"].as_str().map(str::len), Some(1_024));
        assert!(payload["source"].is_string() && payload["timestamp"].as_str().is_some_and(|at| at.ends_with('Z')));
        let again = event(&Finding { observed: Some(7), finding_id: "0200".into(), ..finding() });
        assert_eq!(one["dedup_key"], again["dedup_key"], "updated, not a second one");
        let other = event(&Finding { client_addr: Some("10.0.0.8".into()), ..finding() });
        assert_ne!(one["dedup_key"], other["dedup_key"]);
        assert!(!one["dedup_key"].as_str().expect("a text").contains("clerk"));
        assert_eq!(format!("{:?}", RoutingKey("secret".to_owned())), "RoutingKey");
    }

    #[test]
    fn a_jira_issue_names_its_project_and_holds_no_markup_of_somebody_else() {
        let to = Jira { project: "SEC".to_owned(), issue_type: "Task".to_owned() };
        let issue = jira(&to, &finding(), Lang::En, "HIGH x: clerk read {panel} a|b");
        let fields = &issue["fields"];
        assert_eq!(
            (fields["project"]["key"].as_str(), fields["issuetype"]["name"].as_str()),
            (Some("SEC"), Some("Task"))
        );
        assert_eq!(fields["summary"].as_str(), Some("[mitsuke] Many people's personal data read (clerk, 10.0.0.7)"));
        let description = fields["description"].as_str().expect("a text");
        assert!(
            description.contains("\\{panel\\} a\\|b") && description.contains("\\{code\\}\\[\\~admin\\]"),
            "{description}"
        );
        assert_eq!(fields["labels"][1].as_str(), Some("bulk-personal-read"));
        let japanese = jira(&to, &finding(), Lang::Ja, "x");
        assert_eq!(japanese["fields"]["summary"].as_str(), Some("[mitsuke] 多数の個人データの参照 (clerk, 10.0.0.7)"));
    }
}
