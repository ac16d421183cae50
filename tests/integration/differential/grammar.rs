//! What a client may say: scripts made at random of messages that are right, wrong in their content, or wrong in their place.
//!
//! In: [`Dice`]. Out: a [`Script`]. Source: PostgreSQL manual, "Message Formats". A script may do anything to the tables `t` and
//! `u` of its database; it names nothing that differs between two servers in the same state.

use super::dice::Dice;
use crate::support::wire::{self, message};

/// Most messages of a script, before its end.
const MESSAGES_MAX: usize = 40;
/// Sizes of pieces that are chosen for a script; they come round again.
const CUTS: usize = 64;

/// What the tables of both databases are to be at first.
pub const SET_UP: &str = "create table t (id int primary key, v text); create table u (a int, b float8, c bytea);
    insert into t select i, repeat('v', i % 50) from generate_series(1, 100) i;
    create function noisy() returns int language plpgsql as $$ begin raise notice 'noise'; return 1; end $$;
    create function failing() returns int language plpgsql as $$ begin raise exception 'told %', 'so'; end $$;
    create procedure ends() language plpgsql as $$ begin commit; rollback; end $$";

const STATEMENTS: [&str; 62] = [
    "select 1",
    "select * from t where id < 4 order by id",
    "select id, v, id + 1 as next, null as nothing from t order by id limit 7",
    "select * from t where false",
    "select from t limit 3",
    "select repeat('x', 70000)",
    "select repeat('long ', 2000), i from generate_series(1, 30) i",
    "select i from generate_series(1, 3000) i",
    "select 1/0",
    "select i, 10 / (5 - i) from generate_series(1, 9) i",
    "select nothing",
    "selec",
    "",
    "/* nothing */",
    "-- nothing\n",
    "select 'ü', U&'\\00e9'",
    "insert into t values (1000, 'x'), (1001, null) on conflict do nothing",
    "insert into t values (1000, 'x') returning *",
    "update t set v = v || 'w' where id between 2 and 5",
    "update t set v = 'same' where id < 9 returning id, v",
    "delete from t where id > 500",
    "delete from t where id = 42 returning v",
    "with gone as (delete from u returning a) select count(*) from gone",
    "merge into u using t on u.a = t.id when not matched and t.id < 4 then insert values (t.id, 1.5, '\\x00ff')",
    "select * from u order by a, b",
    "values (1, 'a'), (2, 'b')",
    "begin",
    "begin read only",
    "start transaction isolation level serializable",
    "commit",
    "rollback",
    "commit and chain",
    "savepoint s",
    "rollback to s",
    "release s",
    "select noisy()",
    "select failing()",
    "do $$ begin raise notice 'from do'; end $$",
    "call ends()",
    "set application_name = 'other'",
    "set client_encoding = 'LATIN1'",
    "reset client_encoding",
    "set datestyle = 'German'",
    "set local timezone = 'Asia/Tokyo'",
    "show application_name",
    "reset all",
    "discard all",
    "deallocate all",
    "close all",
    "prepare p1 as select $1::int + 1",
    "execute p1(4)",
    "deallocate p1",
    "declare c cursor for select id from t order by id",
    "declare h scroll cursor with hold for select id from t where id < 9 order by id",
    "fetch 3 from c",
    "fetch backward 2 from h",
    "move all in h",
    "listen channel",
    "notify channel, 'heard'",
    "explain (costs off) select * from t where id = 3",
    "create temp table temp_one as select i from generate_series(1, 5) i",
    "truncate u",
];

const COPIES: [&str; 9] = [
    "copy (select * from t order by id) to stdout",
    "copy (select id, v from t where id < 20 order by id) to stdout (format csv, header)",
    "copy (select * from t order by id) to stdout (format binary)",
    "copy u from stdin",
    "copy u from stdin (format csv)",
    "copy u (a, b) from stdin (format binary)",
    "copy no_such_table from stdin",
    "copy (select 1/(i-5) from generate_series(1, 9) i) to stdout",
    "copy u from stdin; select 'after'",
];

const PARAMETRISED: [&str; 8] = [
    "select $1::int",
    "select id, v from t where id < $1 order by id",
    "insert into u (a, c) values ($1, $2)",
    "select $1::text, $2::float8, $3::bytea",
    "update t set v = $2 where id = $1",
    "select $1 + 'x'",
    "select * from t where v = any($1)",
    "copy u from stdin",
];

const NAMES: [&str; 5] = ["", "", "", "a", "b"];
/// Both mean the same to the server, which tells names apart by 63 bytes.
const LONG: [&str; 2] = [
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn1",
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn2",
];
/// A cursor that SQL declares is a portal too.
const CURSORS: [&str; 2] = ["c", "h"];

/// How a script ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With Terminate, out of everything that was open.
    Goodbye,
    /// The client ends its side, in the middle of a message or between two.
    HalfClose,
    /// With a message of a type that no client has: the server ends the session with a FATAL.
    UnknownType,
    /// With a length that the server refuses: it ends the session without a word.
    WrongLength,
}

