//! Settings of the world in a scan, equal to Wharf's `settings.simulator`.

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::MAX_GROUPS;
use super::people::PersonRef;

/// The longest delay: a day.
const MAX_DELAY_MS: u64 = 86_400_000;
const MAX_CONTACTS: usize = 5_000;
const MAX_HISTORY: usize = 10_000;
const MAX_NAME: usize = 100;
const MAX_ADDRESS: usize = 2_048;

/// The settings; delays are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Accepted for compatibility with the simulator; not used.
    pub auto_scan_ms: Option<u64>,
    /// From arrival to the server's ack; `None` disables it.
    pub ack_server_ms: Option<u64>,
    /// From arrival to the delivery receipt; `None` disables it.
    pub ack_device_ms: Option<u64>,
    /// From arrival to the read receipt; `None` disables it.
    pub ack_read_ms: Option<u64>,
    /// Whether contacts repeat what they receive.
    pub echo: bool,
    /// The phone's address book.
    pub contacts: Contacts,
    /// The account's groups.
    pub groups: Groups,
    /// The number of messages before the link.
    pub history: usize,
    /// Messages that contacts write each minute.
    pub traffic_per_minute: u64,
    /// The seed of everything generated.
    pub seed: u64,
}

/// The address book.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Contacts {
    /// This many generated contacts.
    Count(usize),
    /// These contacts.
    Listed(Vec<ContactSetting>),
}

/// A listed contact.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContactSetting {
    /// The person; `number` is an alias.
    #[serde(alias = "number", deserialize_with = "person")]
    pub id: PersonRef,
    /// The name in the address book.
    pub name: Option<String>,
    /// The URL of the picture.
    pub picture: Option<String>,
    /// Whether the contact hides its number at first.
    #[serde(default)]
    pub lid_only: bool,
}

impl ContactSetting {
    /// Whether the contact hides its number.
    #[must_use]
    pub fn hidden(&self) -> bool {
        self.lid_only || matches!(self.id, PersonRef::Lid(_))
    }
}

/// The account's groups.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Groups {
    /// This many generated groups.
    Count(usize),
    /// These groups.
    Listed(Vec<GroupSetting>),
}

/// A listed group.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GroupSetting {
    /// The group's id, `…@g.us`.
    pub id: String,
    /// The group's name.
    pub subject: String,
    /// The members besides the account.
    #[serde(deserialize_with = "persons")]
    pub participants: Vec<PersonRef>,
    /// Whether the account is an admin.
    pub admin: bool,
}

impl Default for GroupSetting {
    fn default() -> Self {
        Self { id: String::new(), subject: String::new(), participants: Vec::new(), admin: true }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            auto_scan_ms: None,
            ack_server_ms: Some(20),
            ack_device_ms: Some(80),
            ack_read_ms: Some(200),
            echo: false,
            contacts: Contacts::Count(0),
            groups: Groups::Count(0),
            history: 0,
            traffic_per_minute: 0,
            seed: 0,
        }
    }
}

impl Settings {
    /// Parses the settings; absent fields have defaults.
    ///
    /// # Errors
    /// If a field is unknown or out of range.
    pub fn parse(value: &Value) -> anyhow::Result<Self> {
        if value.is_null() {
            return Ok(Self::default());
        }
        let settings = Self::deserialize(value).context("world is invalid")?;
        let delays = [
            ("autoScanMs", settings.auto_scan_ms),
            ("ackServerMs", settings.ack_server_ms),
            ("ackDeviceMs", settings.ack_device_ms),
            ("ackReadMs", settings.ack_read_ms),
        ];
        for (name, delay) in delays {
            ensure!(delay.unwrap_or(0) <= MAX_DELAY_MS, "world.{name} is at most {MAX_DELAY_MS}");
        }
        ensure!(settings.history <= MAX_HISTORY, "world.history is at most {MAX_HISTORY}");
        settings.contacts.check()?;
        settings.groups.check()?;
        Ok(settings)
    }
}

impl Contacts {
    fn check(&self) -> anyhow::Result<()> {
        let number = match self {
            Self::Count(number) => *number,
            Self::Listed(listed) => listed.len(),
        };
        ensure!(number <= MAX_CONTACTS, "world.contacts are at most {MAX_CONTACTS}");
        let Self::Listed(listed) = self else { return Ok(()) };
        for (at, contact) in listed.iter().enumerate() {
            let name = contact.name.as_deref().unwrap_or_default();
            ensure!(name.len() <= MAX_NAME, "world.contacts[{at}].name has at most {MAX_NAME} bytes");
            let picture = contact.picture.as_deref().unwrap_or_default();
            ensure!(picture.len() <= MAX_ADDRESS, "world.contacts[{at}].picture is too long");
        }
        Ok(())
    }
}

impl Groups {
    fn check(&self) -> anyhow::Result<()> {
        let number = match self {
            Self::Count(number) => *number,
            Self::Listed(listed) => listed.len(),
        };
        ensure!(number <= MAX_GROUPS, "world.groups are at most {MAX_GROUPS}");
        let Self::Listed(listed) = self else { return Ok(()) };
        for (at, group) in listed.iter().enumerate() {
            ensure!(group.id.ends_with("@g.us"), "world.groups[{at}].id must end in @g.us");
            ensure!(
                (1..=MAX_NAME).contains(&group.subject.len()),
                "world.groups[{at}].subject has 1 to {MAX_NAME} bytes"
            );
        }
        Ok(())
    }
}

fn person<'de, D: Deserializer<'de>>(input: D) -> Result<PersonRef, D::Error> {
    let text = String::deserialize(input)?;
    PersonRef::parse(&text).map_err(serde::de::Error::custom)
}

fn persons<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<PersonRef>, D::Error> {
    let texts = Vec::<String>::deserialize(input)?;
    texts.iter().map(|text| PersonRef::parse(text).map_err(serde::de::Error::custom)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_settings_have_defaults_and_null_disables() {
        let settings = Settings::parse(&json!({ "ackReadMs": null, "history": 12 })).unwrap();
        assert_eq!(settings, Settings { ack_read_ms: None, history: 12, ..Settings::default() });
        assert_eq!(Settings::parse(&Value::Null).unwrap(), Settings::default());
    }

    #[test]
    fn contacts_and_groups_can_be_listed() {
        let settings = Settings::parse(&json!({
            "contacts": [{ "id": "15550110009@c.us", "name": "Nine" }],
            "groups": [{ "id": "1@g.us", "subject": "Mine", "participants": ["15550110009"], "admin": false }],
        }))
        .unwrap();
        let Contacts::Listed(contacts) = settings.contacts else { panic!("a list was given") };
        assert_eq!(contacts[0].id, PersonRef::Number("15550110009".to_owned()));
        let Groups::Listed(groups) = settings.groups else { panic!("a list was given") };
        assert!(!groups[0].admin);
    }

    #[test]
    fn invalid_settings_are_rejected() {
        let wrong = [
            json!({ "unheardOf": 1 }),
            json!({ "ackDeviceMs": 86_400_001_u64 }),
            json!({ "contacts": 5_001 }),
            json!({ "contacts": [{ "name": "nobody" }] }),
            json!({ "groups": [{ "id": "1@c.us", "subject": "x" }] }),
            json!({ "history": -1 }),
        ];
        for value in wrong {
            assert!(Settings::parse(&value).is_err(), "{value}");
        }
    }
}
