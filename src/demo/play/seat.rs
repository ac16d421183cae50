//! A place from which somebody connects: role, password, client address, application.
//!
//! In: where the sidecar (or a server) listens. Out: connections of an ordinary driver.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;
use tokio_postgres::{Client, NoTls};

use crate::demo::Error;
use crate::demo::shop::{DATABASE, Role};

/// One of the places.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Whom it logs in as.
    pub role: Role,
    /// Where it sits.
    pub from: Ipv4Addr,
    /// What it calls itself.
    pub application: &'static str,
}

const fn loopback(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, last)
}

/// The web shop's pool.
pub const WEB: Seat = Seat { role: Role::ShopWeb, from: loopback(10), application: "web-shop" };
/// The back office.
pub const OFFICE: Seat = Seat { role: Role::Backoffice, from: loopback(20), application: "back-office" };
/// The clerk's desk.
pub const COUNTER: Seat = Seat { role: Role::Clerk, from: loopback(30), application: "counter" };
/// The batch.
pub const BATCH: Seat = Seat { role: Role::Batch, from: loopback(40), application: "monthly-letter" };
/// Where the clerk never sat before.
pub const INSIDER: Seat = Seat { role: Role::Clerk, from: loopback(66), application: "psql" };

impl Seat {
    /// Connects to `server` with `password`. Where the system has no such client address (macOS: only 127.0.0.1), it
    /// connects from the one there is.
    pub async fn connect(&self, server: SocketAddr, password: &str) -> Result<Client, Error> {
        let io = |source| Error::Io { doing: "cannot connect to", path: server.to_string().into(), source };
        let socket = TcpSocket::new_v4().map_err(io)?;
        // A refusal means that the address is not this machine's; `has_addresses` says so to the reader.
        let _ = socket.bind(SocketAddr::new(IpAddr::V4(self.from), 0));
        let stream = socket.connect(server).await.map_err(io)?;
        stream.set_nodelay(true).map_err(io)?;
        let mut config = tokio_postgres::Config::new();
        config.user(self.role.name()).password(password).dbname(DATABASE).application_name(self.application);
        let (client, connection) = config.connect_raw(stream, NoTls).await?;
        tokio::spawn(async move {
            // An error of the connection reaches the client's next call.
            let _ = connection.await;
        });
        Ok(client)
    }

    /// The address that the server will see.
    pub fn seen_as(&self) -> Ipv4Addr {
        if has_addresses() { self.from } else { Ipv4Addr::LOCALHOST }
    }
}

/// Whether a client can come from another address of 127.0.0.0/8 than 127.0.0.1.
pub fn has_addresses() -> bool {
    std::net::TcpListener::bind((INSIDER.from, 0)).is_ok()
}
