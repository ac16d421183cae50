//! The prompt: one question after another, with history and completion.
//!
//! In: lines of a terminal; a question ends with a semicolon. Out: its answer as a table, how many rows, how long it took. Every question
//! reads the log as it is then. The history outlives the prompt in a file of the user's own; a question that calls `person()`
//! never gets there, because it may hold what somebody is known by.

mod words;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use rustyline::error::ReadlineError;
use rustyline::history::{FileHistory, History as _};
use rustyline::{Config, Editor};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use self::words::Words;
use super::progress::Progress;
use super::{Format, Query, Status, answer, interrupt};
use crate::audit;
use crate::cli::reading::Recorder;
use crate::query::{Engine, VIEWS, is_ended, names_a_person, without_literals};

const PROMPT: &str = "mitsuke> ";
/// Questions that are remembered.
const HISTORY_MAX: usize = 1_000;
const HELP: &str = "\
A question ends with a semicolon, and may go over several lines. Tab completes names.
  \\d          the tables and views       \\d NAME     the columns of one
  \\x QUESTION how it would be answered, and how many files are opened
  \\q          leaves, as Ctrl-D does      Ctrl-C      ends a question, or takes back what is typed
`mitsuke query --help` has functions and examples.";

/// What was typed.
enum Typed<'t> {
    Nothing,
    Leave,
    Help,
    Tables,
    Describe(&'t str),
    Explain(&'t str),
    Unknown(&'t str),
    Question(&'t str),
}

impl<'t> Typed<'t> {
    fn of(line: &'t str) -> Typed<'t> {
        let line = line.trim();
        let bare = line.trim_end_matches(';').trim_end();
        match bare.split_once(char::is_whitespace).map_or((bare, ""), |(word, rest)| (word, rest.trim())) {
            ("", _) => Typed::Nothing,
            ("\\q" | "quit" | "exit", "") => Typed::Leave,
            ("\\?" | "\\h" | "help", "") => Typed::Help,
            ("\\d" | "\\dt" | "\\dv", "") => Typed::Tables,
            ("\\d", name) => Typed::Describe(name),
            ("\\x", question) if !question.is_empty() => Typed::Explain(question),
            (word, _) if word.starts_with('\\') => Typed::Unknown(word),
            _ => Typed::Question(line),
        }
    }
}

/// Asks until the user leaves.
pub fn run(query: &Query, audit: &audit::Config, runtime: &Runtime) -> anyhow::Result<Status> {
    let engine = crate::cli::open_log(audit)?;
    let config = Config::builder().max_history_size(HISTORY_MAX)?.auto_add_history(false).build();
    let mut editor: Editor<Words, FileHistory> = Editor::with_config(config).context("the terminal cannot be used")?;
    let shown = engine.names();
    editor.set_helper(Some(Words::new(shown)));
    let mut history = History::open(&mut editor);
    let mut session =
        Session { audit, runtime, query, recorder: query.reader.recorder(audit), interrupted: interrupt::wakes() };
    println!("{}, {}. \\? for help.", audit.shown(), env!("CARGO_PKG_VERSION"));
    loop {
        let line = match editor.readline(PROMPT) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error).context("the terminal cannot be read"),
        };
        history.add(&mut editor, &line);
        match Typed::of(&line) {
            Typed::Nothing => {}
            Typed::Leave => break,
            Typed::Help => println!("{HELP}"),
            Typed::Unknown(command) => eprintln!("there is no command {command}; \\? lists them"),
            Typed::Tables => println!("{}", tables()),
            Typed::Describe(name) => session.ask(&format!("describe {name}"), false),
            Typed::Explain(question) => session.ask(question, true),
            Typed::Question(question) => session.ask(question, false),
        }
    }
    session.recorder.close();
    Ok(Status::Done)
}

fn tables() -> String {
    let tables = crate::audit::schema::tables().iter().map(|table| (table.name, "a table"));
    let all = tables.chain(VIEWS.iter().map(|view| (view.name, view.about)));
    all.map(|(name, about)| format!("  {name:<24} {about}")).collect::<Vec<_>>().join("\n")
}

struct Session<'s> {
    audit: &'s audit::Config,
    runtime: &'s Runtime,
    query: &'s Query,
    recorder: Recorder,
    interrupted: Arc<Notify>,
}

impl Session<'_> {
    /// Answers, or says why not. Nothing here ends the prompt.
    fn ask(&mut self, question: &str, explain: bool) {
        let began = Instant::now();
        let interrupted = Arc::clone(&self.interrupted);
        let (runtime, audit) = (self.runtime, self.audit);
        let told = crate::cli::open_log(audit).and_then(|engine| {
            runtime.block_on(async {
                tokio::select! {
                    told = self.answer(engine, question, explain) => told,
                    () = interrupted.notified() => Ok("interrupted".to_owned()),
                }
            })
        });
        match told {
            Ok(told) if told.is_empty() => {}
            Ok(told) => println!("({told}, {:.2} s)\n", began.elapsed().as_secs_f64()),
            Err(error) => {
                if answer::pointed_at(&error, question).is_none() {
                    eprintln!("mitsuke: {}", crate::cli::in_full(&error));
                }
            }
        }
    }

    async fn answer(&mut self, engine: Engine, question: &str, explain: bool) -> anyhow::Result<String> {
        let engine = engine.with_views().await?;
        let planned = engine.plan(question).await?;
        if explain {
            print!("{}", answer::explained(&planned, Format::Table));
            return Ok(String::new());
        }
        if !question.starts_with("describe ") {
            self.recorder.record(without_literals(question));
        }
        let files = planned.scanned().files();
        let rows = planned.rows()?;
        let progress = Progress::begin(Some(files), rows.progress());
        let format = self.query.format.unwrap_or(Format::Table);
        let format = if format == Format::Parquet { Format::Table } else { format };
        let count = answer::write(rows, format, std::io::stdout(), progress).await?;
        Ok(if count == 1 { "1 row".to_owned() } else { format!("{count} rows") })
    }
}

/// What was typed before, and what of it outlives the prompt.
struct History {
    file: Option<PathBuf>,
    kept: FileHistory,
}

impl History {
    /// Without a place for the file, the history lasts as long as the prompt.
    fn open(editor: &mut Editor<Words, FileHistory>) -> History {
        let file =
            crate::config::state_folder().filter(|folder| made(folder)).map(|folder| folder.join("query_history"));
        if let Some(file) = &file {
            // None yet.
            let _ = editor.load_history(file);
        }
        History { file, kept: FileHistory::new() }
    }

    fn add(&mut self, editor: &mut Editor<Words, FileHistory>, line: &str) {
        let _ = editor.add_history_entry(line);
        if names_a_person(line) && is_ended(line) {
            return;
        }
        if let Some(file) = &self.file {
            let _ = self.kept.add(line).and_then(|_| self.kept.append(file));
        }
    }
}

/// For its owner alone.
fn made(folder: &Path) -> bool {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_questions() {
        assert!(matches!(Typed::of("  "), Typed::Nothing) && matches!(Typed::of(";"), Typed::Nothing));
        assert!(matches!(Typed::of("\\q"), Typed::Leave) && matches!(Typed::of("exit;"), Typed::Leave));
        assert!(matches!(Typed::of("\\d statements;"), Typed::Describe("statements")));
        assert!(matches!(Typed::of("\\x select 1;"), Typed::Explain("select 1")));
        assert!(matches!(Typed::of("\\copy x"), Typed::Unknown("\\copy")));
        assert!(matches!(Typed::of("select 1;"), Typed::Question("select 1;")));
    }
}
