//! A map by the names of statements or portals, of which a session mostly uses one, the unnamed, and that with every statement: it has a
//! place of its own.
//!
//! In and out: as a map.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::wire::frontend::Name;

/// See the module.
#[derive(Debug)]
pub(super) struct ByName<V> {
    unnamed: Option<V>,
    /// Apart from the session, most of which have none.
    named: Option<Box<Named<V>>>,
}

type Named<V> = HashMap<Name, V, ahash::RandomState>;

static NO_NAME: LazyLock<Name> = LazyLock::new(Name::default);

impl<V> Default for ByName<V> {
    fn default() -> ByName<V> {
        ByName { unnamed: None, named: None }
    }
}

impl<V> ByName<V> {
    pub fn get(&self, name: &Name) -> Option<&V> {
        if name.is_unnamed() { self.unnamed.as_ref() } else { self.named.as_ref()?.get(name) }
    }

    pub fn get_mut(&mut self, name: &Name) -> Option<&mut V> {
        if name.is_unnamed() { self.unnamed.as_mut() } else { self.named.as_mut()?.get_mut(name) }
    }

    pub fn contains(&self, name: &Name) -> bool {
        self.get(name).is_some()
    }

    /// Gives what it replaces.
    pub fn insert(&mut self, name: &Name, value: V) -> Option<V> {
        match name.is_unnamed() {
            true => self.unnamed.replace(value),
            false => self.named.get_or_insert_default().insert(name.clone(), value),
        }
    }

    pub fn remove(&mut self, name: &Name) -> Option<V> {
        if name.is_unnamed() { self.unnamed.take() } else { self.named.as_mut()?.remove(name) }
    }

    pub fn remove_named(&mut self) {
        self.named = None;
    }

    pub fn clear(&mut self) {
        (self.unnamed, self.named) = (None, None);
    }

    /// Takes all of them out, in no order.
    pub fn drain(&mut self) -> impl Iterator<Item = V> {
        let named = self.named.as_mut().map(|named| named.drain().map(|(_, value)| value));
        self.unnamed.take().into_iter().chain(named.into_iter().flatten())
    }

    /// In no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &V)> {
        self.unnamed.iter().map(|value| (&*NO_NAME, value)).chain(self.named.iter().flat_map(|named| named.iter()))
    }

    pub fn is_empty(&self) -> bool {
        self.unnamed.is_none() && self.named.as_ref().is_none_or(|named| named.is_empty())
    }

    pub fn len(&self) -> usize {
        self.named.as_ref().map_or(0, |named| named.len()).saturating_add(usize::from(self.unnamed.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0_u8..4, "[ab]{0,2}", 0_u8..4), 0..60)) {
            let (mut ours, mut plain) = (ByName::default(), HashMap::<Name, u8>::new());
            for (what, name, value) in steps {
                let name = Name::new(name.as_bytes());
                match what {
                    0 | 1 => prop_assert_eq!(ours.insert(&name, value), plain.insert(name.clone(), value)),
                    2 => prop_assert_eq!(ours.remove(&name), plain.remove(&name)),
                    _ if value == 0 => {
                        ours.remove_named();
                        plain.retain(|name, _| name.is_unnamed());
                    }
                    _ if value == 1 => {
                        let (mut drained, mut all): (Vec<u8>, Vec<u8>) = (ours.drain().collect(), plain.drain().map(|pair| pair.1).collect());
                        drained.sort_unstable();
                        all.sort_unstable();
                        prop_assert_eq!(drained, all);
                    }
                    _ => {}
                }
                prop_assert_eq!(ours.len(), plain.len());
                prop_assert_eq!(ours.is_empty(), plain.is_empty());
                prop_assert_eq!(ours.contains(&name), plain.contains_key(&name));
                prop_assert_eq!(ours.get(&name), plain.get(&name));
                prop_assert_eq!(ours.get_mut(&name).copied(), plain.get(&name).copied());
                prop_assert_eq!(ours.iter().collect::<HashMap<_, _>>(), plain.iter().collect::<HashMap<_, _>>());
            }
        }
    }
}
