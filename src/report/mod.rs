//! The log → the weekly report of suspicious access, as one self-contained HTML page, text or JSON.

/// `[report]`: what the scheduled report needs. `lang` is `en` for now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Recipients of `mitsuke report --mail`; sent through the first mail channel of `[[alert]]`.
    pub to: Vec<String>,
}
