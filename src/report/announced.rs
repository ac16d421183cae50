//! What became of announced work: each permit used, exceeded, expired or not used.
//!
//! In: the permits in force, a week, and the moment of asking. Out: a question of the log, none where nothing is announced. Of a permit
//! that ran in the week, or is still in the file after its end, it tells what it has covered since it began; what the same role read of
//! the same relations past its number; and what it still read of them in the week after its end. A permit that is no longer in the file is
//! in the table of permits used alone.

use super::questions::Question;
use super::week::Week;
use crate::clock::Timestamp;
use crate::policy::condition::sql::{like_pattern, literal};
use crate::policy::permit::Permit;

/// Permits that are told, those that end last first; the note says so.
const PERMITS_MAX: usize = 100;
/// Ids of permits that tickets are held against.
const IDS_MAX: usize = 1_000;

/// The question, if anything was announced.
pub fn question(week: Week, permits: &[Permit], now: Timestamp) -> Option<Question> {
    let mut begun: Vec<&Permit> = permits.iter().filter(|permit| permit.from < week.end().min(now)).collect();
    begun.sort_by_key(|permit| (std::cmp::Reverse(permit.until), permit.id.clone()));
    begun.truncate(PERMITS_MAX);
    if begun.is_empty() {
        return None;
    }
    let rows: Vec<String> = begun.iter().map(|permit| row(week, permit, now)).collect();
    Some(Question {
        key: "announced",
        title: "Permits announced",
        note: "exceeded: the same role read the same tables past the permit's number. after end: it still read them, this week, when the \
               permit was over. An expired or unused permit can go from permits.yaml. At most 100, those that end last.",
        sql: format!(
            "select permit, db_user, case when past > 0 then 'exceeded' when after_end > 0 then 'used after its end' \
             when statements = 0 and is_over then 'expired unused' when statements = 0 then 'unused so far' \
             when is_over then 'used, expired' else 'used' end as state, statements, people, announced, past, after_end, \
             \"until\", approved_by from ({}) as announced_permits order by past > 0 desc, after_end > 0 desc, \"until\", permit",
            rows.join(" union all ")
        ),
    })
}

/// What statements named in their comments: which permit, and whether it is one.
pub fn tickets(week: Week, permits: &[Permit]) -> Question {
    let ids: Vec<String> = permits.iter().take(IDS_MAX).map(|permit| literal(&permit.id)).collect();
    let is_known = if ids.is_empty() { "false".to_owned() } else { format!("ticket in ({})", ids.join(", ")) };
    Question {
        key: "tickets",
        title: "Tickets named",
        note: "What statements named in a comment, -- ticket: OPS-1234. A ticket that is no permit's id covers nothing; one that is covers what \
               its permit is for.",
        sql: format!(
            "select ticket, db_user, case when not {is_known} and covered = 0 then 'unknown' when covered = 0 then 'did not cover' \
             when covered < statements then 'covered in part' else 'covered' end as state, statements, covered, people, \
             people_covered, last from (select ticket, db_user, count(*) as statements, \
             coalesce(sum(case when permit = ticket then 1 end), 0) as covered, coalesce(sum(persons), 0) as people, \
             coalesce(sum(case when permit = ticket then persons end), 0) as people_covered, max(\"at\") as last from statements \
             where \"at\" >= {} and \"at\" < {} and ticket is not null group by 1, 2) as named order by covered, ticket, db_user",
            week.start_sql(),
            week.end_sql()
        ),
    }
}

fn row(week: Week, permit: &Permit, now: Timestamp) -> String {
    let (id, db_user) = (literal(&permit.id), literal(&permit.db_user));
    let (from, until) = (moment(permit.from), moment(permit.until));
    let end = week.end().min(now);
    let approved_by = permit.approved_by.as_deref().map_or_else(|| "''".to_owned(), literal);
    // What has to be named is not gone past by what does not name it.
    let meant = if permit.ticket_required { format!(" and ticket = {id}") } else { String::new() };
    let is_over = permit.until <= end;
    let people = |which: &str| format!("coalesce(sum(case when {which} then persons end), 0)");
    let uncovered = format!("fits and covered is null and \"at\" {{}} {until}");
    let past = people(&uncovered.replace("{}", "<"));
    let after = people(&format!("{} and \"at\" >= {}", uncovered.replace("{}", ">="), week.start_sql()));
    format!(
        "select {id} as permit, {db_user} as db_user, coalesce(sum(case when covered = {id} then 1 end), 0) as statements, \
         {} as people, {} as announced, {past} as past, {after} as after_end, {until} as \"until\", \
         {approved_by} as approved_by, {is_over} as is_over \
         from (select max(permit) as covered, max(\"at\") as \"at\", max(persons) as persons, bool_and({}) as fits \
         from (select writer, seq, permit, \"at\", persons, unnest(relations) as relation from statements \
         where db_user = {db_user} and \"at\" >= {from} and \"at\" < {}{meant}) as touched group by writer, seq) as judged",
        people(&format!("covered = {id}")),
        permit.persons_max,
        fits(&permit.relations),
        moment(end),
    )
}

fn fits(relations: &[String]) -> String {
    let one = |relation: &String| format!("relation like {}", literal(&like_pattern(relation)));
    relations.iter().map(one).collect::<Vec<_>>().join(" or ")
}

