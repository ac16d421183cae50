//! A ticket shop's database: schema, made-up people, roles with what their work needs.
//!
//! In: the throwaway server and passwords. Out: the database `shop`, the same on every machine. Loaded by COPY in about
//! a second.

pub mod dice;
mod people;

use std::fmt::Write;
use std::io::Cursor;

use futures_util::SinkExt;
use tokio_postgres::{Client, NoTls};

use self::dice::Dice;
use self::people::Person;
use super::Error;

/// How many customers there are.
pub const CUSTOMERS: u32 = 20_000;
/// How many orders there are before the day begins.
pub const ORDERS: u32 = 40_000;
/// How many events tickets are sold for.
pub const EVENTS: u32 = 120;
const VENUES: u32 = 12;
const SEED: u64 = 0x6d_6974_7375_6b65;
/// The database's name.
pub const DATABASE: &str = "shop";

/// Who may log in to the shop's database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The web shop's pool.
    ShopWeb,
    /// A person at the counter.
    Clerk,
    /// Nightly work.
    Batch,
    /// The back office's pages.
    Backoffice,
    /// The sidecar's own view of the catalog.
    Catalog,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 5] = [Role::ShopWeb, Role::Clerk, Role::Batch, Role::Backoffice, Role::Catalog];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Role::ShopWeb => "shop_web",
            Role::Clerk => "clerk",
            Role::Batch => "batch",
            Role::Backoffice => "backoffice",
            Role::Catalog => "mitsuke_catalog",
        }
    }
}

/// Makes the database on a server where `superuser` connects, with these roles and passwords.
pub async fn build(superuser: &tokio_postgres::Config, password: impl Fn(Role) -> String) -> Result<(), Error> {
    let server = connect(superuser).await?;
    server.batch_execute(&format!("create database {DATABASE}")).await?;
    for role in Role::ALL {
        // The passwords are our own hexadecimal digits: nothing to quote.
        let create = format!("create role {} login password '{}'", role.name(), password(role));
        server.batch_execute(&create).await?;
    }
    let shop = connect(superuser.clone().dbname(DATABASE)).await?;
    shop.batch_execute(include_str!("files/schema.sql")).await?;
    fill(&shop).await?;
    shop.batch_execute(include_str!("files/indexes.sql")).await?;
    shop.batch_execute(include_str!("files/roles.sql")).await?;
    Ok(())
}

/// Connects and lets the connection run beside; it ends with the client.
pub async fn connect(config: &tokio_postgres::Config) -> Result<Client, Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move {
        // An error of the connection reaches the client's next call.
        let _ = connection.await;
    });
    Ok(client)
}

async fn fill(shop: &Client) -> Result<(), Error> {
    let mut dice = Dice::new(SEED);
    for (table, rows) in [
        ("customers", customers(&mut dice)),
        ("members", members(&mut dice)),
        ("cards", cards(&mut dice)),
        ("venues", venues()),
        ("events", events(&mut dice)),
        ("orders", orders(&mut dice)),
    ] {
        let sink = shop.copy_in(&format!("copy shop.{table} from stdin")).await?;
        let mut sink = std::pin::pin!(sink);
        sink.send(Cursor::new(rows.into_bytes())).await?;
        sink.finish().await?;
    }
    Ok(())
}

/// One line of COPY's text format; every value here is free of tabs, line ends and backslashes.
macro_rules! line {
    ($rows:expr, $($value:expr),+ $(,)?) => {{
        let mut separator = "";
        $( let _ = write!($rows, "{separator}{}", $value); separator = "\t"; )+
        let _ = separator;
        $rows.push('\n');
    }};
}

const NULL: &str = "\\N";

fn customers(dice: &mut Dice) -> String {
    let mut rows = String::new();
    for id in 1..=CUSTOMERS {
        let person = Person::new(id, dice);
        line!(
            rows,
            id,
            person.name,
            person.kana.as_deref().unwrap_or(NULL),
            person.email,
            person.phone,
            person.address,
            person.birth_date,
            person.my_number.as_deref().unwrap_or(NULL),
            past_date(dice),
        );
    }
    rows
}

fn members(dice: &mut Dice) -> String {
    let mut rows = String::new();
    for customer in (1..=CUSTOMERS).filter(|id| id % 5 < 3) {
        let tier = dice.pick(&["blue", "blue", "blue", "silver", "silver", "gold"]);
        line!(rows, customer, tier, dice.below(9_000), past_date(dice));
    }
    rows
}

fn cards(dice: &mut Dice) -> String {
    let mut rows = String::new();
    for (id, customer) in (1..=CUSTOMERS).filter(|id| id % 4 != 0).enumerate() {
        let brand = dice.pick(&["visa", "mastercard", "jcb", "amex"]);
        let token = format!("tok_test_{:016x}", dice.below(u64::MAX));
        let expires = format!("{}-{:02}-01", 2027 + dice.below(5), 1 + dice.below(12));
        line!(rows, id + 1, customer, brand, token, format!("{:04}", dice.below(10_000)), expires);
    }
    rows
}

fn venues() -> String {
    const NAMES: [(&str, &str); 4] = [
        ("Castle Gate Hall", "Tokyo"),
        ("Moat Theatre", "Osaka"),
        ("Watchtower Live", "Nagoya"),
        ("見附ホール", "Sapporo"),
    ];
    let mut rows = String::new();
    for (id, (name, city)) in (1..=VENUES).zip(NAMES.iter().cycle()) {
        line!(rows, id, format!("{name} {id}"), city, 300 * id);
    }
    rows
}

fn events(dice: &mut Dice) -> String {
    const KINDS: [&str; 6] =
        ["Spring Jazz", "夏祭りライブ", "Symphony No. 9", "Kabuki Night", "Rock the Moat", "落語会"];
    let mut rows = String::new();
    for id in 1..=EVENTS {
        let title = format!("{} #{id}", dice.pick(&KINDS));
        let starts = format!("2027-{:02}-{:02} 18:30+09", 1 + dice.below(12), 1 + dice.below(28));
        line!(rows, id, 1 + dice.below_u32(VENUES), title, starts, 1_000 * (3 + dice.below(12)));
    }
    rows
}

fn orders(dice: &mut Dice) -> String {
    let mut rows = String::new();
    for id in 1..=ORDERS {
        let seats = 1 + dice.below(4);
        let status = dice.pick(&["paid", "sent", "sent", "sent", "cancelled"]);
        let total = seats * 1_000 * (3 + dice.below(12));
        let at = format!("{} {:02}:{:02}+09", past_date(dice), dice.below(24), dice.below(60));
        line!(rows, id, 1 + dice.below_u32(CUSTOMERS), 1 + dice.below_u32(EVENTS), seats, total, status, at);
    }
    rows
}

/// Some day of the years before the play.
fn past_date(dice: &mut Dice) -> String {
    format!("{}-{:02}-{:02}", 2021 + dice.below(5), 1 + dice.below(12), 1 + dice.below(28))
}

#[cfg(test)]
mod tests;
