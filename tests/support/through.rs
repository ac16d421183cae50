//! The data plane in this process, before a real server, with a real intake journal behind it.
//!
//! It runs on threads of its own, so that a test may block on the programs that go through it.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mitsuke::audit::{self, Entry, Intake, IntakeReader};
use mitsuke::clock::Clock;
use mitsuke::demo::Postgres;
use mitsuke::proxy::{Address, Config, Gate, Gates, Proxy, Stage, Subjects};
use mitsuke::quarantine::Quarantines;
use mitsuke::session::{Event, SharedSubjectColumns};
use tokio::sync::watch;

use super::server::{self, SUPERUSER};

/// How long the journal may be silent before it has told everything.
const SILENCE: Duration = Duration::from_millis(200);

/// A running data plane.
pub struct Through {
    /// Where it listens.
    pub addresses: Vec<Address>,
    /// What may deny and cut: nothing, until a test loads a gate.
    pub gates: Gates,
    stop: watch::Sender<bool>,
    thread: Option<thread::JoinHandle<()>>,
    reader: Option<IntakeReader>,
    folder: tempfile::TempDir,
}

impl Through {
    /// Before the shared server, on a free port.
    pub fn start() -> Through {
        Through::before(server::shared(), |_| {})
    }

    /// Before this server, with another configuration than usual.
    pub fn before(server: &Postgres, configure: impl FnOnce(&mut Config)) -> Through {
        let mut config = Config {
            listen: vec![tcp("127.0.0.1:0")],
            upstream: tcp(&server::address(server)),
            drain_timeout: Duration::from_secs(5),
            ..Config::default()
        };
        configure(&mut config);
        Through::with(config, SharedSubjectColumns::default())
    }

    /// Before the shared server, with a gate in force from the start, and the same subject columns for every database.
    pub fn gated(gate: impl Gate + 'static, subjects: SharedSubjectColumns) -> Through {
        Through::gated_before(server::shared(), gate, subjects)
    }

    /// The same before this server.
    pub fn gated_before(server: &Postgres, gate: impl Gate + 'static, subjects: SharedSubjectColumns) -> Through {
        let config = Config {
            listen: vec![tcp("127.0.0.1:0")],
            upstream: tcp(&server::address(server)),
            drain_timeout: Duration::from_secs(5),
            ..Config::default()
        };
        let through = Through::with(config, subjects);
        through.gates.load(Some(Box::new(gate)));
        through
    }

    /// With this configuration, and the same subject columns for every database.
    pub fn with(config: Config, subjects: SharedSubjectColumns) -> Through {
        let gates = Gates::default();
        let (folder, stage, reader) = stage(subjects, gates.clone());
        // On a thread of its own: a test may have a runtime already.
        let bind = move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            let runtime = runtime.expect("a runtime");
            let proxy = runtime.block_on(async { Proxy::bind(config, stage) }).expect("a free port");
            (runtime, proxy)
        };
        let (runtime, proxy) = thread::spawn(bind).join().expect("it binds");
        let addresses = proxy.addresses().to_vec();
        let (stop, stopped) = watch::channel(false);
        let thread = thread::spawn(move || runtime.block_on(proxy.serve(stopped)));
        Through { addresses, gates, stop, thread: Some(thread), reader: Some(reader), folder }
    }

    /// `host:port` of the first address.
    pub fn address(&self) -> String {
        self.addresses[0].to_string()
    }

    /// A connection string for the superuser.
    pub fn url(&self, database: &str) -> String {
        self.url_as(SUPERUSER, database)
    }

    /// A connection string for a user, `name` or `name:password`.
    pub fn url_as(&self, user: &str, database: &str) -> String {
        format!("postgresql://{user}@{}/{database}", self.address())
    }

    /// Tells it to stop, and does not wait.
    pub fn tell_to_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Stops it; returns when every session is over, with everything that the journal holds.
    pub fn stop(mut self) -> Vec<Event> {
        self.tell_to_stop();
        self.thread.take().expect("it runs").join().expect("no panic in the data plane");
        let mut reader = self.reader.take().expect("it was not taken");
        let mut events = Vec::new();
        while let Some((_, entry)) = reader.next(SILENCE).expect("a readable journal") {
            match entry {
                Entry::Event(event) => events.push(event),
                Entry::Gap(gap) => panic!("the journal has a gap: {gap:?}"),
            }
        }
        events
    }
}

/// What `Proxy::bind` says of a configuration that it refuses. Within a runtime.
pub fn bind_error(config: Config) -> String {
    let (_folder, stage, _reader) = stage(SharedSubjectColumns::default(), Gates::default());
    Proxy::bind(config, stage).expect_err("it is to be refused").to_string()
}

/// The same in every database, from the beginning to the end.
struct Always(SharedSubjectColumns);

impl Subjects for Always {
    fn version(&self) -> u64 {
        0
    }

    fn of(&self, _database: &str) -> SharedSubjectColumns {
        self.0.clone()
    }
}

fn stage(subjects: SharedSubjectColumns, gates: Gates) -> (tempfile::TempDir, Stage, IntakeReader) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = audit::Config {
        path: folder.path().join("log"),
        key_file: folder.path().join("key"),
        signing_key: folder.path().join("signing.key"),
        durability: audit::Durability::Process,
        store: None,
        when_unwritable: audit::WhenUnwritable::Block,
        flush: Duration::from_secs(600),
        retention: audit::Retention::default(),
    };
    let (intake, reader) = Intake::open(&log, "test").expect("a new journal");
    let quarantines = Quarantines::default();
    let stage = Stage { intake, subjects: Arc::new(Always(subjects)), clock: Clock::system(), gates, quarantines };
    (folder, stage, reader)
}

impl Drop for Through {
    fn drop(&mut self) {
        self.tell_to_stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// `host:port` as an address.
pub fn tcp(text: &str) -> Address {
    Address::Tcp(text.to_owned())
}
