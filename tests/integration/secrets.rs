//! A thousand marked secrets, by every road that a value can take through the sidecar: none is in any file that it wrote, as it is, in
//! hexadecimal, or decoded. And the same values kept where a log is told to keep them, which shows that the test can fail.

use std::fs;
use std::path::{Path, PathBuf};

use mitsuke::audit::Logged;
use mitsuke::record::{Finding, Review, Session, Statement, Transaction};

use crate::support::programs::{self, psql, psql_script};
use crate::support::server::{SUPERUSER, database, direct, shared};
use crate::support::sidecar::{Sidecar, mitsuke};
use crate::support::wire::{Client, execute, message, parse, query, sync};

/// What every secret text begins with, and every secret number.
const TEXT: &str = "zqSecret";
const NUMBER: &str = "7319460";
/// What is no secret.
const APPLICATION: &str = "kept-application";

/// Gives secrets, each another.
#[derive(Default)]
struct Mint(u32);

impl Mint {
    fn text(&mut self) -> String {
        self.0 += 1;
        format!("{TEXT}{:05}", self.0)
    }

    fn number(&mut self) -> i64 {
        self.0 += 1;
        format!("{NUMBER}{:05}", self.0).parse().expect("a number")
    }
}

/// Statements with secrets in them; most of them succeed.
fn statements(mint: &mut Mint) -> Vec<String> {
    let mut all = Vec::new();
    for round in 0..24 {
        all.push(format!(
            "select '{}', {}, e'\\x41{}', $q${}$q$, u&'{}'",
            mint.text(),
            mint.number(),
            mint.text(),
            mint.text(),
            mint.text()
        ));
        all.push(format!(
            "select note from people where note = '{}' or id = {} or id = -{}",
            mint.text(),
            mint.number(),
            mint.number()
        ));
        all.push(format!(
            "insert into people values ({round}, '{}') on conflict (id) do update set note = '{}'",
            mint.text(),
            mint.text()
        ));
        all.push(format!("select 1 /* {} */ -- {}", mint.text(), mint.text()));
        all.push(format!("select 1 /* token='{}', user='kept' */", mint.text()));
        all.push(format!("set shop.token = '{}'", mint.text()));
        all.push(format!("select set_config('shop.other', '{}', false)", mint.text()));
        all.push(format!("set work_mem = '{}'", mint.text()));
        all.push(format!("select '{}'::int", mint.text()));
        all.push(format!("select {}::int", mint.number()));
        all.push(format!("selec '{}' fro {}", mint.text(), mint.number()));
        all.push(format!("select '{}", mint.text()));
        all.push(format!(
            "do $$ begin raise notice '{}'; raise exception '{}' using detail = '{}', hint = '{}'; end $$",
            mint.text(),
            mint.text(),
            mint.text(),
            mint.text()
        ));
        all.push(format!("insert into once values ('{0}'); insert into once values ('{0}')", mint.text()));
        all.push(format!("alter role keeper password '{}'", mint.text()));
        all.push(format!("create role r{round} password '{}'; drop role r{round}", mint.text()));
        all.push(format!("create user mapping for keeper server away options (user 'x', password '{}'); drop user mapping for keeper server away", mint.text()));
        all.push(format!("select dblink_connect('host=x password={}')", mint.text()));
        all.push(format!("select pgp_sym_encrypt('{}', '{}')", mint.text(), mint.text()));
        all.push(format!(
            "prepare p{round} as select '{}', $1::text; execute p{round}('{}')",
            mint.text(),
            mint.text()
        ));
        all.push(format!(
            "begin; declare c cursor for select '{}', note from people; fetch all from c; commit",
            mint.text()
        ));
        all.push(format!("comment on table people is '{}'", mint.text()));
        all.push(format!("create table t{round} (v text default '{}', check (v <> '{}'))", mint.text(), mint.text()));
        all.push(format!("notify shop, '{}'", mint.text()));
        all.push(format!("copy (select '{}') to stdout", mint.text()));
        all.push(format!("explain select '{}'", mint.text()));
    }
    all
}

/// Parse, Bind in text and in binary, Execute.
fn by_extended_protocol(address: &str, name: &str, mint: &mut Mint) {
    let mut client = Client::session(address, SUPERUSER, name);
    for binary in [0_u16, 1] {
        for _ in 0..40 {
            let (text, number) = (mint.text(), mint.number());
            let number = if binary == 1 { number.to_be_bytes().to_vec() } else { number.to_string().into_bytes() };
            let mut body = b"\0\0\0\x01".to_vec();
            body.extend(binary.to_be_bytes());
            body.extend(2_u16.to_be_bytes());
            for value in [text.as_bytes(), &number] {
                body.extend(u32::try_from(value.len()).expect("short").to_be_bytes());
                body.extend(value);
            }
            body.extend([0, 0]);
            let sql = "select note from people where note = $1::text or id = $2::bigint";
            client.say(&[parse("", sql), message(b'B', &body), execute("", 0), sync()].concat());
        }
    }
    client.hear_until_ready(81);
    client.say(&query("select note from people"));
    client.hear_until_ready(82);
}

