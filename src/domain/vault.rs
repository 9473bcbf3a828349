//! What an engine wants changed in its vault: all of it, or nothing.

use super::clock::Millis;

/// Changes that are made together, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VaultBatch(Vec<VaultChange>);

/// One change.
#[derive(Clone, PartialEq, Eq)]
pub enum VaultChange {
    /// Writes a value over whatever was there.
    Put {
        /// Where.
        space: String,
        /// Under which key.
        key: String,
        /// The bytes.
        value: Vec<u8>,
        /// From when on pruning may take it; `None` is never.
        deadline: Option<Millis>,
    },
    /// Removes one value, if it is there.
    Remove {
        /// Where.
        space: String,
        /// Which.
        key: String,
    },
    /// Removes all whose key begins so; with an empty prefix the whole space.
    RemovePrefix {
        /// Where.
        space: String,
        /// How the keys begin.
        prefix: String,
    },
}

/// Shows neither keys, which may name people, nor values.
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

    /// Adds a value that pruning may take after `deadline`.
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

    /// Adds the removal of all whose key begins with `prefix`.
    pub fn remove_prefix(&mut self, space: &str, prefix: impl Into<String>) {
        self.0.push(VaultChange::RemovePrefix { space: space.to_owned(), prefix: prefix.into() });
    }

    /// Adds the removal of a whole space.
    pub fn remove_space(&mut self, space: &str) {
        self.remove_prefix(space, "");
    }

    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The changes, in their order.
    #[must_use]
    pub fn into_changes(self) -> Vec<VaultChange> {
        self.0
    }
}
