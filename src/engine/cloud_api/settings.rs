//! `settings.cloud-api`: which number, and with what it is reached.

use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use super::NAME;
use crate::engine::SettingError;

const DEFAULT_BASE: &str = "https://graph.facebook.com";
const DEFAULT_VERSION: &str = "v24.0";
/// Where Meta keeps files.
const DEFAULT_MEDIA_HOST: &str = "lookaside.fbsbx.com";
/// How often Meta is asked whether the number can still be used, in milliseconds.
const DEFAULT_CHECK_MS: u64 = 60_000;
const CHECK_MS: std::ops::RangeInclusive<u64> = 100..=60_000;
/// The longest secret, in bytes.
const MAX_SECRET: usize = 4_096;
const MAX_HOSTS: usize = 16;
const KNOWN: [&str; 8] = [
    "phoneNumberId",
    "accessToken",
    "appSecret",
    "verifyToken",
    "baseUrl",
    "version",
    "mediaHosts",
    "checkEveryMs",
];

/// The settings of one device. Has no `Debug`: it holds secrets.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct DeviceSettings {
    /// Names the number at Meta, in digits.
    pub(super) phone_number_id: String,
    /// What Meta lets us in with.
    pub(super) access_token: String,
    /// What Meta signs its callbacks with.
    pub(super) app_secret: String,
    /// What Meta names when it verifies the callback's address.
    pub(super) verify_token: String,
    /// Where the Graph API is.
    pub(super) base_url: Url,
    /// Which of its versions.
    pub(super) version: String,
    /// Hosts that are given the token for files, besides the Graph API's own.
    pub(super) media_hosts: Vec<String>,
    /// The pause between two questions whether the number can still be used.
    pub(super) check_every: Duration,
}

impl DeviceSettings {
    /// Reads `cloud-api` out of a device's settings.
    pub(super) fn parse(settings: &Map<String, Value>) -> Result<Self, SettingError> {
        let empty = Map::new();
        let fields = match settings.get(NAME) {
            None | Some(Value::Null) => &empty,
            Some(Value::Object(fields)) => fields,
            Some(_) => {
                return Err(SettingError {
                    field: format!("settings.{NAME}"),
                    message: "must be an object".to_owned(),
                });
            }
        };
        if let Some(unknown) = fields.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            return Err(wrong(unknown, &format!("is not known; there are {}", KNOWN.join(", "))));
        }
        Ok(Self {
            phone_number_id: digits(fields)?,
            access_token: secret(fields, "accessToken", "the access token of a system user at Meta")?,
            app_secret: secret(fields, "appSecret", "the app's secret, with which Meta signs its callbacks")?,
            verify_token: secret(
                fields,
                "verifyToken",
                "a text of your own, which Meta repeats when it verifies the callback",
            )?,
            base_url: base_url(fields)?,
            version: version(fields)?,
            media_hosts: media_hosts(fields)?,
            check_every: check_every(fields)?,
        })
    }
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, SettingError> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim())),
        Some(_) => Err(wrong(name, "must be a text")),
    }
}

fn digits(fields: &Map<String, Value>) -> Result<String, SettingError> {
    let must = "must be the phone number's id at Meta, digits only (not the number itself)";
    let id = text(fields, "phoneNumberId")?.ok_or_else(|| wrong("phoneNumberId", must))?;
    let fits = (1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    if fits { Ok(id.to_owned()) } else { Err(wrong("phoneNumberId", must)) }
}

fn secret(fields: &Map<String, Value>, name: &str, what: &str) -> Result<String, SettingError> {
    let must = || wrong(name, &format!("is required: {what}"));
    let secret = text(fields, name)?.ok_or_else(must)?;
    let fits = (1..=MAX_SECRET).contains(&secret.len()) && secret.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(secret.to_owned()) } else { Err(must()) }
}

fn base_url(fields: &Map<String, Value>) -> Result<Url, SettingError> {
    let must = || {
        let sentence = "must be an address such as https://graph.facebook.com, without user, password, query or fragment";
        wrong("baseUrl", sentence)
    };
    let url: Url = text(fields, "baseUrl")?.unwrap_or(DEFAULT_BASE).parse().map_err(|_| must())?;
    let nobody = url.username().is_empty() && url.password().is_none();
    let plain = url.query().is_none() && url.fragment().is_none() && nobody;
    if matches!(url.scheme(), "http" | "https") && url.has_host() && plain { Ok(url) } else { Err(must()) }
}