/// Everything through the sidecar; how many secrets there were.
fn play(sidecar: &Sidecar, name: &str) -> u32 {
    let mut mint = Mint::default();
    let mut client = Client::session(&sidecar.address(), SUPERUSER, name);
    client.say(&query(&format!("set application_name = '{APPLICATION}'")));
    let statements = statements(&mut mint);
    for (number, statement) in statements.iter().enumerate() {
        client.say(&query(statement));
        client.hear_until_ready(number + 3);
    }
    let rows: String = (100..300).map(|id| format!("{id}\t{}\n", mint.text())).collect();
    psql_script(&sidecar.url(name), &format!("copy people from stdin;\n{rows}\\.\n")).expect_success();
    by_extended_protocol(&sidecar.address(), name, &mut mint);
    mint.0
}

fn set_up() -> String {
    let name = database();
    let sql = "create table people (id bigint primary key, note text); create table once (v text unique); comment on column people.note is '@personal';
        create foreign data wrapper nowhere; create server away foreign data wrapper nowhere";
    psql(&direct(shared(), &name), sql).expect_success();
    // The shared server's roles are everybody's.
    psql(&direct(shared(), &name), "create role keeper");
    name
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        match entry.path() {
            path if path.is_dir() => files(&path, found),
            path => found.push(path),
        }
    }
}

/// Where one of so many secrets is, in any file or record.
fn leaks(sidecar: &Sidecar, secrets: u32) -> Vec<String> {
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let needles = [TEXT.to_owned(), NUMBER.to_owned(), hex(TEXT), hex(NUMBER), TEXT.to_lowercase()];
    // A number as a `bigint`, whole: its first bytes are zeros, and three zeros before two random bytes are in every segment.
    let first: i64 = format!("{NUMBER}00000").parse().expect("a number");
    let numbers = first..=first + i64::from(secrets);
    let is_wide = |window: &[u8]| window.try_into().is_ok_and(|bytes| numbers.contains(&i64::from_be_bytes(bytes)));
    let holds = |bytes: &[u8]| {
        needles.iter().any(|needle| bytes.windows(needle.len()).any(|window| window == needle.as_bytes()))
            || bytes.windows(8).any(is_wide)
    };
    assert!(holds(&[&[7; 3][..], &(first + 1).to_be_bytes(), &[0]].concat()) && !holds(&(first - 1).to_be_bytes()));
    let mut leaks = Vec::new();
    let mut all = Vec::new();
    files(sidecar.log().parent().expect("the folder of the log"), &mut all);
    assert!(all.iter().any(|path| path.extension().is_some_and(|extension| extension == "parquet")), "{all:?}");
    for path in all {
        if holds(&fs::read(&path).expect("a file")) {
            leaks.push(path.display().to_string());
        }
    }
    fn records<T: Logged + std::fmt::Debug>(sidecar: &Sidecar) -> Vec<String> {
        sidecar.records::<T>().iter().map(|record| format!("{record:?}")).collect()
    }
    let records = [
        records::<Statement>(sidecar),
        records::<Transaction>(sidecar),
        records::<Session>(sidecar),
        records::<Finding>(sidecar),
        records::<Review>(sidecar),
    ];
    let records = records.concat();
    assert!(records.iter().any(|record| record.contains(APPLICATION)), "the name of an application is kept");
    leaks.extend(records.into_iter().filter(|record| holds(record.as_bytes())));
    leaks
}

#[test]
fn none_of_a_thousand_secrets_is_in_any_file() {
    let name = set_up();
    let catalog = format!("[catalog]\nurl = \"{}\"\n", direct(shared(), &name));
    let mut sidecar = Sidecar::start(&catalog);
    let secrets = play(&sidecar, &name);
    assert!(secrets >= 1_000, "{secrets}");
    // One statement is under way when it is killed, and has been for long.
    let mut running = Client::session(&sidecar.address(), SUPERUSER, &name);
    let slow = format!("set shop.slow = '{TEXT}'; select pg_sleep(60), '{TEXT}' /* token='{TEXT}' */");
    running.say(&query(&slow));
    std::thread::sleep(std::time::Duration::from_secs(4));
    sidecar.kill();
    let mut left = Vec::new();
    files(&sidecar.log(), &mut left);
    for path in &left {
        let bytes = fs::read(path).expect("a file");
        assert!(!bytes.windows(TEXT.len()).any(|window| window == TEXT.as_bytes()), "{}", path.display());
    }
    sidecar.launch();
    sidecar.stop();
    let leaks = leaks(&sidecar, secrets);
    assert!(leaks.is_empty(), "{} leaks, the first: {}", leaks.len(), leaks[0]);
    let statements = sidecar.records::<Statement>();
    let hashed = statements.iter().flat_map(|statement| statement.literals.iter().flat_map(|literals| literals.iter()));
    let hashes: std::collections::HashSet<_> = hashed.collect();
    assert!(hashes.len() > 400 && hashes.iter().all(|hash| hash.len() == 32), "{}", hashes.len());
}

