//! What a sidecar tells of itself while it runs: its figures, and whether it is ready.
//!
//! In: the configuration, and the stages once they run. Out: figures for the stages to raise, and a server where one is configured. Refuses
//! to start where its address cannot be had: who asked for figures would else believe that all is well.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;

use crate::alert::Alerts;
use crate::analysis::{Control, Rooms};
use crate::audit::Look;
use crate::catalog::Catalog;
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, Telemetry};
use crate::error::Faults;
use crate::figures::Figures;
use crate::fleet::{self, Fleet, Windows};
use crate::policy::PolicySet;
use crate::proxy;
use crate::quarantine::Quarantines;
use crate::telemetry::{Error, Readiness, Server, Sources};

/// See the module.
pub(super) struct Telling {
    /// For the stages.
    pub figures: Figures,
    clock: Clock,
    readiness: Readiness,
    server: Option<Server>,
}

impl Telling {
    /// Listens, where that is configured: whoever asks hears that it is starting.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn begin(config: &Telemetry, clock: &Clock) -> Result<Telling, Error> {
        let readiness = Readiness::starting(clock);
        let server = config.listen.as_ref().map(|address| Server::start(address, &readiness)).transpose()?;
        Ok(Telling { figures: Figures::default(), clock: clock.clone(), readiness, server })
    }

    /// The stages run.
    pub fn open(
        &self,
        (intake, legs): (Look, proxy::Control),
        (catalog, quarantines): (Catalog, Quarantines),
        alerts: &Arc<Alerts>,
        (has_store, has_fleet): (bool, bool),
    ) {
        let (figures, clock, alerts) = (self.figures.clone(), self.clock.clone(), Arc::clone(alerts));
        self.readiness.open(Sources {
            figures,
            intake,
            legs,
            catalog,
            quarantines,
            alerts,
            has_store,
            has_fleet,
            clock,
        });
    }

    /// Joins the fleet, where there is one.
    ///
    /// # Errors
    /// What its configuration names cannot be read.
    pub fn join(
        &self,
        config: &Config,
        rooms: &Rooms,
        control: &SyncSender<Control>,
    ) -> Result<Option<(Fleet, Windows)>, fleet::Error> {
        let started = config.fleet.as_ref().map(|fleet| {
            let (folder, key, clock) = (&config.audit.path, &rooms.key, &self.clock);
            let quarantines = Fleet::start(fleet, folder, key, (&rooms.quarantines, &self.figures), clock)?;
            let control = control.clone();
            let tell = Arc::new(move |finding| control.try_send(Control::Found(Box::new(finding))).is_ok());
            Ok((quarantines, Windows::start(fleet, key, rooms.engine.clone(), clock, tell)?))
        });
        started.transpose()
    }

    /// When it began.
    pub fn began(&self) -> Timestamp {
        self.readiness.started_at()
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(|server| server.address)
    }

    /// This set is in force from now on.
    pub fn in_force(&self, policies: &PolicySet) {
        self.figures.policies.set(policies.active().count() as u64);
        self.figures.loaded_at.set(Some(self.clock.now()));
    }

    /// Something was read again, and taken or found faulty.
    pub fn reloaded(&self, result: &Result<(), Faults>) {
        let (count, is_faulty) = match result {
            Ok(()) => (&self.figures.reloads, false),
            Err(_) => (&self.figures.reloads_faulty, true),
        };
        count.one();
        self.figures.is_faulty.store(is_faulty, Ordering::Relaxed);
    }

    /// A stop has begun: it is not ready any more, and still tells.
    pub fn stopping(&self) {
        self.readiness.stop();
    }

    /// Nothing is told any more.
    pub fn stop(self) {
        self.server.into_iter().for_each(Server::stop);
    }
}

/// Says, when it is dropped, that the analysis is over: also where it panicked.
pub(super) struct Ending(pub Figures);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.analysis_ended.store(true, Ordering::Relaxed);
    }
}
