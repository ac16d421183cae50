//! The built-in policies before what does no harm: pgbench, the statements of PostgreSQL's own regression suite, an ORM's day, the demo's ordinary weeks. None of them says
//! more than that a table was dropped or emptied. Each prints how many findings it raised, and of how many statements.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mitsuke::record::{Finding, Severity, Statement};

use crate::support::programs::{pgbench, program, psql, python, run};
use crate::support::server;
use crate::support::sidecar::{Sidecar, mitsuke, records};
use crate::support::wait_for;

#[test]
fn pgbench_raises_nothing_above_low() {
    let name = server::database();
    let mut sidecar = Sidecar::start("");
    let url = sidecar.url(&name);
    pgbench(&url, &["-i", "-s", "1", "-q"]).expect_success();
    for protocol in ["simple", "extended", "prepared"] {
        pgbench(&url, &["-t", "200", "-c", "2", "-M", protocol]).expect_success();
    }
    wait_for("its statements", || {
        let updates = sidecar
            .records::<Statement>()
            .iter()
            .filter(|one| one.kind.is_some_and(|kind| kind.as_str() == "update"))
            .count();
        (updates >= 3 * 200 * 2 * 3).then_some(())
    });
    sidecar.stop();
    assert_quiet("pgbench", &sidecar.log(), &[]);
}

/// Three weeks of a shop, weekends and mistyped passwords among them; and the day after them, on which it is known what is usual.
#[test]
fn the_demo_s_ordinary_weeks_raise_nothing_above_low() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let demo = folder.path().join("demo");
    let mut command = mitsuke();
    command.args(["demo", "--once", "--weeks", "3", "--folder"]).arg(&demo);
    let said = run(command, b"").expect_success();
    assert!(said.contains("21 ordinary days first; then "), "{said}");
    let (statements, findings) = (records::<Statement>(&demo.join("log")), records::<Finding>(&demo.join("log")));
    let last = statements.iter().map(|one| one.common.at).max().expect("statements");
    // The last day's first statement of the shop is at nine, its last at a quarter to twelve at night.
    let (of_the_day, before): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|one| last.micros_since(one.common.at) < 15 * 3_600_000_000);
    let ordinary = statements.iter().filter(|one| last.micros_since(one.common.at) >= 15 * 3_600_000_000).count();
    assert!(ordinary > 12_000, "{ordinary}");
    hold_quiet("the demo's ordinary weeks", ordinary, &before, &[]);
    // Where the system has one loopback address, everybody comes from there.
    let is_told = |policy: &&str| *policy != "first-address" || mitsuke::demo::play::seat::has_addresses();
    let policies = ["first-address", "first-application", "unusual-hour-read", "unusual-day", "bulk-personal-read"];
    for policy in policies.into_iter().filter(is_told) {
        let of_the_insider = |one: &Finding| &*one.policy == policy && one.db_user.as_deref() == Some("clerk");
        assert!(of_the_day.iter().any(of_the_insider), "{policy} is not told of the insider");
    }
}

/// Prints what was found, by policy, and holds that nothing of it is above low, but for what is `right` to be found.
#[track_caller]
fn assert_quiet(what: &str, log: &Path, right: &[&str]) {
    hold_quiet(what, records::<Statement>(log).len(), &records::<Finding>(log), right);
}

#[track_caller]
fn hold_quiet(what: &str, statements: usize, findings: &[Finding], right: &[&str]) {
    let mut by_policy = BTreeMap::new();
    for finding in findings {
        *by_policy.entry(finding.policy.to_string()).or_insert(0_u32) += 1;
    }
    let rate = findings.len() as f64 * 100_000.0 / statements.max(1) as f64;
    println!("{what}: {} findings of {statements} statements, {rate:.0} of 100,000: {by_policy:?}", findings.len());
    let loud: Vec<String> = findings
        .iter()
        .filter(|finding| finding.severity > Some(Severity::Low) && !right.contains(&&*finding.policy))
        .map(|finding| format!("{}: {}", finding.policy, finding.explanation.as_deref().unwrap_or_default()))
        .collect();
    assert!(loud.is_empty(), "{what}: {loud:#?}");
}

/// Files of the suite that do what applications do; the others make roles and functions, change settings and break things on purpose.
const REGRESSION: [&str; 22] = [
    "boolean",
    "varchar",
    "text",
    "int4",
    "int8",
    "numeric",
    "strings",
    "date",
    "timestamp",
    "interval",
    "create_table",
    "insert",
    "select",
    "select_distinct",
    "select_having",
    "subselect",
    "union",
    "case",
    "join",
    "aggregates",
    "window",
    "update",
];

#[test]
fn statements_of_the_regression_suite_raise_nothing_above_low() {
    let Some(folder) = sources() else {
        println!("not run: no sources of PostgreSQL; tests/postgres_regress.sh fetches them");
        return;
    };
    let name = server::database();
    let mut sidecar = Sidecar::start("");
    let play = |url: &str, file: &str| {
        let mut command = program("psql");
        command.args(["-X", "-q", "-d", url, "-f"]).arg(folder.join("sql").join(format!("{file}.sql")));
        command.env("PG_ABS_SRCDIR", &folder).env("PG_LIBDIR", "/nowhere");
        command.env("PG_DLSUFFIX", ".so").env("PG_ABS_BUILDDIR", "/nowhere");
        // Errors are part of it.
        run(command, b"");
    };
    // The administrator's part, which opens the schema to everybody.
    play(&server::direct(server::shared(), &name), "test_setup");
    REGRESSION.iter().for_each(|file| play(&sidecar.url(&name), file));
    sidecar.stop();
    assert!(sidecar.records::<Statement>().len() > 2_000);
    // update.sql drops the row-level policies that it made: that is what the policy is for.
    assert_quiet("the regression suite's statements", &sidecar.log(), &["protection-switched-off"]);
}

