//! The stages, the queues between them, and the order of shutdown.
//!
//! In: a [`Config`] and a [`Clock`]. Out: a [`Running`] sidecar. Data flows: proxy → intake journal → analysis →
//! record journal and alerts; it is stopped in the same order, so that everything that was taken in is also logged.

mod telling;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::task;

use self::telling::{Ending, Telling};
use crate::alert::{self, Alerts};
use crate::analysis::{self, Control, Identity, Passed, Rooms, Stage, sighted};
use crate::audit::{self, Intake, IntakeReader, Key, Lake, Log, Place, Shipper, Writer};
use crate::backtest;
use crate::bypass;
use crate::catalog::{Catalog, Classification, loader};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::error::{Fault, Faults};
use crate::figures::Figures;
use crate::fleet::{Fleet, Windows};
use crate::guard::{self, Guard};
use crate::policy::{self, Engine, PolicySet, SharedEngine};
use crate::proxy::{self, Address, Gates, Proxy};
use crate::quarantine::Quarantines;
use crate::record::Finding;
use crate::session::SharedSubjectColumns;

/// Findings that may wait to be passed on to people.
const FINDINGS_QUEUE_MAX: usize = 1_024;
/// Orders to the analysis stage that may wait.
const CONTROL_QUEUE_MAX: usize = 64;
/// How often it is looked whether somebody is to be kept out who is in.
const KEPT_OUT_EVERY: Duration = Duration::from_millis(250);
/// How long alerts may take to go out when the sidecar stops.
const ALERTS_STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long what was sealed last may take into the store when the sidecar stops. What does not, waits for the next start.
const STORE_STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How far back it is looked in a store for columns that were told of, microseconds.
const TOLD_WITHIN_US: i64 = 30 * 86_400_000_000;

/// The file of the classification, in the folder of the policies.
pub const CLASSIFICATION_FILE: &str = "classification.yaml";

/// A sidecar that runs. Dropping it without [`Running::stop`] loses nothing: the next start takes up the journal.
pub struct Running {
    /// Where it listens, real ports where port 0 was asked for.
    pub addresses: Vec<Address>,
    /// The log's folder.
    pub log: PathBuf,
    config: Config,
    catalog: Catalog,
    legs: proxy::Control,
    acting: Acting,
    door: task::JoinHandle<()>,
    bypass: task::JoinHandle<()>,
    control: SyncSender<Control>,
    stop: watch::Sender<bool>,
    stopping: Arc<AtomicBool>,
    proxy: task::JoinHandle<()>,
    loader: task::JoinHandle<()>,
    intake: Intake,
    analysis: JoinHandle<anyhow::Result<()>>,
    findings: JoinHandle<()>,
    alerts: Arc<Alerts>,
    shipper: Option<Shipper>,
    telling: Telling,
    fleet: Option<(Fleet, Windows)>,
}

/// Starts every stage. Call it inside a tokio runtime. `watcher` sees every finding, as alerts do.
pub async fn start(config: Config, clock: Clock, watcher: Option<SyncSender<Finding>>) -> anyhow::Result<Running> {
    let telling = Telling::begin(&config.telemetry, &clock)?;
    let policies = Arc::new(policy::load(&config.policies)?);
    let catalog = Catalog::new(classification(&config.policies)?);
    let (writer, key, log) = opened(&config.audit)?;
    let (intake, reader) = Intake::open(&config.audit, writer.name())?;
    let (shipper, place) = (Shipper::start(&config.audit, telling.figures.clone())?, Place::of(&config.audit)?);
    let engine = SharedEngine::new(remembering(Engine::new(Arc::clone(&policies)), &catalog, &place, &clock)?);
    let quarantines = Quarantines::open(&config.audit.path).context("the list of who is kept out cannot be read")?;
    let identity = identity(&config.analysis)?;
    let acting = Acting::new(engine.clone(), catalog.clone(), identity.clone());
    acting.put(&policies)?;
    telling.in_force(&policies);
    let proxy = bind(&config, (&intake, &catalog, &clock), &acting, &quarantines)?;
    proxy.check().await?;
    let (addresses, legs, alerts) = (proxy.addresses().to_vec(), proxy.control(), alerting(&config, place, &writer)?);
    loader::read_first(&catalog, &config.catalog).await;
    let ((stop, stopped), stopping) = (watch::channel(false), Arc::new(AtomicBool::new(false)));
    let (finding_sender, finding_receiver) = sync_channel(FINDINGS_QUEUE_MAX);
    let (control, orders) = sync_channel(CONTROL_QUEUE_MAX);
    let rooms = Rooms {
        log,
        catalog: catalog.clone(),
        engine,
        quarantines: quarantines.clone(),
        key,
        identity,
        passed: Passed::default(),
        figures: telling.figures.clone(),
    };
    let bypass =
        watch_other_ways(&config, (clock.clone(), telling.began()), (&legs, &rooms.passed), &control, &stopped);
    let fleet = telling.join(&config, &rooms, &control)?;
    let stage = Stage::new(config.analysis.clone(), clock, rooms, finding_sender, Arc::clone(&stopping))?;
    let analysis = analyse(stage, reader, orders, (writer, telling.figures.clone()))?;
    let findings = tell(finding_receiver, &alerts, watcher)?;
    let loader = tokio::spawn(loader::keep_fresh(catalog.clone(), config.catalog.clone(), stopped.clone()));
    let door = tokio::spawn(keep_out(legs.clone(), quarantines.clone(), stopped.clone()));
    let proxy = tokio::spawn(proxy.serve(stopped));
    telling.open(
        (intake.look(), legs.clone()),
        (catalog.clone(), quarantines),
        &alerts,
        (shipper.is_some(), fleet.is_some()),
    );
    Ok(Running {
        addresses,
        log: config.audit.path.clone(),
        config,
        catalog,
        legs,
        acting,
        door,
        bypass,
        control,
        stop,
        stopping,
        proxy,
        loader,
        intake,
        analysis,
        findings,
        alerts,
        shipper,
        telling,
        fleet,
    })
}

