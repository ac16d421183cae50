//! Mails of one channel: what the carrier sends with.
//!
//! In: a finding. Out: a mail each recipient has, or cannot have. A server that is away, or whose certificate does not hold, is the
//! carrier's to try again; meanwhile it is known who has the mail already. A recipient that is put off (4xx) is tried for about
//! ten minutes; one that is refused for good is said in the sidecar's own log, and keeps nobody else's mail back.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::carrier::Trouble;
use super::form::Lang;
use super::mail::{Mail, Mailbox, Mailer, Ready};
use super::{Error, letter};
use crate::record::{Finding, Text};

/// Attempts at one recipient whom the server puts off (4xx): about ten minutes, which greylisting lets through.
const PUT_OFF_ATTEMPTS_MAX: u32 = 16;

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

/// See the module.
pub struct Courier {
    mailer: Mailer,
    to: Vec<Mailbox>,
    lang: Lang,
    under_way: Option<UnderWay>,
}

/// A mail that somebody does not have yet.
struct UnderWay {
    finding: Text,
    mail: Ready,
    /// Attempts that were put off.
    put_off: u32,
    /// Whether anybody has it.
    delivered: bool,
}

impl Courier {
    /// A courier to the recipients of `mail`.
    ///
    /// # Errors
    /// A file that `mail` names cannot be read.
    pub fn new(mail: &Mail) -> Result<Courier, Error> {
        Ok(Courier { mailer: Mailer::new(mail)?, to: mail.to.clone(), lang: mail.lang, under_way: None })
    }

    /// One attempt for everybody who does not have it yet.
    pub fn send(&mut self, finding: &Finding, held_back: u64) -> Result<(), Trouble> {
        let known = self.under_way.take().filter(|known| known.finding == finding.finding_id);
        let mut under_way = match known {
            Some(known) => known,
            None => self.begin(finding, held_back).map_err(|error| Trouble::Refused(error.to_string()))?,
        };
        let Some(hindrance) = self.round(&mut under_way) else {
            return match under_way.delivered {
                true => Ok(()),
                false => Err(Trouble::Refused("the mail server takes it for nobody".to_owned())),
            };
        };
        under_way.put_off = under_way.put_off.saturating_add(u32::from(hindrance.is_put_off()));
        if under_way.put_off >= PUT_OFF_ATTEMPTS_MAX {
            return Err(Trouble::Refused(hindrance.to_string()));
        }
        self.under_way = Some(under_way);
        Err(Trouble::Away(hindrance.to_string()))
    }

    fn begin(&self, finding: &Finding, held_back: u64) -> Result<UnderWay, Error> {
        let letter = letter::write(finding, held_back, self.lang)?;
        let mail = self.mailer.finding(&self.to, letter, &finding.finding_id)?;
        Ok(UnderWay { finding: finding.finding_id.clone(), mail, put_off: 0, delivered: false })
    }

    /// What kept it from those who are still pending.
    fn round(&self, under_way: &mut UnderWay) -> Option<Error> {
        let mut hindrance = None;
        for to in std::mem::take(&mut under_way.mail.pending) {
            // The server is away: no need to ask it again for each.
            let is_away = hindrance.as_ref().is_some_and(|error: &Error| !error.is_put_off());
            if is_away {
                under_way.mail.pending.push(to);
                continue;
            }
            match self.mailer.deliver(&under_way.mail, &to) {
                Ok(()) => under_way.delivered = true,
                Err(error) if error.is_refused() => {
                    let finding = &under_way.finding;
                    tracing::error!(%error, %to, %finding, "the mail server refused a finding; it is in the log");
                }
                Err(error) => {
                    hindrance = Some(error);
                    under_way.mail.pending.push(to);
                }
            }
        }
        hindrance
    }
}
