//! Devices: linked accounts that this daemon runs. PATCH cannot change a field that a device file sets.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::clock::Millis;
use super::ids::DeviceId;
use super::jid::Jid;
use super::state::State;

/// The network account of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The phone number, in digits.
    pub phone_number: String,
    /// The account's display name.
    pub client_name: String,
}

impl Account {
    /// The account's own chat id; `None` when its number is not a valid phone number.
    #[must_use]
    pub fn jid(&self) -> Option<Jid> {
        Jid::person(&self.phone_number).ok()
    }
}

/// A stored device.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// The permanent id.
    pub id: DeviceId,
    /// The display name.
    pub name: String,
    /// The engine that connects it.
    pub engine: String,
    /// Settings by section, such as `simulator` and `outbox`; secrets are masked.
    pub settings: Map<String, Value>,
    /// The fields that a file in the devices directory sets; PATCH cannot change them.
    pub declared: Vec<String>,
    /// The current state.
    pub state: State,
    /// The account; absent until the device is linked.
    pub account: Option<Account>,
    /// When the device was last online.
    pub last_seen: Option<Millis>,
    /// When the device was created.
    pub created_at: Millis,
}

/// A change to a device, as an operator requests it.
#[derive(Debug, Clone, Default)]
pub struct DeviceChange {
    /// The new name.
    pub name: Option<String>,
    /// New values by settings key; `null` removes a key. A nested secret that is absent or masked stays
    /// unchanged.
    pub settings: Option<Map<String, Value>>,
}

impl Device {
    /// The first field (`name` or `settings.<key>`) that the change would alter although the device's file
    /// sets it.
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

/// Message and contact counts of a device, as REST returns them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceStats {
    /// Received messages.
    pub messages_received: i64,
    /// Sent messages.
    pub messages_sent: i64,
    /// Stored contacts.
    pub contacts: i64,
    /// Stored groups.
    pub groups: i64,
}
