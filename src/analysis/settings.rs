//! The settings of a session that change what its statements mean, through transactions.
//!
//! In: the effects of statements that succeeded, and the ends of transactions. Out: the role, search path and custom
//! settings in force. A SET is undone by a rollback, a SET LOCAL by any end of its transaction (PostgreSQL manual, SET).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::record::Text;
use crate::sql::Effect;

/// Custom settings remembered, per session. Beyond it, a new one is not remembered.
const SETTINGS_MAX: usize = 64;

/// One layer of values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Values {
    /// SET ROLE or SET SESSION AUTHORIZATION.
    role: Option<Text>,
    /// SET name = value; `search_path` among them.
    named: HashMap<Text, Text>,
}

/// What is in force, and what was when the transaction began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Settings {
    /// In force.
    current: Values,
    /// What a commit leaves: the changes that were not LOCAL.
    committed: Values,
    /// What a rollback leaves.
    before: Values,
}

impl Settings {
    /// The role in force, where it is not the authenticated one.
    pub(super) fn role(&self) -> Option<&Text> {
        self.current.role.as_ref()
    }

    /// Custom settings and `search_path`, in force.
    pub(super) fn named(&self) -> &HashMap<Text, Text> {
        &self.current.named
    }

    /// The search path in force, where it was SET: its schemas, unquoted.
    pub(super) fn search_path(&self) -> Option<Vec<Text>> {
        let path = self.current.named.get("search_path")?;
        Some(path.split(',').map(|schema| Text::from(schema.trim().trim_matches('"'))).collect())
    }

    /// Applies what a statement that succeeded does.
    pub(super) fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::Set { name, value, local } => {
                self.current.set(name, value.as_ref());
                if !local {
                    self.committed.set(name, value.as_ref());
                }
            }
            Effect::Role { role, local } => {
                self.current.role.clone_from(role);
                if !local {
                    self.committed.role.clone_from(role);
                }
            }
            Effect::ResetAll => {
                // RESET ALL leaves the role (PostgreSQL manual, RESET); DISCARD ALL resets it with an effect of its own.
                self.current.named.clear();
                self.committed.named.clear();
            }
            _ => {}
        }
    }

    /// Forgets what is neither the search path nor one of these: it may be anything, and is not for the disk.
    pub(super) fn keep_only(&mut self, kept: impl Fn(&str) -> bool) {
        for values in [&mut self.current, &mut self.committed, &mut self.before] {
            values.named.retain(|name, _| &**name == "search_path" || kept(name));
        }
    }

    /// The transaction ended.
    pub(super) fn transaction_ended(&mut self, committed: bool) {
        let left = if committed { &self.committed } else { &self.before };
        if self.current != *left || self.committed != *left || self.before != *left {
            let left = left.clone();
            *self = Settings { current: left.clone(), committed: left.clone(), before: left };
        }
    }
}

impl Values {
    fn set(&mut self, name: &Text, value: Option<&Text>) {
        match value {
            Some(value) if self.named.contains_key(name) || self.named.len() < SETTINGS_MAX => {
                self.named.insert(name.clone(), value.clone());
            }
            Some(_) => {}
            None => {
                self.named.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str, local: bool) -> Effect {
        Effect::Set { name: name.into(), value: Some(value.into()), local }
    }

    #[test]
    fn a_rollback_undoes_a_set() {
        let mut settings = Settings::default();
        settings.apply(&set("app.user", "anna", false));
        settings.transaction_ended(true);
        settings.apply(&set("app.user", "ben", false));
        assert_eq!(settings.named()["app.user"].as_ref(), "ben");
        settings.transaction_ended(false);
        assert_eq!(settings.named()["app.user"].as_ref(), "anna");
    }

    #[test]
    fn set_local_ends_with_its_transaction() {
        let mut settings = Settings::default();
        settings.apply(&Effect::Role { role: Some("auditor".into()), local: true });
        settings.apply(&set("search_path", "shop, \"Odd\"", false));
        assert_eq!(settings.role().map(|role| &**role), Some("auditor"));
        settings.transaction_ended(true);
        assert_eq!(settings.role(), None);
        assert_eq!(settings.search_path(), Some(vec!["shop".into(), "Odd".into()]));
    }
}
