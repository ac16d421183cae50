//! The figures, as Prometheus reads them: its text format 0.0.4, or OpenMetrics 1.0 for who asks for it.
//!
//! In: the stages, asked now. Out: text. A label's values are words of a closed list, or channels of the configuration: never a user, an
//! address, a database or a statement.

use std::fmt;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::process::Process;
use super::readiness::{Readiness, Sources};
use crate::audit::intake::SEGMENTS_MAX;
use crate::figures::DURATION_BOUNDS_US;
use crate::policy::acting::Whom;

/// Microseconds of a second.
const SECOND_US: f64 = 1e6;

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's own, 0.0.4: what everything reads.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// What a header Accept asks for.
    pub fn wanted(accept: &str) -> Format {
        match accept.contains("application/openmetrics-text") {
            true => Format::OpenMetrics,
            false => Format::Prometheus,
        }
    }

    /// Its name.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => prometheus_text::CONTENT_TYPE,
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// All figures as they are now.
///
/// # Errors
/// Never, as far as is known: writing into a text.
pub fn render(format: Format, readiness: &Readiness) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Now(readiness.clone())));
    let mut rendered = String::new();
    match format {
        Format::Prometheus => prometheus_text::encode(&mut rendered, &registry)?,
        Format::OpenMetrics => text::encode(&mut rendered, &registry)?,
    }
    Ok(rendered)
}

struct Now(Readiness);

impl fmt::Debug for Now {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Now")
    }
}

impl Collector for Now {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        of_process(&mut page, &self.0)?;
        let Some(sources) = self.0.sources() else { return Ok(()) };
        of_traffic(&mut page, &sources)?;
        of_log(&mut page, &sources)?;
        of_findings(&mut page, &sources)?;
        of_channels(&mut page, &sources)?;
        of_what_is_in_force(&mut page, &sources)
    }
}

fn of_process(page: &mut Page<'_>, readiness: &Readiness) -> fmt::Result {
    let Process { cpu_seconds, resident_bytes, open_fds, max_fds } = Process::read();
    let started = readiness.started_at().0 as f64 / SECOND_US;
    if let Some(seconds) = cpu_seconds {
        page.seconds_counter("process_cpu_seconds", "Processor time, user's and system's", seconds)?;
    }
    page.gauge("process_start_time_seconds", "When the process began to start, seconds since 1970", started)?;
    for (name, help, value) in [
        ("process_resident_memory_bytes", "Memory that is in memory", resident_bytes),
        ("process_open_fds", "Files and sockets that are open", open_fds),
        ("process_max_fds", "Files and sockets that may be open", max_fds),
    ] {
        if let Some(value) = value {
            page.gauge(name, help, value as f64)?;
        }
    }
    let version = [[("version", env!("CARGO_PKG_VERSION"))]];
    page.gauges("mitsuke_build_info", "Always 1; its label tells the version", version.map(|labels| (labels, 1.0)))?;
    let is_ready = readiness.objections().is_empty();
    page.gauge("mitsuke_ready", "1 where /readyz answers 200", flag(is_ready))?;
    let is_up = readiness.is_upstream_up();
    page.gauge("mitsuke_upstream_up", "1 where the server answered when it was asked last", flag(is_up))
}