fn bind(
    config: &Config,
    (intake, catalog, clock): (&Intake, &Catalog, &Clock),
    acting: &Acting,
    quarantines: &Quarantines,
) -> Result<Proxy, proxy::Error> {
    let stage = proxy::Stage {
        intake: intake.clone(),
        subjects: Arc::new(catalog.clone()),
        clock: clock.clone(),
        gates: acting.gates.clone(),
        quarantines: quarantines.clone(),
    };
    Proxy::bind(config.proxy.clone(), stage)
}

fn alerting(config: &Config, place: Place, writer: &Writer) -> Result<Arc<Alerts>, alert::Error> {
    let source = alert::Source { log: config.audit.path.clone(), place, writer: writer.name().to_owned() };
    Alerts::start(&config.alerts, &source).map(Arc::new)
}

/// Runs the stage on a thread of its own.
fn analyse(
    stage: Stage,
    reader: IntakeReader,
    orders: Receiver<Control>,
    (writer, figures): (Writer, Figures),
) -> std::io::Result<JoinHandle<anyhow::Result<()>>> {
    std::thread::Builder::new().name("analysis".to_owned()).spawn(move || {
        let _writer = writer; // Held as long as anything of this writer is written.
        let _ending = Ending(figures);
        stage.run(reader, &orders).context("the analysis stage stopped")
    })
}

impl Running {
    /// Where it tells of itself: `/metrics`, `/healthz`, `/readyz`.
    pub fn telemetry(&self) -> Option<SocketAddr> {
        self.telling.address()
    }

    /// Puts in force what does not bind a port: certificates and both legs' keys, policies and classification, read again. With any
    /// fault the old ones stay in force.
    pub fn reload(&self, config: &Config) -> Result<(), Faults> {
        self.counted(self.try_reload(config))
    }

    fn try_reload(&self, config: &Config) -> Result<(), Faults> {
        let policies = Arc::new(policy::load(&config.policies)?);
        let classification = classification(&config.policies)?;
        let keys = analysis::read_keys(config.analysis.comment_keys.as_deref())?;
        let legs = self.legs.ready(&config.proxy).map_err(|error| {
            let file = config.file.as_deref().unwrap_or(Path::new("built-in defaults"));
            match error {
                proxy::Error::Faulty(found) => {
                    Faults(found.into_iter().map(|fault| Fault::of_file(file, fault.what, fault.mend)).collect())
                }
                other => Faults(vec![Fault::of_file(file, other.to_string(), "")]),
            }
        })?;
        self.acting.put(&policies).map_err(unstarted)?;
        self.legs.put(legs);
        self.acting.identity.keys.store(Arc::new(keys));
        self.put(policies, classification);
        Ok(())
    }

    /// Puts policies, lists, permits and classification in force, read again, for all sessions at once. With any fault the old ones
    /// stay in force.
    pub fn reload_policies(&self, config: &policy::Config) -> Result<(), Faults> {
        self.counted(self.try_reload_policies(config))
    }

