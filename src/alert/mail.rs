//! Mail through an SMTP server: plain, STARTTLS or TLS.
//!
//! In: a [`Mail`] channel, and what is to be sent. Out: an SMTP transaction a recipient through `lettre`, so that an address
//! that the server refuses keeps nobody else's mail from going out. Falls back to nothing: with `starttls` and `tls` a
//! server without it, or without a certificate that holds, gets no mail.

use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use lettre::address::Envelope;
pub use lettre::message::Mailbox;
use lettre::message::header::{ContentDisposition, ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport};

use super::Error;
use super::form::Lang;
use super::letter::Letter;

/// How long a connection, and then one SMTP command, may take.
const SMTP_TIMEOUT: Duration = Duration::from_secs(20);

/// `kind = "mail"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Where to hand mails in.
    pub server: Server,
    /// How the connection is protected.
    pub tls: MailTls,
    /// A PEM file of the authorities to trust besides the public ones.
    pub tls_ca: Option<PathBuf>,
    /// For SMTP AUTH.
    pub login: Option<Login>,
    /// The sender, RFC 5322.
    pub from: Mailbox,
    /// The recipients; one at least.
    pub to: Vec<Mailbox>,
    /// What it is written in.
    pub lang: Lang,
}

/// `host:port` of a mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// A name, or an address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Server {
    /// Whether what is sent there stays on this machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl std::str::FromStr for Server {
    type Err = ();

    fn from_str(text: &str) -> Result<Server, ()> {
        let (host, port) = text.rsplit_once(':').ok_or(())?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_ipv6 = host.parse::<std::net::Ipv6Addr>().is_ok();
        if host.is_empty() || (host.contains([':', '[', ']']) && !is_ipv6) {
            return Err(());
        }
        Ok(Server { host: host.to_owned(), port: port.parse().map_err(|_| ())? })
    }
}

/// `user`, and `password` or `password_file`.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// As the server knows it.
    pub user: String,
    /// Where its password is.
    pub password: Password,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A password, as it was written.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// In the configuration.
    Here(String),
    /// In a file of its own; the end of its line does not belong to it.
    File(PathBuf),
}

/// `tls` of a mail channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// Plain text; only to a server on this machine or a trusted network.
    Off,
    /// STARTTLS, required.
    Starttls,
    /// TLS from the first byte.
    Tls,
}

/// A way to an SMTP server.
pub struct Mailer {
    transport: SmtpTransport,
    from: Mailbox,
}

/// A mail that is ready to go.
pub struct Ready {
    message: Message,
    /// Who has not got it yet.
    pub pending: Vec<Mailbox>,
}

/// RFC 3834, so that no absence is announced to a machine.
#[derive(Clone)]
struct AutoSubmitted;

/// The finding's id, for filters and scripts.
#[derive(Clone)]
struct FindingId(String);

macro_rules! header {
    ($type:ty, $name:literal, $value:expr, $make:expr) => {
        impl Header for $type {
            fn name() -> HeaderName {
                HeaderName::new_from_ascii_str($name)
            }
            fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
                let make: fn(&str) -> Self = $make;
                Ok(make(text))
            }
            fn display(&self) -> HeaderValue {
                let value: fn(&Self) -> String = $value;
                HeaderValue::new(Self::name(), value(self))
            }
        }
    };
}

header!(AutoSubmitted, "Auto-Submitted", |_| "auto-generated".to_owned(), |_| AutoSubmitted);
header!(FindingId, "X-Mitsuke-Finding", |id| id.0.clone(), |text| FindingId(text.to_owned()));

