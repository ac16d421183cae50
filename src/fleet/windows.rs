//! The windows that the sidecars of a fleet add up together.
//!
//! In: contributions of this sidecar's engine, ten times a second. Out: into the store, by one script that counts on the store's clock and is
//! bounded ([`WINDOWS_MAX`] windows a policy, each gone when its time is over); and from it what each window holds in the whole fleet, and
//! which sidecar is to tell that it is too much: one, once in the policy's time. Windows, and values that are counted, are
//! called by keyed hashes: no name or value can be read in the store. While it is away the engine tells by its own figures; what was not
//! added is added when it is back, as of when it happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ring::hmac;

use super::{ANSWER_TIMEOUT, Config, Error, WAIT_MAX, WAIT_MIN};
use crate::audit::Key;
use crate::clock::Clock;
use crate::policy::{Added, Contribution, SharedEngine};
use crate::record::Finding;

/// How often contributions are added.
const ADD_EVERY: Duration = Duration::from_millis(100);
/// Contributions that are sent at a time.
const AT_A_TIME: usize = 128;
/// Windows that the store keeps of a policy; what comes beyond shares [`OVERFLOW_WINDOWS`], whose figures can be too high, never too low.
const WINDOWS_MAX: usize = 16_384;
const OVERFLOW_WINDOWS: u8 = 64;
/// Different values that the store counts exactly.
const EXACT_MAX: usize = 1_024;
/// A larger number is no other to a window: doubles are exact up to here.
const NUMBER_MAX: u64 = 1 << 53;
/// Bytes of the hash of a value.
const VALUE_BYTES: usize = 12;
const SCRIPT: &str = include_str!("window.lua");

/// The exchange of windows. Dropping it ends it: what waits for the fleet's word is told alone.
pub struct Windows {
    stopping: Arc<AtomicBool>,
    engine: SharedEngine,
    tell: Tell,
    thread: Option<JoinHandle<()>>,
}

/// Where findings go; false where there is no room now.
pub type Tell = Arc<dyn Fn(Finding) -> bool + Send + Sync>;

impl Windows {
    /// Starts it. Connects to nothing itself.
    ///
    /// # Errors
    /// The configuration makes no client, or no thread can be had.
    pub fn start(
        config: &Config,
        key: &Key,
        engine: SharedEngine,
        clock: &Clock,
        tell: Tell,
    ) -> Result<Windows, Error> {
        let work = Work {
            client: config.client()?,
            prefix: config.prefix.clone(),
            names: key.fleet_names(),
            engine: engine.clone(),
            clock: clock.clone(),
            tell: Arc::clone(&tell),
            untold: Vec::new(),
        };
        let stopping = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stopping);
        let thread = std::thread::Builder::new().name("fleet windows".to_owned()).spawn(move || work.run(&told));
        let thread = Some(thread.map_err(Error::Thread)?);
        Ok(Windows { stopping, engine, tell, thread })
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // It may wait for an answer of the store: no longer than that takes at most.
        let until = Instant::now() + ANSWER_TIMEOUT + ADD_EVERY;
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) && Instant::now() < until {
            std::thread::sleep(ADD_EVERY / 10);
        }
        drop(self.thread.take());
        // From now on the engine tells at once.
        let waiting = self.engine.lock().share(false);
        waiting.into_iter().for_each(|finding| _ = (self.tell)(finding));
    }
}

struct Work {
    client: redis::Client,
    prefix: String,
    names: hmac::Key,
    engine: SharedEngine,
    clock: Clock,
    tell: Tell,
    /// Findings for which there was no room.
    untold: Vec<Finding>,
}

/// A connection that knows the script, by its hash.
struct Joined {
    connection: redis::Connection,
    script: String,
}

impl Work {
    fn run(mut self, stopping: &AtomicBool) {
        let mut joined: Option<Joined> = None;
        let mut away: Option<(Instant, Duration)> = None;
        self.go_alone();
        while !stopping.load(Ordering::Relaxed) {
            let wait = match self.round(&mut joined, stopping) {
                Ok(()) => {
                    if let Some((since, _)) = away.take() {
                        let missed = self.engine.lock().missed_shared();
                        let seconds = since.elapsed().as_secs();
                        tracing::info!(seconds, missed, "the fleet's windows are added up together again");
                    }
                    ADD_EVERY
                }
                Err(error) => {
                    joined = None;
                    self.go_alone();
                    let (since, wait) = match away {
                        Some((since, wait)) => (since, wait.saturating_mul(2).min(WAIT_MAX)),
                        None => {
                            tracing::warn!(%error, "the fleet's store is away: this sidecar's windows hold what passes through it alone");
                            (Instant::now(), WAIT_MIN)
                        }
                    };
                    away = Some((since, wait));
                    wait
                }
            };
            self.tell();
            let until = Instant::now() + wait;
            while Instant::now() < until && !stopping.load(Ordering::Relaxed) {
                std::thread::sleep(ADD_EVERY / 2);
            }
        }
        self.go_alone();
        self.tell();
    }

