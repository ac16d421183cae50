//! What is new for a principal, as tables of a query: what it touches for the first time, and unusual hours.
//!
//! Whoever is known for long enough is judged by what it did itself, others by what anybody did, where they have enough peers. One is a peer
//! from when it is known for long enough and has touched something on enough days of late, until it has not or touches something as one of another
//! group: told as changes, like a window.

use super::figure::{By, value_of, values};
use super::{Parts, remembered_us};
use crate::policy::baseline::HOUR_DAYS_MIN;
use crate::policy::hours::BREAK_MAX;
use crate::policy::judged::Judged;
use crate::policy::rule::{First, Thing};
use crate::policy::usual::PEERS_MIN;
use crate::record::Column;

/// What stands between two entries of a list, on lines of their own.
const NEXT: &str = ",\n    ";

/// Who is a peer of whom, in the forms in which queries say it; all empty where everybody is.
struct Group {
    /// Their columns, after others of the log's.
    selected: String,
    /// Their names from there on, after others.
    names: String,
    /// The same, before others to partition by.
    first: String,
    /// The whole of a partition.
    partition: String,
}

impl Group {
    fn of<R>(peers: Option<&[&'static Column<R>]>) -> Group {
        let of = By::called("peer", peers.unwrap_or_default());
        if of.names.is_empty() {
            return Group {
                selected: String::new(),
                names: String::new(),
                first: String::new(),
                partition: String::new(),
            };
        }
        Group {
            selected: format!(", {}", of.columns),
            names: format!(", {}", of.names),
            first: format!("{}, ", of.names),
            partition: format!("PARTITION BY {} ", of.names),
        }
    }
}

/// Keeps, of the matching records, those that are new for their principal.
pub(super) fn news<R: Judged>(parts: &mut Parts, first: &First<R>) {
    let (by, group) = (By::of(&first.by), Group::of(first.peers.as_deref()));
    match &first.thing {
        Thing::Hour => hours(parts, first, &by, &group),
        Thing::Column(_) | Thing::Relation | Thing::ClassifiedRelation => things(parts, first, &by, &group),
    }
    parts.joins.push("news".to_owned());
}

fn things<R: Judged>(parts: &mut Parts, first: &First<R>, by: &By, group: &Group) {
    let (names, peers) = (&by.names, &group.names);
    let touched: Vec<String> = match &first.thing {
        Thing::Column(column) => vec![value_of(column)],
        // A table that has none of these touches nothing.
        Thing::Relation => lists_of::<R>(&["relations", "relations_read", "relations_written"]),
        Thing::ClassifiedRelation => lists_of::<R>(&["columns"]),
        Thing::Hour => Vec::new(),
    };
    parts.table("touched", values(&format!("{}, since{}", by.columns, group.selected), &touched));
    let things = match &first.thing {
        // A column's relation is what stands before its last point.
        Thing::ClassifiedRelation => format!(
            "SELECT DISTINCT {names}, since{peers}, us, n, regexp_replace(value, '[.][^.]*$', '') AS value FROM touched\n  \
             WHERE value LIKE '%.%'"
        ),
        _ => "SELECT * FROM touched".to_owned(),
    };
    parts.table("things", things);
    let (learn, remembered) = (first.learn_us, remembered_us(first.learn_us));
    let by_peers = first.peers.is_some() && learn > 0;
    let of_all = match by_peers {
        true => format!(",\n    lag(us) OVER (PARTITION BY {}value ORDER BY us, n) AS before_of_all_us", group.first),
        false => String::new(),
    };
    parts.table(
        "things_before",
        format!(
            "SELECT *, lag(us) OVER (PARTITION BY {names}, value ORDER BY us, n) AS before_us{of_all}\n  FROM things"
        ),
    );
    let is_new = |before: &str| format!("({before} IS NULL OR us - {before} > {remembered})");
    let is_known = format!("us - since >= {learn}");
    if !by_peers {
        let is_new = is_new("before_us");
        parts.table("news", format!("SELECT DISTINCT n FROM things_before\n  WHERE {is_known} AND {is_new}"));
        return;
    }
    parts.table(
        "asks",
        format!(
            "SELECT DISTINCT us, n{peers}, {is_known} AS is_known FROM things_before\n  \
             WHERE CASE WHEN {is_known} THEN {} ELSE {} END",
            is_new("before_us"),
            is_new("before_of_all_us")
        ),
    );
    parts.table("touches", format!("SELECT DISTINCT {names}, since{peers}, us, n, us AS able_us FROM things"));
    by_others(parts, by, group, learn);
}

fn hours<R: Judged>(parts: &mut Parts, first: &First<R>, by: &By, group: &Group) {
    let (learn, remembered) = (first.learn_us, remembered_us(first.learn_us));
    let (columns, names, peers) = (&by.columns, &by.names, &group.names);
    let days = HOUR_DAYS_MIN.saturating_sub(1);
    // Of the last days on which it was active, the first: when last on it.
    parts.table(
        "touched",
        format!(
            "SELECT {columns}, since{}, us, n, CAST(\"hour\" AS BIGINT) AS \"hour\", utc_day FROM matching",
            group.selected
        ),
    );
    parts.table(
        "touches",
        format!(
            "SELECT *,\n    max(us) OVER (PARTITION BY {names} ORDER BY utc_day\n      \
             GROUPS BETWEEN UNBOUNDED PRECEDING AND {days} PRECEDING) AS able_us\n  FROM touched"
        ),
    );
    let last = |name: &str, partition: &str| {
        let of = move |hour: u8| {
            format!(
                "max(CASE WHEN \"hour\" = {hour} THEN us END) OVER ({partition}ORDER BY us, n ROWS BETWEEN UNBOUNDED \
                 PRECEDING AND 1 PRECEDING) AS {name}_{hour}"
            )
        };
        (0..24).map(of).collect::<Vec<_>>().join(NEXT)
    };
    let mut lasts = last("own", &format!("PARTITION BY {names} "));
    if first.peers.is_some() {
        lasts = format!("{lasts}{NEXT}{}", last("all", &group.partition));
    }
    parts.table("hours_before", format!("SELECT *,\n    {lasts}\n  FROM touches"));
    // How many hours ago on the dial one was active, and in how many it will be.
    let distance = |name: &str, of: &dyn Fn(u8) -> String| {
        let at = |hour: u8| format!("CASE WHEN us - {name}_{hour} <= {remembered} THEN {} ELSE 99 END", of(hour));
        format!("least({})", (0..24).map(at).collect::<Vec<_>>().join(NEXT))
    };
    let distances = |name: &str| {
        let since = distance(name, &|hour| format!("(\"hour\" + {}) % 24", 24 - hour));
        let until = distance(name, &|hour| format!("({} - \"hour\") % 24", 24 + hour));
        format!("{since} AS {name}_since,\n    {until} AS {name}_until")
    };
    let of_all = if first.peers.is_some() { format!(",\n    {}", distances("all")) } else { String::new() };
    parts.table(
        "hours_off",
        format!(
            "SELECT us, n{peers}, coalesce(us - since >= {learn} AND us - able_us <= {remembered}, FALSE) AS is_known,\n    {}{of_all}\n  \
             FROM hours_before",
            distances("own")
        ),
    );
    let is_odd =
        |name: &str| format!("{name}_since > 1 AND {name}_until > 1 AND {name}_since + {name}_until > {BREAK_MAX}");
    if first.peers.is_none() {
        parts.table("news", format!("SELECT n FROM hours_off\n  WHERE is_known AND {}", is_odd("own")));
        return;
    }
    parts.table(
        "asks",
        format!(
            "SELECT us, n{peers}, is_known FROM hours_off\n  WHERE CASE WHEN is_known THEN {} ELSE {} END",
            is_odd("own"),
            is_odd("all")
        ),
    );
    by_others(parts, by, group, learn);
}

/// Of `asks`, the records of those who are known or have enough peers, as `news`; by `touches`, which has for each record of one who touched something since when
/// that was enough to be one.
fn by_others(parts: &mut Parts, by: &By, group: &Group, learn: i64) {
    let (names, peers) = (&by.names, &group.names);
    let remembered = remembered_us(learn);
    let next = |what: &str| format!("lead({what}) OVER (PARTITION BY {names} ORDER BY us, n) AS next_{what}");
    parts.table(
        "touches_next",
        format!("SELECT since{peers}, us, n, able_us,\n    {},\n    {}\n  FROM touches", next("us"), next("n")),
    );
    // From when to when each makes a peer of its principal: until the next does, or until it is long ago.
    let goes_on = format!("next_us <= able_us + {remembered}");
    parts.table(
        "peer_spans",
        format!(
            "SELECT n{peers},\n    CASE WHEN us - since >= {learn} THEN us ELSE since + {learn} END AS from_us,\n    \
             CASE WHEN us - since >= {learn} THEN 1 ELSE 0 END AS from_phase,\n    \
             CASE WHEN {goes_on} THEN next_us ELSE able_us + {remembered} + 1 END AS to_us,\n    \
             CASE WHEN {goes_on} THEN 1 ELSE 0 END AS to_phase,\n    \
             CASE WHEN {goes_on} THEN next_n ELSE n END AS to_n\n  FROM touches_next\n  WHERE able_us IS NOT NULL"
        ),
    );
    let is_one = "WHERE from_us < to_us + to_phase";
    parts.table(
        "peer_changes",
        format!(
            "SELECT from_us AS us, from_phase AS phase, n{peers}, 1 AS change,\n    \
             FALSE AS asks, FALSE AS is_known FROM peer_spans {is_one}\n  \
             UNION ALL\n  SELECT to_us, to_phase, to_n{peers}, -1, FALSE, FALSE FROM peer_spans {is_one}\n  \
             UNION ALL\n  SELECT us, 1, n{peers}, 0, TRUE, is_known FROM asks"
        ),
    );
    parts.table(
        "peers",
        format!(
            "SELECT n, asks, is_known,\n    sum(change) OVER ({}ORDER BY us, phase, n\n      \
             ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS others\n  FROM peer_changes",
            group.partition
        ),
    );
    parts.table("news", format!("SELECT n FROM peers\n  WHERE asks AND (is_known OR others >= {PEERS_MIN})"));
}

/// The entries of those of these lists that the table has.
fn lists_of<R: Judged>(names: &[&str]) -> Vec<String> {
    names.iter().filter_map(|name| R::column(name)).map(value_of).collect()
}