impl Mailer {
    /// Reads the files that `mail` names; connects to nothing yet.
    ///
    /// # Errors
    /// A file of authorities or of a password that can't be read.
    pub fn new(mail: &Mail) -> Result<Mailer, Error> {
        let tls = match mail.tls {
            MailTls::Off => Tls::None,
            MailTls::Starttls => Tls::Required(tls_parameters(mail)?),
            MailTls::Tls => Tls::Wrapper(tls_parameters(mail)?),
        };
        let builder = SmtpTransport::builder_dangerous(&mail.server.host).port(mail.server.port);
        let mut builder = builder.tls(tls).timeout(Some(SMTP_TIMEOUT));
        if let Some(Login { user, password }) = &mail.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.read()?));
        }
        Ok(Mailer { transport: builder.build(), from: mail.from.clone() })
    }

    /// Connects, logs in where that is asked for, and sends nothing.
    ///
    /// # Errors
    /// What the server or the network said.
    pub fn reach(&self) -> Result<(), Error> {
        self.transport.test_connection()?;
        Ok(())
    }

    /// A finding's mail.
    ///
    /// # Errors
    /// It cannot be put together.
    pub fn finding(&self, to: &[Mailbox], letter: Letter, finding_id: &str) -> Result<Ready, Error> {
        let Letter { subject, text, html } = letter;
        let body = MultiPart::alternative_plain_html(text, html);
        let builder = self.envelope(to, &subject).header(FindingId(finding_id.to_owned()));
        Ok(Ready { message: builder.multipart(body)?, pending: to.to_vec() })
    }

    /// A mail with a page attached to it, as a file of that name.
    ///
    /// # Errors
    /// It cannot be put together.
    pub fn with_page(&self, to: &[Mailbox], letter: Letter, name: &str, page: String) -> Result<Ready, Error> {
        let Letter { subject, text, html } = letter;
        let page = SinglePart::builder()
            .header(ContentType::TEXT_HTML)
            .header(ContentDisposition::attachment(name))
            .body(page);
        let body = MultiPart::mixed().multipart(MultiPart::alternative_plain_html(text, html)).singlepart(page);
        Ok(Ready { message: self.envelope(to, &subject).multipart(body)?, pending: to.to_vec() })
    }

    fn envelope(&self, to: &[Mailbox], subject: &str) -> lettre::message::MessageBuilder {
        let builder = Message::builder().from(self.from.clone()).subject(subject).message_id(None).date_now();
        to.iter().fold(builder.header(AutoSubmitted), |builder, to| builder.to(to.clone()))
    }

    /// One transaction, for one of [`Ready::pending`].
    ///
    /// # Errors
    /// What the server or the network said.
    pub fn deliver(&self, mail: &Ready, to: &Mailbox) -> Result<(), Error> {
        let envelope = Envelope::new(Some(self.from.email.clone()), vec![to.email.clone()])?;
        self.transport.send_raw(&envelope, &mail.message.formatted())?;
        Ok(())
    }
}

impl Password {
    fn read(&self) -> Result<String, Error> {
        match self {
            Password::Here(text) => Ok(text.clone()),
            Password::File(path) => {
                let text = fs::read_to_string(path).map_err(Error::file("password_file", path))?;
                Ok(text.trim_end_matches(['\r', '\n']).to_owned())
            }
        }
    }
}

fn tls_parameters(mail: &Mail) -> Result<TlsParameters, Error> {
    let mut parameters = TlsParameters::builder(mail.server.host.clone());
    if let Some(path) = &mail.tls_ca {
        let pem = fs::read(path).map_err(Error::file("tls_ca", path))?;
        let has_certificate = pem.windows(CERTIFICATE.len()).any(|window| window == CERTIFICATE);
        let certificate = Certificate::from_pem(&pem).ok().filter(|_| has_certificate);
        let certificate = certificate.ok_or_else(|| Error::NoCertificate(path.clone()))?;
        parameters = parameters.add_root_certificate(certificate);
    }
    Ok(parameters.build_rustls()?)
}

/// RFC 7468, section 5.1.
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_a_port() {
        let server = |text: &str| text.parse::<Server>().map(|server| (server.host, server.port));
        assert_eq!(server("mail.example:587"), Ok(("mail.example".to_owned(), 587)));
        assert_eq!(server("[::1]:25"), Ok(("::1".to_owned(), 25)));
        for wrong in ["", "mail.example", ":25", "mail.example:smtp", "mail.example:70000", "[::1:25", "a:b:25"] {
            assert!(server(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_stays_on_this_machine_is_known() {
        let loopback = |text: &str| text.parse::<Server>().expect(text).is_loopback();
        assert!(loopback("localhost:25") && loopback("127.0.0.53:25") && loopback("[::1]:25"));
        assert!(!loopback("10.0.0.1:25") && !loopback("localhost.example:25"));
    }

    #[test]
    fn a_password_is_not_shown() {
        let login = Login { user: "mitsuke".to_owned(), password: Password::Here("hush".to_owned()) };
        assert!(!format!("{login:?}").contains("hush"));
    }
}
