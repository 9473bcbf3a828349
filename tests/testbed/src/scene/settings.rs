//! What a scan says of the world, as `settings.simulator` of the daemon's simulator has it.

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::MAX_GROUPS;
use super::people::PersonRef;

/// No delay is longer than a day.
const MAX_DELAY_MS: u64 = 86_400_000;
const MAX_CONTACTS: usize = 5_000;
const MAX_HISTORY: usize = 10_000;
const MAX_NAME: usize = 100;
const MAX_ADDRESS: usize = 2_048;

/// How the people around one account behave. Delays are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// The phone scans by itself after so long; here for the simulator's sake.
    pub auto_scan_ms: Option<u64>,
    /// From a copy's arrival until the network says that it has it; `None`: it never says so.
    pub ack_server_ms: Option<u64>,
    /// From a copy's arrival to the receipt of the recipient's device; `None`: it is off.
    pub ack_device_ms: Option<u64>,
    /// From a copy's arrival until it is read; `None`: never.
    pub ack_read_ms: Option<u64>,
    /// Contacts answer what they are sent.
    pub echo: bool,
    /// The phone's address book.
    pub contacts: Contacts,
    /// The groups that the account is in.
    pub groups: Groups,
    /// Messages from before the link.
    pub history: usize,
    /// Messages that contacts write by themselves.
    pub traffic_per_minute: u64,
    /// What everything generated is derived from.
    pub seed: u64,
}

/// The address book.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Contacts {
    /// So many made-up ones.
    Count(usize),
    /// These.
    Listed(Vec<ContactSetting>),
}

/// A listed contact.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContactSetting {
    /// Who; `number` is another name of it.
    #[serde(alias = "number", deserialize_with = "person")]
    pub id: PersonRef,
    /// What the address book calls them.
    pub name: Option<String>,
    /// The address of their picture.
    pub picture: Option<String>,
    /// Whether they hide their number until it is revealed.
    #[serde(default)]
    pub lid_only: bool,
}

impl ContactSetting {
    /// Whether they hide their number.
    #[must_use]
    pub fn hidden(&self) -> bool {
        self.lid_only || matches!(self.id, PersonRef::Lid(_))
    }
}

/// The account's groups.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Groups {
    /// So many made-up ones.
    Count(usize),
    /// These.
    Listed(Vec<GroupSetting>),
}

/// A listed group.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GroupSetting {
    /// Which, `…@g.us`.
    pub id: String,
    /// Its name.
    pub subject: String,
    /// Who is in it besides the account.
    #[serde(deserialize_with = "persons")]
    pub participants: Vec<PersonRef>,
    /// Whether the account is an admin of it.
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
    /// Reads the settings; what is not there has its default.
    ///
    /// # Errors
    /// When something in it is not known, or out of bounds; the sentence names it.
    pub fn parse(value: &Value) -> anyhow::Result<Self> {
        if value.is_null() {
            return Ok(Self::default());
        }
        let settings = Self::deserialize(value).context("world cannot be read")?;
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
    fn what_is_missing_has_the_simulators_defaults_and_null_is_never() {
        let settings = Settings::parse(&json!({ "ackReadMs": null, "history": 12 })).unwrap();
        assert_eq!(settings, Settings { ack_read_ms: None, history: 12, ..Settings::default() });
        assert_eq!(Settings::parse(&Value::Null).unwrap(), Settings::default());
    }

    #[test]
    fn contacts_and_groups_may_be_listed() {
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
    fn what_is_wrong_is_refused() {
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