/// What a client says in one session.
#[derive(Clone, Debug)]
pub struct Script {
    /// What comes after the StartupMessage, without `last`.
    pub bytes: Vec<u8>,
    /// What ends the session by force; said in one piece, because the server reads no further than its beginning.
    pub last: Vec<u8>,
    /// How it ends.
    pub end: End,
    /// The sizes of the pieces that `bytes` is said in, over and over again.
    pub cuts: Vec<usize>,
}

/// A script.
pub fn script(dice: &mut Dice) -> Script {
    let mut bytes = Vec::new();
    let style = dice.below(4);
    for _ in 0..dice.below(MESSAGES_MAX) {
        match style {
            0 => bytes.extend(simple(dice)),
            1 => bytes.extend(unit(dice)),
            2 => bytes.extend(if dice.once_in(2) { simple(dice) } else { unit(dice) }),
            _ => bytes.extend(any(dice)),
        }
    }
    let end = dice.pick(&[
        End::Goodbye,
        End::Goodbye,
        End::Goodbye,
        End::Goodbye,
        End::HalfClose,
        End::UnknownType,
        End::WrongLength,
    ]);
    let mut last = Vec::new();
    match end {
        End::Goodbye => bytes.extend(epilogue()),
        End::HalfClose if dice.once_in(2) && !bytes.is_empty() => bytes.truncate(dice.below(bytes.len())),
        End::HalfClose => {}
        End::UnknownType => last = message(dice.pick(b"yGZ\0\xff"), &dice.bytes(20)),
        End::WrongLength => {
            let (kind, length) = dice.pick(&[
                (b'Q', 3_u32),
                (b'S', 0),
                (b'B', 0x4000_0000),
                (b'd', u32::MAX),
                (b'E', 1 << 30),
                (b'X', 2),
            ]);
            last = [&[kind][..], &length.to_be_bytes()].concat();
        }
    }
    let cuts = cuts(dice);
    Script { bytes, last, end, cuts }
}

/// Down to one byte.
fn cuts(dice: &mut Dice) -> Vec<usize> {
    let most = dice.pick(&[2, 8, 100, 2_000, 100_000]);
    (0..CUTS).map(|_| 1 + dice.below(most)).collect()
}

/// Out of a COPY, out of an error, out of a transaction, out.
fn epilogue() -> Vec<u8> {
    [wire::message(b'f', b"end\0"), wire::sync(), wire::sync(), wire::query("rollback"), wire::terminate()].concat()
}

/// A Query, and what it may need besides.
fn simple(dice: &mut Dice) -> Vec<u8> {
    if dice.once_in(4) {
        let mut bytes = wire::query(dice.pick(&COPIES));
        (0..dice.below(5)).for_each(|_| bytes.extend(copy_data(dice)));
        bytes.extend(copy_end(dice));
        return bytes;
    }
    let texts: Vec<&str> = (0..1 + dice.below(4)).map(|_| dice.pick(&STATEMENTS)).collect();
    match dice.below(20) {
        0 => message(b'Q', texts.join(";").as_bytes()),
        1 => message(b'Q', &[texts.join(";").as_bytes(), b"\0more\0"].concat()),
        2 => message(b'Q', b"select '\xff\xfe'\0"),
        3 => function_call(dice),
        _ => wire::query(&texts.join("; ")),
    }
}

/// Parse to Sync, most of it in the order in which drivers say it.
fn unit(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..1 + dice.below(3) {
        let (statement, portal) = (name(dice), name(dice));
        if !dice.once_in(4) {
            bytes.extend(parse(dice, statement));
        }
        if dice.once_in(3) {
            bytes.extend(wire::describe(b'S', statement));
        }
        bytes.extend(bind(dice, portal, statement));
        if dice.once_in(2) {
            bytes.extend(wire::describe(b'P', portal));
        }
        for _ in 0..1 + dice.below(2) {
            bytes.extend(wire::execute(portal, rows_max(dice)));
        }
        if dice.once_in(3) {
            bytes.extend(extra(dice));
        }
    }
    if !dice.once_in(8) {
        bytes.extend(wire::sync());
    }
    bytes
}

/// Any message.
fn any(dice: &mut Dice) -> Vec<u8> {
    match dice.below(12) {
        0 => simple(dice),
        1 | 2 => {
            let statement = name(dice);
            parse(dice, statement)
        }
        3 | 4 => {
            let (statement, portal) = (name(dice), name(dice));
            bind(dice, portal, statement)
        }
        5 | 6 => wire::execute(name(dice), rows_max(dice)),
        7 | 8 => wire::sync(),
        _ => extra(dice),
    }
}

