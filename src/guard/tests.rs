//! What the guard denies, cuts, and leaves alone.

use std::borrow::Cow;
use std::future::poll_fn;
use std::path::Path;

use jiff::tz::TimeZone;

use super::*;
use crate::analysis::Source;
use crate::catalog::Classification;
use crate::clock::Timestamp;
use crate::policy::list::Lists;
use crate::policy::{Engine, Mode, definition, permit};
use crate::record::{Statement, Text};
use crate::session::event::Heads;
use crate::wire::frontend::Name;
use crate::yaml::Source as Yaml;

const CLASSIFICATION: &str = "\
levels: [internal, personal, sensitive]
tables:
  shop.customers: { subject: id, columns: { email: personal } }
  shop.cards: { subject: customer_id, columns: { number: sensitive } }
";

const CARDS: &str = "on: statement\naction: deny\nwhen: has(relations, 'shop.cards') and db_user <> 'desk'\n";

fn set(rests: &[&str], permits: &str) -> PolicySet {
    let policies = rests.iter().enumerate().map(|(number, rest)| {
        let yaml = format!(
            "id: p{number}\ntitle: The title\nwhy: w\nstatus: stable\nseverity: high\ntags: [attack.t1213]\n{rest}"
        );
        let file = format!("p{number}.yaml");
        let mut source = Yaml::new(Path::new(&file), &yaml);
        let policy = definition::read(&mut source, &Lists::default()).1;
        policy.map(Arc::new).unwrap_or_else(|| panic!("{:?}", source.faults))
    });
    let permits = permit::read(&mut Yaml::new(Path::new("permits.yaml"), permits));
    PolicySet { policies: policies.collect(), permits, timezone: TimeZone::UTC, ..PolicySet::empty() }
}

struct Scene {
    guard: Guard,
    engine: SharedEngine,
    who: Arc<Who>,
    no: u64,
    is_settled: bool,
}

impl Scene {
    fn new(rests: &[&str]) -> Scene {
        Scene::with_permits(rests, "[]")
    }

    fn with_permits(rests: &[&str], permits: &str) -> Scene {
        let set = Arc::new(set(rests, permits));
        let engine = SharedEngine::new(Engine::new(Arc::clone(&set)));
        let catalog = Catalog::new(Classification::parse(CLASSIFICATION, Path::new("c.yaml")).expect("faultless"));
        let sources = vec![Source::Comment("user".to_owned()), Source::Setting("app.user".to_owned())];
        let room = || Room::open(engine.clone(), catalog, Identity { sources, ..Identity::default() });
        let guard = Guard::new(&set, room).expect("threads").expect("a policy that acts");
        Scene { guard, engine: engine.clone(), who: who("clerk"), no: 0, is_settled: false }
    }

    async fn ask(&mut self, message: Message, name: &str, text: &str) -> Option<String> {
        if message != Message::Parse {
            self.no += 1;
        }
        let protocol = match message {
            Message::Query if text.starts_with("START_REPLICATION") => Protocol::Replication,
            Message::Query => Protocol::Simple,
            _ => Protocol::Extended,
        };
        let question = Question {
            who: &self.who,
            at: Timestamp(1_000_000),
            statement_no: self.no.max(1),
            protocol,
            message,
            name: Some(Name::new(name.as_bytes())).filter(|name| !name.is_unnamed()),
            own_settings: false,
            is_settled: self.is_settled,
            text: Cow::from(text.as_bytes()),
            text_bytes: text.len() as u64,
        };
        match poll_fn(|cx| self.guard.poll_ask(cx, &question)).await {
            Verdict::Allow => None,
            Verdict::Deny(denial) => Some(denial.text().to_owned()),
        }
    }

    #[track_caller]
    fn denied(&mut self, text: &str) -> impl Future<Output = ()> {
        self.judged(text, true)
    }

    #[track_caller]
    fn allowed(&mut self, text: &str) -> impl Future<Output = ()> {
        self.judged(text, false)
    }

    async fn judged(&mut self, text: &str, denied: bool) {
        let verdict = self.ask(Message::Query, "", text).await;
        assert_eq!(verdict.is_some(), denied, "{text}: {verdict:?}");
    }

    fn look(&self, rows: u64, people: Option<u64>) -> Going {
        self.look_at(rows, people, rows * 10, 0)
    }

