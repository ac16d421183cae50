//! What the log keeps of a statement's constants and parameters.
//!
//! In: the statement as it was sent, and `[privacy].literals`. Out: the column `literals`. Raw values end here, unless they are to be
//! kept; those of statements that may hold passwords or code, and of texts that no parser takes, always do.

use super::Literals;
use super::statement::Source;
use crate::audit::Key;
use crate::record::{Text, Texts};
use crate::sql::literals::{LITERALS_MAX, are_values, constants, parameter, part_of};
use crate::sql::{Analysis, Effect};

/// The column; `None` where they are dropped, or not known.
pub(super) fn literals(source: &Source<'_>, key: &Key) -> Option<Texts> {
    let Source { open, ended, analysis, meant, literals: how, .. } = source;
    if *how == Literals::Drop || !may_be_kept(analysis, meant) {
        return None;
    }
    let text = String::from_utf8_lossy(open.text.as_deref()?);
    // What is passed over has no number of its own, and is told with the statement that was the last to run.
    let passed_over = ended.filter(|ended| ended.statement_no == 0);
    let part = passed_over.map_or(open.parts, |ended| usize::try_from(ended.part).unwrap_or(usize::MAX));
    let mut found = part_of(&text, part).map(constants).unwrap_or_default();
    for (binary, bytes) in open.parameters.iter() {
        parameter(binary, bytes, &mut found);
    }
    found.truncate(LITERALS_MAX);
    Some(match how {
        Literals::Hash => found.iter().map(|value| Text::from(key.subject_hash(value))).collect(),
        Literals::Drop | Literals::Keep => found.into_iter().map(Text::from).collect(),
    })
}

/// Whether they are values. EXECUTE is what it executes.
pub(super) fn may_be_kept(analysis: &Analysis, meant: &Analysis) -> bool {
    let executes = analysis.effects.iter().any(|effect| matches!(effect, Effect::Execute { .. }));
    are_values(if executes { meant } else { analysis })
}
