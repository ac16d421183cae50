//! `[[alert]]`: which findings are told to whom.
//!
//! In: one such section. Out: a channel; addresses are addresses and a server is a host and a port. Refuses a password that
//! would leave this machine unencrypted. Files that a channel names are read when it is started.

use std::time::Duration;

use super::section::Section;
use crate::alert::{
    Address, Channel, Config, Form, Jira, Lang, Login, Mail, MailTls, Mailbox, Password, RoutingKey, Server, Style,
    Syslog, Template, Url, Webhook,
};
use crate::record::Severity;

/// The same policy about the same principal is mailed once in so long, where nothing else is written.
const DEFAULT_THROTTLE: Duration = Duration::from_secs(15 * 60);
/// What is expected of a mail address.
const MAIL_ADDRESS: &str = "a mail address: \"user@host\" or \"Name <user@host>\"";

/// Where PagerDuty's Events API v2 takes events.
const PAGERDUTY_URL: &str = "https://events.pagerduty.com/v2/enqueue";

/// `format`: a form, with what it needs still to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Json,
    Ocsf,
    Cef,
    Slack,
    Teams,
    Pagerduty,
    Jira,
    Template,
}

/// The forms that a channel of any kind may be told to use.
const FORMATS: [(&str, Format); 9] = [
    ("text", Format::Text),
    ("json", Format::Json),
    ("ocsf", Format::Ocsf),
    ("cef", Format::Cef),
    ("slack", Format::Slack),
    ("teams", Format::Teams),
    ("pagerduty", Format::Pagerduty),
    ("jira", Format::Jira),
    ("template", Format::Template),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Stdout,
    Mail,
    Webhook,
    Syslog,
}

/// Reads one.
pub(super) fn read(section: &mut Section<'_>) -> Option<Config> {
    let has_kind = section.has("kind");
    let kinds =
        [("stdout", Which::Stdout), ("mail", Which::Mail), ("webhook", Which::Webhook), ("syslog", Which::Syslog)];
    let which = section.word("kind", &kinds);
    let severity = section.parsed("severity_min", "one of \"low\", \"medium\", \"high\", \"critical\"");
    let format = section.word("format", &FORMATS);
    let lang = section.word("lang", &[("en", Lang::En), ("ja", Lang::Ja)]).unwrap_or_default();
    let Some(which) = which else {
        if !has_kind {
            section.fault_here("an alert needs a `kind`", "write kind = \"mail\" or kind = \"stdout\"");
        }
        // The kind's own keys cannot be told right from wrong.
        section.leave_rest();
        return None;
    };
    fits(which, format, section);
    let throttle = match which {
        Which::Stdout | Which::Syslog => None,
        Which::Mail | Which::Webhook => Some(section.duration("throttle").unwrap_or(DEFAULT_THROTTLE)),
    };
    let channel = match which {
        Which::Stdout => Channel::Stdout,
        Which::Mail => Channel::Mail(Box::new(mail(section, lang)?)),
        Which::Webhook => Channel::Webhook(Box::new(webhook(section, format.unwrap_or(Format::Json), lang)?)),
        Which::Syslog => Channel::Syslog(Box::new(syslog(section, format.unwrap_or(Format::Text), lang)?)),
    };
    Some(Config { severity_min: severity.unwrap_or(Severity::Low), throttle, channel })
}

/// A form that its kind does not write is a fault.
fn fits(which: Which, format: Option<Format>, section: &mut Section<'_>) {
    let (fits, mend) = match (which, format) {
        (_, None) | (Which::Webhook, _) => return,
        (Which::Stdout | Which::Mail, Some(format)) => (format == Format::Text, "write format = \"text\""),
        (Which::Syslog, Some(format)) => {
            let has_lines = matches!(format, Format::Text | Format::Json | Format::Ocsf | Format::Cef);
            (has_lines, "write format = \"text\", \"json\", \"ocsf\" or \"cef\"")
        }
    };
    if !fits {
        section.fault_here("`alert.format` is none of this kind's", mend);
    }
}

/// The form, with the keys that it alone has.
fn form(section: &mut Section<'_>, format: Format) -> Option<Form> {
    Some(match format {
        Format::Text => Form::Text,
        Format::Json => Form::Json,
        Format::Ocsf => Form::Ocsf,
        Format::Cef => Form::Cef,
        Format::Slack => Form::Slack,
        Format::Teams => Form::Teams,
        Format::Pagerduty => Form::Pagerduty(RoutingKey(routing_key(section)?)),
        Format::Jira => {
            let project = section.text("project").map(|(text, _)| text);
            let issue_type = section.text("issue_type").map_or_else(|| "Task".to_owned(), |(text, _)| text);
            if project.is_none() {
                section.fault_here(
                    "an alert of format \"jira\" needs `project`",
                    "write the project's key: project = \"SEC\"",
                );
            }
            Form::Jira(Jira { project: project?, issue_type })
        }
        Format::Template => {
            let Some((text, place)) = section.text("template") else {
                let mend = "write template = '{\"text\": \"{{sentence}}\"}'";
                section.fault_here("an alert of format \"template\" needs `template`", mend);
                return None;
            };
            match Template::parse(&text) {
                Ok(template) => Form::Template(template),
                Err(what) => {
                    section.fault(&place, format!("`alert.template`: {what}"), "");
                    return None;
                }
            }
        }
    })
}