    fn look_at(&self, rows: u64, people: Option<u64>, bytes_out: u64, bytes_told: u64) -> Going {
        let (who, at) = (&self.who, Timestamp(1_000_000));
        let statement_no = self.no;
        self.guard.look(&Progress {
            who,
            at,
            statement_no,
            part: 0,
            rows,
            people: people.map(|number| Heads { together: number, apart: number }),
            baits: &[],
            columns: None,
            bytes_out,
            rows_told: 0,
            bytes_told,
        })
    }
}

fn who(db_user: &str) -> Arc<Who> {
    Arc::new(Who {
        session_id: Uuid::from_u128(7),
        client_addr: "10.0.0.9".to_owned(),
        database: Some("shop".to_owned()),
        db_user: Some(db_user.to_owned()),
        ..Who::default()
    })
}

fn is_cut(going: &Going) -> bool {
    matches!(going, Going::Cut(_))
}

#[tokio::test]
async fn it_denies_what_a_policy_names_and_nothing_else() {
    let mut scene = Scene::new(&[CARDS]);
    scene.denied("select number from shop.cards").await;
    scene.denied("select 1 from shop.customers c join cards k on true").await;
    scene.denied("with x as (select * from shop.cards) select count(*) from x").await;
    scene.denied("copy shop.cards to stdout").await;
    scene.denied("insert into shop.cards values (1)").await;
    scene.allowed("select email from shop.customers").await;
    scene.allowed("select 'shop.cards'").await;
    scene.allowed("select * from other.cards").await;
    let told = scene.ask(Message::Query, "", "select 1; select * from shop.cards").await;
    assert_eq!(told.as_deref(), Some("policy p0: The title (statement 2 of 2)"));
    scene.who = who("desk");
    scene.allowed("select number from shop.cards").await;
}

#[tokio::test]
async fn what_is_not_understood_may_be_anything() {
    let mut scene = Scene::new(&[CARDS]);
    scene.denied("selec number frm").await;
    // A ping is.
    for ping in ["", ";", "-- ping", "/* ping */"] {
        scene.allowed(ping).await;
    }
    scene.denied("execute nobody_knows").await;
    scene.denied("fetch all from nobody_knows").await;
    let unknown = String::from_utf8_lossy(UNKNOWN_TEXT).into_owned();
    assert!(scene.ask(Message::Execute, "", &unknown).await.is_some());
    // But not of another user, whom the policy cannot concern.
    scene.who = who("desk");
    scene.allowed("selec number frm").await;
    assert_eq!(scene.ask(Message::Execute, "", &unknown).await, None);
}

#[tokio::test]
async fn a_name_means_all_that_it_was_ever_given() {
    let mut scene =
        Scene::new(&["on: statement\naction: deny\nwhen: has(relations, 'shop.cards') and kind = 'select'\n"]);
    scene.allowed("prepare harmless as select 1").await;
    scene.allowed("execute harmless").await;
    scene.allowed("deallocate harmless").await;
    scene.denied("prepare harmless as delete from shop.cards; select * from shop.cards").await;
    assert_eq!(scene.ask(Message::Parse, "by_protocol", "select 1").await, None);
    scene.allowed("execute by_protocol").await;
    scene.allowed("declare c cursor for select email from shop.customers").await;
    scene.allowed("fetch 10 from c").await;
}

/// Once it is another by the catalog: any other one is over what its locks keep as it was.
#[tokio::test]
async fn a_cursor_that_outlives_its_transaction_is_what_it_was_declared_over() {
    let mut scene = Scene::new(&["on: statement\naction: deny\nwhen: level >= 'personal'\n"]);
    for name in ["c", "c", "d"] {
        scene.allowed(&format!("declare {name} cursor with hold for select email from shop.customers")).await;
    }
    scene.allowed("declare plain cursor without hold for select email from shop.customers").await;
    scene.allowed("declare innocent cursor with hold for select id from shop.orders").await;
    scene.denied("fetch all from c").await;
    let less = CLASSIFICATION.replace("email: personal", "note: personal");
    let less = Classification::parse(&less, Path::new("c.yaml")).expect("faultless");
    scene.guard.room.catalog.set_classification(less);
    scene.denied("fetch all from c").await;
    scene.denied("fetch all from d").await;
    scene.allowed("fetch all from plain").await;
    scene.allowed("fetch all from innocent").await;
}

