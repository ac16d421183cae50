//! The policies of a set that deny and cut, and what they say of a draft.
//!
//! In: drafts, and what flows. Out: the policy that denies or cuts, or when it is worth looking again. A column that is not certain
//! counts against a statement: it matches if the condition may be TRUE, and is excepted only if `unless` is TRUE whatever it is.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::draft::{Draft, PeopleFlow};
use crate::catalog::Catalog;
use crate::policy::acting::{self, FLOWING};
use crate::policy::condition::{Bounds, Condition, Tri};
use crate::policy::definition::{AnyRule, On, Policy};
use crate::policy::moment::Moment;
use crate::policy::rule::{Measure, Rule};
use crate::policy::{Mode, PolicySet, SharedEngine};
use crate::record::{Action, Column, Statement, Text};
use crate::session::event::Who;
use crate::session::gate::{Denial, Going, Progress};

/// See the module.
pub struct Acting {
    denying: Vec<Arc<Policy>>,
    cutting: Vec<Arc<Policy>>,
    timezone: TimeZone,
}

impl Acting {
    /// Those of a set that is enforced; `None` where there are none.
    pub fn of(set: &PolicySet) -> Option<Acting> {
        if set.mode == Mode::Observe {
            return None;
        }
        let all = |acts: fn(&Policy) -> bool| set.active().filter(|policy| acts(policy)).cloned().collect::<Vec<_>>();
        let denying = all(|policy| policy.action == Action::Deny);
        let cutting = all(|policy| policy.on == On::Progress);
        let acts = !denying.is_empty() || !cutting.is_empty();
        acts.then(|| Acting { denying, cutting, timezone: set.timezone.clone() })
    }

    /// Whether any of them can concern a session of these.
    pub fn concerns(&self, who: &Who) -> bool {
        let record = Statement {
            database: who.database.as_deref().map(Text::from),
            db_user: who.db_user.as_deref().map(Text::from),
            client_addr: Some(who.client_addr.as_str().into()),
            ..Statement::default()
        };
        let known = |column: &Column<Statement>| matches!(column.name, "database" | "db_user" | "client_addr");
        let holds = |condition: &Option<Condition<Statement>>| {
            condition.as_ref().map(|condition| condition.at_any_time(&record, &known))
        };
        let may =
            |rule: &Rule<Statement>| holds(&rule.when) != Some(Tri::False) && holds(&rule.unless) != Some(Tri::True);
        self.denying.iter().chain(&self.cutting).any(|policy| rule(policy).is_some_and(may))
    }

    /// The policy that denies a statement of this reading.
    pub fn denies(&self, draft: &Draft, engine: &SharedEngine) -> Option<&Arc<Policy>> {
        if self.denying.is_empty() {
            return None;
        }
        let mut record = draft.record.clone();
        record.permit = engine.permit_for(&record).map(|(id, _)| id);
        let moment = Moment::new(record.common.at, &self.timezone);
        self.denying.iter().find(|policy| {
            rule(policy).is_some_and(|rule| {
                concerns(rule, &record, &moment, &|column| draft.knows(column))
                    && rule.window.as_ref().is_none_or(|window| {
                        engine.window_with(&policy.id, &record).is_some_and(|figure| figure > window.above)
                    })
            })
        })
    }

    /// Whether any policy can cut what this reading returns.
    pub fn may_cut(&self, draft: &Draft) -> bool {
        let moment = Moment::new(draft.record.common.at, &self.timezone);
        // Whether a permit covers it, and which columns the wire will name, is told when its rows come.
        let known = |column: &str| column != "permit" && !acting::FORESEEN.contains(&column) && draft.knows(column);
        self.cutting
            .iter()
            .any(|policy| rule(policy).is_some_and(|rule| concerns(rule, &draft.record, &moment, &known)))
    }

