//! `mitsuke run`: the sidecar.

use anyhow::{Context as _, anyhow};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

use super::{Global, Status};
use crate::clock::Clock;
use crate::config::Config;
use crate::policy::load::watch::{self, Watch};
use crate::proxy::Address;
use crate::{app, audit, telemetry};

/// The sidecar: listens, relays to the server, records and judges
///
/// Without any configuration it listens on 127.0.0.1:6432, goes to 127.0.0.1:5432, logs to ./mitsuke-log and uses the
/// built-in policies. SIGHUP reads the configuration, certificates, policies and classification again; a change in the folder of
/// the policies is taken by itself, within seconds. SIGTERM and Ctrl-C let running statements end, for [listen].drain_timeout at most, and stop.
/// With [telemetry].listen it tells how it is: /metrics for Prometheus, /healthz, /readyz.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  mitsuke run --listen 127.0.0.1:6432 --upstream 127.0.0.1:5432
  psql -h 127.0.0.1 -p 6432 -U postgres -c 'select 1'   # from another terminal")]
pub struct Run {
    /// Where clients connect: host:port or unix:/path/.s.PGSQL.6432, once or more; overrides [listen].address
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<Address>,
    /// The server: host:port or unix:/path/.s.PGSQL.5432; overrides [upstream].address
    #[arg(long, value_name = "ADDRESS")]
    upstream: Option<Address>,
}

impl Run {
    /// Runs until a signal ends it.
    pub fn run(self, global: &Global) -> anyhow::Result<Status> {
        let config = self.config(global)?;
        telemetry::start(config.telemetry.log_format, "info");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("the tokio runtime could not be started")?;
        runtime.block_on(self.serve(config, global))
    }

    fn config(&self, global: &Global) -> Result<Config, crate::error::Faults> {
        let mut config = Config::load(global.config.as_deref())?.with_log(global.log.as_deref())?;
        if !self.listen.is_empty() {
            config.proxy.listen.clone_from(&self.listen);
        }
        if let Some(upstream) = &self.upstream {
            config.proxy.upstream = upstream.clone();
        }
        Ok(config)
    }

    async fn serve(&self, config: Config, global: &Global) -> anyhow::Result<Status> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let upstream = config.proxy.upstream.clone();
        let audit = config.audit.clone();
        let running = app::start(config, Clock::system(), None).await.map_err(|error| explained(error, &audit))?;
        for address in &running.addresses {
            tracing::info!(%address, %upstream, log = audit.shown(), "listening");
        }
        if let Some(address) = running.telemetry() {
            tracing::info!(%address, "/metrics, /healthz and /readyz are there");
        }
        let mut policies = running.config().policies.clone();
        let mut watch = policies.path.as_deref().map(Watch::new);
        let mut looks = tokio::time::interval(watch::EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => {
                    let read = match self.config(global) {
                        Ok(config) => running.reload(&config).map(|()| config),
                        Err(faults) => running.counted(Err(faults)).map(|()| running.config().clone()),
                    };
                    match read {
                        Ok(config) => {
                            policies = config.policies;
                            tracing::info!("configuration, certificates, policies and classification read again");
                        }
                        Err(faults) => tracing::error!("faulty, so the old ones stay in force: {faults}"),
                    }
                    // Taken as it is now, or found faulty, which was told.
                    watch = policies.path.as_deref().map(Watch::new);
                }
                _ = looks.tick() => {
                    let changed;
                    (watch, changed) = looked(watch).await?;
                    if changed {
                        match running.reload_policies(&policies) {
                            Ok(()) => tracing::info!("policies, lists, permits and classification have changed, and are in force"),
                            Err(faults) => tracing::error!("changed policies are faulty, so the old ones stay in force: {faults}"),
                        }
                    }
                }
            }
        }
        tracing::info!("stopping: no new sessions; running ones end when they are idle");
        running.stop().await?;
        tracing::info!("stopped");
        Ok(Status::Done)
    }
}

/// Looks at the folder of the policies, beside what runs here.
async fn looked(watch: Option<Watch>) -> anyhow::Result<(Option<Watch>, bool)> {
    let Some(mut watch) = watch else { return Ok((None, false)) };
    tokio::task::spawn_blocking(move || {
        let changed = watch.has_changed();
        (Some(watch), changed)
    })
    .await
    .context("the watch over the policies panicked")
}

/// With how to mend it, where the log's folder is what fails.
fn explained(error: anyhow::Error, log: &audit::Config) -> anyhow::Error {
    let key = if log.store.is_some() { "[log].spool" } else { "[log].path or --log" };
    match error.downcast_ref() {
        Some(audit::Error::Io { path, .. }) if path.starts_with(&log.path) => {
            anyhow!("{error}; give a folder that this process may write as {key}")
        }
        _ => error,
    }
}
