//! A client that says exactly the bytes it is told to, cut where it is told to, and keeps every byte it hears.
//!
//! Messages are as in the manual, "Message Formats".

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::PATIENCE;
use super::tls::{Authority, Channel, handshake};

/// A message with a type byte.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(length(body.len()));
    bytes.extend(body);
    bytes
}

fn length(body_bytes: usize) -> [u8; 4] {
    u32::try_from(body_bytes + 4).expect("a message of a test is small").to_be_bytes()
}

/// A packet without a type byte.
pub fn packet(code: u32, rest: &[u8]) -> Vec<u8> {
    let mut bytes = length(4 + rest.len()).to_vec();
    bytes.extend(code.to_be_bytes());
    bytes.extend(rest);
    bytes
}

/// StartupMessage, protocol 3.0.
pub fn startup(user: &str, database: &str) -> Vec<u8> {
    packet(196_608, format!("user\0{user}\0database\0{database}\0application_name\0raw\0\0").as_bytes())
}

/// SSLRequest.
pub fn ssl_request() -> Vec<u8> {
    packet(80_877_103, b"")
}

/// GSSENCRequest.
pub fn gss_request() -> Vec<u8> {
    packet(80_877_104, b"")
}

/// Query.
pub fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &text(sql))
}

/// Parse, without parameter types.
pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', &[text(name), text(sql), vec![0, 0]].concat())
}

/// Bind with text parameters, results in text.
pub fn bind(portal: &str, statement: &str, parameters: &[Option<&str>]) -> Vec<u8> {
    let mut body = [text(portal), text(statement), vec![0, 0]].concat();
    body.extend(u16::try_from(parameters.len()).expect("few").to_be_bytes());
    for parameter in parameters {
        match parameter {
            None => body.extend((-1_i32).to_be_bytes()),
            Some(value) => {
                body.extend(u32::try_from(value.len()).expect("short").to_be_bytes());
                body.extend(value.as_bytes());
            }
        }
    }
    body.extend([0, 0]);
    message(b'B', &body)
}

/// Describe of a portal (`P`) or statement (`S`).
pub fn describe(what: u8, name: &str) -> Vec<u8> {
    message(b'D', &[vec![what], text(name)].concat())
}

/// Close of a portal (`P`) or statement (`S`).
pub fn close(what: u8, name: &str) -> Vec<u8> {
    message(b'C', &[vec![what], text(name)].concat())
}

/// Execute; 0 rows: all.
pub fn execute(portal: &str, rows_max: u32) -> Vec<u8> {
    message(b'E', &[text(portal), rows_max.to_be_bytes().to_vec()].concat())
}

/// Sync.
pub fn sync() -> Vec<u8> {
    message(b'S', b"")
}

/// Flush.
pub fn flush() -> Vec<u8> {
    message(b'H', b"")
}

/// Terminate.
pub fn terminate() -> Vec<u8> {
    message(b'X', b"")
}

fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

/// The connection.
#[derive(Debug)]
pub struct Client {
    stream: Channel,
    /// Everything heard so far.
    pub heard: Vec<u8>,
}

