//! A throwaway PostgreSQL server.
//!
//! In: [`Options`]. Out: a running server in a temporary folder, on a unix socket there and on a free port of 127.0.0.1.
//! It is stopped and its folder removed when [`Postgres`] is dropped, and also when this process dies in any other way:
//! a shell between us and the server waits for the end of a pipe that only we hold. Blocking; call it from
//! `spawn_blocking` in async code.

mod account;
pub mod installed;
mod kept;

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use self::account::Account;
use super::Error;

/// How long the server may take to accept connections.
const READY_SECONDS_MAX: u64 = 60;
/// How often a port is chosen anew when another process was quicker to take it.
const PORTS_TRIED_MAX: u32 = 5;
/// What the server logs then.
const PORT_TAKEN: &str = "Address already in use";
/// How much of a log goes into an error, bytes.
const SAID_BYTES_MAX: u64 = 1_000;
/// How often the server is looked at while it starts.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The longest temporary folder that leaves room for a socket's name, bytes (`sun_path` is 104 on macOS).
const SOCKET_FOLDER_BYTES_MAX: usize = 60;
/// The superuser that `initdb` makes.
pub const SUPERUSER: &str = "postgres";

/// Variables that would change what PostgreSQL's programs do.
const VARIABLES: [&str; 8] =
    ["PGDATA", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGOPTIONS", "PGSERVICE"];

/// How the server asks who a client is, over socket and TCP alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// It does not: any name goes.
    #[default]
    Trust,
    /// SCRAM-SHA-256; the superuser's password.
    Scram(String),
}

/// What kind of server.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How clients authenticate.
    pub auth: Auth,
    /// Settings besides, or instead of, those of this module: (`log_statement`, `all`).
    pub settings: Vec<(String, String)>,
    /// A folder where a new cluster is kept and copied from, one an installation: `initdb` takes longer than everything else.
    /// Of use with [`Auth::Trust`] only.
    pub kept_clusters: Option<PathBuf>,
}

/// A running throwaway server.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    port: u16,
    watchdog: Child,
    // After the watchdog: dropped last, it removes what the watchdog could not.
    folder: tempfile::TempDir,
}

impl Postgres {
    /// Makes a cluster and starts a server on it; returns when it accepts connections (one to three seconds).
    ///
    /// # Errors
    /// [`Error::NoServer`] where PostgreSQL is not installed; what `initdb` or the server said where they fail.
    pub fn start(options: &Options) -> Result<Postgres, Error> {
        let bin = installed::folder()?;
        for _ in 1..PORTS_TRIED_MAX {
            match Postgres::attempt(&bin, options) {
                Err(Error::Failed { said, .. }) if said.contains(PORT_TAKEN) => {}
                outcome => return outcome,
            }
        }
        Postgres::attempt(&bin, options)
    }

    fn attempt(bin: &Path, options: &Options) -> Result<Postgres, Error> {
        let folder = new_folder()?;
        let account = Account::for_server(folder.path())?;
        if let Some(account) = account {
            account.own(folder.path())?;
        }
        match (&options.kept_clusters, &options.auth) {
            (Some(kept), Auth::Trust) => kept::cluster(kept, bin, folder.path(), account)?,
            _ => initdb(bin, folder.path(), account, &options.auth)?,
        }
        let port = free_port(folder.path())?;
        let watchdog = launch(bin, folder.path(), account, port, &options.settings)?;
        let postgres = Postgres { bin: bin.to_path_buf(), port, watchdog, folder };
        wait_until_ready(postgres.folder.path())?;
        Ok(postgres)
    }

