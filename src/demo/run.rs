//! The demo from curtain to curtain: server, shop, sidecar, play, figures, report; then, if asked to stay, a sidecar to try.
//!
//! In: a [`Wish`]. Out: how it ended. Everything but the folder is gone afterwards, also after Ctrl-C.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::signal::unix::{SignalKind, signal};

use super::commentary::Commentary;
use super::folder::Folder;
use super::play::day::Day;
use super::play::{Play, Played, seat};
use super::postgres::{SUPERUSER, installed};
use super::shop::{self, CUSTOMERS, DATABASE, Role};
use super::summary::Summary;
use super::{Auth, Error, Options, Postgres};
use crate::app::{self, Running};
use crate::clock::Clock;
use crate::config::Config;
use crate::policy::holiday;
use crate::proxy::Address;
use crate::record::Finding;

/// Findings that may wait for the terminal.
const FINDINGS_QUEUE_MAX: usize = 1_024;
/// Of a generated password.
const PASSWORD_BYTES: usize = 12;

/// What is wished for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// End after the play.
    pub once: bool,
    /// Ordinary weeks that pass before the day.
    pub weeks: u16,
    /// Where configuration, log and report go.
    pub folder: PathBuf,
}

/// How a demo ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The insider was found, and every figure of the log confirmed by the database.
    Found,
    /// Not so.
    Missed,
    /// Somebody ended it before it was over.
    Interrupted,
}

/// Plays the demo.
///
/// # Errors
/// PostgreSQL missing, the folder somebody else's, the sidecar or the play failing.
pub async fn run(wish: &Wish) -> Result<Ending, Error> {
    let signals =
        |kind| signal(kind).map_err(|source| Error::Io { doing: "cannot listen to", path: "signals".into(), source });
    let (mut interrupt, mut terminate) = (signals(SignalKind::interrupt())?, signals(SignalKind::terminate())?);
    let stopped = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::pin!(stopped);
    let mut theatre = tokio::select! {
        theatre = Theatre::open(wish) => theatre?,
        () = &mut stopped => return Ok(Ending::Interrupted),
    };
    let ending = tokio::select! {
        ending = theatre.play() => ending?,
        () = &mut stopped => return Ok(Ending::Interrupted),
    };
    if !wish.once {
        let running = theatre.stay().await?;
        stopped.await;
        running.stop().await.map_err(sidecar)?;
    }
    Ok(ending)
}

/// Where it is played.
struct Theatre {
    folder: Folder,
    postgres: Postgres,
    superuser: tokio_postgres::Config,
    passwords: Passwords,
    before: Vec<(Day, bool)>,
    day: Day,
    config: Config,
    commentary: Commentary,
}

/// One for each role of this demo; they end with it.
struct Passwords(Vec<(Role, String)>);

impl Passwords {
    fn of(&self, role: Role) -> String {
        self.0.iter().find(|(of, _)| *of == role).map(|(_, password)| password.clone()).unwrap_or_default()
    }
}

impl Theatre {
    async fn open(wish: &Wish) -> Result<Theatre, Error> {
        let commentary = Commentary::new();
        let folder = Folder::claim(&wish.folder)?;
        commentary.heading("A throwaway PostgreSQL, and a ticket shop in it");
        let passwords =
            Passwords(Role::ALL.into_iter().map(|role| Ok((role, password()?))).collect::<Result<_, Error>>()?);
        let root = password()?;
        let options = Options { auth: Auth::Scram(root.clone()), ..Options::default() };
        let start = tokio::task::spawn_blocking(move || Postgres::start(&options));
        let postgres = start.await.map_err(|_| Error::Unexpected("the server's start did not end"))??;
        let mut superuser = tokio_postgres::Config::new();
        superuser.host("127.0.0.1").port(postgres.port()).user(SUPERUSER).password(root).dbname(SUPERUSER);
        shop::build(&superuser, |role| passwords.of(role)).await?;
        superuser.dbname(DATABASE);
        commentary.line(&format!(
            "PostgreSQL on port {}, {CUSTOMERS} made-up customers; both go when this ends.",
            postgres.port()
        ));

        let is_holiday = |date| holiday::is_holiday(date) == Some(true);
        let day = Day::before(Clock::system().now(), is_holiday);
        let before = day.weeks_before(wish.weeks, is_holiday);
        let catalog = Role::Catalog.name();
        let url =
            format!("postgres://{catalog}:{}@127.0.0.1:{}/{DATABASE}", passwords.of(Role::Catalog), postgres.port());
        let config = folder.write(&day, postgres.port(), &url)?;
        Ok(Theatre { folder, postgres, superuser, passwords, before, day, config, commentary })
    }

    async fn play(&mut self) -> Result<Ending, Error> {
        let clock = Clock::system();
        clock.set(self.before.first().map_or(&self.day, |(day, _)| day).at(0));
        let (running, address, findings) = self.sidecar(self.config.clone(), clock.clone()).await?;
        self.commentary.line(&format!("Mitsuke before it, on {address}."));
        if !seat::has_addresses() {
            self.commentary
                .line("This system has no other loopback address than 127.0.0.1: everybody comes from there.");
        }
        if !self.before.is_empty() {
            self.commentary.heading(&format!(
                "{} ordinary days first; then {}",
                self.before.len(),
                self.day.in_words()
            ));
        } else {
            self.commentary.heading(&format!("{}, played in seconds", self.day.in_words()));
        }
        let played = Play {
            server: address,
            before: &self.before,
            day: &self.day,
            clock: &clock,
            password: &|role| self.passwords.of(role),
            say: &|at, text| {
                self.commentary.act(&self.day, at, text);
                thread::sleep(self.commentary.reading_time());
            },
        };
        let played = played.run().await;
        // Whether or not the play went well: what was taken in is logged.
        running.stop().await.map_err(sidecar)?;
        let _ = findings.join();
        self.figures(&played?).await
    }

