//! Columns that nobody classified and that look personal: one finding a column.
//!
//! In: what the data plane saw of a result's values, as counts. Out: a [`Finding`] of the policy [`POLICY`], once a column, also over
//! restarts: what the log holds was told. Nothing of a column that is classified meanwhile, or that has no name in the catalog.

use uuid::Uuid;

use super::stage::Stage;
use crate::record::{Action, Common, Finding, Severity, Statement, Text};
use crate::session::event::Sighted;

/// The id that these findings have.
pub(crate) const POLICY: &str = "unclassified-personal-data";
/// What the tag begins with that names the column.
const TAG: &str = "column.";

impl Stage {
    /// Tells of columns that a statement, whose record has this number, was the last one needed to know.
    pub(super) fn tell_sighted(&mut self, sighted: &[Sighted], database: &str, of: &Statement, seq: u64) {
        for sighted in sighted {
            let column = self.catalog.tell_unclassified(database, sighted.table_oid, sighted.attribute);
            if let Some(column) = column {
                self.findings(vec![finding(sighted, &column, of, seq)]);
            }
        }
    }
}

fn finding(sighted: &Sighted, column: &str, of: &Statement, seq: u64) -> Finding {
    let Sighted { what, holds, count, of: all, .. } = sighted;
    let percent = u64::from(*count).saturating_mul(100).checked_div(u64::from(*all)).unwrap_or(0);
    let does = if *holds { "holds" } else { "looks like" };
    let explanation = format!(
        "{column} {does} {what}: {percent} % of {all} different values, and nothing classifies it. Name its level in \
         classification.yaml, `internal` where it is none; `mitsuke classify` proposes one"
    );
    Finding {
        common: Common { at: of.common.at, session_id: of.common.session_id.clone(), ..Common::default() },
        finding_id: Uuid::now_v7().to_string().into(),
        policy: POLICY.into(),
        title: "A column that nobody classified looks personal".into(),
        severity: Some(Severity::Medium),
        action: Some(Action::Alert),
        observed: Some(u64::from(*count)),
        evidence: Some([seq].into()),
        explanation: Some(explanation.into()),
        tags: Some([Text::from(format!("{TAG}{column}")), Text::from("appi.art-23")].into()),
        database: of.database.clone(),
        db_user: of.db_user.clone(),
        role: of.role.clone(),
        end_user: of.end_user.clone(),
        application_name: of.application_name.clone(),
        client_addr: of.client_addr.clone(),
        ..Finding::default()
    }
}

/// The database and column that a finding of the log has told of.
pub(crate) fn told(finding: &Finding) -> Option<(Text, Text)> {
    if &*finding.policy != POLICY {
        return None;
    }
    let column = finding.tags.iter().flat_map(|tags| tags.iter()).find_map(|tag| tag.strip_prefix(TAG))?;
    Some((finding.database.clone().unwrap_or_default(), column.into()))
}
