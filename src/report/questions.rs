//! What a report asks of the log: SQL over one week, and over the weeks before it.

use super::week::Week;

/// Weeks before this one that it is held against.
const WEEKS_BEFORE: i64 = 4;

/// One question.
pub struct Question {
    /// Stable, for scripts.
    pub key: &'static str,
    /// For people.
    pub title: &'static str,
    /// What the answer says, and what it does not.
    pub note: &'static str,
    /// The dialect of `mitsuke query`.
    pub sql: String,
}

/// Those whose answers are shown as tables, in order.
pub fn tables(week: Week) -> Vec<Question> {
    vec![
        findings(week),
        readers(week),
        weeks(week),
        relations(week),
        certainty(week),
        permits(week),
        logins(week),
        coverage(week),
    ]
}

/// One row: statements, sessions and the like.
pub fn figures(week: Week) -> Question {
    let within = within(week);
    untitled(
        "figures",
        format!(
            "select (select count(*) from statements where {within}) as statements, \
             (select count(*) from sessions where {within}) as sessions_ended, \
             (select count(distinct db_user) from statements where {within}) as users, \
             (select coalesce(sum(personal_rows), 0) from statements where {within}) as rows_of_personal_data, \
             (select count(*) from findings where {within}) as findings, \
             (select count(distinct writer) from statements where {within}) as sidecars"
        ),
    )
}

/// Findings of each severity.
pub fn severities(week: Week) -> Question {
    let within = within(week);
    untitled(
        "severities",
        format!("select severity, count(*) as findings from findings where {within} group by severity"),
    )
}

/// People read on each day.
pub fn days(week: Week) -> Question {
    let within = within(week);
    untitled(
        "days",
        format!(
            "select cast(cast(\"at\" as date) as varchar) as day, sum(persons) as people from statements \
             where {within} group by 1 order by 1"
        ),
    )
}

fn untitled(key: &'static str, sql: String) -> Question {
    Question { key, title: "", note: "", sql }
}

fn within(week: Week) -> String {
    format!("\"at\" >= {} and \"at\" < {}", week.start_sql(), week.end_sql())
}

fn findings(week: Week) -> Question {
    let span = within(week);
    Question {
        key: "findings",
        title: "Findings",
        note: "What a policy matched, the gravest first. The log has each one's evidence by statement number.",
        sql: format!(
            "select severity, \"at\", policy, db_user, client_addr, explanation, observed, threshold from findings \
             where {span} order by case severity when 'critical' then 0 when 'high' then 1 when 'medium' then 2 \
             else 3 end, \"at\""
        ),
    }
}

fn readers(week: Week) -> Question {
    let span = within(week);
    Question {
        key: "readers",
        title: "Who read how many people",
        note: "People are counted anew by each statement: somebody looked up twice counts twice. Rows without a known \
               data subject count as one person each.",
        sql: format!(
            "select db_user, coalesce(end_user, '') as end_user, count(*) as statements, sum(persons) as people, \
             max(persons) as most_at_once, sum(personal_rows) as rows, count(distinct client_addr) as addresses \
             from statements where {span} and personal_rows > 0 group by 1, 2 order by people desc"
        ),
    }
}

fn weeks(week: Week) -> Question {
    let column = |before: i64| {
        let name = if before == 0 { "this_week".to_owned() } else { format!("{before}_before") };
        format!("sum(case when {} then persons else 0 end) as \"{name}\"", within(week.before(before)))
    };
    let columns: Vec<String> = (0..=WEEKS_BEFORE).map(column).collect();
    Question {
        key: "weeks",
        title: "Against the weeks before",
        note: "People read by each user, this week and in the four before it.",
        sql: format!(
            "select db_user, {} from statements where \"at\" >= {} and \"at\" < {} and personal_rows > 0 \
             group by 1 order by 2 desc",
            columns.join(", "),
            week.before(WEEKS_BEFORE).start_sql(),
            week.end_sql()
        ),
    }
}

fn relations(week: Week) -> Question {
    let span = within(week);
    Question {
        key: "relations",
        title: "From which tables",
        note: "Statements that returned personal data, by every table they read.",
        sql: format!(
            "select relation, count(*) as statements, sum(persons) as people from (select unnest(relations) as \
             relation, persons from statements where {span} and personal_rows > 0) group by 1 order by people desc"
        ),
    }
}

fn certainty(week: Week) -> Question {
    let span = within(week);
    Question {
        key: "certainty",
        title: "How sure the log is",
        note: "exact: text, catalog and wire agree. inferred: from the text or names alone. assumed: the worst that \
               could be.",
        sql: format!(
            "select certainty, parse, catalog, count(*) as statements, sum(persons) as people from statements \
             where {span} and personal_rows > 0 group by 1, 2, 3 order by 4 desc"
        ),
    }
}

fn permits(week: Week) -> Question {
    let span = within(week);
    Question {
        key: "permits",
        title: "Permits used",
        note: "Announced bulk work. Statements that a permit covers raise no finding of bulk reading.",
        sql: format!(
            "select permit, db_user, count(*) as statements, sum(persons) as people, min(\"at\") as first, \
             max(\"at\") as last from statements where {span} and permit is not null group by 1, 2 order by 4 desc"
        ),
    }
}

fn logins(week: Week) -> Question {
    let span = within(week);
    Question {
        key: "logins",
        title: "Failed logins",
        note: "Sessions that ended with a wrong credential.",
        sql: format!(
            "select db_user, client_addr, count(*) as attempts, min(\"at\") as first, max(\"at\") as last \
             from sessions where {span} and outcome = 'auth_failed' group by 1, 2 order by 3 desc"
        ),
    }
}

fn coverage(week: Week) -> Question {
    let span = within(week);
    Question {
        key: "coverage",
        title: "What the log covers",
        note: "Days without a statement are not in this table: nothing is claimed of them. Gaps in the log are findings \
               of the policy log-gap.",
        sql: format!(
            "select cast(\"at\" as date) as day, writer, count(*) as statements, min(seq) as first_seq, \
             max(seq) as last_seq from statements where {span} group by 1, 2 order by 1, 2"
        ),
    }
}
