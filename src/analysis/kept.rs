//! What the log keeps of a statement's constants and parameters.
//!
//! In: the statement as it was sent, and `[privacy].literals`. Out: the column `literals`. Raw values end here, unless they are to be
//! kept; those of statements that may hold passwords or code, and of texts that no parser takes, always do.

use std::borrow::Cow;

use super::Literals;
use super::parsers::Pending;
use super::statement::Source;
use crate::audit::Key;
use crate::record::{Text, Texts};
use crate::sql::Effect;
use crate::sql::literals::{LITERALS_MAX, are_values, constants, constants_at, parameter, part_of};

/// The column; `None` where they are dropped, or not known.
pub(super) fn literals(source: &Source<'_>, key: &Key) -> Option<Texts> {
    let Source { open, ended, literals: how, .. } = source;
    if *how == Literals::Drop || !may_be_kept(source) {
        return None;
    }
    let text = open.text.as_deref()?;
    // What is passed over has no number of its own, and is told with the statement that was the last to run.
    let passed_over = ended.filter(|ended| ended.statement_no == 0);
    let part = passed_over.map_or(open.parts, |ended| usize::try_from(ended.part).unwrap_or(usize::MAX));
    let as_kept = |found: Vec<Cow<'_, str>>| found.into_iter().map(|value| kept(value, *how, key)).collect();
    let of_text = || as_kept(part_of(&String::from_utf8_lossy(text), part).map(constants).unwrap_or_default());
    let constants: Texts = match &open.pending {
        Some(Pending::Seen(seen)) if part == 0 && seen.analyses.len() == 1 => {
            Texts::clone(seen.constants.get_or_init(of_text))
        }
        Some(Pending::Shaped(analyses, constants)) if part == 0 && analyses.len() == 1 => {
            constants_at(text, constants).map_or_else(of_text, as_kept)
        }
        _ => of_text(),
    };
    if open.parameters.0.is_none() {
        return Some(constants);
    }
    let mut parameters = Vec::new();
    for (binary, bytes) in open.parameters.iter() {
        parameter(binary, bytes, &mut parameters);
    }
    let new = parameters.into_iter().map(|value| kept(value, *how, key)).filter(|value| !constants.contains(value));
    Some(constants.iter().cloned().chain(new).take(LITERALS_MAX).collect())
}

fn kept(value: Cow<'_, str>, how: Literals, key: &Key) -> Text {
    match how {
        Literals::Hash => key.subject_hash(&value),
        Literals::Drop | Literals::Keep => value.into(),
    }
}

/// Whether they are values. EXECUTE is what it executes.
pub(super) fn may_be_kept(source: &Source<'_>) -> bool {
    let Source { analysis, meant, understood, .. } = source;
    let executes = || analysis.effects.iter().any(|effect| matches!(effect, Effect::Execute { .. }));
    match std::ptr::eq(*analysis, *meant) || executes() {
        true => understood.are_values,
        false => are_values(analysis),
    }
}