fn of_traffic(page: &mut Page<'_>, sources: &Sources) -> fmt::Result {
    let figures = &sources.figures;
    page.gauge("mitsuke_sessions", "Sessions that run", sources.legs.sessions() as f64)?;
    let most = sources.legs.connections_max() as f64;
    page.gauge("mitsuke_sessions_max", "Sessions that may run at once: [listen].connections_max", most)?;
    let ended = figures.sessions().map(|(outcome, count)| ([("outcome", outcome)], count));
    page.counters("mitsuke_sessions_ended", "Sessions that are over, refused ones too", ended)?;
    let statements = figures.statements();
    let statements = statements.map(|(kind, outcome, count)| ([("kind", kind), ("outcome", outcome)], count));
    page.counters("mitsuke_statements", "Statements that were recorded", statements)?;
    let (buckets, sum_us) = figures.durations();
    page.histogram(
        "mitsuke_statement_duration_seconds",
        "How long statements took, as clients saw it",
        &buckets,
        sum_us,
    )?;
    let transactions = figures.transactions().map(|(outcome, count)| ([("outcome", outcome)], count));
    page.counters("mitsuke_transactions", "Transactions that were recorded", transactions)?;
    let bytes = [("in", &figures.bytes_in), ("out", &figures.bytes_out)];
    let bytes = bytes.map(|(direction, count)| ([("direction", direction)], count.get()));
    page.counters("mitsuke_statement_bytes", "Bytes of statements (in) and of their results (out)", bytes)?;
    let rows = [
        ("returned", &figures.rows_returned),
        ("affected", &figures.rows_affected),
        ("personal", &figures.personal_rows),
    ];
    let rows = rows.map(|(what, count)| ([("what", what)], count.get()));
    page.counters("mitsuke_rows", "Rows returned, affected, and of those returned the ones with personal data", rows)
}

fn of_log(page: &mut Page<'_>, sources: &Sources) -> fmt::Result {
    let (figures, intake) = (&sources.figures, &sources.intake);
    let backlog = intake.last().saturating_sub(figures.analysed.get()) as f64;
    page.gauge("mitsuke_intake_backlog_events", "Events between the relay and the analysis", backlog)?;
    if let Ok(segments) = intake.segments() {
        page.gauge("mitsuke_intake_segments", "Files of the intake journal", segments as f64)?;
    }
    page.gauge(
        "mitsuke_intake_segments_max",
        "Files it may have: beyond, nothing can be written",
        SEGMENTS_MAX as f64,
    )?;
    let unwritable = flag(intake.hindrance().is_some());
    page.gauge("mitsuke_log_unwritable", "1 while the intake journal cannot be written", unwritable)?;
    page.counter("mitsuke_unrecorded_events", "Events let through unrecorded since the start", intake.passed())?;
    page.counter("mitsuke_gap_events", "Events that the log says are missing", figures.gap_events.get())?;
    page.counter("mitsuke_log_failures", "Commits and sealings that the system refused", figures.log_failures.get())?;
    page.gauge("mitsuke_journal_bytes", "The journal of records", figures.journal_bytes.get() as f64)?;
    let ago = |at| sources.clock.now().micros_since(at) as f64 / SECOND_US;
    let unsealed = figures.unsealed_since.get().map_or(0.0, ago);
    page.gauge("mitsuke_unsealed_age_seconds", "How long the oldest record waits to be sealed into Parquet", unsealed)?;
    if !sources.has_store {
        return Ok(());
    }
    page.gauge("mitsuke_spool_files", "Files that wait for the store", figures.spool_files.get() as f64)?;
    page.gauge("mitsuke_spool_bytes", "Their bytes", figures.spool_bytes.get() as f64)?;
    let away = figures.store_away_since.get().map_or(0.0, ago);
    page.gauge("mitsuke_store_away_seconds", "How long the store has taken nothing; 0 where it does", away)
}

fn of_findings(page: &mut Page<'_>, sources: &Sources) -> fmt::Result {
    let figures = &sources.figures;
    let findings = figures.findings();
    let findings = findings.map(|(severity, action, count)| ([("severity", severity), ("action", action)], count));
    page.counters("mitsuke_findings", "Findings, by what was done", findings)?;
    let help = "Findings that waited for nobody: the log has them, and channels that note how far they have come take them from there";
    page.counter("mitsuke_findings_not_passed", help, figures.findings_not_passed.get())
}

