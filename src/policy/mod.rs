//! Policies: records → findings.
//!
//! In: YAML files (policies, permits, lists) as text, and the records of the log. Out: a compiled, type-checked
//! [`PolicySet`]; and an [`Engine`] that judges records with it. PURE but for `load`, which reads the folder.

use std::path::PathBuf;

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
