//! Views that auditors think in, over the tables of the log.
//!
//! In: nothing but the tables. Out: each view's name, what it tells in a few words, and its SQL. Every one keeps `at` or `dt`, so that
//! a condition on time opens the files of its days only.

/// A view.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// What one row of it is.
    pub about: &'static str,
    /// The question that it stands for.
    pub sql: &'static str,
}

/// Every view.
pub const ALL: [View; 4] = [
    View {
        name: "reads_of_personal_data",
        about: "one statement that returned somebody's personal data",
        sql: "select at, db_user, end_user, application_name, client_addr, database, kind, relations, columns, level, \
              rows_returned, personal_rows, persons, subjects, certainty, permit, policies, outcome, query, \
              session_id, writer, seq, dt \
              from statements where personal_rows > 0 or persons > 0",
    },
    View {
        name: "logins",
        about: "one connection that has ended, or an attempt at one; `succeeded` says which",
        sql: "select at, outcome not in ('auth_failed', 'refused') as succeeded, db_user, end_user, database, \
              application_name, client_addr, auth_method, tls_version, certificate, outcome, sqlstate, ended_at, \
              statements, session_id, writer, seq, dt \
              from sessions",
    },
    View {
        name: "privilege_changes",
        about: "one statement that changed who may do what: grants, roles, owners, row security, or tried to",
        // What is no GRANT and changes it all the same is told by its text.
        sql: r"select at, outcome = 'ok' as succeeded, db_user, role, end_user, application_name, client_addr, database, kind,
               query, relations, outcome, sqlstate, session_id, writer, seq, dt
               from statements
               where kind = 'grant'
                  or (kind = 'ddl' and regexp_like(query,
                      '\b(owner\s+to|security\s+(definer|invoker|label)|row\s+level\s+security|(create|alter|drop)\s+(policy|event\s+trigger)|alter\s+system)\b',
                      'i'))",
    },
    View {
        name: "activity_by_hour",
        about: "what one user did in one hour, UTC",
        sql: "select dt, date_trunc('hour', at) as hour, db_user, count(*) as statements, \
              count(distinct session_id) as sessions, sum(rows_returned) as rows_returned, \
              sum(rows_affected) as rows_affected, sum(personal_rows) as personal_rows, sum(persons) as persons, \
              count(*) filter (where outcome = 'error') as errors, \
              count(*) filter (where outcome in ('denied', 'cut')) as denied \
              from statements group by dt, date_trunc('hour', at), db_user",
    },
];
