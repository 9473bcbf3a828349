//! Batches of changes to an engine's vault. The store applies a batch completely or not at all.

use super::clock::Millis;

/// Changes that are applied in order in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VaultBatch(Vec<VaultChange>);

/// A change to the vault.
#[derive(Clone, PartialEq, Eq)]
pub enum VaultChange {
    /// Writes a value and overwrites an earlier one.
    Put {
        /// The space of the key.
        space: String,
        /// The key of the value.
        key: String,
        /// The value.
        value: Vec<u8>,
        /// When pruning may remove the value; `None` keeps it until it is removed.
        deadline: Option<Millis>,
    },
    /// Removes one value; a missing value is not an error.
    Remove {
        /// The space of the key.
        space: String,
        /// The key of the value.
        key: String,
    },
    /// Removes all values whose key begins with `prefix`; an empty prefix removes the whole space.
    RemovePrefix {
        /// The space of the keys.
        space: String,
        /// The prefix of the keys.
        prefix: String,
    },
}

/// Prints only the space: keys can identify people, and values can be secret.
impl std::fmt::Debug for VaultChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Put { space, .. } => write!(f, "Put({space})"),
            Self::Remove { space, .. } => write!(f, "Remove({space})"),
            Self::RemovePrefix { space, .. } => write!(f, "RemovePrefix({space})"),
        }
    }
}

impl VaultBatch {
    /// A batch without changes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value that stays until it is removed.
    pub fn put(&mut self, space: &str, key: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.put_until(space, key, value, None);
    }

    /// Adds a value that pruning may remove after `deadline`.
    pub fn put_until(
        &mut self,
        space: &str,
        key: impl Into<String>,
        value: impl Into<Vec<u8>>,
        deadline: Option<Millis>,
    ) {
        let (space, key, value) = (space.to_owned(), key.into(), value.into());
        self.0.push(VaultChange::Put { space, key, value, deadline });
    }

    /// Adds the removal of a value.
    pub fn remove(&mut self, space: &str, key: impl Into<String>) {
        self.0.push(VaultChange::Remove { space: space.to_owned(), key: key.into() });
    }

    /// Adds the removal of all values whose key begins with `prefix`.
    pub fn remove_prefix(&mut self, space: &str, prefix: impl Into<String>) {
        self.0.push(VaultChange::RemovePrefix { space: space.to_owned(), prefix: prefix.into() });
    }

    /// Adds the removal of a whole space.
    pub fn remove_space(&mut self, space: &str) {
        self.remove_prefix(space, "");
    }

    /// Whether the batch has no changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The changes in order.
    #[must_use]
    pub fn into_changes(self) -> Vec<VaultChange> {
        self.0
    }
}