fn routing_key(section: &mut Section<'_>) -> Option<String> {
    let here = section.text("routing_key").map(|(text, _)| text);
    let file = section.file("routing_key_file");
    match (here, file) {
        (Some(key), None) => Some(key),
        (None, Some(file)) => match std::fs::read_to_string(&file) {
            Ok(text) => Some(text.trim().to_owned()),
            Err(error) => {
                let what = format!("`alert.routing_key_file` {} cannot be read: {error}", file.display());
                section.fault_here(what, "name a readable file");
                None
            }
        },
        _ => {
            let what = "an alert of format \"pagerduty\" needs either `routing_key` or `routing_key_file`";
            section.fault_here(what, "it is the integration key of the service");
            None
        }
    }
}

fn webhook(section: &mut Section<'_>, format: Format, lang: Lang) -> Option<Webhook> {
    let is_written = section.has("url") || section.has("url_file");
    let form = form(section, format);
    let here = section.text("url").map(|(text, place)| (text, Some(place)));
    let file = section.file("url_file");
    let tls_ca = section.file("tls_ca");
    let authorization_file = section.file("authorization_file");
    let text = match (here, file) {
        (Some(here), None) => Some(here),
        (None, Some(file)) => match std::fs::read_to_string(&file) {
            Ok(text) => Some((text.trim().to_owned(), None)),
            Err(error) => {
                let what = format!("`alert.url_file` {} cannot be read: {error}", file.display());
                section.fault_here(what, "name a readable file");
                None
            }
        },
        _ if format == Format::Pagerduty && !is_written => Some((PAGERDUTY_URL.to_owned(), None)),
        _ => None,
    };
    if text.is_none() && !is_written {
        section.fault_here("a webhook alert needs `url` or `url_file`", "see deploy/mitsuke.toml for an example");
    }
    let (text, place) = text?;
    // What is wrong with it is not shown: it may be a secret.
    let Ok(url) = text.parse::<Url>() else {
        let (what, mend) = ("the webhook's address is no URL", "write \"https://host/path\"");
        match place {
            Some(place) => section.fault(&place, what, mend),
            None => section.fault_here(what, mend),
        }
        return None;
    };
    if !url.is_private() {
        section.fault_here("findings would go over the network in clear, since `alert.url` is http", "write https://");
    }
    Some(Webhook { url, tls_ca, authorization_file, style: Style { form: form?, lang } })
}

fn syslog(section: &mut Section<'_>, format: Format, lang: Lang) -> Option<Syslog> {
    let is_written = section.has("address");
    let address: Option<Address> =
        section.parsed("address", "\"udp://host:514\", \"tcp://host:514\" or \"tls://host:6514\"");
    let tls_ca = section.file("tls_ca");
    if !is_written {
        section.fault_here("a syslog alert needs `address`", "see deploy/mitsuke.toml for an example");
    }
    let Address(transport, server) = address?;
    Some(Syslog { transport, server, tls_ca, style: Style { form: form(section, format)?, lang } })
}

/// A list of addresses, or one.
pub(super) fn mailboxes(section: &mut Section<'_>, key: &'static str) -> Option<Vec<Mailbox>> {
    section.parsed_list(key, MAIL_ADDRESS)
}

fn mail(section: &mut Section<'_>, lang: Lang) -> Option<Mail> {
    let written = ["server", "from", "to"].map(|key| section.has(key));
    let server: Option<Server> = section.parsed("server", "a mail server: \"host:port\"");
    let from: Option<Mailbox> = section.parsed("from", MAIL_ADDRESS);
    let to = mailboxes(section, "to");
    let tls = section.word("tls", &[("off", MailTls::Off), ("starttls", MailTls::Starttls), ("tls", MailTls::Tls)]);
    let tls = tls.unwrap_or(MailTls::Starttls);
    let tls_ca = section.file("tls_ca");
    let login = login(section);
    if written.contains(&false) || to.as_ref().is_some_and(Vec::is_empty) {
        section.fault_here("a mail alert needs `server`, `from` and `to`", "see deploy/mitsuke.toml for an example");
        return None;
    }
    let (server, from, to) = (server?, from?, to?);
    if login.is_some() && tls == MailTls::Off && !server.is_loopback() {
        let what = "`alert.password` would go over the network in clear, since `alert.tls` is \"off\"";
        section.fault_here(what, "write tls = \"starttls\" or tls = \"tls\"");
    }
    Some(Mail { server, tls, tls_ca, login, from, to, lang })
}

fn login(section: &mut Section<'_>) -> Option<Login> {
    let user = section.text("user").map(|(text, _)| text);
    let here = section.text("password").map(|(text, _)| Password::Here(text));
    let file = section.file("password_file").map(Password::File);
    match (user, here, file) {
        (Some(user), Some(password), None) | (Some(user), None, Some(password)) => Some(Login { user, password }),
        (None, None, None) => None,
        _ => {
            let what = "a mail alert that logs in needs `user`, and either `password` or `password_file`";
            section.fault_here(what, "give both, or neither");
            None
        }
    }
}
