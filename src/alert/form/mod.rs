//! A finding in the forms that other programs read: JSON, OCSF, CEF, and the bodies that chat, paging and ticket services take. PURE.
//!
//! In: a finding, and how many like it were held back before it. Out: one text. It holds what the log's `findings` holds, and no more:
//! names and figures, no value of the database.

mod cef;
mod service;
mod template;

use std::fmt::Write as _;

use serde_json::{Value, json};

pub use self::service::{Jira, RoutingKey};
pub use self::template::Template;
use super::japanese;
use crate::ocsf;
use crate::record::{Finding, Severity};

/// `[[alert]].format`, with what it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// PagerDuty's Events API v2.
    Pagerduty(RoutingKey),
    /// An issue, by Jira's REST API v2.
    Jira(Jira),
    /// A text of one's own with places to fill.
    Template(Template),
}

/// `[[alert]].lang`: of sentences; JSON, OCSF and CEF are for programs, and in English.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Japanese.
    Ja,
}

/// How a channel writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// The form.
    pub form: Form,
    /// The language of its sentences.
    pub lang: Lang,
}

impl Style {
    /// The type of what [`Style::write`] gives, for HTTP.
    pub fn media_type(&self) -> &'static str {
        match &self.form {
            Form::Text | Form::Cef => "text/plain; charset=utf-8",
            Form::Template(template) => template.media_type(),
            _ => "application/json",
        }
    }

    /// The finding in that form. On one line, except for a template of more.
    pub fn write(&self, finding: &Finding, held_back: u64) -> String {
        let said = sentence(self.lang, finding, held_back);
        match &self.form {
            Form::Text => said,
            Form::Json => columns(finding, held_back).to_string(),
            Form::Ocsf => ocsf::finding(finding, held_back).to_string(),
            Form::Cef => cef::line(finding, held_back),
            Form::Slack => json!({ "text": said }).to_string(),
            Form::Teams => service::teams(&said).to_string(),
            Form::Pagerduty(key) => service::pagerduty(key, finding, &said, columns(finding, held_back)).to_string(),
            Form::Jira(jira) => service::jira(jira, finding, self.lang, &said).to_string(),
            Form::Template(template) => template.fill(&said, &columns(finding, held_back)),
        }
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
fn sentence(lang: Lang, finding: &Finding, held_back: u64) -> String {
    if lang == Lang::Ja {
        let level = japanese::severity(severity(finding));
        let mut text = format!("【{level}】{}: {}", finding.policy, japanese::sentence(finding));
        if held_back > 0 {
            let _ = write!(text, "（ほかに {held_back} 件を通知せず保留）");
        }
        return text;
    }
    let mut text =
        format!("{} {}: {}", severity(finding).as_str().to_uppercase(), finding.policy, explanation(finding));
    if held_back > 0 {
        let _ = write!(text, " ({held_back} more were held back)");
    }
    text
}

/// The finding's columns as JSON, in English.
pub(super) fn columns(finding: &Finding, held_back: u64) -> Value {
    json!({
        "finding_id": finding.finding_id, "at": finding.common.at.to_string(), "policy": finding.policy,
        "title": finding.title, "severity": severity(finding), "action": finding.action,
        "observed": finding.observed, "threshold": finding.threshold, "measure": finding.measure,
        "within_us": finding.within_us, "explanation": explanation(finding),
        "tags": finding.tags, "evidence": finding.evidence, "writer": finding.common.writer,
        "session_id": finding.common.session_id, "database": finding.database, "db_user": finding.db_user,
        "role": finding.role, "end_user": finding.end_user, "application_name": finding.application_name,
        "client_addr": finding.client_addr, "held_back": held_back,
    })
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

    fn write(form: Form, held_back: u64) -> String {
        Style { form, lang: Lang::En }.write(&finding(), held_back)
    }

    #[test]
    fn cef_is_escaped_so_that_no_name_begins_a_field() {
        let line = write(Form::Cef, 2);
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

    #[test]
    fn every_form_is_one_line_and_those_of_services_are_json() {
        let services = [
            Form::Pagerduty(RoutingKey("k".to_owned())),
            Form::Jira(Jira { project: "SEC".to_owned(), issue_type: "Task".to_owned() }),
        ];
        for form in
            [Form::Text, Form::Json, Form::Ocsf, Form::Cef, Form::Slack, Form::Teams].into_iter().chain(services)
        {
            for lang in [Lang::En, Lang::Ja] {
                let style = Style { form: form.clone(), lang };
                let text = style.write(&finding(), 0);
                assert_eq!(text.lines().count(), 1, "{style:?}");
                assert_eq!(serde_json::from_str::<Value>(&text).is_ok(), style.media_type() == "application/json");
            }
        }
        let japanese = Style { form: Form::Slack, lang: Lang::Ja }.write(&finding(), 2);
        assert!(
            japanese.contains("【高】bulk|read: ") && japanese.contains("対象: ユーザー cl=erk、接続元 127.0.0.66"),
            "{japanese}"
        );
        assert!(
            japanese.contains("途中で通信を切断しました。") && japanese.contains("（ほかに 2 件を通知せず保留）"),
            "{japanese}"
        );
        assert_eq!(write(Form::Text, 1), "HIGH bulk|read: clerk  read a|b=c\\d (1 more were held back)");
    }
}
