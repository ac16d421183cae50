//! The stage: who is connected, and how each act is done.
//!
//! In: acts, in order. Out: statements to the server, and the tally of what they returned.

use futures_util::TryStreamExt;
use tokio_postgres::{Client, Statement};

use super::schedule::{Act, PAGE_ORDERS};
use super::seat::{BATCH, COUNTER, INSIDER, OFFICE, Seat, WEB};
use super::tally::Tally;
use super::{Play, Played};
use crate::clock::Timestamp;
use crate::demo::Error;
use crate::demo::shop::Role;

/// Connections of the web shop.
const POOL: usize = 3;
/// SQLSTATE invalid_password.
const WRONG_PASSWORD: &str = "28P01";

const BROWSE: &str =
    "select id, title, starts_at::text, price_yen from shop.events where venue_id = $1 order by starts_at limit 20";
const SIGN_IN: &str = "select id, name, email, phone, address from shop.customers where id = $1";
const CARD: &str = "select customer_id, brand, last_four from shop.cards where customer_id = $1";
const PRICE: &str = "select price_yen from shop.events where id = $1";
const BUY: &str = "insert into shop.orders (customer_id, event_id, seats, total_yen, status, ordered_at) \
                   values ($1, $2, $3, $4, 'paid', now()) returning id";
const POINTS: &str = "update shop.members set points = points + $2 where customer_id = $1";
const PAGE: &str = "select order_id, ordered_at, status, title, customer_id, name, email from shop.order_list \
                    where order_id > $1 order by order_id limit $2";
const LOOK_UP: &str = "select id, name, name_kana, phone, email, address from shop.customers where id = $1";
const LETTER: &str = "select id, name, email from shop.customers where email is not null";
const COPY_LETTER: &str = "copy (select id, name, email from shop.customers where email is not null) to stdout";
const COPY_EVERYBODY: &str = "copy shop.customers to stdout";
/// What a COPY of the table returns, as a query.
const EVERYBODY: &str = "select * from shop.customers";
/// The column that says whose row it is, in the results above.
const ID: &str = "id";
const CUSTOMER_ID: &str = "customer_id";

/// Who is connected, and what they have read so far.
pub struct Stage<'a> {
    play: &'a Play<'a>,
    tally: Tally,
    web: Vec<WebShop>,
    office: Option<Client>,
    counter: Option<Client>,
    insider: Option<Client>,
    copied: u64,
    turn: usize,
}

/// A connection of the web shop's pool, with the statements that it keeps prepared.
struct WebShop {
    client: Client,
    browse: Statement,
    sign_in: Statement,
}

