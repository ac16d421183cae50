//! A finding as a mail: subject, text and HTML. PURE.
//!
//! In: a finding, and how many were held back before it. Out: a [`Letter`]. Whatever a client may have chosen (an
//! application's name, a user's) is escaped in the HTML and cannot begin another header.

use askama::Template;

use super::Error;
use crate::record::{Finding, Severity};

/// Longest subject, characters.
const SUBJECT_CHARS_MAX: usize = 180;
/// Statements of the evidence that the mail asks the log for; the finding has them all.
const EVIDENCE_SHOWN_MAX: usize = 20;

/// What a mail says.
#[derive(Debug)]
pub struct Letter {
    /// One line.
    pub subject: String,
    /// For a terminal, a telephone, a ticket.
    pub text: String,
    /// The same.
    pub html: String,
}

/// What both parts are filled with.
struct Contents<'a> {
    colour: &'static str,
    severity: String,
    finding: &'a Finding,
    explanation: &'a str,
    facts: Vec<(&'static str, String)>,
    held_back: String,
    queries: Vec<String>,
}

#[derive(Template)]
#[template(path = "finding.txt", escape = "none")]
struct TextPart<'a> {
    contents: &'a Contents<'a>,
}

#[derive(Template)]
#[template(path = "finding.html")]
struct HtmlPart<'a> {
    contents: &'a Contents<'a>,
}

/// Writes it. `held_back`: findings that were not sent since the last mail.
///
/// # Errors
/// A template cannot be filled.
pub fn write(finding: &Finding, held_back: u64) -> Result<Letter, Error> {
    let severity = finding.severity.unwrap_or(Severity::Low);
    let contents = Contents {
        colour: match severity {
            Severity::Low => "#3f7cac",
            Severity::Medium => "#b7791f",
            Severity::High => "#c2410c",
            Severity::Critical => "#b91c1c",
        },
        severity: severity.as_str().to_uppercase(),
        finding,
        explanation: finding.explanation.as_deref().unwrap_or(&finding.title),
        facts: facts(finding),
        held_back: match held_back {
            0 => String::new(),
            1 => "1 more finding was held back since the last mail; it is in the log.".to_owned(),
            more => format!("{more} more findings were held back since the last mail; all are in the log."),
        },
        queries: queries(finding),
    };
    Ok(Letter {
        subject: subject(finding),
        text: TextPart { contents: &contents }.render()?,
        html: HtmlPart { contents: &contents }.render()?,
    })
}

/// One line; nothing in it can begin another header.
fn subject(finding: &Finding) -> String {
    let severity = finding.severity.unwrap_or(Severity::Low).as_str().to_uppercase();
    let what = finding.explanation.as_deref().unwrap_or(&finding.title);
    let line = format!("[mitsuke] {severity} {}: {what}", finding.policy);
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SUBJECT_CHARS_MAX).collect()
}

fn facts(finding: &Finding) -> Vec<(&'static str, String)> {
    let text = |text: &Option<crate::record::Text>| text.as_deref().map(str::to_owned);
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let all = [
        ("time", Some(finding.common.at.to_string())),
        ("user", text(&finding.db_user)),
        ("role", text(&finding.role)),
        ("end user", text(&finding.end_user)),
        ("from", text(&finding.client_addr)),
        ("application", text(&finding.application_name)),
        ("database", text(&finding.database)),
        ("observed", number(finding.observed)),
        ("limit", number(finding.threshold)),
        ("finding", Some(finding.finding_id.to_string())),
    ];
    // A line is a fact, in the text as in the HTML.
    let tame = |value: String| value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    all.into_iter().filter_map(|(name, value)| Some((name, tame(value?)))).collect()
}

/// What to ask the log next.
fn queries(finding: &Finding) -> Vec<String> {
    let mut queries = vec![format!("select * from findings where finding_id = '{}'", finding.finding_id)];
    let seqs = finding.evidence.as_deref().unwrap_or_default();
    if !seqs.is_empty() {
        let seqs: Vec<String> = seqs.iter().take(EVIDENCE_SHOWN_MAX).map(u64::to_string).collect();
        queries.push(format!(
            "select at, query, relations, persons from statements where writer = '{}' and seq in ({})",
            finding.common.writer,
            seqs.join(", ")
        ));
    }
    queries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding() -> Finding {
        Finding {
            policy: "bulk-personal-read".into(),
            title: "Many people's personal data read".into(),
            severity: Some(Severity::High),
            explanation: Some("clerk read 20,000 people".into()),
            application_name: Some("<script>alert(1)</script>".into()),
            finding_id: "0190".into(),
            evidence: Some((1..=30).collect()),
            ..Finding::default()
        }
    }

    #[test]
    fn nothing_in_a_finding_begins_another_header_or_line() {
        let mut hostile = finding();
        hostile.explanation = Some("x\r\nBcc: somebody@example.com".into());
        hostile.application_name = Some("psql\nlimit: 0".into());
        let letter = write(&hostile, 0).expect("written");
        assert!(!letter.subject.contains(['\r', '\n']), "{}", letter.subject);
        assert!(letter.text.contains("application: psql limit: 0"), "{}", letter.text);
    }

    #[test]
    fn both_parts_tell_the_same_and_markup_is_escaped() {
        let letter = write(&finding(), 2).expect("written");
        for part in [&letter.text, &letter.html] {
            assert!(part.contains("clerk read 20,000 people") && part.contains("2 more findings"), "{part}");
            assert!(part.contains("19, 20)"), "the evidence is bounded: {part}");
        }
        assert!(letter.text.contains("<script>") && !letter.html.contains("<script>"), "{}", letter.html);
        assert!(!write(&finding(), 0).expect("written").text.contains("held back"));
    }
}