/// The same values, where a log is told to keep or to drop them.
#[test]
fn what_is_kept_and_what_is_dropped_is_as_the_configuration_says() {
    let name = set_up();
    for (literals, is_kept) in [("keep", true), ("drop", false)] {
        let mut sidecar = Sidecar::start(&format!("[privacy]\nliterals = \"{literals}\"\n"));
        let url = sidecar.url(&name);
        psql(&url, &format!("select note from people where note = '{TEXT}1'")).expect_success();
        psql(&url, &format!("select '{TEXT}2'::int"));
        psql(&url, &format!("alter role keeper password '{TEXT}9'")).expect_success();
        sidecar.stop();
        let statements = sidecar.records::<Statement>();
        let all = format!("{statements:?}");
        for kept in ["1", "2"] {
            assert_eq!(all.contains(&format!("{TEXT}{kept}")), is_kept, "{literals}: {kept}");
        }
        assert!(!all.contains(&format!("{TEXT}9")), "{literals}: a password");
        assert_eq!(statements.iter().any(|statement| statement.literals.is_some()), is_kept);
        assert_eq!(
            statements.iter().any(|statement| statement.error.as_deref().is_some_and(|error| error.contains(TEXT))),
            is_kept
        );
    }
}

/// By text, by binary, as a number, as a string: whoever asked for a person is found, also where nothing was returned.
#[test]
fn who_asked_for_a_person_is_found_however_the_key_was_sent() {
    let name = database();
    let set_up = "create table people (id bigint primary key, email text); insert into people select i, 'p' || i from generate_series(1, 9) i;
        create table keys (id uuid primary key, email text)";
    psql(&direct(shared(), &name), set_up).expect_success();
    let policies = tempfile::tempdir().expect("a folder");
    let yaml = "levels: [internal, personal]\ntables:\n  public.people: { subject: id, columns: { email: personal } }\n  public.keys: { subject: id, columns: { email: personal } }\n";
    fs::write(policies.path().join("classification.yaml"), yaml).expect("written");
    let more = format!(
        "[catalog]\nurl = \"{}\"\n[policies]\npath = \"{}\"\n",
        direct(shared(), &name),
        policies.path().display()
    );
    let mut sidecar = Sidecar::start(&more);
    let url = sidecar.url(&name);
    psql(&url, "select email from people where id = 4711; select email from people where id = '4711'; update people set email = 'x' where id = 4711.0").expect_success();
    psql(&url, "prepare p as select count(*) from people where id = $1; execute p(4711)").expect_success();
    psql(&url, "select email from people where id = 4712").expect_success();
    psql(&url, "select email from keys where id = '{0A000000-0000-4000-8000-000000000001}'").expect_success();
    let mut client = Client::session(&sidecar.address(), SUPERUSER, &name);
    for (format, value) in [(0_u8, b"4711".to_vec()), (1, 4711_i64.to_be_bytes().to_vec())] {
        let length = u8::try_from(value.len()).expect("short");
        let body = [&b"\0\0\0\x01\0"[..], &[format], b"\0\x01\0\0\0", &[length], &value, b"\0\0"].concat();
        client.say(
            &[parse("", "select email from people where id = $1"), message(b'B', &body), execute("", 0), sync()]
                .concat(),
        );
    }
    client.hear_until_ready(3);
    drop(client);
    sidecar.stop();
    let asked = |table: &str, key: &str| {
        let told = sidecar.command(["who", table, key]).expect_success();
        assert!(!told.contains("4711"), "{told}");
        told.lines().filter(|line| line.split_whitespace().nth(1) == Some("asked")).count()
    };
    // With another key nobody would be found: that is told.
    let other = policies.path().join("other.key");
    fs::write(&other, "0".repeat(64)).expect("written");
    let mut command = mitsuke();
    command
        .args(["who", "public.people", "4711", "--config"])
        .arg(sidecar.config())
        .env("MITSUKE_PRIVACY__KEY_FILE", &other);
    let ran = programs::run(command, b"");
    assert_eq!(ran.output.status.code(), Some(2));
    assert!(
        ran.err().ends_with(
            "other.key is not the key file that this log was written under; name that one in [privacy].key_file\n"
        ),
        "{}",
        ran.err()
    );
    assert_eq!(asked("public.people", "4711"), 6);
    assert_eq!(asked("public.people", "4712"), 1);
    assert_eq!(asked("public.people", "4713"), 0);
    assert_eq!(asked("public.keys", "0a000000-0000-4000-8000-000000000001"), 1);
}
