//! Baits: made-up people among the real ones, whom nobody has a reason to look up.
//!
//! In: their names and values, and the columns that they lie in; values of subject columns and the data of COPY, as they pass. Out: the
//! names of those that passed, each once. PURE. Depends on no limit of what is counted or kept of people. Shows no value, not to
//! `Debug` either. Costs nothing where there are none; else one test of a bit for each value that is not the one before it.

// The data of COPY, in which no column is told.
mod copies;

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::sync::Arc;

pub(super) use self::copies::Copied;
use self::copies::Copies;
use super::event::Origin;
use super::people::on_the_wire;
use crate::distinct::AsIs;
use crate::record::Text;

/// Blank-padded `char(n)`.
const BPCHAR: u32 = 1_042;

/// A made-up person.
#[derive(Clone, PartialEq, Eq)]
pub struct Bait {
    /// What it is called in the log and in alerts.
    pub name: Text,
    /// What stands in the subject column, as text.
    pub value: Text,
}

impl fmt::Debug for Bait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bait").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The baits of a database, by the subject column that they lie in.
#[derive(Clone, Debug, Default)]
pub struct Baits {
    by_column: HashMap<(u32, i16), Arc<[Bait]>>,
    copies: Option<Arc<Copies>>,
}

impl Baits {
    /// These, by (table OID, attribute number).
    pub fn new(by_column: HashMap<(u32, i16), Arc<[Bait]>>) -> Baits {
        let copies = Copies::of(by_column.values().flat_map(|baits| baits.iter())).map(Arc::new);
        Baits { by_column, copies }
    }

    /// Ready for the values of one column of a result.
    pub(super) fn watch(&self, origin: &Origin, binary: bool, keys: &ahash::RandomState) -> Watch {
        let baits = self.by_column.get(&(origin.table_oid, origin.attribute));
        baits.map_or_else(Watch::default, |baits| Watch::new(baits, origin.type_oid, binary, keys))
    }

    /// Ready for the data of a COPY; `None` where there is nothing to look for.
    pub(super) fn copied(&self, binary: bool) -> Option<Box<Copied>> {
        self.copies.as_ref().map(|copies| Box::new(Copied::new(Arc::clone(copies), binary)))
    }
}

/// Looks for the baits of one column among its values.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// A bit for the first bits of each hash that is looked for: most values are none, and this says so.
    filter: u64,
    by_hash: HashMap<u64, Looked, BuildHasherDefault<AsIs>>,
    /// Spaces at the end do not count.
    is_padded: bool,
}

/// What has one hash.
struct Looked {
    bytes: Box<[u8]>,
    names: Vec<Text>,
}

impl fmt::Debug for Looked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Looked").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Watch {
    /// Values of one column come in one type and one format: equal ones have equal bytes.
    fn new(baits: &[Bait], type_oid: u32, binary: bool, keys: &ahash::RandomState) -> Watch {
        let mut watch = Watch { is_padded: type_oid == BPCHAR, ..Watch::default() };
        for bait in baits {
            let Some(bytes) = on_the_wire(type_oid, binary, &bait.value) else { continue };
            let bytes = watch.counted(&bytes);
            let hash = hash_of(keys, bytes);
            watch.filter |= if watch.is_padded { u64::MAX } else { bit(hash) };
            let looked = || Looked { bytes: bytes.into(), names: Vec::new() };
            watch.by_hash.entry(hash).or_insert_with(looked).names.push(bait.name.clone());
        }
        watch
    }

    /// Whether a value of this hash is worth [`Watch::look`].
    #[inline]
    pub(super) fn may_have(&self, hash: u64) -> bool {
        self.filter & bit(hash) != 0
    }

    /// Tells a bait, where this value is one. Looks for it no more.
    #[cold]
    pub(super) fn look(&mut self, bytes: &[u8], keys: &ahash::RandomState, found: &mut Vec<Text>) {
        let bytes = self.counted(bytes);
        let hash = hash_of(keys, bytes);
        if self.by_hash.get(&hash).is_none_or(|looked| *looked.bytes != *bytes) {
            return;
        }
        if let Some(looked) = self.by_hash.remove(&hash) {
            looked.names.into_iter().for_each(|name| tell(name, found));
        }
        if self.by_hash.is_empty() {
            self.filter = 0;
        }
    }

    /// What of a value counts.
    fn counted<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        match bytes.iter().rposition(|byte| *byte != b' ').filter(|_| self.is_padded) {
            Some(last) => bytes.get(..=last).unwrap_or(bytes),
            None => bytes,
        }
    }
}

