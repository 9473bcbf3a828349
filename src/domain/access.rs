//! Scopes and device restrictions of API keys. A key can create only keys that grant no more than itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::clock::Millis;
use super::ids::DeviceId;

/// A permission of an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Every operation, including the management of keys.
    #[serde(rename = "admin")]
    Admin,
    /// Read devices and their QR codes.
    #[serde(rename = "devices:read")]
    DevicesRead,
    /// Create, change, start, stop and delete devices.
    #[serde(rename = "devices:write")]
    DevicesWrite,
    /// Read messages, chats and contacts.
    #[serde(rename = "messages:read")]
    MessagesRead,
    /// Send messages, mark them as read and send typing indicators.
    #[serde(rename = "messages:send")]
    MessagesSend,
    /// Follow the event log, over REST, SSE and Socket.IO.
    #[serde(rename = "events:read")]
    EventsRead,
    /// Read operator chat, and who may use the inboxes.
    #[serde(rename = "chat:read")]
    ChatRead,
    /// Change operator chat, and who may use the inboxes.
    #[serde(rename = "chat:write")]
    ChatWrite,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 8] = [
        Self::Admin,
        Self::DevicesRead,
        Self::DevicesWrite,
        Self::MessagesRead,
        Self::MessagesSend,
        Self::EventsRead,
        Self::ChatRead,
        Self::ChatWrite,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::DevicesRead => "devices:read",
            Self::DevicesWrite => "devices:write",
            Self::MessagesRead => "messages:read",
            Self::MessagesSend => "messages:send",
            Self::EventsRead => "events:read",
            Self::ChatRead => "chat:read",
            Self::ChatWrite => "chat:write",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The permissions of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The permitted operations.
    pub scopes: Vec<Scope>,
    /// The devices that the key can access; all devices when absent.
    pub devices: Option<Vec<DeviceId>>,
}

impl Grant {
    /// A grant of every operation on every device.
    #[must_use]
    pub fn everything() -> Self {
        Self { scopes: vec![Scope::Admin], devices: None }
    }

    /// Whether the grant includes `scope`; `admin` includes every scope.
    #[must_use]
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|s| *s == scope || *s == Scope::Admin)
    }

    /// Whether the grant includes `device`.
    #[must_use]
    pub fn reaches(&self, device: &DeviceId) -> bool {
        self.devices.as_ref().is_none_or(|list| list.contains(device))
    }

    /// Whether `other` permits no more than this grant. Key creation checks it against privilege escalation.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let scopes = other.scopes.iter().all(|scope| self.allows(*scope));
        let devices = match (&self.devices, &other.devices) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(_), Some(theirs)) => theirs.iter().all(|id| self.reaches(id)),
        };
        scopes && devices
    }
}

/// A device in a stored grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredDevice")]
pub struct GrantedDevice {
    /// The device's id.
    pub id: DeviceId,
    /// The generation of the id when the grant was made. A deleted device ends its generation.
    pub generation: i64,
}

/// Grants that are older than generations have the id only.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoredDevice {
    Id(DeviceId),
    Generation { id: DeviceId, generation: i64 },
}

impl From<StoredDevice> for GrantedDevice {
    fn from(stored: StoredDevice) -> Self {
        match stored {
            StoredDevice::Id(id) => Self { id, generation: 0 },
            StoredDevice::Generation { id, generation } => Self { id, generation },
        }
    }
}

/// A stored API key, without its secret. The store has only a hash of the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The public part, between `whf_` and the secret.
    pub id: String,
    /// The display name.
    pub name: String,
    /// The permitted operations.
    pub scopes: Vec<Scope>,
    /// The devices that the key was made for; all devices when absent.
    pub devices: Option<Vec<GrantedDevice>>,
    /// The id of the key that created it; absent for the first key and older ones.
    pub created_by: Option<String>,
    /// When the key was created.
    pub created_at: Millis,
    /// When the key expires; absent for a key without an expiry.
    pub expires_at: Option<Millis>,
    /// When the key was last used, accurate to one minute.
    pub last_used_at: Option<Millis>,
}

impl ApiKey {
    /// Whether the expiry has passed at `now`.
    #[must_use]
    pub fn is_expired(&self, now: Millis) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// The ids of the keys that a key created, directly or through other keys, given each key's id and creator.
#[must_use]
pub fn descendants(of: &str, keys: &[(String, Option<String>)]) -> Vec<String> {
    let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, created_by) in keys {
        if let Some(creator) = created_by {
            children.entry(creator).or_default().push(id);
        }
    }
    let mut found = BTreeSet::new();
    let mut open = vec![of];
    while let Some(creator) = open.pop() {
        for child in children.remove(creator).unwrap_or_default() {
            if child != of && found.insert(child.to_owned()) {
                open.push(child);
            }
        }
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(scopes: &[Scope], devices: Option<&[&str]>) -> Grant {
        let devices = devices.map(|list| list.iter().map(|d| d.parse().unwrap()).collect());
        Grant { scopes: scopes.to_vec(), devices }
    }

    #[test]
    fn descendants_include_children_of_children() {
        let keys = [("b", "a"), ("c", "b"), ("d", "x"), ("a", "c")];
        let keys: Vec<_> = keys.iter().map(|(id, by)| ((*id).to_owned(), Some((*by).to_owned()))).collect();
        assert_eq!(descendants("a", &keys), ["b", "c"]);
        assert_eq!(descendants("x", &keys), ["d"]);
        assert!(descendants("d", &keys).is_empty());
    }

    #[test]
    fn grant_without_generation_is_of_the_first() {
        let stored = r#"["shop",{"id":"home","generation":2}]"#;
        let devices: Vec<GrantedDevice> = serde_json::from_str(stored).unwrap();
        assert_eq!(devices.iter().map(|device| device.generation).collect::<Vec<_>>(), [0, 2]);
        let written = serde_json::to_string(&devices).unwrap();
        assert_eq!(serde_json::from_str::<Vec<GrantedDevice>>(&written).unwrap(), devices);
    }

    #[test]
    fn key_does_not_cover_wider_key() {
        let shop_admin = grant(&[Scope::Admin], Some(&["shop"]));
        assert!(shop_admin.covers(&grant(&[Scope::MessagesSend], Some(&["shop"]))));
        assert!(!shop_admin.covers(&Grant::everything()));
        assert!(!shop_admin.covers(&grant(&[Scope::Admin], Some(&["shop", "home"]))));
        assert!(!grant(&[Scope::DevicesRead], None).covers(&grant(&[Scope::DevicesWrite], None)));
        assert!(Grant::everything().covers(&shop_admin));
    }
}