impl Client {
    /// Connects to `host:port`.
    pub fn connect(address: &str) -> Client {
        let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        stream.set_nodelay(true).expect("a TCP socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        Client { stream: Channel::Plain(stream), heard: Vec::new() }
    }

    /// Goes on over TLS; what was heard is forgotten.
    pub fn encrypt(self, authority: &Authority, alpn: &[&str]) -> std::io::Result<Client> {
        let Channel::Plain(stream) = self.stream else { panic!("it is encrypted already") };
        Ok(Client { stream: Channel::Tls(Box::new(handshake(stream, authority, alpn)?)), heard: Vec::new() })
    }

    /// Connects and asks for TLS, as libpq does.
    pub fn over_tls(address: &str, authority: &Authority) -> Client {
        let mut client = Client::connect(address);
        client.say(&ssl_request());
        client.hear_bytes(1);
        assert_eq!(client.heard, b"S");
        client.encrypt(authority, &["postgresql"]).expect("a handshake")
    }

    /// Says over TLS that it will say no more.
    pub fn notify_close(&mut self) {
        if let Channel::Tls(tls) = &mut self.stream {
            tls.conn.send_close_notify();
        }
        self.stream.flush().expect("the other side listens");
    }

    /// Hears until so many bytes are in [`Client::heard`].
    pub fn hear_bytes(&mut self, count: usize) {
        while self.heard.len() < count {
            let before = self.heard.len();
            self.hear_some();
            assert!(self.heard.len() > before, "closed after {before} bytes of {count}");
        }
    }

    /// Connects and comes to the first ReadyForQuery.
    pub fn session(address: &str, user: &str, database: &str) -> Client {
        let mut client = Client::connect(address);
        client.say(&startup(user, database));
        client.hear_until_ready(1);
        client
    }

    /// Says bytes.
    pub fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).expect("the other side listens");
    }

    /// Says bytes, if the other side still listens.
    pub fn try_say(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).and_then(|()| self.stream.flush());
    }

    /// To write from another thread.
    pub fn second_handle(&self) -> TcpStream {
        self.stream.tcp().try_clone().expect("a file descriptor is left")
    }

    /// Ends its own side only.
    pub fn shut_down_writing(&mut self) {
        self.stream.tcp().shutdown(Shutdown::Write).expect("it was open");
    }

    /// Hears until `count` messages of `kind` are whole in [`Client::heard`].
    pub fn hear_until(&mut self, kind: u8, count: usize) {
        while messages(&self.heard).iter().filter(|message| message.0 == kind).count() < count {
            let before = self.heard.len();
            self.hear_some();
            assert!(self.heard.len() > before, "closed before {count} × `{}`: {:?}", kind as char, self.kinds());
        }
    }

    /// Hears until `count` ReadyForQuery in all.
    pub fn hear_until_ready(&mut self, count: usize) {
        self.hear_until(b'Z', count);
    }

    /// Hears until the other side closes, or breaks the connection off.
    pub fn hear_to_the_end(&mut self) -> Vec<u8> {
        loop {
            let before = self.heard.len();
            self.hear_some();
            if self.heard.len() == before {
                return std::mem::take(&mut self.heard);
            }
        }
    }

    /// Hears for a while; true if the other side closed.
    pub fn is_closed_within(&mut self, wait: Duration) -> bool {
        self.stream.tcp().set_read_timeout(Some(wait)).expect("not zero");
        let mut byte = [0; 1];
        let closed = match self.stream.read(&mut byte) {
            Ok(0) => true,
            Ok(_) => {
                self.heard.push(byte[0]);
                false
            }
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        self.stream.tcp().set_read_timeout(Some(PATIENCE)).expect("not zero");
        closed
    }

    /// The types of the messages heard.
    pub fn kinds(&self) -> String {
        messages(&self.heard).iter().map(|message| message.0 as char).collect()
    }

    fn hear_some(&mut self) {
        let mut bytes = [0; 65_536];
        match self.stream.read(&mut bytes) {
            Ok(count) => self.heard.extend(&bytes[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => {}
            Err(error) => panic!("heard {:?}, then: {error}", self.kinds()),
        }
    }
}

/// The whole messages in a server's stream: (type, body).
pub fn messages(mut stream: &[u8]) -> Vec<(u8, &[u8])> {
    let mut found = Vec::new();
    while let [kind, a, b, c, d, rest @ ..] = stream {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let Some(body) = rest.get(..length.saturating_sub(4)) else { break };
        found.push((*kind, body));
        stream = &rest[body.len()..];
    }
    found
}

/// The stream with BackendKeyData's body blanked: it is another one for every connection.
pub fn without_keys(stream: &[u8]) -> Vec<u8> {
    let mut masked = stream.to_vec();
    let mut at = 0;
    for (kind, body) in messages(stream) {
        let end = at + 5 + body.len();
        if kind == b'K' {
            masked[at + 5..end].fill(0);
        }
        at = end;
    }
    masked
}

/// A field of an ErrorResponse's body (manual, "Error and Notice Message Fields").
pub fn field(body: &[u8], code: u8) -> String {
    let fields = body.split(|byte| *byte == 0);
    let found = fields.into_iter().find(|field| field.first() == Some(&code));
    found.map_or_else(String::new, |field| String::from_utf8_lossy(&field[1..]).into_owned())
}

/// (severity, SQLSTATE, message) of the last ErrorResponse in a stream.
pub fn last_error(stream: &[u8]) -> Option<(String, String, String)> {
    let all = messages(stream);
    let body = all.iter().rev().find(|message| message.0 == b'E')?.1;
    Some((field(body, b'V'), field(body, b'C'), field(body, b'M')))
}

/// A stream for a person: types, and the beginning of errors.
pub fn readable(stream: &[u8]) -> Vec<String> {
    let named = messages(stream).into_iter().map(|(kind, body)| match kind {
        b'E' | b'N' => format!("{} {} {}", kind as char, field(body, b'C'), field(body, b'M')),
        b'Z' | b'C' => format!("{} {}", kind as char, String::from_utf8_lossy(body)),
        _ => format!("{} {}", kind as char, body.len()),
    });
    named.collect()
}