fn version(fields: &Map<String, Value>) -> Result<String, SettingError> {
    let version = text(fields, "version")?.unwrap_or(DEFAULT_VERSION);
    let number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let fits = version
        .strip_prefix('v')
        .and_then(|rest| rest.split_once('.'))
        .is_some_and(|(major, minor)| number(major) && number(minor));
    if fits { Ok(version.to_owned()) } else { Err(wrong("version", "must look like v24.0")) }
}

fn media_hosts(fields: &Map<String, Value>) -> Result<Vec<String>, SettingError> {
    let must = || wrong("mediaHosts", "must be a list of host names, such as lookaside.fbsbx.com");
    let listed = match fields.get("mediaHosts") {
        None | Some(Value::Null) => return Ok(vec![DEFAULT_MEDIA_HOST.to_owned()]),
        Some(Value::Array(listed)) if listed.len() <= MAX_HOSTS => listed,
        Some(_) => return Err(must()),
    };
    let host = |value: &Value| {
        let host = value.as_str()?.to_ascii_lowercase();
        let fits = !host.is_empty() && !host.contains(['/', ':', '@', ' ']);
        fits.then_some(host)
    };
    listed.iter().map(|value| host(value).ok_or_else(must)).collect()
}

fn check_every(fields: &Map<String, Value>) -> Result<Duration, SettingError> {
    let ms = match fields.get("checkEveryMs") {
        None | Some(Value::Null) => Some(DEFAULT_CHECK_MS),
        Some(value) => value.as_u64(),
    };
    ms.filter(|ms| CHECK_MS.contains(ms))
        .map(Duration::from_millis)
        .ok_or_else(|| wrong("checkEveryMs", "must be a whole number of milliseconds from 100 to 60000"))
}

/// A setting that cannot be.
pub(super) fn wrong(name: &str, message: &str) -> SettingError {
    SettingError { field: format!("settings.{NAME}.{name}"), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(change: &Value) -> Result<DeviceSettings, SettingError> {
        let mut all = json!({
            "phoneNumberId": "106540352242922", "accessToken": "EAAJ", "appSecret": "s", "verifyToken": "v",
        });
        for (key, value) in change.as_object().unwrap() {
            all[key] = value.clone();
        }
        DeviceSettings::parse(json!({ NAME: all }).as_object().unwrap())
    }

    #[test]
    fn number_and_secrets_are_enough() {
        let settings = parse(&json!({})).ok().unwrap();
        assert_eq!(settings.base_url.as_str(), "https://graph.facebook.com/");
        assert_eq!((settings.version.as_str(), settings.check_every.as_secs()), ("v24.0", 60));
        assert_eq!(settings.media_hosts, ["lookaside.fbsbx.com"]);
    }

    #[test]
    fn what_is_missing_wrong_or_unknown_is_named() {
        for (change, field) in [
            (json!({ "phoneNumberId": null }), "phoneNumberId"),
            (json!({ "phoneNumberId": "+15550100001" }), "phoneNumberId"),
            (json!({ "accessToken": "" }), "accessToken"),
            (json!({ "accessToken": "a b" }), "accessToken"),
            (json!({ "appSecret": null }), "appSecret"),
            (json!({ "verifyToken": 1 }), "verifyToken"),
            (json!({ "baseUrl": "graph.facebook.com" }), "baseUrl"),
            (json!({ "baseUrl": "https://user@graph.facebook.com" }), "baseUrl"),
            (json!({ "baseUrl": "http://:pw@graph.facebook.com" }), "baseUrl"),
            (json!({ "version": "24" }), "version"),
            (json!({ "mediaHosts": ["https://a/"] }), "mediaHosts"),
            (json!({ "checkEveryMs": 0 }), "checkEveryMs"),
            (json!({ "and": 1 }), "and"),
            (json!({ "token": 1 }), "token"),
        ] {
            let error = parse(&change).err().unwrap();
            assert_eq!(error.field, format!("settings.cloud-api.{field}"), "{change}");
        }
    }
}
