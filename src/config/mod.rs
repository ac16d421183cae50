//! What was written → what is meant: `mitsuke.toml` and the environment into one `Config` a stage.
//!
//! In: a file (or none) and the variables `MITSUKE_SECTION__KEY`. Out: a [`Config`] that cannot be wrong in form, or
//! every fault with its file, line and column. The only reader of the environment. Keys that the contract names and
//! this version does not serve are faults that say so, never silently ignored.

mod alert;
mod fleet;
mod legs;
mod log;
mod section;
mod source;

use std::path::{Path, PathBuf};

use self::section::Section;
use crate::error::{Fault, Faults};
use crate::{analysis, audit, bypass, catalog, policy, proxy};

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "mitsuke.toml";
/// Where the log lies when nothing says otherwise.
pub const DEFAULT_LOG: &str = "./mitsuke-log";
/// Where what is sealed waits for a store when nothing says otherwise.
pub const DEFAULT_SPOOL: &str = "./mitsuke-spool";

/// Everything that was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file it came from.
    pub file: Option<PathBuf>,
    /// `[listen]` and `[upstream]`.
    pub proxy: proxy::Config,
    /// `[identity]`.
    pub analysis: analysis::Config,
    /// `[catalog]`.
    pub catalog: catalog::Config,
    /// `[bypass]`.
    pub bypass: bypass::Config,
    /// `[log]` and `[privacy]`.
    pub audit: audit::Config,
    /// `[policies]`.
    pub policies: policy::Config,
    /// `[fleet]`.
    pub fleet: Option<crate::fleet::Config>,
    /// `[[alert]]`.
    pub alerts: Vec<crate::alert::Config>,
    /// `[report]`.
    pub report: Report,
    /// `[telemetry]`.
    pub telemetry: Telemetry,
}

/// `[report]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Recipients of `mitsuke report --mail`, through the first mail channel of `[[alert]]`.
    pub to: Vec<crate::alert::Mailbox>,
    /// What it is written in.
    pub lang: crate::alert::Lang,
}

/// `[telemetry]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telemetry {
    /// Where `/metrics`, `/healthz` and `/readyz` are, `host:port`; `None`: nowhere.
    pub listen: Option<String>,
    /// What the sidecar's own log is written as.
    pub log_format: LogFormat,
}

/// `[telemetry].log_format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Config {
    fn default() -> Config {
        read(source::empty(), None, Vec::new(), &mut Vec::new())
    }
}

impl Config {
    /// Reads `path`; without one, [`DEFAULT_FILE`] where it exists, else the built-in defaults. The environment
    /// overrides either.
    pub fn load(path: Option<&Path>) -> Result<Config, Faults> {
        let named = path.is_some();
        let path = path.unwrap_or(Path::new(DEFAULT_FILE));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => None,
            Err(error) => {
                let mend = "name a readable file with --config, or leave it out for the defaults";
                return Err(Faults(vec![Fault::of_file(path, format!("cannot be read: {error}"), mend)]));
            }
        };
        Config::parse(text.as_deref().map(|text| (path, text)), variables())
    }

    /// As [`Config::load`], from a text and made-up variables.
    pub fn parse(
        file: Option<(&Path, &str)>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Config, Faults> {
        let mut faults = Vec::new();
        let mut root = file.map_or_else(source::empty, |(path, text)| source::parse(text, path, &mut faults));
        let variables: Vec<(String, String)> = variables.into_iter().collect();
        source::overlay(&mut root, variables.iter().cloned(), &mut faults);
        let config = read(root, file.map(|(path, _)| path.to_path_buf()), variables, &mut faults);
        if faults.is_empty() {
            return Ok(config);
        }
        faults.sort();
        faults.dedup();
        Err(Faults(faults))
    }

    /// The same with another log, as `--log` names it: a folder, or a place in a store.
    ///
    /// # Errors
    /// It has the form of an address and is none.
    pub fn with_log(mut self, path: Option<&Path>) -> Result<Config, Faults> {
        if let Some(path) = path {
            log::put(&mut self.audit, path)?;
        }
        Ok(self)
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn variables() -> Vec<(String, String)> {
    // A variable that is not UTF-8 cannot be one of ours.
    std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?))).collect()
}

/// Where this user's programs keep what outlives them: `$XDG_STATE_HOME/mitsuke`, by default `~/.local/state/mitsuke`.
#[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn state_folder() -> Option<PathBuf> {
    let absolute = |key: &str| std::env::var_os(key).map(PathBuf::from).filter(|path| path.is_absolute());
    let states = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Some(states?.join("mitsuke"))
}

