//! `[[alert]]`: which findings are told to whom.
//!
//! In: one such section. Out: a channel; addresses are addresses and a server is a host and a port. Refuses a password that
//! would leave this machine unencrypted. Files that a channel names are read when it is started.

use std::time::Duration;

use super::section::Section;
use crate::alert::{Channel, Config, Login, Mail, MailTls, Mailbox, Password, Server};
use crate::record::Severity;

/// The same policy about the same principal is mailed once in so long, where nothing else is written.
const DEFAULT_THROTTLE: Duration = Duration::from_secs(15 * 60);
/// What is expected of a mail address.
const MAIL_ADDRESS: &str = "a mail address: \"user@host\" or \"Name <user@host>\"";

/// Reads one.
pub(super) fn read(section: &mut Section<'_>) -> Option<Config> {
    #[derive(Clone, Copy)]
    enum Which {
        Stdout,
        Mail,
    }
    let has_kind = section.has("kind");
    let which = section.word("kind", &[("stdout", Which::Stdout), ("mail", Which::Mail)]);
    let severity = section.parsed("severity_min", "one of \"low\", \"medium\", \"high\", \"critical\"");
    section.word("format", &[("text", ())]);
    let Some(which) = which else {
        if !has_kind {
            section.fault_here("an alert needs a `kind`", "write kind = \"mail\" or kind = \"stdout\"");
        }
        // The kind's own keys cannot be told right from wrong.
        section.leave_rest();
        return None;
    };
    let channel = match which {
        Which::Stdout => Channel::Stdout,
        Which::Mail => Channel::Mail(Box::new(mail(section)?)),
    };
    Some(Config { severity_min: severity.unwrap_or(Severity::Low), channel })
}

/// A list of addresses, or one.
pub(super) fn mailboxes(section: &mut Section<'_>, key: &'static str) -> Option<Vec<Mailbox>> {
    section.parsed_list(key, MAIL_ADDRESS)
}

fn mail(section: &mut Section<'_>) -> Option<Mail> {
    let written = ["server", "from", "to"].map(|key| section.has(key));
    let server: Option<Server> = section.parsed("server", "a mail server: \"host:port\"");
    let from: Option<Mailbox> = section.parsed("from", MAIL_ADDRESS);
    let to = mailboxes(section, "to");
    let tls = section.word("tls", &[("off", MailTls::Off), ("starttls", MailTls::Starttls), ("tls", MailTls::Tls)]);
    let tls = tls.unwrap_or(MailTls::Starttls);
    let tls_ca = section.file("tls_ca");
    let login = login(section);
    let throttle = section.duration("throttle").unwrap_or(DEFAULT_THROTTLE);
    if written.contains(&false) || to.as_ref().is_some_and(Vec::is_empty) {
        section.fault_here("a mail alert needs `server`, `from` and `to`", "see deploy/mitsuke.toml for an example");
        return None;
    }
    let (server, from, to) = (server?, from?, to?);
    if login.is_some() && tls == MailTls::Off && !server.is_loopback() {
        let what = "`alert.password` would go over the network in clear, since `alert.tls` is \"off\"";
        section.fault_here(what, "write tls = \"starttls\" or tls = \"tls\"");
    }
    Some(Mail { server, tls, tls_ca, login, from, to, throttle })
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
