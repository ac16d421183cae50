//! Faults in what a person wrote, and the error kinds that cross rooms.
//!
//! A [`Fault`] says what is wrong, where, and how to mend it, in one line. It never carries a value read from a
//! database, a password, or a literal of a statement.

use std::fmt;
use std::path::{Path, PathBuf};

/// One fault in a file that a person wrote (configuration, classification, policy, permit, cases).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file, as the person named it.
    pub file: PathBuf,
    /// From 1; 0 where the fault is the file's as a whole.
    pub line: u32,
    /// In characters from 1; 0 where the fault is the line's as a whole.
    pub column: u32,
    /// What is wrong.
    pub what: String,
    /// How to mend it; may be empty where `what` says it all.
    pub mend: String,
}

impl Fault {
    /// A fault of a file as a whole.
    pub fn of_file(file: &Path, what: impl Into<String>, mend: impl Into<String>) -> Fault {
        Fault::at(file, 0, 0, what, mend)
    }

    /// A fault at a place.
    pub fn at(file: &Path, line: u32, column: u32, what: impl Into<String>, mend: impl Into<String>) -> Fault {
        Fault { file: file.to_path_buf(), line, column, what: what.into(), mend: mend.into() }
    }
}

/// `file:line:column: what; mend`, with the parts that are not known left out.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.line > 0 && self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        write!(f, ": {}", self.what)?;
        if !self.mend.is_empty() {
            write!(f, "; {}", self.mend)?;
        }
        Ok(())
    }
}

/// Every fault found, never only the first. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