/// The newest suite in the cache.
fn sources() -> Option<PathBuf> {
    #[allow(clippy::disallowed_methods, reason = "where the cache lies")]
    let home = std::env::var_os("HOME")?;
    let versions = std::fs::read_dir(Path::new(&home).join(".cache/mitsuke/postgres-sources")).ok()?;
    let folders = versions.flatten().map(|version| version.path().join("source/src/test/regress"));
    folders.filter(|folder| folder.join("sql").is_dir()).max()
}

/// What a service does all day, by SQLAlchemy: looked up one by one, lists with pages, relationships loaded each way, written, taken back.
const ORM: &str = r#"
import sys, datetime, random
from sqlalchemy import create_engine, select, func, ForeignKey, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload, joinedload

random.seed(7)
class Base(DeclarativeBase): pass
class Customer(Base):
    __tablename__ = "customers"; __table_args__ = {"schema": "shop"}
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]; email: Mapped[str]; phone: Mapped[str]; address: Mapped[str]
    birth_date: Mapped[datetime.date]; created_on: Mapped[datetime.date]
    orders: Mapped[list["Order"]] = relationship(back_populates="customer")
class Event(Base):
    __tablename__ = "events"; __table_args__ = {"schema": "shop"}
    id: Mapped[int] = mapped_column(primary_key=True)
    venue_id: Mapped[int]; title: Mapped[str]; starts_at: Mapped[datetime.datetime]; price_yen: Mapped[int]
class Order(Base):
    __tablename__ = "orders"; __table_args__ = {"schema": "shop"}
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("shop.customers.id")); event_id: Mapped[int] = mapped_column(ForeignKey("shop.events.id"))
    seats: Mapped[int]; total_yen: Mapped[int]; status: Mapped[str]; ordered_at: Mapped[datetime.datetime]
    customer: Mapped[Customer] = relationship(back_populates="orders"); event: Mapped[Event] = relationship()

engine = create_engine(sys.argv[1].replace("postgresql://", "postgresql+psycopg://"), connect_args={"application_name": "ticket-shop"}, pool_size=3)
now = datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.timezone.utc)
for request in range(400):
    with Session(engine) as session:
        customer = session.get(Customer, random.randint(1, 60))
        for order in session.scalars(select(Order).where(Order.customer_id == customer.id).options(joinedload(Order.event)).limit(10)): order.event.title
        if request % 5 == 0:
            session.add(Order(customer_id=customer.id, event_id=random.randint(1, 5), seats=2, total_yen=9000, status="paid", ordered_at=now))
            session.commit()
        if request % 7 == 0:
            session.scalars(select(Event).order_by(Event.starts_at).limit(10).offset(request % 3 * 10)).all()
            session.scalar(select(func.count()).select_from(Order).where(Order.status == "paid"))
        if request % 50 == 0:
            for one in session.scalars(select(Customer).where(Customer.id.in_([1, 2, 3])).options(selectinload(Customer.orders))): len(one.orders)
        if request % 40 == 0:
            order = session.scalars(select(Order).order_by(Order.id.desc()).limit(1)).first()
            if order: order.status = "sent"; session.flush()
            session.rollback()
with Session(engine) as session:
    session.execute(text("select 1")); session.commit()
engine.dispose()
"#;

#[test]
fn an_orm_s_day_raises_nothing_above_low() {
    let name = server::database();
    let admin = server::direct(server::shared(), &name);
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo/files");
    let schema = std::fs::read_to_string(demo.join("schema.sql")).expect("the demo's schema");
    psql(&admin, &schema).expect_success();
    let user = format!("{name}_web");
    for sql in [
        format!("create role {user} login; grant usage on schema shop to {user}; grant select, insert, update on all tables in schema shop to {user}"),
        "insert into shop.venues values (1, 'Hall', 'Tokyo', 900);          insert into shop.events select n, 1, 'Event ' || n, '2026-12-01', 4500 from generate_series(1, 30) n"
            .to_owned(),
        "insert into shop.customers (id, name, email, phone, address, birth_date, created_on) select n, 'Name ' || n, 'n' || n || '@example.test',          '0', 'x', '1990-01-01', '2026-01-01' from generate_series(1, 60) n"
            .to_owned(),
    ] {
        psql(&admin, &sql).expect_success();
    }
    let policies = tempfile::tempdir().expect("a temporary folder");
    copy_tree(&Path::new(env!("CARGO_MANIFEST_DIR")).join("policies"), policies.path());
    std::fs::copy(demo.join("classification.yaml"), policies.path().join("classification.yaml")).expect("the demo's");
    let more = format!(
        "[catalog]\nurl = \"{admin}\"\n[bypass]\nwatch = \"off\"\n[policies]\npath = \"{}\"\n",
        policies.path().display()
    );
    let mut sidecar = Sidecar::start(&more);
    python(&sidecar.url_as(&user, &name), ORM).expect_success();
    sidecar.stop();
    let people: u64 = sidecar.records::<Statement>().iter().filter_map(|one| one.persons).sum();
    assert!(people > 400, "it did read people: {people}");
    assert_quiet("SQLAlchemy", &sidecar.log(), &[]);
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("it can be made");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true => copy_tree(&path, &target),
            false => drop(std::fs::copy(&path, &target).expect("it can be copied")),
        }
    }
}
