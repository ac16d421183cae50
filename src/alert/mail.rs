//! Findings by mail: one message a finding, text and HTML.
//!
//! In: a finding. Out: an SMTP transaction through `lettre`, tried again with growing pauses. A server that is away delays
//! mails and loses none that fit the queue; the finding itself is in the log all the same.

use std::fs;
use std::time::Duration;

use askama::Template;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport};

use super::{Error, Mail, MailTls};
use crate::record::{Finding, Severity};

/// How long one SMTP command may take.
const SMTP_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest subject, characters.
const SUBJECT_CHARS_MAX: usize = 180;

/// A way to an SMTP server.
pub struct Mailer {
    transport: SmtpTransport,
    from: Mailbox,
    to: Vec<Mailbox>,
}

#[derive(Clone)]
struct FindingId(String);

impl Header for FindingId {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("X-Mitsuke-Finding")
    }
    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(FindingId(text.to_owned()))
    }
    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}

#[derive(Template)]
#[template(path = "finding.txt", escape = "none")]
struct TextPart<'a> {
    severity: &'a str,
    policy: &'a str,
    title: &'a str,
    explanation: &'a str,
    facts: &'a [(&'static str, String)],
    held_back: u64,
    finding_id: &'a str,
}

#[derive(Template)]
#[template(path = "finding.html")]
struct HtmlPart<'a> {
    colour: &'static str,
    severity: &'a str,
    policy: &'a str,
    title: &'a str,
    explanation: &'a str,
    facts: &'a [(&'static str, String)],
    held_back: u64,
    finding_id: &'a str,
}

impl Mailer {
    /// Checks addresses and certificates; connects to nothing yet.
    ///
    /// # Errors
    /// An address that is none, or a file of authorities that can't be read.
    pub fn new(config: &Mail) -> Result<Mailer, Error> {
        let mailbox = |text: &str| text.parse::<Mailbox>().map_err(|_| Error::Address(text.to_owned()));
        let (host, port) = config
            .server
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host, port.parse().ok()?)))
            .ok_or_else(|| Error::Server(config.server.clone()))?;
        let tls = match config.tls {
            MailTls::Off => Tls::None,
            MailTls::Starttls => Tls::Required(tls_parameters(config, host)?),
            MailTls::Tls => Tls::Wrapper(tls_parameters(config, host)?),
        };
        let mut builder = SmtpTransport::builder_dangerous(host).port(port).tls(tls).timeout(Some(SMTP_TIMEOUT));
        if let Some((user, password)) = &config.credentials {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(Mailer {
            transport: builder.build(),
            from: mailbox(&config.from)?,
            to: config.to.iter().map(|to| mailbox(to)).collect::<Result<_, _>>()?,
        })
    }

    /// Sends a finding. `held_back`: findings that were not sent since the last one.
    ///
    /// # Errors
    /// What the server or the network said.
    pub fn send(&self, finding: &Finding, held_back: u64) -> Result<(), Error> {
        let (text, html) = parts(finding, held_back)?;
        let body = MultiPart::alternative_plain_html(text, html);
        let message = self.envelope(&subject(finding)).header(FindingId(finding.finding_id.to_string()));
        self.deliver(message.multipart(body)?)
    }

    /// Sends a page with its text beside it, to others than the alerts' recipients where `to` names any.
    ///
    /// # Errors
    /// What the server or the network said, or an address that is none.
    pub fn send_page(&self, to: &[String], subject: &str, text: String, html: String) -> Result<(), Error> {
        let mut mailer = Mailer { transport: self.transport.clone(), from: self.from.clone(), to: self.to.clone() };
        if !to.is_empty() {
            let mailbox = |text: &String| text.parse::<Mailbox>().map_err(|_| Error::Address(text.clone()));
            mailer.to = to.iter().map(mailbox).collect::<Result<_, _>>()?;
        }
        let page = SinglePart::builder()
            .header(ContentType::TEXT_HTML)
            .header(lettre::message::header::ContentDisposition::attachment("mitsuke-report.html"))
            .body(html);
        let body = MultiPart::mixed().singlepart(SinglePart::plain(text)).singlepart(page);
        mailer.deliver(mailer.envelope(subject).multipart(body)?)
    }

    fn envelope(&self, subject: &str) -> lettre::message::MessageBuilder {
        let builder = Message::builder().from(self.from.clone()).subject(subject).message_id(None).date_now();
        self.to.iter().fold(builder, |builder, to| builder.to(to.clone()))
    }

    fn deliver(&self, message: Message) -> Result<(), Error> {
        self.transport.send(&message)?;
        Ok(())
    }
}

fn tls_parameters(config: &Mail, host: &str) -> Result<TlsParameters, Error> {
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(path) = &config.tls_ca {
        let unreadable = |source| Error::Authority { path: path.clone(), source };
        let pem = fs::read(path).map_err(unreadable)?;
        parameters = parameters.add_root_certificate(Certificate::from_pem(&pem)?);
    }
    Ok(parameters.build_rustls()?)
}

/// One line; nothing in it can begin another header.
fn subject(finding: &Finding) -> String {
    let severity = finding.severity.unwrap_or(Severity::Low).as_str().to_uppercase();
    let what = finding.explanation.as_deref().unwrap_or(&finding.title);
    let line = format!("[mitsuke] {severity} {}: {what}", finding.policy);
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SUBJECT_CHARS_MAX).collect()
}

fn parts(finding: &Finding, held_back: u64) -> Result<(String, String), Error> {
    let severity = finding.severity.unwrap_or(Severity::Low);
    let name = severity.as_str().to_uppercase();
    let facts = facts(finding);
    let (policy, title) = (&*finding.policy, &*finding.title);
    let explanation = finding.explanation.as_deref().unwrap_or(title);
    let finding_id = &*finding.finding_id;
    let (severity_name, facts) = (name.as_str(), facts.as_slice());
    let text =
        TextPart { severity: severity_name, policy, title, explanation, facts, held_back, finding_id }.render()?;
    let colour = match severity {
        Severity::Low => "#3f7cac",
        Severity::Medium => "#b7791f",
        Severity::High => "#c2410c",
        Severity::Critical => "#b91c1c",
    };
    let html = HtmlPart { colour, severity: severity_name, policy, title, explanation, facts, held_back, finding_id }
        .render()?;
    Ok((text, html))
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
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
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
            ..Finding::default()
        }
    }

    #[test]
    fn nothing_in_a_finding_begins_another_header() {
        let mut hostile = finding();
        hostile.explanation = Some("x\r\nBcc: somebody@example.com".into());
        let subject = subject(&hostile);
        assert!(!subject.contains(['\r', '\n']), "{subject}");
    }

    #[test]
    fn both_parts_tell_the_same_and_markup_is_escaped() {
        let (text, html) = parts(&finding(), 2).expect("renders");
        for part in [&text, &html] {
            assert!(part.contains("clerk read 20,000 people") && part.contains("2 more findings"), "{part}");
        }
        assert!(text.contains("<script>") && !html.contains("<script>"), "{html}");
    }
}
