//! What the demo says on the terminal.
//!
//! In: acts, findings, tables. Out: lines on standard output, in colour where it is a terminal. A reader that has gone away
//! (`| head`) does not stop the play.

use std::io::{IsTerminal, Write, stdout};
use std::time::Duration;

use super::play::day::Day;
use crate::clock::Timestamp;
use crate::record::{Finding, Severity};

/// How long a line stands before the next act, where a person watches.
const READING_TIME: Duration = Duration::from_millis(700);

/// The speaker.
#[derive(Clone)]
pub struct Commentary {
    is_watched: bool,
}

/// SGR parameters.
const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "1;31";
const YELLOW: &str = "33";
const GREEN: &str = "32";

impl Commentary {
    /// To standard output.
    pub fn new() -> Commentary {
        Commentary { is_watched: stdout().is_terminal() }
    }

    /// How long to wait after a line.
    pub fn reading_time(&self) -> Duration {
        if self.is_watched { READING_TIME } else { Duration::ZERO }
    }

    fn styled(&self, style: &str, text: &str) -> String {
        if self.is_watched { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A line as it is.
    pub fn line(&self, text: &str) {
        let _ = writeln!(stdout().lock(), "{text}");
    }

    /// The beginning of a part.
    pub fn heading(&self, text: &str) {
        self.line(&format!("\n{}", self.styled(BOLD, text)));
    }

    /// Something holds.
    pub fn good(&self, text: &str) {
        self.line(&self.styled(GREEN, text));
    }

    /// Something does not hold.
    pub fn bad(&self, text: &str) {
        self.line(&self.styled(RED, text));
    }

    /// An act of the play.
    pub fn act(&self, day: &Day, at: Timestamp, text: &str) {
        self.line(&format!("{}  {text}", self.styled(DIM, &day.time_of(at))));
    }

    /// A finding, as it comes.
    pub fn finding(&self, day: &Day, finding: &Finding) {
        let severity = finding.severity.unwrap_or(Severity::Low);
        let style = if severity >= Severity::High { RED } else { YELLOW };
        let who = finding.db_user.as_deref().unwrap_or("somebody");
        let from = finding.client_addr.as_deref().unwrap_or("an unknown address");
        let head = format!("! {} {}: {who} from {from}", severity.as_str().to_uppercase(), finding.policy);
        self.line(&format!("{}  {}", self.styled(DIM, &day.time_of(finding.common.at)), self.styled(style, &head)));
        if let Some(explanation) = &finding.explanation {
            self.line(&format!("         {explanation}"));
        }
    }
}
