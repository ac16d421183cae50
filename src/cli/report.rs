//! `mitsuke report`: the suspicious-access report of a week.

use std::path::PathBuf;

use clap::ValueEnum;

use super::reading::Reader;
use super::{Global, Status};
use crate::report::Week;

/// The form it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One page that needs nothing but a browser
    Html,
    /// For a terminal
    Text,
    /// Figures and rows under stable keys, each table with its SQL
    Json,
}

/// The language of what is for people; JSON has stable keys in English.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    /// English
    En,
    /// Japanese
    Ja,
}

/// The report of suspicious access: findings, who read how many people, against the weeks before
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A week is Monday 00:00 to Monday 00:00, UTC, as every time in the log is.

Examples:
  mitsuke report --format text
  mitsuke report --week 2026-W47 --output report.html
  mitsuke report --lang ja --output report.html
  mitsuke report --mail --config mitsuke.toml")]
pub struct Report {
    /// The week, as ISO 8601 counts them, such as 2026-W47 [default: the present week, until now]
    #[arg(long, value_name = "WEEK")]
    week: Option<Week>,
    /// The form it takes
    #[arg(long, value_enum, default_value = "html")]
    format: Format,
    /// The file to write; `-` for standard output [default: mitsuke-report-WEEK.html for a page on a terminal, else
    /// standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Send it instead of writing it: to [report].to, else to the recipients of the first mail channel of [[alert]],
    /// through that channel's server; an extract to read, and the page as a file
    #[arg(long, conflicts_with_all = ["format", "output"])]
    mail: bool,
    /// The language [default: [report].lang of the configuration, else en]
    #[arg(long, value_enum)]
    lang: Option<Language>,
    #[command(flatten)]
    reader: Reader,
}

#[cfg(not(feature = "query"))]
impl Report {
    /// Says that this build has no query engine.
    pub fn run(self, _global: &Global) -> anyhow::Result<Status> {
        let Report { week: _, format: _, output: _, mail: _, lang: _, reader: _ } = self;
        anyhow::bail!("this build has no query engine; build it with `--features query`")
    }
}

#[cfg(feature = "query")]
impl Report {
    /// Makes it.
    pub fn run(self, global: &Global) -> anyhow::Result<Status> {
        use std::io::{IsTerminal, Write};

        use anyhow::Context as _;

        use crate::alert::Lang;
        use crate::clock::Clock;
        use crate::config::Config;
        use crate::report;

        let Report { week, format, output, mail, lang, reader } = self;
        let config = Config::load(global.config.as_deref())?.with_log(global.log.as_deref())?;
        let lang = match lang {
            Some(Language::En) => Lang::En,
            Some(Language::Ja) => Lang::Ja,
            None => config.report.lang,
        };
        let now = Clock::system().now();
        let week = week.unwrap_or_else(|| Week::of(now));
        let permits = permits(&config);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let engine = super::open_log(&config.audit)?;
        let mut recorder = reader.recorder(&config.audit);
        recorder.record(format!("report {week}"));
        recorder.close();
        let report =
            runtime.block_on(report::build(&engine, week, (&permits, now), crate::audit::heads(engine.place())?))?;
        if report.is_empty() {
            eprintln!("mitsuke: {} holds nothing of {week}; --week names another week", config.audit.shown());
        }
        let log = config.audit.shown();
        if mail {
            let sent = send(&config, &report, (&log, lang))?;
            eprintln!("mailed to {sent}");
            return Ok(Status::Done);
        }
        let text = match format {
            Format::Html => report.html(&log, lang)?,
            Format::Text => report.text(lang),
            Format::Json => format!("{:#}\n", report.json()),
        };
        let default = || PathBuf::from(format!("mitsuke-report-{week}.html"));
        let on_terminal = format == Format::Html && std::io::stdout().is_terminal();
        let to = output.or_else(|| on_terminal.then(default)).filter(|path| path.as_os_str() != "-");
        match to {
            Some(path) => {
                std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
                eprintln!("written to {}", path.display());
            }
            // Whoever closed the pipe has read enough.
            None => drop(std::io::stdout().lock().write_all(text.as_bytes())),
        }
        Ok(Status::Done)
    }
}

/// What is announced. A report is made also where policies are faulty.
#[cfg(feature = "query")]
fn permits(config: &crate::config::Config) -> Vec<crate::policy::permit::Permit> {
    match crate::policy::load(&config.policies) {
        Ok(set) => set.permits,
        Err(faults) => {
            eprintln!(
                "mitsuke: the report says nothing of permits that were announced, because policies are faulty: {faults}"
            );
            Vec::new()
        }
    }
}

/// Sends it; gives the recipients. Whoever is refused keeps nobody else from getting it.
#[cfg(feature = "query")]
fn send(
    config: &crate::config::Config,
    report: &crate::report::Report,
    (log, lang): (&str, crate::alert::Lang),
) -> anyhow::Result<String> {
    use anyhow::bail;

    use crate::alert::Mailer;

    let mail = config.alerts.iter().find_map(|alert| alert.channel.mail());
    let Some(mail) = mail else {
        bail!("no [[alert]] of kind \"mail\" says how to send; add one to the configuration")
    };
    let to = if config.report.to.is_empty() { &mail.to } else { &config.report.to };
    let mailer = Mailer::new(mail)?;
    let page = format!("mitsuke-report-{}.html", report.week);
    let ready = mailer.with_page(to, report.letter(log, lang)?, &page, report.html(log, lang)?)?;
    let mut refused = Vec::new();
    for recipient in &ready.pending {
        if let Err(error) = mailer.deliver(&ready, recipient) {
            refused.push(format!("{}: {error}", recipient.email));
        }
    }
    if !refused.is_empty() {
        bail!("the report did not go to {}", refused.join("; nor to "));
    }
    let to: Vec<String> = to.iter().map(|to| to.email.to_string()).collect();
    Ok(to.join(", "))
}