#[tokio::test]
async fn a_search_path_that_may_be_set_counts() {
    let mut scene = Scene::new(&["on: statement\naction: deny\nwhen: has(relations, 'vault.secrets')\n"]);
    scene.allowed("select * from secrets").await;
    scene.denied("set search_path = vault; select * from secrets").await;
    scene.denied("select * from secrets").await;
    scene.allowed("select * from public.secrets").await;
}

/// Where classified columns go within a session, their classification goes, before anything has ended; and a name may still mean what it meant.
#[tokio::test]
async fn what_a_session_fills_for_itself_is_known_before_it_is_read() {
    let policy = "on: statement\naction: deny\nwhen: kind = 'select' and has(columns, 'shop.customers.email')\n";
    let mut scene = Scene::new(&[policy, CARDS]);
    scene.allowed("select * from mine").await;
    scene.allowed("create temp table mine as select email as e from shop.customers").await;
    scene.denied("select * from mine").await;
    scene.denied("select e from mine").await;
    scene.denied("select upper(e) from pg_temp.mine").await;
    scene.allowed("select 1 from orders").await;
    // Filled by another way, and on from there.
    scene.allowed("create temp table plain (x text)").await;
    scene.allowed("select * from plain").await;
    scene.allowed("insert into plain select e from mine").await;
    scene.denied("select * from plain").await;
    // A drop may fail, or be rolled back: the name may mean either.
    scene.allowed("drop table mine").await;
    scene.denied("select * from mine").await;
    scene.denied("select * from shop.cards").await;
    // Other sessions have none of it.
    let mut other = Scene::new(&[policy]);
    other.allowed("select * from mine").await;
}

#[tokio::test]
async fn a_role_or_an_end_user_that_is_not_certain_counts_against_a_statement() {
    let mut scene = Scene::new(&[
        "on: statement\naction: deny\nwhen: role = 'admin' and has(relations, 'shop.cards')\n",
        "on: statement\naction: deny\nwhen: has(relations, 'shop.customers')\nunless: end_user = 'anna'\n",
    ]);
    scene.allowed("select * from shop.cards").await;
    scene.allowed("select * from shop.customers /* user='anna' */").await;
    scene.denied("select * from shop.customers /* user='ben' */").await;
    scene.allowed("set role admin").await;
    scene.denied("select * from shop.cards").await;
    scene.allowed("select * from shop.customers /* user='anna' */").await;
    scene.allowed("set app.\"user\" = 'ben'").await;
    scene.denied("select * from shop.customers /* user='anna' */").await;
}

#[tokio::test]
async fn a_permit_and_a_window_are_asked_of_the_engine() {
    let permits = "- { id: OPS-1, db_user: clerk, relations: [shop.cards], persons_max: 10, \
                   from: 1970-01-01T00:00Z, until: 1970-01-02T00:00Z }";
    let mut scene = Scene::with_permits(
        &["on: statement\naction: deny\nwhen: level = 'sensitive'\nunless: permit is not null\n"],
        permits,
    );
    scene.allowed("select number from shop.cards").await;
    scene.denied("select number from shop.cards, shop.customers").await;
    let counted = "on: statement\naction: deny\nwhen: has(relations, 'shop.cards')\nwindow: { by: [db_user], within: 1h, count: true, above: 2 }\n";
    let mut scene = Scene::new(&[counted]);
    for seq in 1..=2 {
        scene.allowed("select number from shop.cards").await;
        let mut ended = Statement {
            db_user: Some("clerk".into()),
            relations: Some([Text::from("shop.cards")].into()),
            ..Statement::default()
        };
        ended.common.seq = seq;
        ended.common.at = Timestamp(1_000_000);
        scene.engine.lock().statement(&mut ended);
    }
    scene.denied("select number from shop.cards").await;
}

#[tokio::test]
async fn only_sessions_that_a_policy_can_concern_ask() {
    let here = "on: statement\naction: deny\nwhen: db_user = 'clerk' and hour >= 0 and has(relations, 'x.y')\n";
    let scene = Scene::new(&[here, "on: progress\naction: cut\nwhen: persons > 5 and database = 'lake'\n"]);
    assert!(scene.guard.concerns(&who("clerk")));
    assert!(!scene.guard.concerns(&who("shop_web")));
    assert!(scene.guard.concerns(&Who { database: Some("lake".to_owned()), ..Who::clone(&who("shop_web")) }));
    // At night too: a session may last.
    let night = Scene::new(&["on: statement\naction: deny\nwhen: hour = 3\nunless: db_user = 'batch'\n"]);
    assert!(night.guard.concerns(&who("clerk")));
    assert!(!night.guard.concerns(&who("batch")));
}

