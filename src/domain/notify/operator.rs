//! Operators, the readers of notifications. Each has a read and mute state of its own.

use std::fmt;

/// Identifies an operator for read and mute state: the subject of a verified token, else an API key with an
/// optional label. Never returned to clients.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorId(String);

impl OperatorId {
    /// The subject of a verified token, independent of the API key.
    #[must_use]
    pub fn verified(name: &str) -> Self {
        Self(format!("person {name}"))
    }

    /// The user of an API key, with an optional label.
    #[must_use]
    pub fn of_key(key_id: &str, label: Option<&str>) -> Self {
        // A key id contains no space, so a label cannot imitate another key or a subject.
        Self(format!("key {key_id} {}", label.unwrap_or_default()))
    }

    /// Restores an id from the store.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The id as stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operator_ids_do_not_collide() {
        let ids = [
            OperatorId::verified("anna"),
            OperatorId::of_key("k1", None),
            OperatorId::of_key("k1", Some("anna")),
            OperatorId::of_key("k2", Some("anna")),
            OperatorId::of_key("k1", Some("person anna")),
        ];
        for (index, id) in ids.iter().enumerate() {
            assert!(!ids[index + 1..].contains(id), "{id}");
        }
    }
}
