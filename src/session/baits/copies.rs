//! Baits in the data of COPY.
//!
//! In: the bodies of CopyData in pieces. Out: the names of the baits whose value stands there as a whole field. PURE. Which column a field is
//! of is not told on the wire, and what stands between fields is the client's choice: in the text format a field is what has no letter,
//! digit, space or one of `_ - . @` beside it; in the binary one a value follows its length. So a value of fewer than
//! [`VALUE_BYTES_MIN`] bytes is not looked for, and whoever knows the statement's relations has to ask whether a bait can be among them.

use std::fmt;
use std::sync::Arc;

use aho_corasick::AhoCorasick;

use super::{Bait, tell};
use crate::record::Text;
use crate::session::people::on_the_wire;

/// A shorter one is too often something else's.
const VALUE_BYTES_MIN: usize = 4;
/// So much of a message that comes in pieces is put together at a time, bytes.
const HELD_BYTES_MAX: usize = 64 << 10;
/// The types in which a subject is looked for: text, int2, int4, int8, uuid, numeric.
const TYPES: [u32; 6] = [25, 21, 23, 20, 2_950, 1_700];

/// What is looked for in the data of any COPY of a database.
#[derive(Debug)]
pub(super) struct Copies {
    text: Needles,
    binary: Needles,
}

/// In one format.
struct Needles {
    find: AhoCorasick,
    /// Whose each is.
    names: Vec<Text>,
    /// Bytes.
    longest: usize,
}

impl fmt::Debug for Needles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Needles").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Copies {
    /// `None` where there is none to look for.
    pub(super) fn of<'a>(baits: impl Iterator<Item = &'a Bait>) -> Option<Copies> {
        let (mut text, mut binary) = (Vec::new(), Vec::new());
        for bait in baits.filter(|bait| bait.value.len() >= VALUE_BYTES_MIN) {
            for type_oid in TYPES {
                if let Some(bytes) = on_the_wire(type_oid, false, &bait.value) {
                    text.push((bytes, bait.name.clone()));
                }
                if let Some(bytes) = on_the_wire(type_oid, true, &bait.value) {
                    let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX).to_be_bytes();
                    binary.push(([&length[..], &bytes].concat(), bait.name.clone()));
                }
            }
        }
        Some(Copies { text: Needles::of(text)?, binary: Needles::of(binary)? })
    }
}

impl Needles {
    fn of(mut wanted: Vec<(Vec<u8>, Text)>) -> Option<Needles> {
        wanted.sort_unstable();
        wanted.dedup();
        let longest = wanted.iter().map(|(bytes, _)| bytes.len()).max()?;
        let find = AhoCorasick::new(wanted.iter().map(|(bytes, _)| bytes)).ok()?;
        Some(Needles { find, names: wanted.into_iter().map(|(_, name)| name).collect(), longest })
    }
}

/// The data of one COPY under way.
pub(in crate::session) struct Copied {
    copies: Arc<Copies>,
    is_binary: bool,
    /// Of a message that comes in pieces.
    held: Vec<u8>,
    /// There was more before it.
    is_cut: bool,
}

impl fmt::Debug for Copied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Copied").field("is_binary", &self.is_binary).finish_non_exhaustive()
    }
}

impl Copied {
    pub(super) fn new(copies: Arc<Copies>, is_binary: bool) -> Copied {
        Copied { copies, is_binary, held: Vec::new(), is_cut: false }
    }

    fn needles(&self) -> &Needles {
        if self.is_binary { &self.copies.binary } else { &self.copies.text }
    }

    /// Takes a piece of a CopyData's body; `last` ends it.
    pub(in crate::session) fn piece(&mut self, piece: &[u8], last: bool, found: &mut Vec<Text>) {
        if last && self.held.is_empty() {
            return self.look(piece, true, found);
        }
        let mut held = std::mem::take(&mut self.held);
        for part in piece.chunks(HELD_BYTES_MAX) {
            held.extend_from_slice(part);
            if held.len() >= HELD_BYTES_MAX {
                self.look(&held, false, found);
                // What may be the beginning of one, and a byte before it.
                let tail = self.needles().longest.saturating_add(1);
                held.drain(..held.len().saturating_sub(tail));
                self.is_cut = true;
            }
        }
        if last {
            self.look(&held, true, found);
            held.clear();
            self.is_cut = false;
        }
        self.held = held;
    }