fn of_channels(page: &mut Page<'_>, sources: &Sources) -> fmt::Result {
    let (told, last) = (sources.alerts.told(), sources.figures.last_finding.get());
    let each = |value: fn(&crate::alert::Told, u64) -> u64| {
        let told = told.iter();
        told.map(move |told| ([("kind", told.kind), ("channel", told.name.as_str())], value(told, last)))
    };
    page.counters("mitsuke_alerts_delivered", "Messages that were taken", each(|told, _| told.delivered.get()))?;
    let failed = each(|told, _| told.failed.get());
    page.counters("mitsuke_alert_attempts_failed", "Attempts that are made again", failed)?;
    let dropped = each(|told, _| told.dropped.get());
    page.counters("mitsuke_alerts_dropped", "Findings that the channel's queue had no room for", dropped)?;
    let as_gauge = |each: &mut dyn Iterator<Item = ([(&'static str, &str); 2], u64)>| {
        let values = each.map(|(labels, value)| (labels.map(|(key, value)| (key, value.to_owned())), value as f64));
        values.collect::<Vec<_>>()
    };
    let waiting = as_gauge(&mut each(|told, last| told.waiting(last)));
    page.gauges("mitsuke_alerts_waiting", "Findings that the channel has not dealt with", waiting)?;
    let dead = as_gauge(&mut each(|told, _| told.dead_letters.get()));
    page.gauges("mitsuke_alert_dead_letters", "Findings that were refused for good and are laid aside", dead)?;
    let up = as_gauge(&mut each(|told, _| u64::from(!told.is_away())));
    page.gauges("mitsuke_alert_channel_up", "0 where the last attempt failed", up)
}

fn of_what_is_in_force(page: &mut Page<'_>, sources: &Sources) -> fmt::Result {
    let figures = &sources.figures;
    page.gauge("mitsuke_policies", "Policies that are judged", figures.policies.get() as f64)?;
    let loaded = figures.loaded_at.get().map_or(0.0, |at| at.0 as f64 / SECOND_US);
    page.gauge(
        "mitsuke_policies_loaded_timestamp_seconds",
        "When those in force were taken, seconds since 1970",
        loaded,
    )?;
    let reloads = [("taken", &figures.reloads), ("faulty", &figures.reloads_faulty)];
    let reloads = reloads.map(|(result, count)| ([("result", result)], count.get()));
    page.counters("mitsuke_reloads", "Times that policies or configuration were read again", reloads)?;
    let faulty = flag(figures.is_faulty.load(Ordering::Relaxed));
    page.gauge(
        "mitsuke_reload_faulty",
        "1 while what was read last is faulty, and the one before is in force",
        faulty,
    )?;
    if sources.has_fleet {
        let joined = flag(figures.is_in_fleet.load(Ordering::Relaxed));
        page.gauge("mitsuke_fleet_joined", "1 where the fleet's store answered when it was asked last", joined)?;
    }
    let catalog = sources.catalog.freshness();
    let states = [("fresh", catalog.fresh), ("stale", catalog.stale), ("none", catalog.none)];
    let states = states.map(|(state, count)| ([("state", state)], count as f64));
    page.gauges("mitsuke_catalog_databases", "Databases in use, by what is known of their catalog", states)?;
    let age = catalog.oldest.unwrap_or_default().as_secs_f64();
    page.gauge("mitsuke_catalog_age_seconds", "How long ago the catalog was read that was read longest ago", age)?;
    let held = sources.quarantines.in_force(sources.clock.now());
    let held = [("user", Whom::User), ("address", Whom::Address)]
        .map(|(whom, which)| ([("whom", whom)], held.iter().filter(|entry| entry.whom == which).count() as f64));
    page.gauges("mitsuke_quarantined", "Users and addresses that are kept out now", held)
}

fn flag(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

/// What is written on.
struct Page<'e>(DescriptorEncoder<'e>);

impl Page<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn gauges<K: AsRef<str>, V: AsRef<str>, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(K, V); N], f64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            let labels = labels.each_ref().map(|(key, value)| (key.as_ref(), value.as_ref()));
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut counter = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        counter.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn seconds_counter(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let mut counter = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        counter.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(&'static str, impl AsRef<str>); N], u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            let labels = labels.each_ref().map(|(key, value)| (*key, value.as_ref()));
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, counts: &[u64], sum_us: u64) -> fmt::Result {
        let bounds = DURATION_BOUNDS_US.iter().map(|bound| *bound as f64 / SECOND_US).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
        let mut histogram = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        let count = counts.iter().sum();
        histogram.encode_histogram::<NoLabelSet>(sum_us as f64 / SECOND_US, count, &buckets, None)
    }
}
