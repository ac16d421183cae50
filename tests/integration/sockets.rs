//! The options of TCP on both legs, as the system shows them, and what they do.

use std::time::{Duration, Instant};

use crate::support::server::{SUPERUSER, database, shared};
use crate::support::through::Through;
use crate::support::wire::{self, Client};

/// Both ends at which the data plane sits, from `/proc/net/tcp`: (its port, the other's port, timer).
fn timers(ports: [u16; 2]) -> Vec<(u16, u16, u8)> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux");
    let port = |field: &str| u16::from_str_radix(field.split(':').nth(1)?, 16).ok();
    let lines = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let timer = fields.get(5)?.split(':').next()?.parse().ok()?;
        (fields.get(3) == Some(&"01")).then_some((port(fields[1])?, port(fields[2])?, timer))
    });
    lines.filter(|(own, other, _)| own == &ports[0] || other == &ports[1]).collect()
}

/// 2 is the keepalive timer (`get_tcp4_sock`): it runs on a connection that is idle, where keepalive is on.
#[test]
fn keepalive_runs_on_both_legs() {
    const KEEPALIVE: u8 = 2;
    let through = Through::start();
    let listening: u16 = through.address().rsplit_once(':').unwrap().1.parse().unwrap();
    let mut client = Client::session(&through.address(), SUPERUSER, &database());
    client.say(&wire::query("select 1"));
    client.hear_until_ready(2);
    std::thread::sleep(Duration::from_millis(200));
    let found = timers([listening, shared().port()]);
    let clients: Vec<_> = found.iter().filter(|(own, ..)| *own == listening).collect();
    assert_eq!(clients.len(), 1, "{found:?}");
    assert_eq!(clients[0].2, KEEPALIVE, "{found:?}");
    let servers: Vec<_> = found.iter().filter(|(_, other, _)| *other == shared().port()).collect();
    assert!(servers.iter().any(|(.., timer)| *timer == KEEPALIVE), "{found:?}");
}

/// Linux ends with TCP_USER_TIMEOUT also the connection of a client that is there and does not read; without it, as PostgreSQL has it
/// unless asked, such a client may take its time.
#[test]
fn a_client_that_does_not_read_is_given_up_where_a_user_timeout_is_set_and_there_alone() {
    const ROWS: usize = 400_000;
    let name = database();
    let wait = Duration::from_secs(4);
    for user_timeout in [Some(Duration::from_millis(500)), None] {
        let through = Through::before(shared(), |config| config.listen_user_timeout = user_timeout);
        let mut client = Client::session(&through.address(), SUPERUSER, &name);
        client.say(&wire::query(&format!("select repeat('x', 100) from generate_series(1, {ROWS})")));
        std::thread::sleep(wait);
        client.heard.clear();
        let started = Instant::now();
        match user_timeout {
            Some(_) => {
                let heard = client.hear_to_the_end();
                let rows = wire::messages(&heard).iter().filter(|message| message.0 == b'D').count();
                assert!(rows < ROWS, "it was not given up");
            }
            None => {
                client.hear_until_ready(1);
                assert_eq!(wire::messages(&client.heard).iter().filter(|message| message.0 == b'D').count(), ROWS);
            }
        }
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}