fn read(
    root: source::Node,
    file: Option<PathBuf>,
    environment: Vec<(String, String)>,
    faults: &mut Vec<Fault>,
) -> Config {
    let mut root = Section::new("", root, faults);
    let mut proxy = proxy::Config::default();
    root.section("listen", |section| legs::listen(section, &mut proxy));
    root.section("upstream", |section| legs::upstream(section, &mut proxy));
    let mut analysis = root.section("identity", identity).unwrap_or_default();
    let mut catalog = root.section("catalog", catalog_of).unwrap_or_default();
    if let proxy::UpstreamTls::On(outward) = &proxy.upstream_tls {
        catalog.tls = Some(outward.clone());
    }
    if let proxy::Auth::Terminate(lookup) = &mut proxy.auth {
        match &catalog.url {
            Some(url) => lookup.url.clone_from(url),
            None => root.fault_here(
                "`upstream.auth` is \"terminate\", and there is no `catalog.url`",
                "set it to the role that may look up verifiers",
            ),
        }
    }
    let (key_file, literals) = root.section("privacy", privacy).unwrap_or_default();
    analysis.literals = literals;
    let store = audit::Variables::of(environment);
    let audit = root.section("log", |section| log::read(section, key_file.clone(), store));
    let audit = audit.unwrap_or_else(|| log::default(key_file));
    let bypass = root.section("bypass", bypass_of).unwrap_or_default();
    let policies = root.section("policies", policies_of).unwrap_or_default();
    let fleet = root.section("fleet", fleet::read).flatten();
    let alerts = root.sections("alert", alert::read);
    let report = root.section("report", report_of).unwrap_or_default();
    let telemetry = root.section("telemetry", telemetry).unwrap_or_default();
    root.finish();
    Config { file, proxy, analysis, catalog, bypass, audit, policies, fleet, alerts, report, telemetry }
}

fn identity(section: &mut Section<'_>) -> analysis::Config {
    let mut config = analysis::Config::default();
    if let Some(sources) = section.texts("end_user") {
        config.end_user.clear();
        for (text, place) in sources {
            match text.parse() {
                Ok(source) => config.end_user.push(source),
                Err(what) => section.fault(&place, what, ""),
            }
        }
    }
    config.comment_keys = section.file("comment_keys");
    if let Some(window) = section.duration("comment_window") {
        config.comment_window = window;
    }
    let needs_keys = |source: &analysis::Source| matches!(source, analysis::Source::Signed(_));
    if config.comment_keys.is_none() && config.end_user.iter().any(needs_keys) {
        section.fault_here(
            "`identity.end_user` has a source \"signed:…\", and there are no `identity.comment_keys`",
            "name the file of keys",
        );
    }
    config
}

fn catalog_of(section: &mut Section<'_>) -> catalog::Config {
    let default = catalog::Config::default();
    let url = section.text("url").and_then(|(url, place)| match url.parse::<tokio_postgres::Config>() {
        Ok(_) => Some(url),
        Err(_) => {
            // The reason may quote the URL, and with it a password.
            section.fault(
                &place,
                "`catalog.url` is not a connection string",
                "write postgres://user@host:port/database",
            );
            None
        }
    });
    catalog::Config { url, tls: None, refresh: section.duration("refresh").unwrap_or(default.refresh) }
}

fn privacy(section: &mut Section<'_>) -> (Option<PathBuf>, analysis::Literals) {
    use analysis::Literals;
    let words = [("hash", Literals::Hash), ("drop", Literals::Drop), ("keep", Literals::Keep)];
    (section.file("key_file"), section.word("literals", &words).unwrap_or_default())
}

fn bypass_of(section: &mut Section<'_>) -> bypass::Config {
    let default = bypass::Config::default();
    bypass::Config {
        watch: section.word("watch", &[("on", true), ("off", false)]).unwrap_or(default.watch),
        statements: section.word("statements", &[("on", true), ("off", false)]).unwrap_or(default.statements),
        every: section.duration("every").unwrap_or(default.every).max(std::time::Duration::from_secs(1)),
        allow: section.parsed_list("allow", "a role, or role@address").unwrap_or_default(),
    }
}

fn policies_of(section: &mut Section<'_>) -> policy::Config {
    let timezone = section.text("timezone").and_then(|(name, place)| {
        let known = jiff::tz::TimeZone::get(&name).is_ok();
        if !known {
            section.fault(&place, format!("`{name}` is no time zone"), "write an IANA name such as \"Asia/Tokyo\"");
        }
        known.then_some(name)
    });
    policy::Config {
        path: section.file("path"),
        timezone,
        mode: section
            .word("mode", &[("enforce", policy::Mode::Enforce), ("observe", policy::Mode::Observe)])
            .unwrap_or_default(),
    }
}

fn report_of(section: &mut Section<'_>) -> Report {
    section.not_yet("schedule");
    let lang =
        section.word("lang", &[("en", crate::alert::Lang::En), ("ja", crate::alert::Lang::Ja)]).unwrap_or_default();
    Report { to: alert::mailboxes(section, "to").unwrap_or_default(), lang }
}

fn telemetry(section: &mut Section<'_>) -> Telemetry {
    let listen = match section.parsed("listen", "an address such as \"127.0.0.1:9632\"") {
        Some(proxy::Address::Tcp(address)) => Some(address),
        Some(proxy::Address::Unix(_)) => {
            section.fault_here("`telemetry.listen` is a unix socket", "write host:port, which Prometheus can ask");
            None
        }
        None => None,
    };
    let words = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    Telemetry { listen, log_format: section.word("log_format", &words).unwrap_or_default() }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
