//! Findings → people and their programs: stdout, mail, webhook and syslog, throttled, never in the way.
//!
//! In: findings, over a bounded queue. Out: messages. Carries no literal and no personal value.

mod carrier;
mod courier;
mod form;
mod japanese;
mod letter;
mod link;
mod mail;
mod stdout;
mod syslog;
mod throttle;
mod told;
mod webhook;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use self::carrier::Source;
use self::carrier::{Carrier, Trouble};
use self::courier::{Courier, Stop};
pub use self::form::{Form, Jira, Lang, RoutingKey, Style, Template};
pub use self::letter::Letter;
pub use self::mail::{Login, Mail, MailTls, Mailbox, Mailer, Password, Ready, Server};
pub use self::syslog::{Address, Syslog, Transport};
pub use self::told::Told;
pub use self::webhook::{Url, Webhook};
use crate::record::{Finding, Severity};

/// Findings that may wait for one channel. Beyond it they are counted, said now and then in the sidecar's own log, and
/// stand in the log of findings only.
const QUEUE_FINDINGS_MAX: usize = 1_024;
/// SMTP "service not available, closing channel" (RFC 5321, section 4.2.3): the server is away, not this one mail put off.
const SMTP_NOT_AVAILABLE: u16 = 421;

/// Why alerts cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that the channel names cannot be read.
    #[error("{key} {}: {source}; correct `{key}` of the [[alert]], or make the file readable", path.display())]
    File {
        /// The configuration's key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file of authorities holds none.
    #[error("tls_ca {} holds no certificate; it must be a PEM file with BEGIN CERTIFICATE lines", .0.display())]
    NoCertificate(PathBuf),
    /// The server or the network refused.
    #[error("the mail server: {}{}", .0, mend(.0))]
    Smtp(#[from] lettre::transport::smtp::Error),
    /// The message could not be made.
    #[error("the mail could not be made: {0}")]
    Message(#[from] lettre::error::Error),
    /// A template could not be filled.
    #[error("the mail could not be written: {0}")]
    Template(#[from] askama::Error),
    /// A thread could not be started.
    #[error("an alert channel's thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl Error {
    /// For `map_err`: the key that names the file.
    fn file(key: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::File { key, path, source }
    }

    /// Whether trying again is of no use.
    pub fn is_refused(&self) -> bool {
        match self {
            Error::Smtp(error) => error.is_permanent(),
            _ => true,
        }
    }

    /// Whether the server is there and asks for patience with this one mail.
    fn is_put_off(&self) -> bool {
        match self {
            Error::Smtp(error) => {
                error.is_transient() && error.status().map(u16::from).is_some_and(|code| code != SMTP_NOT_AVAILABLE)
            }
            _ => false,
        }
    }
}

/// What to do about an error that does not say it. The library wraps rustls's error in its own words.
fn mend(error: &lettre::transport::smtp::Error) -> &'static str {
    if error.to_string().contains("invalid peer certificate") {
        "; the server's certificate does not hold: name its authority in `tls_ca`, and in `server` the host it is made for"
    } else if error.is_client() && error.to_string().contains("STARTTLS") {
        "; write tls = \"tls\" if it speaks TLS from the first byte"
    } else {
        ""
    }
}

/// The channels that run: one thread each.
pub struct Alerts {
    channels: Mutex<Vec<Running>>,
    stop: Arc<Stop>,
}

struct Running {
    severity_min: Severity,
    queue: SyncSender<Finding>,
    told: Arc<Told>,
    thread: JoinHandle<()>,
}

impl Alerts {
    /// Starts a thread a channel. Connects to nothing before the first finding.
    ///
    /// # Errors
    /// A channel's configuration cannot work.
    pub fn start(configs: &[Config], source: &Source) -> Result<Alerts, Error> {
        let stop = Arc::new(Stop::default());
        let mut channels = Vec::with_capacity(configs.len());
        for config in configs {
            let (queue, findings) = sync_channel(QUEUE_FINDINGS_MAX);
            let thread = std::thread::Builder::new().name("alert".to_owned());
            let told = Arc::new(named(config, channels.len()));
            let telling = Arc::clone(&told);
            let carrier = |send| Carrier::new(config, send, Arc::clone(&stop), source.clone(), Arc::clone(&told));
            let thread = match &config.channel {
                Channel::Stdout => thread.spawn(move || {
                    for finding in findings {
                        stdout::write(&finding);
                        telling.delivered();
                        telling.handled();
                    }
                }),
                Channel::Webhook(webhook) => {
                    let sender = webhook::Sender::new(webhook)?;
                    let style = webhook.style.clone();
                    let send =
                        move |finding: &Finding, held_back| answered(sender.send(&style.write(finding, held_back)));
                    let carrier = carrier(Box::new(send));
                    thread.spawn(move || carrier.run(&findings))
                }
                Channel::Syslog(syslog) => {
                    let mut sender = syslog::Sender::new(syslog, &source.writer)?;
                    let send = move |finding: &Finding, held_back| {
                        sender.send(finding, held_back).map_err(|error| Trouble::Away(error.to_string()))
                    };
                    let carrier = carrier(Box::new(send));
                    thread.spawn(move || carrier.run(&findings))
                }
                Channel::Mail(mail) => {
                    let mut courier = Courier::new(mail)?;
                    let send = move |finding: &Finding, held_back| courier.send(finding, held_back);
                    let carrier = carrier(Box::new(send));
                    thread.spawn(move || carrier.run(&findings))
                }
            }?;
            // Those that note how far they have come want to see every one.
            let severity_min = if config.channel.sees_all() { Severity::Low } else { config.severity_min };
            channels.push(Running { severity_min, queue, told, thread });
        }
        Ok(Alerts { channels: Mutex::new(channels), stop })
    }

    /// Passes a finding to every channel that wants it. Never waits.
    pub fn send(&self, finding: &Finding) {
        let severity = finding.severity.unwrap_or(Severity::Low);
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        for channel in channels.iter().filter(|channel| severity >= channel.severity_min) {
            channel.told.queued();
            if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = channel.queue.try_send(finding.clone())
            {
                channel.told.handled();
                channel.told.dropped.one();
                let dropped = channel.told.dropped.get();
                if dropped.is_power_of_two() {
                    tracing::warn!(channel = %channel.told.name, dropped, "an alert channel is full: findings are in the log only");
                }
            }
        }
    }

    /// How each channel is doing, in the order of the configuration; none once they are stopped.
    pub fn told(&self) -> Vec<Arc<Told>> {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.iter().map(|channel| Arc::clone(&channel.told)).collect()
    }

    /// Sends what waits, once and without pauses, for `timeout` at most.
    pub async fn stop(&self, timeout: Duration) {
        let channels = std::mem::take(&mut *self.channels.lock().unwrap_or_else(PoisonError::into_inner));
        let until = Instant::now() + timeout;
        let (queues, threads): (Vec<_>, Vec<_>) =
            channels.into_iter().map(|channel| (channel.queue, channel.thread)).unzip();
        drop(queues);
        self.stop.say();
        for thread in threads {
            while !thread.is_finished() && Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            if !thread.is_finished() {
                tracing::warn!("an alert channel did not get rid of its findings in time; they are in the log");
            }
        }
    }
}

/// What an HTTP server's answer means. 408, 425 and 429 ask for patience (RFC 9110, RFC 8470, RFC 6585).
fn answered(status: std::io::Result<u16>) -> Result<(), Trouble> {
    match status {
        Ok(200..=299) => Ok(()),
        Ok(status @ (408 | 425 | 429 | 500..=599)) => Err(Trouble::Away(format!("HTTP status {status}"))),
        Ok(status) => Err(Trouble::Refused(format!("HTTP status {status}"))),
        Err(error) => Err(Trouble::Away(error.to_string())),
    }
}

/// A channel's figures, under the name of its files.
fn named(config: &Config, number: usize) -> Told {
    let (kind, of) = match &config.channel {
        Channel::Stdout => return Told::new("stdout", format!("stdout-{}", number.saturating_add(1)), false),
        Channel::Webhook(webhook) => ("webhook", format!("{:?} {webhook:?}", webhook.url.secret())),
        Channel::Syslog(syslog) => ("syslog", format!("{syslog:?}")),
        Channel::Mail(mail) => ("mail", format!("{:?} {:?}", mail.server, mail.to)),
    };
    Told::new(kind, format!("{kind}-{}", mark(&of)), true)
}

/// A short name for a channel's files, which tells nothing of what it is made from.
fn mark(of: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, of.as_bytes());
    digest.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// One `[[alert]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Below it, nothing is sent.
    pub severity_min: Severity,
    /// The same policy about the same principal is told once in so long; `None`: every time.
    pub throttle: Option<Duration>,
    /// Where to.
    pub channel: Channel,
}

/// A channel's own keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Standard output, one line a finding.
    Stdout,
    /// SMTP.
    Mail(Box<Mail>),
    /// HTTP.
    Webhook(Box<Webhook>),
    /// RFC 5424.
    Syslog(Box<Syslog>),
}

impl Channel {
    /// The channel, where it is one of mail.
    pub fn mail(&self) -> Option<&Mail> {
        match self {
            Channel::Mail(mail) => Some(mail),
            Channel::Stdout | Channel::Webhook(_) | Channel::Syslog(_) => None,
        }
    }

    fn sees_all(&self) -> bool {
        !matches!(self, Channel::Stdout)
    }
}