    fn look(&self, bytes: &[u8], is_end: bool, found: &mut Vec<Text>) {
        let needles = self.needles();
        for hit in needles.find.find_overlapping_iter(bytes) {
            // Cut off before it, or behind it: it was looked at with what is beside it, or will be.
            if (self.is_cut && hit.start() == 0) || (!is_end && hit.end() == bytes.len()) {
                continue;
            }
            let before = hit.start().checked_sub(1).and_then(|before| bytes.get(before));
            // What is blank-padded ends before its blanks.
            let behind = bytes.get(hit.end()..).and_then(|rest| rest.iter().find(|byte| **byte != b' '));
            if (self.is_binary || (ends_field(before) && ends_field(behind)))
                && let Some(name) = needles.names.get(hit.pattern().as_usize())
            {
                tell(name.clone(), found);
            }
        }
    }
}

/// Whether a field may end beside this byte.
fn ends_field(beside: Option<&u8>) -> bool {
    beside.is_none_or(|byte| {
        !(byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'_' | b'-' | b'.' | b'@') || *byte >= 0x80)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(binary: bool, body: &[u8], step: usize) -> Vec<String> {
        let bait = |name: &str, value: &str| Bait { name: name.into(), value: value.into() };
        let baits = [bait("one", "900001"), bait("two", "C-77.x"), bait("short", "77"), bait("inner", "0001")];
        let mut copied = Copied::new(Arc::new(Copies::of(baits.iter()).unwrap()), binary);
        let mut found = Vec::new();
        let pieces = body.chunks(step).count();
        for (number, piece) in body.chunks(step).enumerate() {
            copied.piece(piece, number + 1 == pieces, &mut found);
        }
        assert!(copied.held.is_empty());
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_field_is_found_whatever_stands_between_fields_and_however_it_is_cut() {
        for step in [1, 3, 7, 100] {
            for row in ["900001\tAnna\n", "Anna,\"900001\"\n", "Anna|900001|x\n", "900001   \tx\n", "900001"] {
                assert_eq!(found(false, row.as_bytes(), step), ["one"], "{row}");
            }
            assert_eq!(found(false, b"C-77.x;900001;C-77.x\n", step), ["two", "one"]);
            for row in [
                "9000011\tx\n",
                "x900001\n",
                "-900001\n",
                "900001.5\n",
                "call 900001\n",
                "900001 calls\n",
                "900001@b.c\n",
                "77\n",
            ] {
                assert!(found(false, row.as_bytes(), step).is_empty(), "{row}");
            }
        }
    }

    #[test]
    fn a_binary_field_is_its_length_and_its_value() {
        let field = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
        let row = |id: &[u8]| [&[0, 2][..], &field(id), &field(b"Anna")].concat();
        for step in [1, 5, 100] {
            assert_eq!(found(true, &row(&900_001_i32.to_be_bytes()), step), ["one"]);
            assert_eq!(found(true, &row(&900_001_i64.to_be_bytes()), step), ["one"]);
            assert_eq!(found(true, &row(b"900001"), step), ["one"]);
            assert!(found(true, &row(&900_002_i32.to_be_bytes()), step).is_empty());
            assert!(found(true, &row(b"9000010"), step).is_empty());
        }
    }

    #[test]
    fn a_row_that_is_too_long_to_hold_is_looked_at_piece_by_piece() {
        for at in (HELD_BYTES_MAX - 12)..(HELD_BYTES_MAX + 12) {
            let mut row = vec![b'x'; 3 * HELD_BYTES_MAX];
            row[at..at + 8].copy_from_slice(b"\t900001\t");
            for step in [row.len(), 1_000, HELD_BYTES_MAX] {
                assert_eq!(found(false, &row, step), ["one"], "{at} {step}");
            }
            row[at] = b'7';
            assert!(found(false, &row, 1_000).is_empty(), "{at}");
            row[at..at + 8].copy_from_slice(b"\t900001x");
            assert!(found(false, &row, 1_000).is_empty(), "{at}");
        }
    }
}
