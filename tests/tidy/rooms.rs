//! The rooms, their order, and which of them are PURE: read from `lib.rs`, checked in every file.

use crate::paths::{Path, paths};
use crate::source::{Source, breach};

/// One `pub mod` of `lib.rs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its name.
    pub name: String,
    /// Whether the comment above it begins with PURE.
    pub pure: bool,
    /// `load` in "PURE but for `load`": the module of it that may do I/O.
    pub but_for: Option<String>,
}

/// The rooms of `src/lib.rs`, in order.
pub fn declared(files: &[Source]) -> Vec<Room> {
    declared_in(files, "src/lib.rs")
}

/// The rooms that a file declares, in order.
pub fn declared_in(files: &[Source], path: &str) -> Vec<Room> {
    let lib = files.iter().find(|file| file.path == path).expect(path);
    let mut rooms = Vec::new();
    let mut comment = "";
    for line in lib.text.lines() {
        if let Some(text) = line.strip_prefix("// ") {
            comment = text;
        } else if let Some(name) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) {
            let but_for = comment.strip_prefix("PURE but for `").and_then(|rest| rest.split('`').next());
            let pure = comment.starts_with("PURE");
            rooms.push(Room { name: name.to_owned(), pure, but_for: but_for.map(str::to_owned) });
            comment = "";
        }
    }
    rooms
}

/// Uses of a room below one's own.
pub fn out_of_order(rooms: &[Room], files: &[Source]) -> Vec<String> {
    let place = |name: &str| rooms.iter().position(|room| room.name == name);
    let mut breaches = Vec::new();
    for file in files {
        let Some(module) = module(&file.path) else { continue };
        let Some(own) = place(&module[0]) else {
            breaches.push(breach(
                &file.path,
                1,
                "belongs to no room",
                "declare it in src/lib.rs, at its place in the order",
            ));
            continue;
        };
        for path in paths(file.code_without_tests()) {
            let Some(used) = room_of(&path, module.len()) else { continue };
            if place(used).is_some_and(|used| used > own) {
                let what = format!("`{}` uses `{used}`, which lib.rs declares below it", module[0]);
                let mend = "take what you need as an argument, or move it to a room above";
                breaches.push(breach(&file.path, path.line, what, mend));
            }
        }
    }
    breaches
}

/// What a PURE room may not name, and what of it it may.
const IMPURE: [(&str, &[&str]); 9] = [
    ("tokio", &[]),
    ("std::net", &["std::net::IpAddr", "std::net::Ipv4Addr", "std::net::Ipv6Addr"]),
    ("std::fs", &[]),
    ("std::io", &["std::io::Write", "std::io::Cursor"]),
    ("std::env", &[]),
    ("std::process", &[]),
    ("std::thread", &[]),
    ("std::time", &["std::time::Duration"]),
    ("crate::clock", &["crate::clock::Timestamp"]),
];

/// Files, sockets, threads and clocks in PURE rooms.
pub fn impure(rooms: &[Room], files: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in files {
        let Some(module) = module(&file.path) else { continue };
        let Some(room) = rooms.iter().find(|room| room.pure && room.name == module[0]) else { continue };
        if room.but_for.is_some() && module.get(1) == room.but_for.as_ref() {
            continue;
        }
        for path in paths(file.code_without_tests()) {
            let spelled = path.segments.join("::");
            if IMPURE
                .iter()
                .any(|(banned, allowed)| under(&spelled, banned) && !allowed.iter().any(|a| under(&spelled, a)))
            {
                let what = format!("`{}` is PURE, and names `{spelled}`", room.name);
                breaches.push(breach(&file.path, path.line, what, "take bytes, values or a Timestamp as an argument"));
            }
        }
    }
    breaches
}

fn under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// `src/demo/postgres/account.rs` → `demo`, `postgres`, `account`; none for `lib.rs` and `main.rs`.
pub fn module(path: &str) -> Option<Vec<String>> {
    let path = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let path = path.strip_suffix("/mod").unwrap_or(path);
    (path != "lib" && path != "main").then(|| path.split('/').map(str::to_owned).collect())
}

/// The room that a path leads into, from a module so deep; none where it does not go through the crate's root.
pub fn room_of(path: &Path, depth: usize) -> Option<&str> {
    let climbs = path.segments.iter().take_while(|segment| *segment == "super").count();
    match path.segments.first().map(String::as_str) {
        Some("crate" | "mitsuke") => path.segments.get(1).map(String::as_str),
        Some("super") if climbs == depth => path.segments.get(climbs).map(String::as_str),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIB: &str = "//! X\n// PURE. First.\npub mod first;\n// PURE but for `load`. Second.\npub mod second;\n\
                       // Third.\n#[cfg(feature = \"x\")]\npub mod third;\n";

    fn judged(path: &str, text: &str) -> (Vec<String>, Vec<String>) {
        let files = [Source::new("src/lib.rs", LIB), Source::new(path, text)];
        let rooms = declared(&files);
        assert_eq!(rooms.len(), 3);
        (out_of_order(&rooms, &files), impure(&rooms, &files))
    }

    #[test]
    fn a_use_of_a_room_below_is_found_however_it_is_written() {
        for text in ["use crate::third::X;", "use crate::{first, third};", "fn f() { crate::third::g() }"] {
            assert_eq!(judged("src/second/x.rs", text).0.len(), 1, "{text}");
            assert!(judged("src/third/x.rs", text).0.is_empty(), "{text}");
        }
        assert_eq!(judged("src/second/x.rs", "use super::super::third;").0.len(), 1);
        assert!(judged("src/second/x/y.rs", "use super::super::third;").0.is_empty(), "that is second::third");
        assert!(
            judged("src/first.rs", "\nuse crate::second::X;").0[0].starts_with("src/first.rs:2: `first` uses `second`")
        );
    }

    #[test]
    fn a_file_of_no_room_is_found() {
        assert_eq!(judged("src/stray.rs", "").0.len(), 1);
    }

    #[test]
    fn what_is_not_pure_is_found() {
        for text in
            ["use tokio::net::X;", "use std::{fmt, fs};", "std::time::Instant::now()", "use crate::clock::Clock;"]
        {
            assert_eq!(judged("src/first/x.rs", text).1.len(), 1, "{text}");
            assert!(judged("src/third.rs", text).1.is_empty(), "{text}");
            assert!(judged("src/second/load.rs", text).1.is_empty(), "{text}");
            assert_eq!(judged("src/second/mod.rs", text).1.len(), 1, "{text}");
        }
        assert!(judged("src/first.rs", "use std::time::Duration; use crate::clock::Timestamp;").1.is_empty());
    }
}
