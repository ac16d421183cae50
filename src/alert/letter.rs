//! A finding as a mail: subject, text and HTML. PURE.
//!
//! In: a finding, and how many were held back before it. Out: a [`Letter`]. Whatever a client may have chosen (an
//! application's name, a user's) is escaped in the HTML and cannot begin another header.

use askama::Template;

use super::form::Lang;
use super::{Error, japanese};
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
    lang: &'static str,
    colour: &'static str,
    severity: String,
    policy: &'a str,
    title: &'a str,
    explanation: String,
    in_the_log: &'static str,
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
pub fn write(finding: &Finding, held_back: u64, lang: Lang) -> Result<Letter, Error> {
    let severity = finding.severity.unwrap_or(Severity::Low);
    let colour = match severity {
        Severity::Low => "#3f7cac",
        Severity::Medium => "#b7791f",
        Severity::High => "#c2410c",
        Severity::Critical => "#b91c1c",
    };
    let contents = match lang {
        Lang::En => Contents {
            lang: "en",
            colour,
            severity: severity.as_str().to_uppercase(),
            policy: &finding.policy,
            title: &finding.title,
            explanation: recorded(finding).to_owned(),
            in_the_log: "In the log:",
            facts: facts(finding, lang),
            held_back: match held_back {
                0 => String::new(),
                1 => "1 more finding was held back since the last mail; it is in the log.".to_owned(),
                more => format!("{more} more findings were held back since the last mail; all are in the log."),
            },
            queries: queries(finding),
        },
        Lang::Ja => Contents {
            lang: "ja",
            colour,
            severity: format!("重大度: {}", japanese::severity(severity)),
            policy: &finding.policy,
            title: japanese::title(finding),
            explanation: japanese::sentence(finding),
            in_the_log: "監査ログの確認方法:",
            facts: facts(finding, lang),
            held_back: match held_back {
                0 => String::new(),
                more => format!(
                    "前回のメール以降、同種の検知 {more} 件の通知を保留しました。すべて監査ログに記録されています。"
                ),
            },
            queries: queries(finding),
        },
    };
    Ok(Letter {
        subject: subject(&contents, lang),
        text: TextPart { contents: &contents }.render()?,
        html: HtmlPart { contents: &contents }.render()?,
    })
}

fn recorded(finding: &Finding) -> &str {
    finding.explanation.as_deref().unwrap_or(&finding.title)
}

/// One line; nothing in it can begin another header.
fn subject(contents: &Contents<'_>, lang: Lang) -> String {
    let Contents { severity, policy, explanation, .. } = contents;
    let line = match lang {
        Lang::En => format!("[mitsuke] {severity} {policy}: {explanation}"),
        Lang::Ja => format!("[mitsuke] 【{severity}】{explanation}"),
    };
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SUBJECT_CHARS_MAX).collect()
}

fn facts(finding: &Finding, lang: Lang) -> Vec<(&'static str, String)> {
    let text = |text: &Option<crate::record::Text>| text.as_deref().map(str::to_owned);
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let all = [
        ("time", "日時 (UTC)", Some(finding.common.at.to_string())),
        ("user", "ユーザー", text(&finding.db_user)),
        ("role", "ロール", text(&finding.role)),
        ("end user", "エンドユーザー", text(&finding.end_user)),
        ("from", "接続元", text(&finding.client_addr)),
        ("application", "アプリケーション", text(&finding.application_name)),
        ("database", "データベース", text(&finding.database)),
        ("observed", "観測値", number(finding.observed)),
        ("limit", "しきい値", number(finding.threshold)),
        ("finding", "検知 ID", Some(finding.finding_id.to_string())),
        ("", "記録された説明（英語）", (lang == Lang::Ja).then(|| recorded(finding).to_owned())),
    ];
    // A line is a fact, in the text as in the HTML.
    let tame = |value: String| value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let name = |english, japanese| if lang == Lang::Ja { japanese } else { english };
    all.into_iter().filter_map(|(english, japanese, value)| Some((name(english, japanese), tame(value?)))).collect()
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
        let letter = write(&hostile, 0, Lang::En).expect("written");
        assert!(!letter.subject.contains(['\r', '\n']), "{}", letter.subject);
        assert!(letter.text.contains("application: psql limit: 0"), "{}", letter.text);
    }

    #[test]
    fn both_parts_tell_the_same_and_markup_is_escaped() {
        let letter = write(&finding(), 2, Lang::En).expect("written");
        for part in [&letter.text, &letter.html] {
            assert!(part.contains("clerk read 20,000 people") && part.contains("2 more findings"), "{part}");
            assert!(part.contains("19, 20)"), "the evidence is bounded: {part}");
        }
        assert!(letter.text.contains("<script>") && !letter.html.contains("<script>"), "{}", letter.html);
        assert!(!write(&finding(), 0, Lang::En).expect("written").text.contains("held back"));
    }

    #[test]
    fn a_japanese_mail_is_japanese_and_keeps_what_was_recorded() {
        let mut hostile = finding();
        hostile.application_name = Some("psql\r\nBcc: x@example.com".into());
        let letter = write(&hostile, 3, Lang::Ja).expect("written");
        assert!(letter.subject.starts_with("[mitsuke] 【重大度: 高】多数の個人データの参照。"), "{}", letter.subject);
        assert!(!letter.subject.contains(['\r', '\n']), "{}", letter.subject);
        for part in [&letter.text, &letter.html] {
            assert!(part.contains("前回のメール以降、同種の検知 3 件の通知を保留しました。"), "{part}");
            assert!(part.contains("clerk read 20,000 people") && part.contains("監査ログの確認方法:"), "{part}");
        }
        assert!(letter.text.contains("検知 ID: 0190") && letter.html.contains("lang=\"ja\""));
        for word in ["In the log", "application:", "held back"] {
            assert!(!letter.text.contains(word), "{word}");
        }
    }
}