impl<'a> Stage<'a> {
    /// Nobody is there yet.
    pub fn new(play: &'a Play<'a>) -> Stage<'a> {
        Stage {
            play,
            tally: Tally::default(),
            web: Vec::new(),
            office: None,
            counter: None,
            insider: None,
            copied: 0,
            turn: 0,
        }
    }

    /// What it came to. Whoever is still connected leaves.
    pub fn ended(self) -> Played {
        Played { tally: self.tally, copied: self.copied }
    }

    /// Does one act.
    pub async fn act(&mut self, at: Timestamp, act: &Act) -> Result<(), Error> {
        match *act {
            Act::Say(text) => (self.play.say)(at, text),
            Act::Open => self.open().await?,
            Act::CounterOpens => {
                self.office = Some(self.connect(&OFFICE).await?);
                self.counter = Some(self.connect(&COUNTER).await?);
            }
            Act::CounterCloses => (self.office, self.counter) = (None, None),
            Act::Close => self.web.clear(),
            Act::Browse => self.browse().await?,
            Act::SignIn { customer } => self.sign_in(customer).await?,
            Act::Order { customer, event, seats } => self.order(customer, event, seats).await?,
            Act::Page { after_order } => self.page(after_order).await?,
            Act::LookUp { customer } => {
                if let Some(counter) = &self.counter {
                    look_up(counter, &mut self.tally, customer).await?;
                }
            }
            Act::Mistype(role) => self.mistype(role).await?,
            Act::Letter => {
                let batch = self.connect(&BATCH).await?;
                self.copy(&batch, Role::Batch, COPY_LETTER, LETTER).await?;
            }
            Act::InsiderLooks { customer } => {
                if self.insider.is_none() {
                    self.insider = Some(self.connect(&INSIDER).await?);
                }
                if let Some(insider) = &self.insider {
                    look_up(insider, &mut self.tally, customer).await?;
                }
            }
            Act::InsiderCopies => {
                if let Some(insider) = self.insider.take() {
                    self.copied = self.copy(&insider, Role::Clerk, COPY_EVERYBODY, EVERYBODY).await?;
                }
            }
        }
        Ok(())
    }

    async fn connect(&self, seat: &Seat) -> Result<Client, Error> {
        seat.connect(self.play.server, &(self.play.password)(seat.role)).await
    }

    async fn open(&mut self) -> Result<(), Error> {
        for _ in 0..POOL {
            let client = self.connect(&WEB).await?;
            let (browse, sign_in) = (client.prepare(BROWSE).await?, client.prepare(SIGN_IN).await?);
            self.web.push(WebShop { client, browse, sign_in });
        }
        Ok(())
    }

    /// The next connection of the pool.
    fn web(&mut self) -> Option<&mut WebShop> {
        self.turn = (self.turn + 1) % POOL;
        self.web.get_mut(self.turn)
    }

    async fn browse(&mut self) -> Result<(), Error> {
        let venue = i32::try_from(1 + self.turn).unwrap_or(1);
        let Some(web) = self.web() else { return Ok(()) };
        web.client.query(&web.browse, &[&venue]).await?;
        self.tally.sent(Role::ShopWeb);
        Ok(())
    }

    async fn sign_in(&mut self, customer: i32) -> Result<(), Error> {
        let Some(web) = self.web() else { return Ok(()) };
        web.client.query(&web.sign_in, &[&customer]).await?;
        self.tally.read(Role::ShopWeb, SIGN_IN, &[customer], ID);
        Ok(())
    }

    async fn order(&mut self, customer: i32, event: i32, seats: i16) -> Result<(), Error> {
        let Some(web) = self.web() else { return Ok(()) };
        let transaction = web.client.transaction().await?;
        transaction.query(CARD, &[&customer]).await?;
        let price: i32 = transaction.query_one(PRICE, &[&event]).await?.get(0);
        let total = price * i32::from(seats);
        transaction.query_one(BUY, &[&customer, &event, &seats, &total]).await?;
        transaction.execute(POINTS, &[&customer, &(total / 100)]).await?;
        transaction.commit().await?;
        self.tally.read(Role::ShopWeb, CARD, &[customer], CUSTOMER_ID);
        // BEGIN, the price, the order, the points, COMMIT.
        for _ in 0..5 {
            self.tally.sent(Role::ShopWeb);
        }
        Ok(())
    }

    async fn page(&mut self, after_order: i32) -> Result<(), Error> {
        let Some(office) = &self.office else { return Ok(()) };
        office.query(PAGE, &[&after_order, &i64::from(PAGE_ORDERS)]).await?;
        self.tally.read(Role::Backoffice, PAGE, &[after_order, PAGE_ORDERS], CUSTOMER_ID);
        Ok(())
    }

    async fn mistype(&self, role: Role) -> Result<(), Error> {
        let seat = if role == Role::Clerk { COUNTER } else { OFFICE };
        let typed = format!("{}x", (self.play.password)(role));
        match seat.connect(self.play.server, &typed).await {
            Err(Error::Sql(error)) if error.code().is_some_and(|code| code.code() == WRONG_PASSWORD) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(Error::Unexpected("the server took a wrong password")),
        }
    }

    /// A COPY, which returns what `query` returns; the lines that arrived.
    async fn copy(&mut self, client: &Client, role: Role, copy: &str, query: &str) -> Result<u64, Error> {
        let lines = client.copy_out(copy).await?;
        let mut lines = std::pin::pin!(lines);
        let mut count = 0;
        while let Some(chunk) = lines.try_next().await? {
            count += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        self.tally.read(role, query, &[], ID);
        Ok(count)
    }
}

/// As a person with a form does it: a simple query with the number in its text.
async fn look_up(client: &Client, tally: &mut Tally, customer: i32) -> Result<(), Error> {
    client.simple_query(&LOOK_UP.replace("$1", &customer.to_string())).await?;
    tally.read(Role::Clerk, LOOK_UP, &[customer], ID);
    Ok(())
}
