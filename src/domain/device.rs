//! A linked account that this daemon runs.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::clock::Millis;
use super::ids::DeviceId;
use super::jid::Jid;
use super::state::State;

/// Who a device is on its network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The phone number, in digits.
    pub phone_number: String,
    /// The account's display name.
    pub client_name: String,
}

impl Account {
    /// The account's own chat id, where its number is one.
    #[must_use]
    pub fn jid(&self) -> Option<Jid> {
        Jid::person(&self.phone_number).ok()
    }
}

/// A device as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// What people call it.
    pub name: String,
    /// The engine that connects it.
    pub engine: String,
    /// Free settings: `simulator`, `outbox` and later ones.
    pub settings: Map<String, Value>,
    /// The fields that a file in the devices directory sets; PATCH cannot change them.
    pub declared: Vec<String>,
    /// Where it is.
    pub state: State,
    /// The account, once linked.
    pub account: Option<Account>,
    /// When it was last online.
    pub last_seen: Option<Millis>,
    /// When it was created.
    pub created_at: Millis,
}

/// A change to a device, as an operator requests it.
#[derive(Debug, Clone, Default)]
pub struct DeviceChange {
    /// The new name.
    pub name: Option<String>,
    /// Settings to be set by key; `null` removes one. A nested secret that is absent or masked keeps its value.
    pub settings: Option<Map<String, Value>>,
}

impl Device {
    /// The first field (`name`, or `settings.<key>`) that this change would alter although the device's file sets it.
    #[must_use]
    pub fn declared_conflict(&self, change: &DeviceChange) -> Option<String> {
        let is_declared = |field: &str| self.declared.iter().any(|declared| declared == field);
        if change.name.as_ref().is_some_and(|name| *name != self.name) && is_declared("name") {
            return Some("name".to_owned());
        }
        let settings = change.settings.iter().flatten();
        let mut altered = settings.filter(|(key, value)| self.settings.get(*key) != Some(*value));
        altered.find_map(|(key, _)| Some(format!("settings.{key}")).filter(|field| is_declared(field)))
    }
}

/// Counts that REST shows with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceStats {
    /// Messages that came in.
    pub messages_received: i64,
    /// Messages that went out.
    pub messages_sent: i64,
    /// Known contacts.
    pub contacts: i64,
    /// Known groups.
    pub groups: i64,
}