    /// The folder of the unix socket: `host=` of a connection string.
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// The port, on 127.0.0.1 and in the socket's name.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `postgresql://user@127.0.0.1:port/database`, without a password. The superuser is [`SUPERUSER`].
    pub fn url(&self, user: &str, database: &str) -> String {
        format!("postgresql://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// What the server logs.
    pub fn log_file(&self) -> PathBuf {
        self.folder.path().join(LOG)
    }

    /// A program of the same installation (`psql`, `pgbench`, `pg_dump`); by its bare name where it lies elsewhere.
    pub fn bin(&self, program: &str) -> PathBuf {
        let path = self.bin.join(program);
        if path.is_file() { path } else { PathBuf::from(program) }
    }

    /// Stops the server and removes its folder; returns when both are done. Dropping does the same.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // `wait` closes our end of the pipe first: that is the sign.
        let _ = self.watchdog.wait();
    }
}

const DATA: &str = "data";
const LOG: &str = "server.log";
const EXITED: &str = "exited";

fn new_folder() -> Result<tempfile::TempDir, Error> {
    let make = |parent: &Path| {
        let folder = tempfile::Builder::new().prefix("mitsuke-pg-").tempdir_in(parent);
        folder.map_err(Error::io("cannot make a folder in", parent))
    };
    let common = Path::new("/tmp");
    let ours = std::env::temp_dir();
    if ours.as_os_str().len() > SOCKET_FOLDER_BYTES_MAX {
        return make(common);
    }
    let folder = make(&ours)?;
    // Root's own temporary folder may be one that the server's account cannot enter.
    let is_root = Account::for_server(folder.path())?.is_some();
    if is_root && ours != common { make(common) } else { Ok(folder) }
}

fn program(path: PathBuf, folder: &Path, account: Option<Account>) -> Command {
    let mut command = Command::new(path);
    command.current_dir(folder).env("LC_ALL", "C");
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    if let Some(account) = account {
        account.run(&mut command);
    }
    // A group of its own: Ctrl-C is for us, and we decide what it means for the server.
    command.process_group(0);
    command
}

fn initdb(bin: &Path, folder: &Path, account: Option<Account>, auth: &Auth) -> Result<(), Error> {
    let data = folder.join(DATA);
    let mut command = program(bin.join("initdb"), folder, account);
    command.args(["--encoding=UTF8", "--locale=C", "--no-sync", "--username", SUPERUSER, "--pgdata"]).arg(&data);
    let password_file = folder.join("password");
    match auth {
        Auth::Trust => {
            command.arg("--auth=trust");
        }
        Auth::Scram(password) => {
            fs::write(&password_file, password).map_err(Error::io("cannot write", &password_file))?;
            if let Some(account) = account {
                account.own(&password_file)?;
            }
            command.arg("--auth=scram-sha-256").arg("--pwfile").arg(&password_file);
        }
    }
    let output = command.stdin(Stdio::null()).output().map_err(Error::io("cannot run", &bin.join("initdb")))?;
    let _ = fs::remove_file(&password_file);
    if output.status.success() {
        let rules = data.join("pg_hba.conf");
        return fs::write(&rules, admission(auth)).map_err(Error::io("cannot write", &rules));
    }
    Err(Error::Failed { program: "initdb", said: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}

/// `pg_hba.conf`: initdb's own has 127.0.0.1 only, and the whole of 127.0.0.0/8 is this machine.
fn admission(auth: &Auth) -> String {
    let method = match auth {
        Auth::Trust => "trust",
        Auth::Scram(_) => "scram-sha-256",
    };
    let mut rules = String::new();
    for whose in ["all", "replication"] {
        for from in ["local {} all", "host {} all 127.0.0.0/8"] {
            rules.push_str(&format!("{} {method}\n", from.replace("{}", whose)));
        }
    }
    rules
}

fn free_port(folder: &Path) -> Result<u16, Error> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Error::io("no free port for", folder))?;
    Ok(listener.local_addr().map_err(Error::io("no free port for", folder))?.port())
}

fn launch(
    bin: &Path,
    folder: &Path,
    account: Option<Account>,
    port: u16,
    settings: &[(String, String)],
) -> Result<Child, Error> {
    let mut server: Vec<OsString> = vec![bin.join("postgres").into(), "-D".into(), folder.join(DATA).into()];
    let mut set = |name: &str, value: &str| server.extend(["-c".into(), format!("{name}={value}").into()]);
    set("listen_addresses", "127.0.0.1");
    set("port", &port.to_string());
    set("unix_socket_directories", &folder.display().to_string());
    // Nothing here outlives the process: there is nothing to protect from a power failure.
    for setting in ["fsync", "synchronous_commit", "full_page_writes", "logging_collector"] {
        set(setting, "off");
    }
    set("password_encryption", "scram-sha-256");
    for (name, value) in settings {
        set(name, value);
    }
    let log_path = folder.join(LOG);
    let log = fs::OpenOptions::new().create(true).append(true).open(&log_path);
    let log = log.map_err(Error::io("cannot write", &log_path))?;
    let errors = log.try_clone().map_err(Error::io("cannot write", &log_path))?;
    let mut command = program("/bin/sh".into(), folder, account);
    command.args(["-c", include_str!("postgres/watchdog.sh"), "mitsuke-demo-postgres"]).arg(folder).args(server);
    command.stdin(Stdio::piped()).stdout(log).stderr(errors);
    command.spawn().map_err(Error::io("cannot run", Path::new("/bin/sh")))
}

/// The last line of `postmaster.pid` says `ready` once connections are accepted (PostgreSQL's `pg_ctl -w` reads the same).
fn wait_until_ready(folder: &Path) -> Result<(), Error> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(READY_SECONDS_MAX) {
        if folder.join(EXITED).exists() {
            return Err(Error::Failed { program: "postgres", said: log_end(folder) });
        }
        let state = fs::read_to_string(folder.join(DATA).join("postmaster.pid")).unwrap_or_default();
        if state.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
            return Ok(());
        }
        thread::sleep(LOOK_EVERY);
    }
    Err(Error::NotReady { seconds: READY_SECONDS_MAX, said: log_end(folder) })
}

fn log_end(folder: &Path) -> String {
    let mut end = String::new();
    if let Ok(mut file) = fs::File::open(folder.join(LOG)) {
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let _ = file.seek(SeekFrom::Start(length.saturating_sub(SAID_BYTES_MAX)));
        let mut bytes = Vec::new();
        let _ = file.read_to_end(&mut bytes);
        end = String::from_utf8_lossy(&bytes).trim().to_owned();
    }
    end
}

#[cfg(test)]
mod tests;