    /// What is done with a result of one of these readings.
    pub fn going(
        &self,
        readings: &[Draft],
        progress: &Progress<'_>,
        engine: &SharedEngine,
        catalog: &Catalog,
    ) -> Going {
        let mut next = Next { rows: u64::MAX, people: u64::MAX, bytes: u64::MAX };
        for draft in readings {
            let mut record = draft.so_far(progress.rows, progress.people, progress.bytes_out);
            // Whenever there are more of them, it is looked at: there is nothing to foresee.
            record.baits = Some(draft.baits(catalog, progress.baits));
            // What has been told of it is in the window already.
            let rows = progress.rows.saturating_sub(progress.rows_told);
            let bytes = progress.bytes_out.saturating_sub(progress.bytes_told);
            let untold = draft.so_far(rows, progress.people, bytes);
            let flow = draft.people_flow(progress.people);
            let permit = engine.permit_for(&record);
            if let Some((id, people)) = permit {
                record.permit = Some(id);
                // Past that, it is not covered any more.
                next.at("persons", people.saturating_add(1), &record, flow);
            }
            let moment = Moment::new(record.common.at, &self.timezone);
            let known = |column: &str| acting::is_flowing(column) || draft.knows(column);
            for policy in &self.cutting {
                let Some(rule) = rule(policy) else { continue };
                let figure = rule.window.as_ref().and_then(|_| engine.window_with(&policy.id, &untold));
                let over = rule.window.as_ref().is_none_or(|window| figure.is_some_and(|figure| figure > window.above));
                if over && concerns(rule, &record, &moment, &known) {
                    return Going::Cut(Denial::by_policy(&policy.id, &policy.title, None));
                }
                next.of_rule(rule, figure, &record, flow);
            }
        }
        Going::On { rows: next.rows, people: next.people, bytes: next.bytes }
    }
}

/// When something may change.
struct Next {
    rows: u64,
    people: u64,
    bytes: u64,
}

impl Next {
    fn of_rule(&mut self, rule: &Rule<Statement>, figure: Option<u64>, record: &Statement, flow: PeopleFlow) {
        for condition in [&rule.when, &rule.unless].into_iter().flatten() {
            for column in FLOWING {
                match condition.bounds(column) {
                    Bounds::At(values) => {
                        let ahead = values.into_iter().find(|value| *value > flowed(record, column));
                        if let Some(value) = ahead {
                            self.at(column, value, record, flow);
                        }
                    }
                    Bounds::Anywhere => self.at(column, flowed(record, column).saturating_add(1), record, flow),
                }
            }
        }
        if let (Some(window), Some(figure)) = (&rule.window, figure)
            && let Measure::Sum(column) = &window.measure
        {
            let room = window.above.saturating_sub(figure).saturating_add(1);
            self.at(column.name, flowed(record, column.name).saturating_add(room), record, flow);
        }
    }

    /// Something may change when a column comes to this value.
    fn at(&mut self, column: &str, value: u64, record: &Statement, flow: PeopleFlow) {
        let before = value.saturating_sub(1);
        match (column, flow) {
            // Nobody's rows: nobody comes.
            ("persons" | "personal_rows", _) if record.personal_rows == Some(0) => {}
            ("persons", PeopleFlow::Counted) => self.people = self.people.min(before),
            ("persons", PeopleFlow::InRows(people)) => self.rows = self.rows.min(before / people),
            ("bytes_out", _) => self.bytes = self.bytes.min(before),
            _ => self.rows = self.rows.min(before),
        }
    }
}

fn flowed(record: &Statement, column: &str) -> u64 {
    let value = match column {
        "persons" => record.persons,
        "personal_rows" => record.personal_rows,
        "rows_returned" => record.rows_returned,
        _ => record.bytes_out,
    };
    value.unwrap_or(0)
}

fn rule(policy: &Policy) -> Option<&Rule<Statement>> {
    match &policy.rule {
        AnyRule::Statement(rule) => Some(rule),
        _ => None,
    }
}

/// Whether `when` may be TRUE, and `unless` is not TRUE for certain.
fn concerns(rule: &Rule<Statement>, record: &Statement, moment: &Moment<'_>, known: &dyn Fn(&str) -> bool) -> bool {
    let when = rule.when.as_ref().is_none_or(|when| {
        match when.partial(record, moment, &|column| known(column.name)) {
            Tri::True => true,
            Tri::False => false,
            // NULL is no match, unless it is for want of knowledge.
            Tri::Unknown => !when.knows(&|column| known(column.name)),
        }
    });
    let excepted =
        |unless: &Condition<Statement>| unless.partial(record, moment, &|column| known(column.name)) == Tri::True;
    when && !rule.unless.as_ref().is_some_and(excepted)
}
