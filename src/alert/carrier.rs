//! The thread of one channel that loses nothing: mail, webhook or syslog.
//!
//! In: findings, over a bounded queue, and the log, in which all of them are. Out: messages, until they are taken. How far it has come
//! stands in a file in the log's folder: after a restart, or when the queue was full, what is missing is read from the log. A
//! receiver that is away is tried again with growing pauses; what it refuses for good is laid aside in a file of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::Config;
use super::courier::Stop;
use super::form;
use super::throttle::Throttle;
use super::told::Told;
use crate::audit::{Error, Lake, Place};
use crate::record::{Finding, Severity};

/// The first pause between attempts …
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// … and the longest.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How long to wait for a finding where nothing is held back.
const IDLE: Duration = Duration::from_secs(60);
/// The most that is laid aside of what a receiver refused, bytes. Beyond, it is in the log only.
const REFUSED_BYTES_MAX: u64 = 16 << 20;
/// The folder, in the log's.
const FOLDER: &str = "alerts";

/// Why a message did not go.
#[derive(Debug)]
pub enum Trouble {
    /// Another attempt may help.
    Away(String),
    /// It will not.
    Refused(String),
}

/// What sends.
pub type Send = Box<dyn FnMut(&Finding, u64) -> Result<(), Trouble> + std::marker::Send>;

/// Where the log lies, and whose findings are told.
#[derive(Clone, Debug)]
pub struct Source {
    /// The log's folder.
    pub log: PathBuf,
    /// Where it lies: what was found earlier may be in a store by now.
    pub place: Place,
    /// This sidecar's name in it.
    pub writer: String,
}

/// See the module.
pub struct Carrier {
    severity_min: Severity,
    send: Send,
    /// `None`: every finding is told, for programs that group by themselves.
    throttle: Option<Throttle>,
    stop: Arc<Stop>,
    source: Source,
    told: Arc<Told>,
    /// The `seq` of the last finding that is dealt with.
    through: u64,
    /// Something was told since the log was read last: the queue may have been full meanwhile.
    is_behind: bool,
    /// The receiver was away when the sidecar was already stopping.
    given_up: bool,
}

impl Carrier {
    /// A carrier that goes on where it was, or, the first time, with what comes from now on. `told`: has the name of its files.
    pub fn new(config: &Config, send: Send, stop: Arc<Stop>, source: Source, told: Arc<Told>) -> Carrier {
        let (throttle, severity_min) = (config.throttle.map(Throttle::new), config.severity_min);
        let mut carrier =
            Carrier { severity_min, send, throttle, stop, source, told, through: 0, is_behind: true, given_up: false };
        let saved = std::fs::read_to_string(carrier.file("seq")).ok().and_then(|text| text.trim().parse().ok());
        match saved {
            Some(through) => carrier.through = through,
            None => {
                let logged = carrier.logged(0).filter_map(Result::ok);
                carrier.through = logged.map(|finding| finding.common.seq).max().unwrap_or(0);
                carrier.save();
            }
        }
        carrier.told.through(carrier.through);
        let refused = std::fs::read(carrier.file("refused.jsonl")).unwrap_or_default();
        carrier.told.dead_letters.add(refused.iter().filter(|byte| **byte == b'\n').count() as u64);
        carrier
    }

