//! Findings on standard output, one line each; in colour on a terminal only.

use std::io::{IsTerminal, Write};

use crate::record::{Finding, Severity};

/// Writes one line. A reader that is gone is no fault.
pub(super) fn write(finding: &Finding) {
    let mut out = std::io::stdout().lock();
    let colour = out.is_terminal();
    // Whoever closed the pipe does not want it.
    let _ = writeln!(out, "{}", line(finding, colour)).and_then(|()| out.flush());
}

/// `time  SEVERITY  policy  explanation`.
pub fn line(finding: &Finding, colour: bool) -> String {
    let severity = finding.severity.unwrap_or(Severity::Low);
    let (on, off) = match (colour, severity) {
        (false, _) => ("", ""),
        (true, Severity::Low) => ("\x1b[36m", "\x1b[0m"),
        (true, Severity::Medium) => ("\x1b[33m", "\x1b[0m"),
        (true, Severity::High) => ("\x1b[31m", "\x1b[0m"),
        (true, Severity::Critical) => ("\x1b[1;31m", "\x1b[0m"),
    };
    let name = severity.as_str().to_uppercase();
    let what = finding.explanation.as_deref().unwrap_or(&finding.title);
    let what: String = what.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{}  {on}{name:<8}{off}  {}  {what}", finding.common.at, finding.policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_whatever_it_says() {
        let finding = Finding {
            policy: "bulk".into(),
            severity: Some(Severity::High),
            explanation: Some("clerk read\n\x1b[2Jmany".into()),
            ..Finding::default()
        };
        assert_eq!(line(&finding, false), "1970-01-01T00:00:00.000000Z  HIGH      bulk  clerk read  [2Jmany");
        assert!(line(&finding, true).contains("\x1b[31mHIGH    \x1b[0m"));
    }
}