    fn tell(&mut self) {
        let tell = &self.tell;
        self.untold.retain(|finding| !tell(finding.clone()));
    }

    fn go_alone(&mut self) {
        let findings = self.engine.lock().share(false);
        self.untold.extend(findings);
    }

    /// Adds what waits.
    fn round(&mut self, joined: &mut Option<Joined>, stopping: &AtomicBool) -> Result<(), Error> {
        if joined.is_none() {
            let mut connection = Config::connect(&self.client)?;
            let script = redis::cmd("SCRIPT").arg("LOAD").arg(SCRIPT).query(&mut connection)?;
            *joined = Some(Joined { connection, script });
            let mut engine = self.engine.lock();
            if !stopping.load(Ordering::Relaxed) {
                engine.share(true);
            }
        }
        let Some(store) = joined else { return Ok(()) };
        loop {
            let contributions = self.engine.lock().take_shared(AT_A_TIME);
            if contributions.is_empty() {
                return Ok(());
            }
            match self.add(store, &contributions) {
                Ok(answers) => self.heed(&contributions, &answers),
                Err(error) => {
                    let findings = self.engine.lock().put_back_shared(contributions);
                    self.untold.extend(findings);
                    return Err(error);
                }
            }
        }
    }

    fn add(&self, store: &mut Joined, contributions: &[Contribution]) -> Result<Vec<Answer>, Error> {
        let mut pipe = redis::pipe();
        for contribution in contributions {
            let age_us = self.clock.now().micros_since(contribution.at);
            let once_us = contribution.once_us.unwrap_or(-1);
            let command = pipe.cmd("EVALSHA").arg(&store.script).arg(4);
            command
                .arg(&self.keys(contribution))
                .arg(contribution.within_us)
                .arg(age_us)
                .arg(contribution.above.min(NUMBER_MAX))
                .arg(once_us);
            command.arg(WINDOWS_MAX).arg(EXACT_MAX);
            match &contribution.added {
                Added::Number(number) => command.arg("n").arg((*number).min(NUMBER_MAX)),
                Added::Values(values) => {
                    let values = values.iter().map(|value| self.hash(&[value], VALUE_BYTES));
                    command.arg("v").arg(values.collect::<Vec<_>>())
                }
            };
        }
        Ok(pipe.query(&mut store.connection)?)
    }

    fn heed(&mut self, contributions: &[Contribution], answers: &[Answer]) {
        let mut engine = self.engine.lock();
        for (contribution, (tells, total, is_estimate)) in contributions.iter().zip(answers) {
            let finding = engine.heard_shared(contribution, *total, *is_estimate, *tells);
            self.untold.extend(finding);
        }
    }

    /// The policy's index, the window, the window that takes what finds no room, and what was told.
    fn keys(&self, of: &Contribution) -> [String; 4] {
        let policy = self.hash(&[of.policy.id.as_bytes(), of.policy.text.as_bytes()], 12);
        let of_policy = |what: &str, by: &[u8]| hex(&self.hash(&[&policy, what.as_bytes(), by], 12));
        let overflow = self.hash(&[&policy, &of.by], 1).first().map_or(0, |byte| byte % OVERFLOW_WINDOWS);
        let prefix = &self.prefix;
        [
            format!("{prefix}:windows:{}", hex(&policy)),
            format!("{prefix}:window:{}", of_policy("window", &of.by)),
            format!("{prefix}:window:{}", of_policy("overflow", &[overflow])),
            format!("{prefix}:told:{}", of_policy("told", &of.told_by)),
        ]
    }

    fn hash(&self, parts: &[&[u8]], bytes: usize) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.names);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        context.sign().as_ref().iter().copied().take(bytes).collect()
    }
}

/// Whether to tell, what the window holds, whether that is an estimate.
type Answer = (bool, u64, bool);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
