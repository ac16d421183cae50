//! Policies: records → findings.
//!
//! In: YAML files (policies, permits, lists) as text, and the records of the log. Out: a compiled, type-checked
//! [`PolicySet`]; and an [`Engine`] that judges records with it. PURE but for `load`, which reads the folder.
//!
//! ```text
//! files ─ load ─ yaml ─ definition (condition, window, baseline, throttle) ─ PolicySet
//!                                                                              │
//! record ─ engine: permit? when, unless → after, window or baseline → throttle ─ explanation → Finding
//! ```

pub mod acting;
pub mod baseline;
pub mod built_in;
pub mod cases;
pub mod condition;
pub mod definition;
pub mod duration;
pub mod engine;
pub(crate) mod explanation;
pub mod holiday;
pub mod hours;
pub mod judged;
pub mod key;
pub mod list;
pub mod load;
pub mod moment;
pub mod permit;
pub mod rule;
pub mod set;
pub mod sql;
pub mod throttle;
pub mod usual;
pub mod window;

use std::path::PathBuf;

pub use self::engine::{Added, Alike, Concerned, Contribution, Engine, Seen, SharedEngine, Waiting};
pub use self::load::{load, load_folder};
pub use self::set::PolicySet;

/// `[policies]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The folder of policies, `classification.yaml` and `permits.yaml`; `None`: those built into the binary.
    pub path: Option<PathBuf>,
    /// IANA name of the zone that `hour`, `weekday` and `holiday` are told in; `None`: the system's.
    pub timezone: Option<String>,
    /// Whether a policy may intervene.
    pub mode: Mode,
}

/// `[policies].mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Policies act as they say.
    #[default]
    Enforce,
    /// Everything is judged and recorded; nothing intervenes.
    Observe,
}
