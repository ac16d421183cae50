//! Findings → people: stdout and mail, throttled, never in the way.
//!
//! In: findings, over a bounded queue. Out: messages. Carries no literal and no personal value.

mod mail;
mod stdout;
mod throttle;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use self::mail::Mailer;
use self::throttle::Throttle;
use crate::record::{Finding, Severity};

/// Findings that may wait for one channel. Beyond it they are counted, said once in the sidecar's own log, and stand in
/// the log of findings only.
const QUEUE_FINDINGS_MAX: usize = 1_024;
/// Attempts at one mail …
const ATTEMPTS_MAX: u32 = 10;
/// … the first pause between them …
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// … and the longest.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Why alerts cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not an address.
    #[error("`{0}` is not a mail address; write \"Name <user@host>\" or \"user@host\"")]
    Address(String),
    /// Not a server.
    #[error("`{0}` is not a mail server; write \"host:port\"")]
    Server(String),
    /// The authorities cannot be read.
    #[error("tls_ca {}: {source}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The server or the network refused.
    #[error("the mail server: {0}")]
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

/// The channels that run: one thread each.
pub struct Alerts {
    channels: Mutex<Vec<Running>>,
    stopping: Arc<AtomicBool>,
}

struct Running {
    severity_min: Severity,
    queue: SyncSender<Finding>,
    dropped: u64,
    thread: JoinHandle<()>,
}

impl Alerts {
    /// Starts a thread a channel. Connects to nothing before the first finding.
    ///
    /// # Errors
    /// A channel's configuration cannot work.
    pub fn start(configs: &[Config]) -> Result<Alerts, Error> {
        let stopping = Arc::new(AtomicBool::new(false));
        let mut channels = Vec::with_capacity(configs.len());
        for config in configs {
            let (queue, findings) = sync_channel(QUEUE_FINDINGS_MAX);
            let thread = std::thread::Builder::new().name("alert".to_owned());
            let thread = match &config.channel {
                Channel::Stdout => thread.spawn(move || findings.iter().for_each(|finding| stdout::write(&finding))),
                Channel::Mail(mail) => {
                    let mailer = Mailer::new(mail)?;
                    let stopping = Arc::clone(&stopping);
                    thread.spawn(move || mail_findings(&mailer, &findings, &stopping))
                }
            }?;
            channels.push(Running { severity_min: config.severity_min, queue, dropped: 0, thread });
        }
        Ok(Alerts { channels: Mutex::new(channels), stopping })
    }

    /// Passes a finding to every channel that wants it. Never waits.
    pub fn send(&self, finding: &Finding) {
        let severity = finding.severity.unwrap_or(Severity::Low);
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        for channel in channels.iter_mut().filter(|channel| severity >= channel.severity_min) {
            if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = channel.queue.try_send(finding.clone())
            {
                channel.dropped = channel.dropped.saturating_add(1);
                if channel.dropped.is_power_of_two() {
                    tracing::warn!(dropped = channel.dropped, "an alert channel is full: findings are in the log only");
                }
            }
        }
    }

    /// Sends what waits, for `timeout` at most.
    pub async fn stop(&self, timeout: Duration) {
        let channels = std::mem::take(&mut *self.channels.lock().unwrap_or_else(PoisonError::into_inner));
        let until = Instant::now() + timeout;
        for Running { queue, thread, .. } in channels {
            drop(queue);
            while !thread.is_finished() && Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            if !thread.is_finished() {
                self.stopping.store(true, Ordering::Relaxed);
                tracing::warn!("an alert channel did not get rid of its findings in time; they are in the log");
            }
        }
    }
}

fn mail_findings(mailer: &Mailer, findings: &Receiver<Finding>, stopping: &AtomicBool) {
    let mut throttle = Throttle::default();
    for finding in findings {
        let Some(held_back) = throttle.admit(&finding) else { continue };
        let mut pause = PAUSE_MIN;
        for attempt in 1..=ATTEMPTS_MAX {
            match mailer.send(&finding, held_back) {
                Ok(()) => break,
                Err(error) if attempt == ATTEMPTS_MAX || stopping.load(Ordering::Relaxed) => {
                    tracing::error!(%error, finding = %finding.finding_id, "a finding could not be mailed; it is in the log");
                    break;
                }
                Err(error) => {
                    tracing::warn!(%error, attempt, "a finding could not be mailed yet");
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }
}

/// One `[[alert]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Below it, nothing is sent.
    pub severity_min: Severity,
    /// Where to.
    pub channel: Channel,
}

/// A channel's own keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Standard output, one line a finding.
    Stdout,
    /// SMTP.
    Mail(Mail),
}

/// `kind = "mail"`.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// `host:port`.
    pub server: String,
    /// How the connection is protected.
    pub tls: MailTls,
    /// A PEM file of the authorities to trust besides the public ones.
    pub tls_ca: Option<PathBuf>,
    /// `user` and `password` for SMTP AUTH.
    pub credentials: Option<(String, String)>,
    /// The sender, RFC 5322.
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("server", &self.server).field("to", &self.to).finish_non_exhaustive()
    }
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