    /// Works until the queue is closed and empty.
    pub fn run(mut self, findings: &Receiver<Finding>) {
        self.catch_up();
        while !self.given_up {
            let now = Instant::now();
            let due = self.throttle.as_ref().and_then(Throttle::next_due);
            let wait = due.map_or(IDLE, |due| due.saturating_duration_since(now));
            match findings.recv_timeout(wait) {
                Ok(finding) if finding.common.seq <= self.through => {}
                // One is missing: the queue was full meanwhile.
                Ok(finding) if finding.common.seq > self.through.saturating_add(1) => self.catch_up(),
                Ok(finding) => self.take(&finding),
                Err(RecvTimeoutError::Timeout) => {
                    while let Some((finding, held_back)) =
                        self.throttle.as_mut().and_then(|throttle| throttle.due(Instant::now()))
                    {
                        self.carry(&finding, held_back);
                    }
                    if std::mem::take(&mut self.is_behind) {
                        self.catch_up();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        while let Some((finding, held_back)) = self.throttle.as_mut().and_then(|throttle| throttle.last(Instant::now()))
        {
            self.carry(&finding, held_back);
            // What was held back and has nowhere to go now is told by the next start, and what came after it perhaps again.
            if self.given_up && finding.common.seq <= self.through {
                self.through = finding.common.seq.saturating_sub(1);
                self.save();
            }
        }
    }

    /// This sidecar's findings in the log behind that one; an error where the log's store is away. A file that cannot be read is passed
    /// over.
    fn logged(&self, after: u64) -> impl Iterator<Item = Result<Finding, Error>> + use<> {
        let writer = self.source.writer.clone();
        let (lake, error) = match Lake::at(self.source.place.clone()) {
            Ok(lake) => (Some(lake), None),
            Err(error) => (None, Some(Err(error))),
        };
        let records = lake.into_iter().flat_map(|lake| lake.records::<Finding>(None));
        error.into_iter().chain(records).filter(move |finding| match finding {
            Ok(finding) => finding.common.seq > after && *finding.common.writer == *writer,
            Err(error) => matches!(error, Error::Store { .. }),
        })
    }

    fn catch_up(&mut self) {
        for finding in self.logged(self.through) {
            if self.given_up {
                return;
            }
            let finding = match finding {
                Ok(finding) => finding,
                Err(error) => {
                    tracing::warn!(channel = %self.told.name, %error, "findings that were missed cannot be read yet; they are told later");
                    self.is_behind = true;
                    return;
                }
            };
            if finding.common.seq > self.through {
                self.take(&finding);
            }
        }
    }

    fn take(&mut self, finding: &Finding) {
        if finding.severity.unwrap_or(Severity::Low) >= self.severity_min
            && let Some(held_back) =
                self.throttle.as_mut().map_or(Some(0), |throttle| throttle.admit(finding, Instant::now()))
        {
            self.carry(finding, held_back);
        }
        if !self.given_up {
            self.through = self.through.max(finding.common.seq);
            self.save();
        }
    }

    /// Until it is taken, refused, or the sidecar stops.
    fn carry(&mut self, finding: &Finding, held_back: u64) {
        self.is_behind = true;
        let mut pause = PAUSE_MIN;
        let id = &finding.finding_id;
        while !self.given_up {
            match (self.send)(finding, held_back) {
                Ok(()) => {
                    self.told.delivered();
                    return;
                }
                Err(Trouble::Refused(why)) => {
                    self.told.dead_letters.one();
                    tracing::error!(channel = %self.told.name, why, finding = %id, "a finding was refused and is laid aside");
                    self.lay_aside(finding, held_back);
                    return;
                }
                Err(Trouble::Away(why)) => {
                    self.told.failed();
                    if self.stop.wait(Duration::ZERO) {
                        tracing::warn!(channel = %self.told.name, why, "stopped before everything was told; the next start goes on");
                        self.given_up = true;
                        return;
                    }
                    tracing::warn!(channel = %self.told.name, why, finding = %id, "a finding could not be told yet; trying again in {pause:?}");
                    self.stop.wait(pause);
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    fn lay_aside(&self, finding: &Finding, held_back: u64) {
        let path = self.file("refused.jsonl");
        let is_full = std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() > REFUSED_BYTES_MAX);
        let written = if is_full {
            return;
        } else {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
            file.and_then(|mut file| writeln!(file, "{}", form::columns(finding, held_back)))
        };
        if let Err(error) = written {
            tracing::error!(%error, "what was refused could not be laid aside; it is in the log");
        }
    }

    /// A whole file or the one before, whenever the process ends.
    fn save(&self) {
        self.told.through(self.through);
        let (path, new) = (self.file("seq"), self.file("seq.new"));
        let saved = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&new, format!("{}\n", self.through)))
            .and_then(|()| std::fs::rename(&new, &path));
        if let Err(error) = saved {
            tracing::warn!(%error, channel = %self.told.name, "how far alerts have come cannot be noted; some may come twice");
        }
    }

    fn file(&self, extension: &str) -> PathBuf {
        let folder: &Path = &self.source.log;
        folder.join(FOLDER).join(format!("{}-{}.{extension}", self.source.writer, self.told.name))
    }
}