#[tokio::test]
async fn a_result_is_cut_at_the_limit_and_looked_at_when_it_matters() {
    let mut scene = Scene::new(&["on: progress\naction: cut\nwhen: persons > 1000\n"]);
    scene.allowed("select id, email from shop.customers").await;
    assert_eq!(scene.look(1, Some(1)), Going::On { rows: u64::MAX, people: 1_000, bytes: u64::MAX });
    assert!(!is_cut(&scene.look(5_000, Some(1_000))));
    assert!(is_cut(&scene.look(5_000, Some(1_001))));
    // Without a subject on the wire every row is one.
    assert_eq!(scene.look(1, None), Going::On { rows: 1_000, people: u64::MAX, bytes: u64::MAX });
    assert!(is_cut(&scene.look(1_001, None)));
    scene.allowed("select generate_series(1, 100000)").await;
    assert_eq!(scene.look(90_000, None), Going::TO_THE_END);
    // A count of some people says nothing of others in the same rows: each row is one, or as many as are put into it.
    scene.allowed("select a.id, b.email from shop.customers a, shop.customers b").await;
    assert_eq!(scene.look(1, Some(1)), Going::On { rows: 1_000, people: u64::MAX, bytes: u64::MAX });
    assert!(is_cut(&scene.look(1_001, Some(1))));
    scene.allowed("select a.email, b.email from shop.customers a, shop.customers b").await;
    assert_eq!(scene.look(1, None), Going::On { rows: 500, people: u64::MAX, bytes: u64::MAX });
    assert!(is_cut(&scene.look(501, None)));
}

#[tokio::test]
async fn a_window_and_a_permit_move_the_limit() {
    let day = "on: progress\naction: cut\nwhen: persons > 0\nunless: permit is not null\n\
               window: { by: [db_user], within: 24h, sum: persons, above: 100 }\n";
    let permits = "- { id: OPS-1, db_user: clerk, relations: [shop.cards], persons_max: 500, \
                   from: 1970-01-01T00:00Z, until: 1970-01-02T00:00Z }";
    let mut scene = Scene::with_permits(&[day], permits);
    let mut ended = Statement { db_user: Some("clerk".into()), persons: Some(70), ..Statement::default() };
    ended.common.at = Timestamp(500_000);
    scene.engine.lock().statement(&mut ended);
    scene.allowed("select id, email from shop.customers").await;
    assert_eq!(scene.look(1, Some(1)), Going::On { rows: u64::MAX, people: 30, bytes: u64::MAX });
    assert!(is_cut(&scene.look(31, Some(31))));
    // Covered up to the permit's number.
    scene.allowed("select customer_id, number from shop.cards").await;
    assert!(!is_cut(&scene.look(400, Some(400))));
    assert!(!is_cut(&scene.look(500, Some(500))));
    assert!(is_cut(&scene.look(501, Some(501))));
}

/// A stream has no rows to speak of: it is looked at when so many bytes have flowed.
#[tokio::test]
async fn a_stream_is_cut_at_its_bytes_told_or_not() {
    let gigabyte = "on: progress\naction: cut\nwhen: kind = 'replication' and bytes_out > 1000000000\n";
    let day = "on: progress\naction: cut\nwhen: kind = 'replication'\n\
               window: { by: [db_user], within: 24h, sum: bytes_out, above: 3000 }\n";
    let mut scene = Scene::new(&[gigabyte]);
    scene.allowed("START_REPLICATION SLOT s 0/0").await;
    assert_eq!(scene.look_at(1, None, 100, 0), Going::On { rows: u64::MAX, people: u64::MAX, bytes: 1_000_000_000 });
    assert!(is_cut(&scene.look_at(9, None, 1_000_000_001, 999_000_000)));
    scene.allowed("select 1").await;
    assert_eq!(scene.look_at(1, None, 2_000_000_000, 0), Going::TO_THE_END);
    // What an instalment has told is in the window, and counts once.
    let mut scene = Scene::new(&[day]);
    let mut told = Statement { db_user: Some("clerk".into()), bytes_out: Some(2_000), ..Statement::default() };
    told.kind = Some(crate::record::Kind::Replication);
    told.common.at = Timestamp(500_000);
    scene.engine.lock().statement(&mut told);
    scene.allowed("START_REPLICATION SLOT s 0/0").await;
    assert_eq!(scene.look_at(1, None, 2_500, 2_000), Going::On { rows: u64::MAX, people: u64::MAX, bytes: 3_000 });
    assert!(is_cut(&scene.look_at(1, None, 3_001, 2_000)));
}

