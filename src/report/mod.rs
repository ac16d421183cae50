//! The log → the weekly report of suspicious access, as one self-contained HTML page, text or JSON.
//!
//! In: SQL over the log, and a week. Out: a [`Report`]: findings by severity, who read how many people, the weeks before,
//! a chart. Every table carries the SQL behind it, which an auditor can paste into `mitsuke query`. Only with the feature
//! `query`, except for [`Week`].

#[cfg(feature = "query")]
mod announced;
#[cfg(feature = "query")]
mod chart;
#[cfg(feature = "query")]
mod contents;
#[cfg(feature = "query")]
mod questions;
#[cfg(feature = "query")]
mod render;
mod week;
#[cfg(feature = "query")]
mod words;

#[cfg(feature = "query")]
pub use self::contents::{Error, Kind, Report, Table, build};
pub use self::week::Week;
