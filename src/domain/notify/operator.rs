//! Who reads notifications.

use std::fmt;

/// A person as far as read and mute state goes: who a verified token names, else an API key with the label that its
/// user gives. Never shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorId(String);

impl OperatorId {
    /// Whom a verified token names, whatever key they use.
    #[must_use]
    pub fn verified(name: &str) -> Self {
        Self(format!("person {name}"))
    }

    /// Whoever uses this key, under this label if they give one.
    #[must_use]
    pub fn of_key(key_id: &str, label: Option<&str>) -> Self {
        // The key's id has no space, so that no label can stand for another key or for a person.
        Self(format!("key {key_id} {}", label.unwrap_or_default()))
    }

    /// The id as it was stored.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The id as it is stored.
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
