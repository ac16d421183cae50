//! What a modelled client says.
//!
//! In: [`Choices`]. Out: messages, each with the bytes that it is on the wire. Every text is of its own, so that a statement taken
//! for another is noticed.

use super::choices::Choices;

/// Most messages of a session.
const MESSAGES_MAX: usize = 60;
const NAMES: [&str; 4] = ["", "", "a", "b"];

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Say {
    /// Its text.
    Query(String),
    /// A function call.
    Call,
    /// Statement and text.
    Parse(&'static str, String),
    /// Portal and statement.
    Bind(&'static str, &'static str),
    /// `S` or `P`, and its name.
    Describe(u8, &'static str),
    /// Portal and rows.
    Execute(&'static str, u32),
    /// `S` or `P`, and its name.
    Close(u8, &'static str),
    /// A message of that type whose content does not read.
    Malformed(u8),
    Flush,
    Sync,
    CopyData,
    CopyDone,
    CopyFail,
}

impl Say {
    /// On the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let text = |parts: &[&[u8]]| parts.join(&0);
        match self {
            Say::Query(sql) => message(b'Q', &text(&[sql.as_bytes(), b""])),
            Say::Call => message(b'F', &[0, 0, 0, 177, 0, 0, 0, 0, 0, 0]),
            Say::Parse(name, sql) => message(b'P', &text(&[name.as_bytes(), sql.as_bytes(), b"\0\0"])),
            Say::Bind(portal, statement) => {
                let value = b"\0\0\0\x01\0\0\0\x03abc\0\0";
                message(b'B', &[&text(&[portal.as_bytes(), statement.as_bytes(), b""])[..], value].concat())
            }
            Say::Describe(what, name) => message(b'D', &[&[*what], name.as_bytes(), b"\0"].concat()),
            Say::Execute(portal, rows) => message(b'E', &[portal.as_bytes(), b"\0", &rows.to_be_bytes()].concat()),
            Say::Close(what, name) => message(b'C', &[&[*what], name.as_bytes(), b"\0"].concat()),
            Say::Malformed(kind) => message(*kind, b"x"),
            Say::Flush => message(b'H', b""),
            Say::Sync => message(b'S', b""),
            Say::CopyData => message(b'd', b"1\t2\n"),
            Say::CopyDone => message(b'c', b""),
            Say::CopyFail => message(b'f', b"no more\0"),
        }
    }
}

/// What one client says in its session.
pub fn script(choices: &mut Choices<'_>) -> Vec<Say> {
    let mut said = Vec::new();
    while choices.are_left() && said.len() < MESSAGES_MAX {
        let text = format!("text {}", said.len());
        said.push(match choices.below(20) {
            0 | 1 => Say::Sync,
            2 | 3 => Say::Query(text),
            4 | 5 => Say::Parse(name(choices), text),
            6..=8 => Say::Bind(name(choices), name(choices)),
            9..=12 => Say::Execute(name(choices), [0, 0, 1, 2][choices.below(4)]),
            13 => Say::Describe(*[b'S', b'P'].get(choices.below(2)).unwrap_or(&b'S'), name(choices)),
            14 => Say::Close(*[b'S', b'P'].get(choices.below(2)).unwrap_or(&b'S'), name(choices)),
            15 => Say::CopyData,
            16 => Say::CopyDone,
            17 => [Say::CopyFail, Say::Flush][choices.below(2)].clone(),
            18 => Say::Call,
            _ => Say::Malformed(b"PBEDC"[choices.below(5)]),
        });
    }
    // Out of a COPY, out of an error.
    said.extend([Say::CopyFail, Say::Sync, Say::Sync]);
    said
}

fn name(choices: &mut Choices<'_>) -> &'static str {
    NAMES[choices.below(NAMES.len())]
}

/// A message with a type byte.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("short");
    [&[kind], &length.to_be_bytes()[..], body].concat()
}
