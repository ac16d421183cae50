//! The play against a bare server: it ends, and its tally is what the database says.

use std::sync::Mutex;

use super::*;
use crate::demo::shop::{self, CUSTOMERS, DATABASE};
use crate::demo::{Auth, Options, Postgres};

#[tokio::test]
async fn plays_to_its_end_and_the_insider_gets_everybody() {
    let auth = Auth::Scram("root-of-the-test".to_owned());
    let settings = vec![("log_connections".to_owned(), "on".to_owned())];
    let start = tokio::task::spawn_blocking(|| Postgres::start(&Options { auth, settings, ..Options::default() }));
    let postgres = start.await.unwrap().unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(postgres.port()).dbname("postgres");
    config.user(crate::demo::postgres::SUPERUSER).password("root-of-the-test");
    let password = |role: Role| format!("pw-{}", role.name());
    shop::build(&config, password).await.unwrap();

    let clock = Clock::system();
    let day = Day::before(clock.now(), |_| false);
    let said = Mutex::new(Vec::new());
    let played = Play {
        server: SocketAddr::from(([127, 0, 0, 1], postgres.port())),
        before: &[],
        day: &day,
        clock: &clock,
        password: &password,
        say: &|at, text| said.lock().unwrap().push((at, text.to_owned())),
    };
    let played = played.run().await.unwrap();

    assert_eq!(played.copied, u64::from(CUSTOMERS));
    assert!(said.lock().unwrap().is_sorted_by_key(|(at, _)| *at));
    let database = shop::connect(config.dbname(DATABASE)).await.unwrap();
    let persons = played.tally.persons(&database).await.unwrap();
    assert_eq!(persons[&Role::Batch], u64::from(CUSTOMERS));
    assert!(persons[&Role::Clerk] > u64::from(CUSTOMERS) && persons[&Role::Clerk] < u64::from(CUSTOMERS) + 100);
    assert!(persons[&Role::ShopWeb] < 500 && persons[&Role::Backoffice] < 500, "an ordinary day is small: {persons:?}");
    let log = std::fs::read_to_string(postgres.log_file()).unwrap();
    assert_eq!(log.matches("password authentication failed").count(), 2);
    if seat::has_addresses() {
        assert!(log.contains("host=127.0.0.66"), "the insider comes from an address of its own");
    }
}
