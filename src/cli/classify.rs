//! `mitsuke classify`: proposes a classification from a database's tables and a sample of their values.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use tempfile::NamedTempFile;

use super::{Global, Status};
use crate::app;
use crate::catalog::{Classification, loader};
use crate::classify::database::{self, Looking};
use crate::classify::{Existing, propose, written};
use crate::clock::Clock;
use crate::config::Config;

/// The form of the proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A classification.yaml with the reasons as comments
    Yaml,
    /// For people
    Text,
    /// For scripts
    Json,
}

/// Proposes a classification: which columns are personal, and by which column people are counted
///
/// Looks at names in English, Japanese and romaji, types, comments, labels, keys, and at a sample of each table's values: e-mail
/// addresses, telephone numbers, My Numbers and payment cards by their check digits, postal codes, IP addresses, dates of birth, names in
/// kanji and kana. Says why, with counts. Values are counted and dropped: none is printed or kept. What your classification.yaml, a
/// comment or a label says already is respected, and only the difference is proposed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The role needs SELECT on the tables that are sampled; the others are judged by names alone, and
told. All is read only, each statement within 10 seconds.

Examples:
  mitsuke classify --database postgresql://postgres@127.0.0.1/shop
  mitsuke classify --database $URL --output policies/classification.yaml
  mitsuke classify --database $URL --schema shop --sample 1000 --format text")]
pub struct Classify {
    /// The database, as a connection string [default: [catalog].url of the configuration]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Only this schema; once or more [default: all but PostgreSQL's own]
    #[arg(long, value_name = "NAME")]
    schema: Vec<String>,
    /// Rows of each table to look at, 0 to 10000; 0: names, types, comments and keys only
    #[arg(long, value_name = "ROWS", default_value_t = 200, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    sample: u16,
    /// The form of the proposal
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    format: Format,
    /// Write it to this new file instead of to standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Classify {
    /// Proposes.
    pub fn run(self, global: &Global) -> anyhow::Result<Status> {
        let config = Config::load(global.config.as_deref())?;
        if let Some(output) = self.output.as_deref().filter(|output| output.exists()) {
            bail!("{} is there already; name another --output, or remove it first", output.display());
        }
        let mut catalog = config.catalog.clone();
        catalog.url = self.database.clone().or(catalog.url);
        let Some(url) = &catalog.url else {
            bail!(
                "no database is named; give its connection string with --database, or [catalog].url in the configuration"
            )
        };
        // The parser's own words could hold a part of the password.
        let Ok(login) = url.parse::<tokio_postgres::Config>() else {
            bail!("--database is not a connection string; write it as postgresql://user@host:5432/database")
        };
        let name = login.get_dbname().or(login.get_user()).unwrap_or("postgres").to_owned();
        let existing = Existing {
            classification: app::classification(&config.policies)?,
            is_written: app::classification_file(&config.policies).is_some(),
        };
        let year = Clock::system().now().utc_year();
        let looking = Looking { schemas: self.schema.clone(), rows: usize::from(self.sample), year };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let tables = runtime.block_on(async {
            let client =
                loader::connect(&catalog, "mitsuke-classify").await.context("there is no connection string")?;
            let client = client.context("the database cannot be reached")?;
            let bar = bar();
            let mut done = 0_u64;
            let mut step = |count: usize, table: &str| {
                bar.set_length(u64::try_from(count).unwrap_or(u64::MAX));
                bar.set_position(done);
                bar.set_message(table.to_owned());
                done = done.saturating_add(1);
            };
            let tables = database::read(&client, &looking, &mut step).await;
            bar.finish_and_clear();
            anyhow::Ok(tables?)
        })?;
        let proposal = propose(&tables, &existing);
        let text = match self.format {
            Format::Yaml => {
                let levels: Vec<&str> = existing.classification.levels().collect();
                let text = written::yaml(&proposal, &name, &levels, !existing.is_written);
                loads(&text)?;
                text
            }
            Format::Text => written::text(&proposal),
            Format::Json => written::json(&proposal, &name),
        };
        match &self.output {
            None => drop(std::io::stdout().lock().write_all(text.as_bytes())),
            Some(path) => {
                to_new_file(path, &text)?;
                eprintln!("{} It is in {}.", written::summary(&proposal), path.display());
            }
        }
        Ok(Status::Done)
    }
}

/// Whatever names a database has: what is proposed can be used as it stands, or nothing is.
fn loads(text: &str) -> anyhow::Result<()> {
    Classification::parse(text, Path::new("the proposal"))
        .map(drop)
        .context("a name in the database cannot be written down")
}

fn to_new_file(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unwritable = || format!("cannot write {}; name another --output", path.display());
    let mut file = NamedTempFile::new_in(folder).with_context(unwritable)?;
    file.write_all(text.as_bytes()).with_context(unwritable)?;
    file.persist_noclobber(path).with_context(unwritable)?;
    Ok(())
}

fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} tables, {eta} left  {msg}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
