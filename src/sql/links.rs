//! Columns that are what others are, over columns between them: `a.id = b.a_id and b.a_id = c.a_id` joins `a` and `c`, whatever `b` is for.
//!
//! In: rows that are joined, a column of each. Out: for a column, all that it is equal to wherever its row is there. PURE.

use std::collections::{BTreeMap, BTreeSet};

use super::Joined;
use crate::record::Text;

/// A row, by its number, and its column.
type Column = (u16, Text);

/// Joins of one statement that are followed. Of more, each counts by itself.
const FOLLOWED_MAX: usize = 1_024;

/// See the module.
#[derive(Debug, Default)]
pub struct Links<'j> {
    to: BTreeMap<&'j Column, Vec<&'j Column>>,
    is_followed: bool,
}

impl<'j> Links<'j> {
    /// Those of a statement.
    pub fn of(joined: impl IntoIterator<Item = &'j Joined>) -> Links<'j> {
        let (mut to, mut count): (BTreeMap<&Column, Vec<&Column>>, usize) = Default::default();
        for joined in joined {
            to.entry(&joined.of).or_default().push(&joined.to);
            count += 1;
        }
        Links { to, is_followed: count <= FOLLOWED_MAX }
    }

    /// What a column is equal to wherever its row is there.
    pub fn reached(&self, from: &Column) -> BTreeSet<&'j Column> {
        let direct = |from: &Column| self.to.get(from).into_iter().flatten().copied();
        let mut reached: BTreeSet<&Column> = direct(from).collect();
        let mut open: Vec<&Column> = if self.is_followed { reached.iter().copied().collect() } else { Vec::new() };
        while let Some(next) = open.pop() {
            open.extend(direct(next).filter(|to| reached.insert(to)));
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_holds_over_others_and_in_its_direction() {
        let joined = |pairs: &[(u16, u16)]| -> Vec<Joined> {
            let column = |row: u16| (row, Text::from("id"));
            pairs.iter().map(|(of, to)| Joined { of: column(*of), to: column(*to), provided: Vec::new() }).collect()
        };
        let rows = |joined: &[Joined], from: u16| -> Vec<u16> {
            Links::of(joined).reached(&(from, "id".into())).into_iter().map(|(row, _)| *row).collect()
        };
        let few = joined(&[(1, 2), (2, 3), (3, 1), (4, 3)]);
        assert_eq!((rows(&few, 1), rows(&few, 4), rows(&few, 5)), (vec![1, 2, 3], vec![1, 2, 3], vec![]));
        assert!(Links::of(&few).reached(&(1, "other".into())).is_empty());
        let chain: Vec<(u16, u16)> = (0..2_000).map(|row| (row, row + 1)).collect();
        assert_eq!(rows(&joined(&chain), 0), [1]);
        assert_eq!(rows(&joined(&chain[..1_000]), 0).len(), 1_000);
    }
}
