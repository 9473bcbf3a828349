//! Parses `settings.whatsapp`: how a device appears on the phone, its history, and its testbed. Unknown
//! fields are rejected.

use serde_json::{Map, Value};

use super::own_presence::PresencePolicy;
use crate::engine::SettingError;

const PATH: &str = "settings.whatsapp";
/// Maximum length of a name in characters; phones truncate longer ones.
const MAX_NAME: usize = 50;
/// The name in the phone's list of linked devices.
const DEFAULT_NAME: &str = "Wharf";

/// How much history a phone sends to a newly linked device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum History {
    /// No history.
    None,
    /// The phone's default: some months.
    #[default]
    Recent,
    /// All that the phone has: about a year.
    Full,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct DeviceSettings {
    /// The name in the phone's list of linked devices; used when linking only.
    pub(super) device_name: String,
    /// The protocol version sent to the network, instead of the library's.
    pub(super) version: Option<(u32, u32, u32)>,
    /// The requested history; used when linking only.
    pub(super) history: History,
    /// When the account is available to its contacts.
    pub(super) presence: PresencePolicy,
    /// Whether senders see messages as delivered while the account is unavailable.
    pub(super) delivered_while_offline: bool,
    /// Settings of the testbed's world; ignored without a testbed.
    pub(super) testbed: Option<Map<String, Value>>,
}

impl Default for DeviceSettings {
    fn default() -> Self {
        Self {
            device_name: DEFAULT_NAME.to_owned(),
            version: None,
            history: History::default(),
            presence: PresencePolicy::default(),
            delivered_while_offline: false,
            testbed: None,
        }
    }
}

impl DeviceSettings {
    /// Reads `whatsapp` from a device's settings; absent fields have defaults.
    pub(super) fn parse(settings: &Map<String, Value>) -> Result<Self, SettingError> {
        let fields = match settings.get("whatsapp") {
            None | Some(Value::Null) => return Ok(Self::default()),
            Some(Value::Object(fields)) => fields,
            Some(_) => return Err(wrong(PATH, "must be an object")),
        };
        let mut read = Self::default();
        for (name, value) in fields {
            match name.as_str() {
                "deviceName" => read.device_name = device_name(value)?,
                "version" => read.version = version(value)?,
                "history" => read.history = history(value)?,
                "presence" => read.presence = presence(value)?,
                "deliveredWhileOffline" => read.delivered_while_offline = delivered_while_offline(value)?,
                "testbed" => read.testbed = world(value)?,
                other => {
                    let field = format!("{PATH}.{other}");
                    return Err(wrong(
                        &field,
                        "is not a setting; there are deviceName, version, history, presence, deliveredWhileOffline \
                         and testbed",
                    ));
                }
            }
        }
        Ok(read)
    }
}

fn device_name(value: &Value) -> Result<String, SettingError> {
    let wrong =
        || wrong("settings.whatsapp.deviceName", "must be a text of 1 to 50 characters without line breaks");
    let name = value.as_str().ok_or_else(wrong)?.trim();
    let fits = !name.is_empty() && name.chars().count() <= MAX_NAME && !name.chars().any(char::is_control);
    if fits { Ok(name.to_owned()) } else { Err(wrong()) }
}

fn version(value: &Value) -> Result<Option<(u32, u32, u32)>, SettingError> {
    if value.is_null() {
        return Ok(None);
    }
    let wrong = || {
        wrong(
            "settings.whatsapp.version",
            "must be three numbers with dots between, such as \"2.3000.1030000000\"",
        )
    };
    let text = value.as_str().ok_or_else(wrong)?;
    let parts: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
    match parts.as_deref() {
        Ok([major, minor, patch]) => Ok(Some((*major, *minor, *patch))),
        _ => Err(wrong()),
    }
}

fn history(value: &Value) -> Result<History, SettingError> {
    match value.as_str() {
        Some("none") => Ok(History::None),
        Some("recent") => Ok(History::Recent),
        Some("full") => Ok(History::Full),
        _ => Err(wrong("settings.whatsapp.history", "must be none, recent or full")),
    }
}

fn presence(value: &Value) -> Result<PresencePolicy, SettingError> {
    match value.as_str() {
        Some("auto") => Ok(PresencePolicy::Auto),
        Some("unavailable") => Ok(PresencePolicy::Unavailable),
        Some("available") => Ok(PresencePolicy::Available),
        _ => Err(wrong("settings.whatsapp.presence", "must be auto, unavailable or available")),
    }
}

fn delivered_while_offline(value: &Value) -> Result<bool, SettingError> {
    value.as_bool().ok_or_else(|| wrong("settings.whatsapp.deliveredWhileOffline", "must be true or false"))
}

fn world(value: &Value) -> Result<Option<Map<String, Value>>, SettingError> {
    match value {
        Value::Null => Ok(None),
        Value::Object(world) => Ok(Some(world.clone())),
        _ => Err(wrong("settings.whatsapp.testbed", "must be an object")),
    }
}

fn wrong(field: &str, message: &str) -> SettingError {
    SettingError { field: field.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(settings: &Value) -> Result<DeviceSettings, SettingError> {
        DeviceSettings::parse(settings.as_object().unwrap())
    }

    #[test]
    fn absent_settings_have_defaults() {
        for settings in [json!({}), json!({ "whatsapp": null }), json!({ "whatsapp": {} })] {
            assert_eq!(parse(&settings), Ok(DeviceSettings::default()), "{settings}");
        }
    }

    #[test]
    fn device_name_and_version_are_parsed() {
        let read = parse(&json!({ "whatsapp": { "deviceName": " Shop ", "version": "2.3000.7" } })).unwrap();
        assert_eq!((read.device_name.as_str(), read.version), ("Shop", Some((2, 3000, 7))));
    }

    #[test]
    fn history_setting_is_parsed() {
        for (text, is) in [("none", History::None), ("recent", History::Recent), ("full", History::Full)] {
            assert_eq!(parse(&json!({ "whatsapp": { "history": text } })).unwrap().history, is);
        }
    }

    #[test]
    fn presence_settings_are_parsed() {
        for (text, is) in [
            ("auto", PresencePolicy::Auto),
            ("unavailable", PresencePolicy::Unavailable),
            ("available", PresencePolicy::Available),
        ] {
            assert_eq!(parse(&json!({ "whatsapp": { "presence": text } })).unwrap().presence, is);
        }
        let read = parse(&json!({ "whatsapp": { "deliveredWhileOffline": true } })).unwrap();
        assert!(read.delivered_while_offline);
    }

    #[test]
    fn invalid_setting_names_its_path() {
        for (settings, field) in [
            (json!({ "whatsapp": [] }), "settings.whatsapp"),
            (json!({ "whatsapp": { "deviceName": "" } }), "settings.whatsapp.deviceName"),
            (json!({ "whatsapp": { "deviceName": "a\nb" } }), "settings.whatsapp.deviceName"),
            (json!({ "whatsapp": { "version": "2.3000" } }), "settings.whatsapp.version"),
            (json!({ "whatsapp": { "history": "all" } }), "settings.whatsapp.history"),
            (json!({ "whatsapp": { "presence": "online" } }), "settings.whatsapp.presence"),
            (
                json!({ "whatsapp": { "deliveredWhileOffline": "yes" } }),
                "settings.whatsapp.deliveredWhileOffline",
            ),
            (json!({ "whatsapp": { "testbed": 1 } }), "settings.whatsapp.testbed"),
            (json!({ "whatsapp": { "echo": true } }), "settings.whatsapp.echo"),
        ] {
            assert_eq!(parse(&settings).unwrap_err().field, field, "{settings}");
        }
    }
}
