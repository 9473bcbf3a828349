//! What a key may do, and to which devices.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::clock::Millis;
use super::ids::DeviceId;

/// One thing a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Everything, keys included.
    #[serde(rename = "admin")]
    Admin,
    /// See devices and their QR codes.
    #[serde(rename = "devices:read")]
    DevicesRead,
    /// Create, change, start, stop and delete devices.
    #[serde(rename = "devices:write")]
    DevicesWrite,
    /// Read messages, chats and contacts.
    #[serde(rename = "messages:read")]
    MessagesRead,
    /// Send messages, mark them read, show typing.
    #[serde(rename = "messages:send")]
    MessagesSend,
    /// Follow the event log, over REST, SSE and Socket.IO.
    #[serde(rename = "events:read")]
    EventsRead,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 6] = [
        Self::Admin,
        Self::DevicesRead,
        Self::DevicesWrite,
        Self::MessagesRead,
        Self::MessagesSend,
        Self::EventsRead,
    ];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::DevicesRead => "devices:read",
            Self::DevicesWrite => "devices:write",
            Self::MessagesRead => "messages:read",
            Self::MessagesSend => "messages:send",
            Self::EventsRead => "events:read",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a key grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// To which devices; all, when absent.
    pub devices: Option<Vec<DeviceId>>,
}

impl Grant {
    /// Everything, everywhere.
    #[must_use]
    pub fn everything() -> Self {
        Self { scopes: vec![Scope::Admin], devices: None }
    }

    /// Whether it holds `scope`; `admin` holds all.
    #[must_use]
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|s| *s == scope || *s == Scope::Admin)
    }

    /// Whether it reaches `device`.
    #[must_use]
    pub fn reaches(&self, device: &DeviceId) -> bool {
        self.devices.as_ref().is_none_or(|list| list.contains(device))
    }

    /// Whether `other` is no wider than this: no key can mint a wider one.
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

/// A key as it is stored: everything but its secret, of which only a hash is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The public part, between `whf_` and the secret.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub grant: Grant,
    /// When it was made.
    pub created_at: Millis,
    /// When it ends by itself.
    pub expires_at: Option<Millis>,
    /// When it was last used, to within a minute.
    pub last_used_at: Option<Millis>,
}

impl ApiKey {
    /// Whether it has ended by itself.
    #[must_use]
    pub fn is_expired(&self, now: Millis) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(scopes: &[Scope], devices: Option<&[&str]>) -> Grant {
        let devices = devices.map(|list| list.iter().map(|d| d.parse().unwrap()).collect());
        Grant { scopes: scopes.to_vec(), devices }
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
