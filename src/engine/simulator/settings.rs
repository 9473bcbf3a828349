//! `settings.simulator`: the behaviour of the phone, the contacts and the network of one device.
//!
//! Unknown settings are rejected; missing ones have their defaults.

use serde_json::{Map, Value};

use super::fields::Fields;
use crate::domain::jid::Jid;
use crate::engine::SettingError;

const PATH: &str = "settings.simulator";
const FIELDS: [&str; 11] = [
    "autoScanMs",
    "passkey",
    "ackServerMs",
    "ackDeviceMs",
    "ackReadMs",
    "echo",
    "contacts",
    "groups",
    "history",
    "trafficPerMinute",
    "seed",
];

/// The longest delay: a day.
pub(super) const MAX_DELAY_MS: u64 = 86_400_000;
/// The longest name in bytes.
const MAX_NAME: usize = 100;
/// The longest URL in bytes.
const MAX_ADDRESS: usize = 2_048;
const MAX_CONTACTS: usize = 5_000;
pub(super) const MAX_GROUPS: usize = 1_000;
pub(super) const MAX_PARTICIPANTS: usize = 1_024;
const MAX_HISTORY: u64 = 10_000;
const MAX_TRAFFIC: u64 = 60_000;
/// The largest whole number that every JSON reader reads exactly.
const MAX_SEED: u64 = (1 << 53) - 1;

/// The settings of one simulated device. Delays are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    /// The delay of an automatic scan; `None` is never.
    pub(super) auto_scan_ms: Option<u64>,
    /// Whether the network asks for a passkey after a scan.
    pub(super) passkey: PasskeyMode,
    /// From the arrival of a copy to the network's acknowledgement; `None` is never.
    pub(super) ack_server_ms: Option<u64>,
    /// From the arrival of a copy to the delivery receipt; `None` is never.
    pub(super) ack_device_ms: Option<u64>,
    /// From the arrival of a copy to the read receipt; `None` is never.
    pub(super) ack_read_ms: Option<u64>,
    /// Whether contacts answer each message.
    pub(super) echo: bool,
    /// The phone's address book.
    pub(super) contacts: Contacts,
    /// The groups that the account is in.
    pub(super) groups: Groups,
    /// The number of messages before the link.
    pub(super) history: u64,
    /// The rate of messages that contacts write by themselves.
    pub(super) traffic_per_minute: u64,
    /// The seed of generated data, together with the device's id.
    pub(super) seed: u64,
}

/// The passkey of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PasskeyMode {
    /// It has none.
    Off,
    /// The phone shows a code after the signature.
    Code,
    /// The signature is enough.
    Auto,
}

/// The address book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Contacts {
    /// This number of generated ones.
    Generated(usize),
    /// The ones of the settings.
    Listed(Vec<ContactSetting>),
}

/// A listed contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ContactSetting {
    pub(super) id: Jid,
    /// The name in the address book.
    pub(super) name: Option<String>,
    /// The URL of the picture.
    pub(super) picture: Option<String>,
}

/// The account's groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Groups {
    /// This number of generated ones.
    Generated(usize),
    /// The ones of the settings.
    Listed(Vec<GroupSetting>),
}

/// A listed group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GroupSetting {
    pub(super) id: Jid,
    pub(super) subject: String,
    /// The members besides the account.
    pub(super) participants: Vec<Jid>,
    /// Whether the account is an admin of it.
    pub(super) admin: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            auto_scan_ms: None,
            passkey: PasskeyMode::Off,
            ack_server_ms: Some(20),
            ack_device_ms: Some(80),
            ack_read_ms: Some(200),
            echo: false,
            contacts: Contacts::Generated(0),
            groups: Groups::Generated(0),
            history: 0,
            traffic_per_minute: 0,
            seed: 0,
        }
    }
}

impl Settings {
    /// Reads `simulator` from a device's settings.
    pub(super) fn parse(settings: &Map<String, Value>) -> Result<Self, SettingError> {
        match settings.get("simulator") {
            None | Some(Value::Null) => Ok(Self::default()),
            Some(value) => Self::read(&Fields::nested(PATH.to_owned(), value, &FIELDS)?),
        }
    }

