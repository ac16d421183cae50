//! What was written → what is meant: `mitsuke.toml` and the environment into one `Config` a stage.
//!
//! In: a file (or none) and the variables `MITSUKE_SECTION__KEY`. Out: a [`Config`] that cannot be wrong in form, or
//! every fault with its file, line and column. The only reader of the environment. Keys that the contract names and
//! this version does not serve are faults that say so, never silently ignored.

mod alert;
mod legs;
mod section;
mod source;

use std::path::{Path, PathBuf};
use std::time::Duration;

use self::section::Section;
use crate::error::{Fault, Faults};
use crate::{analysis, audit, bypass, catalog, policy, proxy};

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "mitsuke.toml";
/// Where the log lies when nothing says otherwise.
pub const DEFAULT_LOG: &str = "./mitsuke-log";
/// How long records stay in the journal before they are sealed into Parquet.
const DEFAULT_FLUSH: Duration = Duration::from_secs(600);

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
    /// `[[alert]]`.
    pub alerts: Vec<crate::alert::Config>,
    /// `[report]`.
    pub report: Report,
    /// `[telemetry]`.
    pub log_format: LogFormat,
}

/// `[report]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Recipients of `mitsuke report --mail`, through the first mail channel of `[[alert]]`.
    pub to: Vec<crate::alert::Mailbox>,
    /// What it is written in.
    pub lang: crate::alert::Lang,
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
        read(source::empty(), None, &mut Vec::new())
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
        source::overlay(&mut root, variables, &mut faults);
        let config = read(root, file.map(|(path, _)| path.to_path_buf()), &mut faults);
        if faults.is_empty() {
            return Ok(config);
        }
        faults.sort();
        faults.dedup();
        Err(Faults(faults))
    }

    /// The same with another log folder, as `--log` names it.
    pub fn with_log(mut self, path: Option<&Path>) -> Config {
        if let Some(path) = path {
            if self.audit.key_file == key_beside(&self.audit.path) {
                self.audit.key_file = key_beside(path);
            }
            if self.audit.signing_key == signing_key_beside(&self.audit.path) {
                self.audit.signing_key = signing_key_beside(path);
            }
            self.audit.path = path.to_path_buf();
        }
        self
    }
}

/// The key file's default: beside the log folder, not in it, so that who gets the log does not get the key.
fn key_beside(log: &Path) -> PathBuf {
    beside(log, ".key")
}

/// The signing key's default.
fn signing_key_beside(log: &Path) -> PathBuf {
    beside(log, ".signing.key")
}

fn beside(log: &Path, suffix: &str) -> PathBuf {
    let mut name = log.file_name().unwrap_or("mitsuke-log".as_ref()).to_os_string();
    name.push(suffix);
    log.with_file_name(name)
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

fn read(root: source::Node, file: Option<PathBuf>, faults: &mut Vec<Fault>) -> Config {
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
    let audit = root.section("log", |section| log(section, key_file.clone()));
    let audit = audit.unwrap_or_else(|| audit::Config {
        path: PathBuf::from(DEFAULT_LOG),
        durability: audit::Durability::default(),
        when_unwritable: audit::WhenUnwritable::default(),
        flush: DEFAULT_FLUSH,
        retention: audit::Retention::default(),
        key_file: key_file.unwrap_or_else(|| key_beside(Path::new(DEFAULT_LOG))),
        signing_key: signing_key_beside(Path::new(DEFAULT_LOG)),
    });
    let bypass = root.section("bypass", bypass_of).unwrap_or_default();
    let policies = root.section("policies", policies_of).unwrap_or_default();
    let alerts = root.sections("alert", alert::read);
    let report = root.section("report", report_of).unwrap_or_default();
    let log_format = root.section("telemetry", telemetry).unwrap_or_default();
    root.finish();
    Config { file, proxy, analysis, catalog, bypass, audit, policies, alerts, report, log_format }
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

fn log(section: &mut Section<'_>, key_file: Option<PathBuf>) -> audit::Config {
    use audit::{Durability, WhenUnwritable};
    let path = section.text("path").and_then(|(path, place)| {
        let remote = path.contains("://");
        if remote {
            section.fault(&place, "an object store as `log.path` is not there yet", "name a folder");
        }
        (!remote).then(|| PathBuf::from(path))
    });
    let path = path.unwrap_or_else(|| PathBuf::from(DEFAULT_LOG));
    let durability = [("relaxed", Durability::Relaxed), ("process", Durability::Process), ("disk", Durability::Disk)];
    let unwritable = [("block", WhenUnwritable::Block), ("pass", WhenUnwritable::Pass)];
    audit::Config {
        durability: section.word("durability", &durability).unwrap_or_default(),
        when_unwritable: section.word("when_unwritable", &unwritable).unwrap_or_default(),
        flush: section.duration("flush").unwrap_or(DEFAULT_FLUSH),
        retention: retention(section),
        key_file: key_file.unwrap_or_else(|| key_beside(&path)),
        signing_key: section.file("signing_key").unwrap_or_else(|| signing_key_beside(&path)),
        path,
    }
}

fn retention(section: &mut Section<'_>) -> audit::Retention {
    let mut retention = audit::Retention::default();
    for (text, place) in section.texts("retention").unwrap_or_default() {
        if let Err(what) = retention.set(&text) {
            section.fault(&place, format!("`log.retention`: {what}"), "");
        }
    }
    retention
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

fn telemetry(section: &mut Section<'_>) -> LogFormat {
    section.not_yet("listen");
    section.word("log_format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]).unwrap_or_default()
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
