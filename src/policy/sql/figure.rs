//! What came before a record, as tables of a query: a window's figure, how often `after` was seen.
//!
//! A window is told as changes: what a record adds when it comes, and takes away when it leaves. The figure of a record is the sum of
//! all changes up to it, in the order of time; what leaves at an instant has left for what comes at the same one.

use super::{Dialect, Parts};
use crate::policy::condition::sql::{column_name, column_names};
use crate::policy::judged::Judged;
use crate::policy::rule::{After, Measure, Window};
use crate::record::{Column, FieldKind};

/// The columns that a figure is kept by, under names of their own: any column may be among them.
pub(super) struct By {
    /// To select them from the log's columns.
    pub(super) columns: String,
    /// What they are called from there on.
    pub(super) names: String,
}

impl By {
    pub(super) fn of<R>(columns: &[&'static Column<R>]) -> By {
        By::called("by", columns)
    }

    /// The same under other names.
    pub(super) fn called<R>(word: &str, columns: &[&'static Column<R>]) -> By {
        let name = |index: usize| format!("{word}_{}", index.saturating_add(1));
        let select = column_names(columns).into_iter().enumerate();
        By {
            columns: select
                .map(|(index, column)| format!("{column} AS {}", name(index)))
                .collect::<Vec<_>>()
                .join(", "),
            names: (0..columns.len()).map(name).collect::<Vec<_>>().join(", "),
        }
    }
}

/// How often `after` was seen before each record, as `before_times`.
pub(super) fn before<R: Judged>(parts: &mut Parts, after: &After<R>) {
    let (by, within) = (By::of(&after.by), after.within_us);
    let columns = &by.columns;
    parts.table(
        "before_changes",
        format!(
            "SELECT {columns}, us, 1 AS phase, n, CASE WHEN counted THEN 1 ELSE 0 END AS change FROM numbered\n  \
             UNION ALL\n  SELECT {columns}, us + {within}, 0, n, -1 FROM numbered WHERE counted"
        ),
    );
    // A record is not before itself.
    parts.table("before_figures", running(&by, "before_changes", "sum(change)", " - change", "before_times"));
    parts.table("before", "SELECT n, before_times FROM before_figures WHERE phase = 1".to_owned());
    parts.joins.push("before".to_owned());
    parts.conditions.push(format!("before_times >= {}", after.times));
}

/// The window's figure of each matching record, as `window_figure`.
pub(super) fn window<R: Judged>(parts: &mut Parts, window: &Window<R>, dialect: Dialect) {
    let (by, within) = (By::of(&window.by), window.within_us);
    match &window.measure {
        Measure::Count => changes(parts, &by, within, "1"),
        Measure::Sum(column) => {
            let amount = format!("CAST(coalesce({}, 0) AS {})", column_name(column.name), dialect.wide());
            changes(parts, &by, within, &amount);
        }
        Measure::Distinct(column) => distinct(parts, &by, within, column),
    }
    parts.table("window_figures", running(&by, "window_changes", "sum(change)", "", "window_figure"));
    parts.table("windows", "SELECT n, window_figure FROM window_figures WHERE phase = 1".to_owned());
    parts.joins.push("windows".to_owned());
    parts.conditions.push(format!("window_figure > {}", window.above));
}

fn changes(parts: &mut Parts, by: &By, within: i64, amount: &str) {
    let columns = &by.columns;
    parts.table(
        "window_changes",
        format!(
            "SELECT {columns}, us, 1 AS phase, n, {amount} AS change FROM matching\n  \
             UNION ALL\n  SELECT {columns}, us + {within}, 0, n, -{amount} FROM matching"
        ),
    );
}

/// A value counts from when it comes until it comes again, or leaves.
fn distinct<R: Judged>(parts: &mut Parts, by: &By, within: i64, column: &'static Column<R>) {
    let (columns, names) = (&by.columns, &by.names);
    parts.table("window_values", values(&by.columns, &[value_of(column)]));
    let next = |what: &str| format!("lead({what}) OVER (PARTITION BY {names}, value ORDER BY us, n) AS next_{what}");
    parts.table("window_spans", format!("SELECT *,\n    {},\n    {}\n  FROM window_values", next("us"), next("n")));
    parts.table(
        "window_moves",
        format!(
            "SELECT {names}, us, 1 AS phase, n, 1 AS change FROM window_spans\n  \
             UNION ALL\n  SELECT {names}, next_us, 1, next_n, -1 FROM window_spans\n  \
             WHERE next_us < us + {within}\n  \
             UNION ALL\n  SELECT {names}, us + {within}, 0, n, -1 FROM window_spans\n  \
             WHERE next_us IS NULL OR next_us >= us + {within}\n  \
             UNION ALL\n  SELECT {columns}, us, 1, n, 0 FROM matching"
        ),
    );
    parts.table(
        "window_changes",
        format!(
            "SELECT {names}, us, phase, n, sum(change) AS change FROM window_moves\n  \
             GROUP BY {names}, us, phase, n"
        ),
    );
}

/// The different values that each matching record has, one a row.
pub(super) fn values(columns: &str, values: &[String]) -> String {
    let select = |value: &str| format!("SELECT {columns}, us, n, {value} AS value FROM matching");
    let selects = match values {
        [] => select("CAST(NULL AS VARCHAR)"),
        values => values.iter().map(|value| select(value)).collect::<Vec<_>>().join(" UNION ALL "),
    };
    format!("SELECT DISTINCT * FROM ({selects}) AS every\n  WHERE value IS NOT NULL")
}

/// A column's values.
pub(super) fn value_of<R: Judged>(column: &'static Column<R>) -> String {
    let name = column_name(column.name);
    match column.kind {
        FieldKind::Texts | FieldKind::U64s => format!("unnest({name})"),
        _ => name,
    }
}

fn running(by: &By, from: &str, sum: &str, less: &str, name: &str) -> String {
    let names = &by.names;
    format!(
        "SELECT n, phase,\n    {sum} OVER (PARTITION BY {names} ORDER BY us, phase, n\n      \
         ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW){less} AS {name}\n  FROM {from}"
    )
}