fn extra(dice: &mut Dice) -> Vec<u8> {
    match dice.below(9) {
        0 => wire::flush(),
        1 => wire::close(dice.pick(b"SP"), name(dice)),
        2 => wire::describe(dice.pick(b"SP"), name(dice)),
        3 => copy_data(dice),
        4 => copy_end(dice),
        // A target that is none, a name without its end, a body with something behind.
        5 => message(dice.pick(b"DC"), dice.pick(&[&b"X\0"[..], b"", b"Sno end", b"P\0behind"])),
        6 => message(dice.pick(b"EPBF"), &dice.bytes(40)),
        7 => message(dice.pick(b"SH"), b"body"),
        _ => wire::sync(),
    }
}

fn name(dice: &mut Dice) -> &'static str {
    match dice.below(16) {
        0 => dice.pick(&LONG),
        1 => dice.pick(&CURSORS),
        2 => "no such name",
        _ => dice.pick(&NAMES),
    }
}

fn rows_max(dice: &mut Dice) -> u32 {
    dice.pick(&[0, 0, 0, 1, 2, 5, 1000, u32::MAX])
}

fn parse(dice: &mut Dice, name: &str) -> Vec<u8> {
    let text = match dice.below(4) {
        0 => dice.pick(&PARAMETRISED),
        1 if dice.once_in(3) => dice.pick(&COPIES),
        _ => dice.pick(&STATEMENTS),
    };
    match dice.below(12) {
        0 => wire::parse(name, "select 1; select 2"),
        // Declared types, the last of which does not exist.
        1 => message(b'P', &[name.as_bytes(), b"\0", text.as_bytes(), b"\0\0\x02\0\0\0\x17\0\x0f\xff\xff"].concat()),
        // More types than there are.
        2 => message(b'P', &[name.as_bytes(), b"\0", text.as_bytes(), b"\0\x7f\xff\0\0\0\x17"].concat()),
        _ => wire::parse(name, text),
    }
}

fn bind(dice: &mut Dice, portal: &str, statement: &str) -> Vec<u8> {
    let values: [Option<&[u8]>; 6] =
        [None, Some(b"5"), Some(b"50"), Some(b"not a number"), Some(b"\0\0\0\x09"), Some(b"")];
    let parameters: Vec<Option<&[u8]>> = (0..dice.below(4)).map(|_| dice.pick(&values)).collect();
    let mut body = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0"].concat();
    let formats = |dice: &mut Dice, body: &mut Vec<u8>| {
        let codes = dice.pick(&[&[][..], &[], &[0], &[1], &[0, 1], &[7], &[1, 1, 0]]);
        body.extend(u16::try_from(codes.len()).expect("few").to_be_bytes());
        codes.iter().for_each(|code: &u16| body.extend(code.to_be_bytes()));
    };
    formats(dice, &mut body);
    let count = if dice.once_in(12) { 4_000 } else { parameters.len() };
    body.extend(u16::try_from(count).expect("few").to_be_bytes());
    for parameter in parameters {
        let length = parameter.map_or(-1, |value| i32::try_from(value.len()).expect("short"));
        // A length that leads out of the message; a negative one that is not NULL's.
        let length = if dice.once_in(30) { dice.pick(&[i32::MAX, -2, 1_000]) } else { length };
        body.extend(length.to_be_bytes());
        body.extend(parameter.unwrap_or_default());
    }
    formats(dice, &mut body);
    if dice.once_in(20) {
        body.truncate(dice.below(body.len()));
    } else if dice.once_in(20) {
        body.push(0);
    }
    message(b'B', &body)
}

fn copy_data(dice: &mut Dice) -> Vec<u8> {
    let whole: [&[u8]; 7] = [
        b"1\t2.5\t\\\\x01\n",
        b"7\t\\N\t\\N\n",
        b"1,2.5,\n",
        b"1\t2",
        b"\\.\n",
        b"no number\n",
        b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0",
    ];
    match dice.below(8) {
        0 => message(b'd', &dice.bytes(300)),
        1 => message(b'd', &b"3\t4\t\\N\n".repeat(2_000)),
        _ => message(b'd', dice.pick(&whole)),
    }
}

fn copy_end(dice: &mut Dice) -> Vec<u8> {
    match dice.below(6) {
        0 => message(b'f', b"the client gave up\0"),
        1 => message(b'f', b"no end"),
        2 => wire::sync(),
        3 => [wire::flush(), wire::message(b'c', b"")].concat(),
        _ => message(b'c', b""),
    }
}

fn function_call(dice: &mut Dice) -> Vec<u8> {
    let bodies: [&[u8]; 5] = [
        // int4pl(2, 3) in binary.
        &[0, 0, 0, 177, 0, 1, 0, 1, 0, 2, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 3, 0, 1],
        // With NULL: strict.
        &[0, 0, 0, 177, 0, 1, 0, 1, 0, 2, 0, 0, 0, 4, 0, 0, 0, 2, 255, 255, 255, 255, 0, 1],
        // No such function.
        &[0, 15, 66, 63, 0, 0, 0, 0, 0, 0],
        // Cut off.
        &[0, 0, 0, 177, 0, 1],
        &[0, 0],
    ];
    message(b'F', dice.pick(&bodies))
}