    /// Starts a sidecar, and a thread that tells findings as they come.
    async fn sidecar(
        &self,
        config: Config,
        clock: Clock,
    ) -> Result<(Running, SocketAddr, thread::JoinHandle<()>), Error> {
        let (sender, receiver) = sync_channel(FINDINGS_QUEUE_MAX);
        let (commentary, day) = (self.commentary.clone(), self.day.clone());
        let tell = move |findings: Receiver<Finding>| {
            findings.into_iter().for_each(|finding| commentary.finding(&day, &finding))
        };
        let findings = thread::spawn(move || tell(receiver));
        let running = app::start(config, clock, Some(sender)).await.map_err(sidecar)?;
        let address = running.addresses.iter().find_map(|address| match address {
            Address::Tcp(text) => text.parse().ok(),
            Address::Unix(_) => None,
        });
        Ok((running, address.ok_or(Error::Unexpected("the sidecar listens nowhere"))?, findings))
    }

    async fn figures(&self, played: &Played) -> Result<Ending, Error> {
        let database = shop::connect(&self.superuser).await?;
        let summary = Summary::new(&self.folder.log(), &played.tally, &self.day, &database).await?;
        self.commentary.heading("What the log holds");
        summary.lines().iter().for_each(|line| self.commentary.line(line));
        let (found, confirmed) =
            (summary.insider_found(), summary.is_confirmed() && played.copied == summary.customers);
        if found {
            let policies = summary.insider_policies.join(", ");
            let people = summary.insider_people;
            self.commentary.bad(&format!(
                "The insider: clerk, from {}, read {people} people at once ({policies}).",
                seat::INSIDER.seen_as()
            ));
        } else {
            self.commentary.bad("The insider was not found.");
        }
        match confirmed {
            true => self.commentary.good(&format!(
                "Every figure is confirmed by the database: shop.customers has {} rows.",
                summary.customers
            )),
            false => self.commentary.bad("The database does not confirm these figures."),
        }
        self.next_steps().await?;
        Ok(if found && confirmed { Ending::Found } else { Ending::Missed })
    }

    /// Writes the week's report, where this build can.
    #[cfg(feature = "query")]
    async fn report(&self) -> Result<(), Error> {
        let log = self.folder.log();
        let week = self.day.week().parse().map_err(|_| Error::Unexpected("the day has no week"))?;
        let said = |error: &dyn std::fmt::Display| Error::Log(error.to_string());
        let engine = crate::query::Engine::open(&log).map_err(|error| said(&error))?;
        let heads = crate::audit::heads(engine.place()).map_err(|error| said(&error))?;
        let policies = crate::policy::load(&self.config.policies).map_err(|faults| said(&faults))?;
        let announced = (&*policies.permits, Clock::system().now());
        let report = crate::report::build(&engine, week, announced, heads).await.map_err(|error| said(&error))?;
        let page = report.html(&log.display().to_string(), crate::alert::Lang::En).map_err(|error| said(&error))?;
        let path = self.folder.report();
        std::fs::write(&path, page).map_err(Error::io("cannot write", &path))?;
        self.commentary.heading("The report");
        self.commentary.line(&path.display().to_string());
        Ok(())
    }

    async fn next_steps(&self) -> Result<(), Error> {
        #[cfg(feature = "query")]
        self.report().await?;
        let (mitsuke, log) = (own_name(), quoted(&self.folder.log().display().to_string()));
        self.commentary.heading("What an auditor would type next");
        self.commentary
            .line(&format!("{mitsuke} query \"select db_user, sum(persons) from statements group by 1\" --log {log}"));
        self.commentary.line(&format!("{mitsuke} report --week {} --format text --log {log}", self.day.week()));
        self.commentary.line(&format!("{mitsuke} policy list"));
        Ok(())
    }

    /// Stays, at the present time: for somebody to try.
    async fn stay(&self) -> Result<Running, Error> {
        let (running, address, _) = self.sidecar(self.config.clone(), Clock::system()).await?;
        let psql = self.postgres.bin("psql");
        let psql =
            if installed::on_path("psql").is_some() { "psql".to_owned() } else { quoted(&psql.display().to_string()) };
        self.commentary.heading("Try it; findings come here. Ctrl-C ends it.");
        self.commentary.line(&format!(
            "PGPASSWORD={} {psql} -h {} -p {} -U {} {DATABASE} -c 'table shop.customers'",
            self.passwords.of(Role::Clerk),
            Ipv4Addr::LOCALHOST,
            address.port(),
            Role::Clerk.name()
        ));
        Ok(running)
    }
}

fn sidecar(error: anyhow::Error) -> Error {
    Error::Sidecar(format!("{error:#}"))
}

fn password() -> Result<String, Error> {
    let mut bytes = [0_u8; PASSWORD_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Unexpected("the system gives no random bytes"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// How to call this binary: by its name where PATH leads to it, else by its path.
fn own_name() -> String {
    let Ok(own) = std::env::current_exe() else { return "mitsuke".to_owned() };
    let named = installed::on_path("mitsuke").and_then(|path| std::fs::canonicalize(path).ok());
    if named.as_ref() == Some(&own) { "mitsuke".to_owned() } else { quoted(&own.display().to_string()) }
}

/// For a shell: as it is, or in single quotes.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_change_is_quoted() {
        assert_eq!(quoted("/usr/bin/psql-15"), "/usr/bin/psql-15");
        assert_eq!(quoted("/a b/it's"), r"'/a b/it'\''s'");
    }

    #[test]
    fn passwords_differ() {
        assert_ne!(password().unwrap(), password().unwrap());
    }
}