fn moment(at: Timestamp) -> String {
    format!("timestamp '{at}'")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::audit::{Checkpoint, Config, Durability, Log, WhenUnwritable};
    use crate::policy::permit;
    use crate::query::Engine;
    use crate::record::Statement;
    use crate::yaml::Source;

    const PERMITS: &str = "
- { id: USED, db_user: batch, relations: [shop.customers, \"mart.*\"], persons_max: 100, from: 2026-11-16T00:00Z, until: 2026-12-31T00:00Z, approved_by: it's ops }
- { id: EXCEEDED, db_user: mailer, relations: [shop.customers], persons_max: 10, from: 2026-11-16T00:00Z, until: 2026-12-31T00:00Z }
- { id: LATE, db_user: late, relations: [shop.customers], persons_max: 10, from: 2026-11-10T00:00Z, until: 2026-11-17T00:00Z }
- { id: IDLE, db_user: idle, relations: [shop.customers], persons_max: 10, from: 2026-11-16T00:00Z, until: 2026-12-31T00:00Z }
- { id: GONE, db_user: idle, relations: [shop.customers], persons_max: 10, from: 2026-11-01T00:00Z, until: 2026-11-17T00:00Z }
- { id: NAMED, db_user: named, relations: [shop.customers], persons_max: 10, from: 2026-11-16T00:00Z, until: 2026-12-31T00:00Z, ticket: required }
- { id: COMING, db_user: idle, relations: [shop.customers], persons_max: 10, from: 2026-12-01T00:00Z, until: 2026-12-31T00:00Z }
";

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().expect("a time").as_microsecond())
    }

    fn append(log: &mut Log, day: &str, user: &str, relations: &[&str], persons: u64, permit: Option<&str>) {
        let mut statement = Statement {
            db_user: Some(user.into()),
            relations: Some(relations.iter().map(|relation| (*relation).into()).collect()),
            persons: Some(persons),
            permit: permit.map(Into::into),
            ..Statement::default()
        };
        statement.common.at = at(&format!("{day}T10:00:00Z"));
        log.append(statement);
    }

    fn named(log: &mut Log, user: &str, ticket: &str, persons: u64, permit: Option<&str>) {
        let mut statement = Statement {
            db_user: Some(user.into()),
            relations: Some(["shop.customers".into()].into()),
            persons: Some(persons),
            permit: permit.map(Into::into),
            ticket: Some(ticket.into()),
            ..Statement::default()
        };
        statement.common.at = at("2026-11-20T10:00:00Z");
        log.append(statement);
    }

    fn log(path: &Path) {
        let config = Config {
            path: path.to_path_buf(),
            durability: Durability::Relaxed,
            store: None,
            when_unwritable: WhenUnwritable::Block,
            flush: std::time::Duration::from_secs(60),
            key_file: path.join("key"),
            signing_key: path.join("signing.key"),
            retention: crate::audit::Retention::default(),
        };
        let mut log = Log::open(&config, "w").expect("a log");
        append(&mut log, "2026-11-18", "batch", &["shop.customers", "mart.day"], 60, Some("USED"));
        append(&mut log, "2026-11-19", "batch", &["mart.night"], 30, Some("USED"));
        // Another table is not what was announced.
        append(&mut log, "2026-11-19", "batch", &["shop.customers", "shop.cards"], 500, None);
        append(&mut log, "2026-11-19", "mailer", &["shop.customers"], 10, Some("EXCEEDED"));
        named(&mut log, "mailer", "JIRA-7", 7, None);
        append(&mut log, "2026-11-12", "late", &["shop.customers"], 3, Some("LATE"));
        named(&mut log, "late", "LATE", 4, None);
        // Past the permit that has to be named, once by name; what does not name it is not its.
        append(&mut log, "2026-11-19", "named", &["shop.customers"], 900, None);
        named(&mut log, "named", "NAMED", 8, Some("NAMED"));
        named(&mut log, "named", "NAMED", 4, None);
        log.commit(&Checkpoint::default()).expect("it is written");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_permit_says_what_became_of_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        log(folder.path());
        let mut source = Source::new(Path::new("permits.yaml"), PERMITS);
        let permits = permit::read(&mut source);
        assert!(source.faults.is_empty(), "{:?}", source.faults);
        let week = Week::of(at("2026-11-20T00:00:00Z"));
        let asked = question(week, &permits, at("2026-11-25T00:00:00Z")).expect("something was announced");
        let engine = Engine::open(folder.path()).expect("a log");
        let named = tickets(week, &permits).ask(&engine).await.expect("an answer");
        let rows: Vec<String> = named.rows.iter().map(|row| row[..7].join(" ")).collect();
        assert_eq!(
            rows,
            [
                "JIRA-7 mailer unknown 1 0 7 0",
                "LATE late did not cover 1 0 4 0",
                "NAMED named covered in part 2 1 12 8",
            ]
        );
        let table = asked.ask(&engine).await.expect("an answer");
        let rows: Vec<String> = table.rows.iter().map(|row| row[..8].join(" ")).collect();
        assert_eq!(
            rows,
            [
                "EXCEEDED mailer exceeded 1 10 10 7 0",
                "NAMED named exceeded 1 8 10 4 0",
                "LATE late used after its end 1 3 10 0 4",
                "GONE idle expired unused 0 0 10 0 0",
                "IDLE idle unused so far 0 0 10 0 0",
                "USED batch used 2 90 100 0 0",
            ]
        );
        assert_eq!(table.rows[5][9], "it's ops");
        assert!(question(week, &[], at("2026-11-25T00:00:00Z")).is_none());
    }
}
