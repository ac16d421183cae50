//! How many bytes one row takes in a value that many rows went into: `json_agg(t)`, `string_agg(email, ',')`.
//!
//! In: what a statement puts in, and the widths of columns by the server's statistics. Out: bytes a row; nothing where it is not known what a function
//! makes of a column, or how wide one is: then the worst is assumed. PURE.

use std::collections::BTreeMap;

use super::resolve::{Resolver, Target};
use super::snapshot::Relation;
use crate::record::Text;
use crate::sql::{Analysis, COLLECTING, ColumnRef, Output};

/// Functions that leave a value as long as it is, or make it longer, besides those that collect them.
const KEEPING: [&str; 23] = [
    "row_to_json",
    "to_json",
    "to_jsonb",
    "json_build_object",
    "jsonb_build_object",
    "json_build_array",
    "jsonb_build_array",
    "json_object",
    "json_array",
    "array_to_json",
    "array_to_string",
    "array",
    "row",
    "concat",
    "concat_ws",
    "format",
    "lower",
    "upper",
    "initcap",
    "quote_literal",
    "text",
    "coalesce",
    "count",
];

/// Behind one value, and around it: `,`, quotation marks.
const SEPARATOR_BYTES: u64 = 1;
const QUOTED_BYTES: u64 = 4;
/// Around a name in JSON: `"name":"value",`.
const NAMED_BYTES: u64 = 6;

/// Functions that leave a part of a value, which may be a letter.
const CUTTING: [&str; 18] = [
    "left",
    "right",
    "substr",
    "substring",
    "split_part",
    "regexp_replace",
    "regexp_substr",
    "regexp_match",
    "regexp_matches",
    "overlay",
    "replace",
    "translate",
    "btrim",
    "ltrim",
    "rtrim",
    "rpad",
    "lpad",
    "ascii",
];
/// What one of these leaves at least, with what stands behind it.
const CUT_BYTES: u64 = 2;

/// See the module.
pub(super) fn each(analysis: &Analysis, reads: &[Target<'_>], is_meant: impl Fn(&ColumnRef) -> bool) -> Option<u64> {
    let Output::Columns(columns) = &analysis.output else { return None };
    let functions = || analysis.functions.iter().map(|name| name.strip_prefix("pg_catalog.").unwrap_or(name));
    if functions().any(|name| CUTTING.contains(&name)) {
        return Some(CUT_BYTES);
    }
    if !functions().all(|name| COLLECTING.contains(&name) || KEEPING.contains(&name)) {
        return None;
    }
    let collecting = || functions().filter(|name| COLLECTING.contains(name));
    let is_json =
        collecting().next().is_some() && collecting().all(|name| name.contains("json")) && !analysis.casts_within;
    let form = if is_json { Form::Json } else { Form::Text };
    let collected = columns.iter().filter(|column| !column.plain && is_meant(column));
    // Of several of which a value is one, the narrowest.
    if analysis.chooses {
        let widths: Option<Vec<u64>> = collected.map(|column| of(column, reads, form)).collect();
        let narrowest = widths?.into_iter().filter(|bytes| *bytes > 0).min();
        return narrowest.map(|bytes| bytes.saturating_add(SEPARATOR_BYTES));
    }
    // What is of one row stands in one value, as a rule: of several rows, the narrowest.
    let mut rows: BTreeMap<u16, BTreeMap<&Option<Text>, u64>> = BTreeMap::new();
    for column in collected {
        let bytes = of(column, reads, form)?;
        let its = rows.entry(column.row).or_default().entry(&column.column).or_insert(bytes);
        *its = bytes.min(*its);
    }
    let of_row = |columns: BTreeMap<&Option<Text>, u64>| columns.into_values().fold(0, u64::saturating_add);
    let narrowest = rows.into_values().map(of_row).filter(|bytes| *bytes > 0).min();
    narrowest.map(|bytes| bytes.saturating_add(SEPARATOR_BYTES))
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Text,
    Json,
}

/// The narrowest of those that the name may mean.
fn of(column: &ColumnRef, reads: &[Target<'_>], form: Form) -> Option<u64> {
    let known = reads.iter().filter_map(|target| match target {
        Target::Known(relation) => Some(*relation),
        Target::Temporary { .. } | Target::Named { .. } => None,
    });
    let mut relations = known.filter(|relation| {
        let of_this = column.relation.as_ref().is_none_or(|name| {
            *name.name == *relation.parts.1 && name.schema.as_ref().is_none_or(|schema| *schema == relation.parts.0)
        });
        of_this && column.column.as_ref().is_none_or(|name| relation.columns.contains_key(name))
    });
    let Some(first) = relations.next() else {
        // The name of a row, which is among the columns as a row, too.
        return column.relation.is_none().then_some(0);
    };
    let widths = std::iter::once(first).chain(relations).map(|relation| match &column.column {
        Some(name) => one(relation, *relation.columns.get(name)?, form),
        // One of them, under another name.
        None if column.sought.as_ref().is_some_and(|sought| sought.perhaps) => relation
            .classified
            .keys()
            .map(|number| one(relation, number, form))
            .collect::<Option<Vec<u64>>>()?
            .into_iter()
            .min(),
        None => whole(relation, form),
    });
    // One that is not known is the narrowest of all.
    widths.min()?
}

fn one(relation: &Relation, number: i16, form: Form) -> Option<u64> {
    let width = relation.width(number)?;
    let around = match form {
        Form::Text => 0,
        Form::Json => QUOTED_BYTES,
    };
    Some(width.saturating_add(around))
}

/// A row as a whole: in JSON with its names.
fn whole(relation: &Relation, form: Form) -> Option<u64> {
    let mut bytes = 2_u64;
    for (name, number) in relation.columns.iter() {
        let around = match form {
            Form::Json => (name.len() as u64).saturating_add(NAMED_BYTES),
            Form::Text => SEPARATOR_BYTES,
        };
        bytes = bytes.saturating_add(relation.width(*number)?).saturating_add(around);
    }
    (!relation.columns.is_empty()).then_some(bytes)
}

impl Resolver<'_> {
    /// Whether one value of a relation may hold many rows' of others. Of a view that the catalog does not have yet that is not known.
    pub(super) fn is_collected(&self, target: &Target<'_>) -> bool {
        let held = |(schema, table): (&Text, &Text)| self.held(schema, table).any(|holds| holds.is_collected);
        match target {
            Target::Known(relation) => {
                let is_new = || {
                    self.may_be_another_view(relation)
                        && self.lineage.new_views().any(|(schema, view)| held((schema, view)))
                };
                relation.rare().is_collected || held((&relation.parts.0, &relation.parts.1)) || is_new()
            }
            Target::Temporary { holds, .. } => holds.is_collected,
            Target::Named { schema, table } => held((schema, table)) || !self.lineage.below(schema, table).is_empty(),
        }
    }
}