#[tokio::test]
async fn a_result_that_was_never_asked_about_is_taken_for_somebody_s() {
    let mut scene = Scene::new(&["on: progress\naction: cut\nwhen: persons > 10 and kind = 'select'\n"]);
    scene.no = 5;
    assert!(is_cut(&scene.look(11, None)));
}

#[test]
fn where_policies_are_observed_or_only_alert_there_is_no_guard() {
    let never = || Err(io::Error::other("nobody needs it"));
    let observed = PolicySet { mode: Mode::Observe, ..set(&[CARDS], "[]") };
    assert!(Guard::new(&observed, never).expect("not opened").is_none());
    let alerting = set(&["on: statement\naction: alert\nwhen: persons > 5\n"], "[]");
    assert!(Guard::new(&alerting, never).expect("not opened").is_none());
}

/// Renamed and read in one transaction: the catalog knows nothing of it, and the name of before is what is judged.
#[tokio::test]
async fn a_name_that_was_changed_a_moment_ago_is_judged_as_what_it_was() {
    let denies = "on: statement\naction: deny\nwhen: kind = 'select' and has(relations, 'shop.cards')\n";
    let mut scene = Scene::new(&[denies]);
    scene.allowed("begin").await;
    scene.allowed("select number from shop.receipts").await;
    scene.allowed("alter table shop.cards rename to receipts").await;
    scene.denied("select number from shop.receipts").await;
    scene.denied("select count(*) from shop.cards").await;
    scene.allowed("select number from shop.other").await;
    // Again, and to another schema; and under a name that another has had.
    scene.allowed("alter table shop.receipts set schema other").await;
    scene.allowed("alter table other.receipts rename to slips").await;
    scene.denied("select 1 from other.slips").await;
    scene.allowed("alter table shop.products rename to slips; alter table shop.slips rename to items").await;
    scene.denied("select 1 from other.slips").await;
    scene.allowed("select 1 from shop.items").await;
    // However often no transaction is open: the catalog has not been read since.
    scene.is_settled = true;
    for _ in 0..3 {
        scene.denied("select 1 from other.slips").await;
    }
    let prepared = scene.ask(Message::Parse, "p", "select number from other.slips").await;
    assert!(prepared.is_some());
}

#[tokio::test]
async fn what_changes_a_name_and_reads_by_it_in_one_query_is_denied() {
    let denies = "on: statement\naction: deny\nwhen: level = 'sensitive' and kind = 'select'\n";
    let mut scene = Scene::new(&[denies]);
    for text in [
        "alter table shop.cards rename to c; select max(number) from shop.c",
        "alter table shop.cards rename column number to n; select n from shop.cards",
        "alter table shop.cards rename number to a; alter table shop.cards rename a to b; select b || '' from shop.cards",
        "create view shop.v as select number as n from shop.cards; select n from shop.v",
        "create table shop.copy as select number from shop.cards; select number from shop.copy",
        "insert into shop.kept (a) select number from shop.cards; select a from shop.kept",
    ] {
        Scene::new(&[denies]).denied(text).await;
    }
    scene.allowed("alter table shop.products rename column title to n; select n from shop.products").await;
    scene.allowed("create table shop.copy as select id from shop.cards; select id from shop.copy").await;
}

#[tokio::test]
async fn too_many_changed_names_may_be_anything() {
    let denies = "on: statement\naction: deny\nwhen: kind = 'select' and has(relations, 'shop.cards')\n";
    let mut scene = Scene::new(&[denies]);
    for number in 0..1_025 {
        scene.allowed(&format!("alter table shop.t{number} rename to u{number}")).await;
    }
    scene.denied("select 1 from shop.v").await;
}
