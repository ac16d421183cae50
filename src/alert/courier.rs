//! The thread of one mail channel: takes findings, throttles them, and sends until they are gone.
//!
//! In: findings, over a bounded queue. Out: mails. A server that is away, or whose certificate does not hold, is tried again
//! for as long as the sidecar runs, with growing pauses; meanwhile findings wait in the queue. What the server refuses for
//! good is said in the sidecar's own log. The finding is in the log of findings all the same.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::mail::{Mail, Mailbox, Mailer, Ready};
use super::throttle::Throttle;
use super::{Error, letter};
use crate::record::Finding;

/// Attempts at one recipient whom the server puts off (4xx): about ten minutes, which greylisting lets through.
const PUT_OFF_ATTEMPTS_MAX: u32 = 16;
/// The first pause between attempts …
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// … and the longest.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How long to wait for a finding where nothing is held back.
const IDLE: Duration = Duration::from_secs(3_600);

/// Said once: the sidecar stops, and nobody pauses any more.
#[derive(Debug, Default)]
pub struct Stop {
    said: Mutex<bool>,
    wake: Condvar,
}

impl Stop {
    /// Says it.
    pub fn say(&self) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.wake.notify_all();
    }

    /// Waits for so long, or until it is said; whether it is.
    pub fn wait(&self, pause: Duration) -> bool {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.wake.wait_timeout_while(said, pause, |said| !*said);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Carries mails of one channel.
pub struct Courier {
    mailer: Mailer,
    to: Vec<Mailbox>,
    throttle: Throttle,
    stop: std::sync::Arc<Stop>,
    /// The server was away when the sidecar was already stopping.
    given_up: bool,
    unsent: u64,
}

impl Courier {
    /// A courier to the recipients of `mail`.
    ///
    /// # Errors
    /// A file that `mail` names cannot be read.
    pub fn new(mail: &Mail, stop: std::sync::Arc<Stop>) -> Result<Courier, Error> {
        let throttle = Throttle::new(mail.throttle);
        Ok(Courier { mailer: Mailer::new(mail)?, to: mail.to.clone(), throttle, stop, given_up: false, unsent: 0 })
    }

    /// Works until the queue is closed and empty.
    pub fn run(mut self, findings: &Receiver<Finding>) {
        loop {
            let now = Instant::now();
            let wait = self.throttle.next_due().map_or(IDLE, |due| due.saturating_duration_since(now));
            match findings.recv_timeout(wait) {
                Ok(finding) => {
                    if let Some(held_back) = self.throttle.admit(&finding, Instant::now()) {
                        self.send(&finding, held_back);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    while let Some((finding, held_back)) = self.throttle.due(Instant::now()) {
                        self.send(&finding, held_back);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        while let Some((finding, held_back)) = self.throttle.last(Instant::now()) {
            self.send(&finding, held_back);
        }
        if self.unsent > 0 {
            tracing::error!(findings = self.unsent, "stopped before the mail server took them; they are in the log");
        }
    }

    fn send(&mut self, finding: &Finding, held_back: u64) {
        let letter = letter::write(finding, held_back);
        let mail = letter.and_then(|letter| self.mailer.finding(&self.to, letter, &finding.finding_id));
        match mail {
            Ok(mail) => self.carry(mail, &finding.finding_id),
            Err(error) => tracing::error!(%error, finding = %finding.finding_id, "a finding could not be made a mail"),
        }
    }

    /// Until everybody has it, or cannot have it.
    fn carry(&mut self, mut mail: Ready, finding: &str) {
        let mut pause = PAUSE_MIN;
        let mut put_off: u32 = 0;
        while !self.given_up {
            let Some(error) = self.round(&mut mail, finding) else { return };
            let last = self.stop.wait(Duration::ZERO);
            put_off = put_off.saturating_add(u32::from(error.is_put_off()));
            if last || put_off >= PUT_OFF_ATTEMPTS_MAX {
                tracing::error!(%error, finding, "a finding could not be mailed; it is in the log");
                self.given_up = last && !error.is_put_off();
                break;
            }
            tracing::warn!(%error, finding, "a finding could not be mailed yet; trying again in {pause:?}");
            self.stop.wait(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
        self.unsent = self.unsent.saturating_add(1);
    }

    /// One attempt for each pending recipient; what kept it from those who are still pending.
    fn round(&self, mail: &mut Ready, finding: &str) -> Option<Error> {
        let mut hindrance = None;
        for to in std::mem::take(&mut mail.pending) {
            // The server is away: no need to ask it again for each.
            let is_away = hindrance.as_ref().is_some_and(|error: &Error| !error.is_put_off());
            if is_away {
                mail.pending.push(to);
                continue;
            }
            match self.mailer.deliver(mail, &to) {
                Ok(()) => {}
                Err(error) if error.is_refused() => {
                    tracing::error!(%error, %to, finding, "the mail server refused a finding; it is in the log");
                }
                Err(error) => {
                    hindrance = Some(error);
                    mail.pending.push(to);
                }
            }
        }
        hindrance
    }
}