    /// For who asks for figures: what was read again is faulty, or could not even be read as a configuration.
    pub fn counted(&self, reloaded: Result<(), Faults>) -> Result<(), Faults> {
        self.telling.reloaded(&reloaded);
        reloaded
    }

    fn try_reload_policies(&self, config: &policy::Config) -> Result<(), Faults> {
        let policies = Arc::new(policy::load(config)?);
        let classification = classification(config)?;
        self.acting.put(&policies).map_err(unstarted)?;
        self.put(policies, classification);
        Ok(())
    }

    /// The set's guard is in force already.
    fn put(&self, policies: Arc<PolicySet>, classification: Classification) {
        self.catalog.set_classification(classification);
        self.telling.in_force(&policies);
        if self.control.try_send(Control::Policies(policies)).is_err() {
            tracing::error!("the analysis stage does not take orders; the old policies stay in force");
        }
    }

    /// The configuration it runs with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Stops in the order in which data flows: no new session, running ones drained, what was taken in analysed and
    /// sealed, alerts sent.
    pub async fn stop(self) -> anyhow::Result<()> {
        let Running {
            stop,
            stopping,
            proxy,
            loader,
            intake,
            analysis,
            findings,
            alerts,
            control,
            acting,
            door,
            bypass,
            shipper,
            telling,
            fleet,
            ..
        } = self;
        telling.stopping();
        stop.send_replace(true);
        proxy.await.context("the proxy panicked")?;
        door.await.context("the watch at the door panicked")?;
        bypass.await.context("the watch over other ways in panicked")?;
        drop((acting, fleet));
        stopping.store(true, Ordering::Relaxed);
        // The journal's reader is finished when nobody can append any more.
        drop(intake);
        drop(control);
        let analysed = task::spawn_blocking(move || {
            let analysed = analysis.join();
            // The findings' queue ended with the analysis.
            let _ = findings.join();
            analysed
        })
        .await
        .context("the analysis could not be awaited")?;
        if let Some(shipper) = shipper {
            let all = task::spawn_blocking(move || shipper.stop(STORE_STOP_TIMEOUT)).await.unwrap_or(false);
            if !all {
                tracing::warn!("not everything is in the store; what waits goes up when the sidecar starts again");
            }
        }
        alerts.stop(ALERTS_STOP_TIMEOUT).await;
        telling.stop();
        loader.await.context("the catalog's loader panicked")?;
        analysed.unwrap_or_else(|_| Err(anyhow::anyhow!("the analysis stage panicked")))
    }
}

fn unstarted(error: std::io::Error) -> Faults {
    let what = format!("the threads that judge statements could not be started: {error}");
    Faults(vec![Fault::of_file(Path::new("mitsuke"), what, "")])
}

/// The policies that intervene: the guard in force, and what outlives it.
struct Acting {
    gates: Gates,
    engine: SharedEngine,
    catalog: Catalog,
    identity: Identity,
    /// Opened by the first set that denies or cuts.
    room: Mutex<Option<Arc<guard::Room>>>,
}

impl Acting {
    fn new(engine: SharedEngine, catalog: Catalog, identity: Identity) -> Acting {
        Acting { gates: Gates::default(), engine, catalog, identity, room: Mutex::default() }
    }

    /// Puts the set's guard in force; none where no policy of it denies or cuts.
    fn put(&self, set: &PolicySet) -> std::io::Result<()> {
        let guard = Guard::new(set, || {
            let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
            let opened = match &*room {
                Some(room) => Arc::clone(room),
                None => guard::Room::open(self.engine.clone(), self.catalog.clone(), self.identity.clone())?,
            };
            *room = Some(Arc::clone(&opened));
            Ok(opened)
        })?;
        self.gates.load(guard.map(|guard| Box::new(guard) as Box<dyn proxy::Gate>));
        Ok(())
    }
}

/// Ends the sessions of who is kept out, also by another sidecar of the same log or by a person.
async fn keep_out(legs: proxy::Control, quarantines: Quarantines, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(KEPT_OUT_EVERY) => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
        if let Err(error) = quarantines.refresh() {
            tracing::error!(%error, "the list of who is kept out cannot be read; what is known stays in force");
        }
        if !quarantines.is_empty() {
            let ended = legs.keep_out(&quarantines);
            if ended > 0 {
                tracing::warn!(sessions = ended, "sessions of who is kept out are ended");
            }
        }
    }
}