/// Names a bait, once.
fn tell(name: Text, found: &mut Vec<Text>) {
    if !found.contains(&name) {
        found.push(name);
    }
}

fn bit(hash: u64) -> u64 {
    1 << (hash >> 58)
}

fn hash_of(keys: &ahash::RandomState, bytes: &[u8]) -> u64 {
    let mut hasher = keys.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(type_oid: u32, binary: bool, bait: &str, value: &[u8]) -> Vec<Text> {
        let keys = ahash::RandomState::new();
        let bait = Bait { name: "bait".into(), value: bait.into() };
        let mut watch = Watch::new(&[bait], type_oid, binary, &keys);
        let mut found = Vec::new();
        for _ in 0..2 {
            let hash = hash_of(&keys, value);
            if watch.may_have(hash) {
                watch.look(value, &keys, &mut found);
            }
        }
        found
    }

    #[test]
    fn a_bait_is_known_in_either_format_and_its_neighbours_are_not_taken_for_it() {
        let uuid = [0x0a, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1];
        let uuid_text = "0A000000-0000-4000-8000-000000000001";
        let there: &[(u32, bool, &str, &[u8])] = &[
            (23, false, "900001", b"900001"),
            (23, true, "900001", &900_001_i32.to_be_bytes()),
            (20, true, "900001", &900_001_i64.to_be_bytes()),
            (21, true, "901", &901_i16.to_be_bytes()),
            (23, false, "0900001", b"900001"),
            (25, true, "C-0001", b"C-0001"),
            (1_700, false, "900001", b"900001"),
            (1_700, true, "900001", &[0, 2, 0, 1, 0, 0, 0, 0, 0, 90, 0, 1]),
            (2_950, true, uuid_text, &uuid),
            (2_950, false, uuid_text, b"0a000000-0000-4000-8000-000000000001"),
            (1_042, false, "ab", b"ab   "),
            (1_042, true, "ab", b"ab"),
        ];
        for (type_oid, binary, bait, value) in there {
            assert_eq!(watched(*type_oid, *binary, bait, value), [Text::from("bait")], "{type_oid} {binary} {bait}");
        }
        let others: &[(u32, bool, &str, &[u8])] = &[
            (23, false, "900001", b"900002"),
            (23, false, "900001", b"9000010"),
            (23, true, "900001", &900_002_i32.to_be_bytes()),
            (23, true, "nobody", b"nobo"),
            (25, false, "ab", b"ab "),
            (25, false, "ab", b"AB"),
        ];
        for (type_oid, binary, bait, value) in others {
            assert!(watched(*type_oid, *binary, bait, value).is_empty(), "{type_oid} {binary} {bait}");
        }
    }

    #[test]
    fn the_value_is_not_shown() {
        let bait = Bait { name: "bait".into(), value: "900001".into() };
        let baits = Baits::new([((1, 1), [bait].into())].into());
        let watch = baits.watch(
            &Origin { name: "id".to_owned(), table_oid: 1, attribute: 1, type_oid: 25 },
            false,
            &ahash::RandomState::new(),
        );
        let shown = format!("{baits:?} {watch:?} {:?}", baits.copied(false));
        assert!(shown.contains("bait") && !shown.contains("900001"), "{shown}");
        // As bytes.
        assert!(!shown.contains("57, 48, 48"), "{shown}");
    }
}