    fn read(fields: &Fields<'_>) -> Result<Self, SettingError> {
        let default = Self::default();
        Ok(Self {
            auto_scan_ms: fields.integer("autoScanMs", 0..=MAX_DELAY_MS)?,
            passkey: passkey(fields)?,
            ack_server_ms: delay(fields, "ackServerMs", default.ack_server_ms)?,
            ack_device_ms: delay(fields, "ackDeviceMs", default.ack_device_ms)?,
            ack_read_ms: delay(fields, "ackReadMs", default.ack_read_ms)?,
            echo: fields.flag("echo")?.unwrap_or(default.echo),
            contacts: contacts(fields)?,
            groups: groups(fields)?,
            history: fields.integer("history", 0..=MAX_HISTORY)?.unwrap_or(default.history),
            traffic_per_minute: fields.integer("trafficPerMinute", 0..=MAX_TRAFFIC)?.unwrap_or(0),
            seed: fields.integer("seed", 0..=MAX_SEED)?.unwrap_or(default.seed),
        })
    }
}

fn passkey(fields: &Fields<'_>) -> Result<PasskeyMode, SettingError> {
    match fields.text("passkey", MAX_NAME)? {
        None | Some("off") => Ok(PasskeyMode::Off),
        Some("code") => Ok(PasskeyMode::Code),
        Some("auto") => Ok(PasskeyMode::Auto),
        Some(_) => Err(fields.wrong("passkey", "must be off, code or auto")),
    }
}

/// A delay; `null` is never, and a missing one has its default.
fn delay(fields: &Fields<'_>, name: &str, default: Option<u64>) -> Result<Option<u64>, SettingError> {
    match fields.raw(name) {
        None => Ok(default),
        Some(Value::Null) => Ok(None),
        Some(_) => fields.integer(name, 0..=MAX_DELAY_MS),
    }
}

fn count(fields: &Fields<'_>, name: &str, max: usize) -> Result<Option<usize>, SettingError> {
    if !matches!(fields.value(name), Some(Value::Number(_))) {
        return Ok(None);
    }
    let max = u64::try_from(max).unwrap_or(u64::MAX);
    Ok(fields.integer(name, 0..=max)?.and_then(|n| usize::try_from(n).ok()))
}

fn contacts(fields: &Fields<'_>) -> Result<Contacts, SettingError> {
    if let Some(number) = count(fields, "contacts", MAX_CONTACTS)? {
        return Ok(Contacts::Generated(number));
    }
    let Some(values) = fields.list("contacts", MAX_CONTACTS)? else {
        return Ok(Contacts::Generated(0));
    };
    let listed = values.iter().enumerate().map(|(at, value)| {
        contact(&Fields::nested(
            format!("{PATH}.contacts[{at}]"),
            value,
            &["id", "number", "name", "picture"],
        )?)
    });
    Ok(Contacts::Listed(listed.collect::<Result<_, _>>()?))
}

fn contact(fields: &Fields<'_>) -> Result<ContactSetting, SettingError> {
    let id = match fields.jid("id")? {
        Some(id) => id,
        None => fields.required("number", fields.jid("number")?)?,
    };
    if id.is_group() {
        return Err(fields.wrong("id", "must be a person, not a group"));
    }
    let text = |name, max| fields.text(name, max).map(|text| text.map(str::to_owned));
    Ok(ContactSetting { id, name: text("name", MAX_NAME)?, picture: text("picture", MAX_ADDRESS)? })
}

fn groups(fields: &Fields<'_>) -> Result<Groups, SettingError> {
    if let Some(number) = count(fields, "groups", MAX_GROUPS)? {
        return Ok(Groups::Generated(number));
    }
    let Some(values) = fields.list("groups", MAX_GROUPS)? else {
        return Ok(Groups::Generated(0));
    };
    let listed = values.iter().enumerate().map(|(at, value)| {
        group(&Fields::nested(
            format!("{PATH}.groups[{at}]"),
            value,
            &["id", "subject", "participants", "admin"],
        )?)
    });
    Ok(Groups::Listed(listed.collect::<Result<_, _>>()?))
}

fn group(fields: &Fields<'_>) -> Result<GroupSetting, SettingError> {
    let id = fields.required("id", fields.jid("id")?)?;
    if !id.is_group() {
        return Err(fields.wrong("id", "must end in @g.us"));
    }
    let subject = fields.required("subject", fields.text("subject", MAX_NAME)?)?.to_owned();
    let participants = fields.jids("participants", MAX_PARTICIPANTS)?;
    let admin = fields.flag("admin")?.unwrap_or(true);
    Ok(GroupSetting { id, subject, participants, admin })
}