fn identity(config: &analysis::Config) -> Result<Identity, Faults> {
    let keys = analysis::read_keys(config.comment_keys.as_deref())?;
    let keys = Arc::new(ArcSwap::from_pointee(keys));
    Ok(Identity { sources: config.end_user.clone(), keys, window: config.comment_window })
}

/// The classification in the policies' folder, or the built-in one.
pub fn classification(policies: &policy::Config) -> Result<Classification, Faults> {
    match classification_file(policies) {
        Some(file) => Classification::load(&file),
        None => Ok(Classification::built_in()),
    }
}

/// The file of the classification, where somebody wrote one.
pub fn classification_file(policies: &policy::Config) -> Option<PathBuf> {
    policies.path.as_ref().map(|folder| folder.join(CLASSIFICATION_FILE)).filter(|file| file.exists())
}

impl proxy::Subjects for Catalog {
    fn version(&self) -> u64 {
        Catalog::version(self)
    }

    fn of(&self, database: &str) -> SharedSubjectColumns {
        self.subject_columns(database)
    }
}

/// A name in the log, its key, which its files name, and its writing end.
fn opened(config: &audit::Config) -> Result<(Writer, Key, Log), audit::Error> {
    Shipper::prepare(config)?;
    let writer = Writer::claim(&config.path)?;
    let key = Key::load_or_create(&config.key_file)?;
    let log = Log::open(config, writer.name())?;
    Ok((writer, key, log))
}

/// An engine and a catalog that know what the log remembers.
fn remembering(engine: Engine, catalog: &Catalog, place: &Place, clock: &Clock) -> anyhow::Result<Engine> {
    let lake = history(place)?;
    tell_once(catalog, &lake, clock);
    Ok(backtest::learned(&lake, engine, clock.now())?)
}

/// What the log remembers; where its store does not answer, what lies here of it.
fn history(place: &Place) -> Result<Lake, audit::Error> {
    Lake::at(place.clone()).and_then(|lake| lake.snapshot::<Finding>().map(|_| lake)).or_else(|error| {
        if place.store().is_none() {
            return Err(error);
        }
        tracing::warn!(%error, "the store is away: policies with a window, a baseline or a first begin without what it holds");
        Lake::at(place.clone().without_store())
    })
}

/// Columns that the log holds a finding of are not told of again; where that cannot be read, they are. Of a store, only the last month is
/// read.
fn tell_once(catalog: &Catalog, lake: &Lake, clock: &Clock) {
    let now = clock.now();
    let lately = lake.place().store().map(|_| (now.plus_micros(-TOLD_WITHIN_US), now));
    let told: Result<(), audit::Error> = lake.records::<Finding>(lately).try_for_each(|finding| {
        if let Some((database, column)) = sighted::told(&finding?) {
            catalog.told_already(database, column);
        }
        Ok(())
    });
    if let Err(error) = told {
        tracing::warn!(%error, "earlier findings cannot be read; columns that nobody classified may be told of again");
    }
}

/// Looks who reaches the server by another way; what it finds goes into the log with the rest.
fn watch_other_ways(
    config: &Config,
    time: (Clock, Timestamp),
    (legs, passed): (&proxy::Control, &Passed),
    control: &SyncSender<Control>,
    stopped: &watch::Receiver<bool>,
) -> task::JoinHandle<()> {
    let control = control.clone();
    let found = move |finding| control.try_send(Control::Found(Box::new(finding))).is_ok();
    let ours = bypass::Ours { legs: legs.clone(), passed: passed.clone(), settled_after: config.proxy.drain_timeout };
    let (config, catalog) = (config.bypass.clone(), config.catalog.clone());
    tokio::spawn(bypass::keep_looking(config, catalog, time, ours, found, stopped.clone()))
}

/// Passes findings on, on a thread of its own.
fn tell(
    findings: Receiver<Finding>,
    alerts: &Arc<Alerts>,
    watcher: Option<SyncSender<Finding>>,
) -> std::io::Result<JoinHandle<()>> {
    let alerts = Arc::clone(alerts);
    let pass_on = move || pass_on(&findings, &alerts, watcher.as_ref());
    std::thread::Builder::new().name("findings".to_owned()).spawn(pass_on)
}

fn pass_on(findings: &Receiver<Finding>, alerts: &Alerts, watcher: Option<&SyncSender<Finding>>) {
    for finding in findings {
        alerts.send(&finding);
        if let Some(watcher) = watcher {
            // A watcher that does not look misses it; the log has it.
            let _ = watcher.try_send(finding);
        }
    }
}
