//! `settings.cloud-api`: the number of a device, and the secrets for its use. Secrets are never shown.

use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use crate::engine::SettingError;
use crate::engine::relay::settings::SettingsReader;

/// The engine's name, and the key of its settings.
pub(super) const NAME: &str = "cloud-api";
const FIELDS: [&str; 8] = [
    "phoneNumberId",
    "accessToken",
    "appSecret",
    "verifyToken",
    "baseUrl",
    "version",
    "mediaHosts",
    "checkEveryMs",
];
const DEFAULT_BASE: &str = "https://graph.facebook.com";
const DEFAULT_VERSION: &str = "v24.0";
/// The host of Meta's files.
const DEFAULT_MEDIA_HOST: &str = "lookaside.fbsbx.com";
const DEFAULT_CHECK_MS: u64 = 60_000;
const CHECK_MS: std::ops::RangeInclusive<u64> = 100..=60_000;
const MAX_SECRET_BYTES: usize = 4_096;
const MAX_HOSTS: usize = 16;

/// The settings of one device. There is no `Debug`, because of the secrets.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct DeviceSettings {
    /// The id of the number at Meta, in digits.
    pub(super) phone_number_id: String,
    pub(super) access_token: String,
    /// Meta signs its callbacks with it.
    pub(super) app_secret: String,
    /// Meta repeats it when it verifies the address of the callback.
    pub(super) verify_token: String,
    pub(super) base_url: Url,
    /// The version of the Graph API.
    pub(super) version: String,
    /// Hosts besides the Graph API that get the token to download files.
    pub(super) media_hosts: Vec<String>,
    /// The pause between two checks of token and number.
    pub(super) check_every: Duration,
}

impl DeviceSettings {
    /// Reads `cloud-api` from a device's settings.
    pub(super) fn parse(settings: &Map<String, Value>) -> Result<Self, SettingError> {
        let reader = SettingsReader::open(settings, NAME, &FIELDS)?;
        Ok(Self {
            phone_number_id: phone_number_id(&reader)?,
            access_token: secret(&reader, "accessToken", "the access token of a system user at Meta")?,
            app_secret: secret(
                &reader,
                "appSecret",
                "the app's secret, with which Meta signs its callbacks",
            )?,
            verify_token: secret(
                &reader,
                "verifyToken",
                "a text of your own, which Meta repeats when it verifies the callback",
            )?,
            base_url: base_url(&reader)?,
            version: version(&reader)?,
            media_hosts: media_hosts(&reader)?,
            check_every: check_every(&reader)?,
        })
    }
}

fn phone_number_id(reader: &SettingsReader<'_>) -> Result<String, SettingError> {
    let message = "must be the phone number's id at Meta, digits only (not the number itself)";
    let error = || reader.error("phoneNumberId", message);
    let id = reader.text("phoneNumberId")?.ok_or_else(error)?;
    let fits = (1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    if fits { Ok(id.to_owned()) } else { Err(error()) }
}

fn secret(reader: &SettingsReader<'_>, name: &str, purpose: &str) -> Result<String, SettingError> {
    let secret = reader.secret(name, MAX_SECRET_BYTES)?;
    secret.ok_or_else(|| reader.error(name, &format!("is required: {purpose}")))
}

fn base_url(reader: &SettingsReader<'_>) -> Result<Url, SettingError> {
    let default = || DEFAULT_BASE.parse().map_err(|_| reader.error("baseUrl", "is required"));
    reader.base_url("baseUrl")?.map_or_else(default, Ok)
}

fn version(reader: &SettingsReader<'_>) -> Result<String, SettingError> {
    let version = reader.text("version")?.unwrap_or(DEFAULT_VERSION);
    let is_number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let fits = version
        .strip_prefix('v')
        .and_then(|rest| rest.split_once('.'))
        .is_some_and(|(major, minor)| is_number(major) && is_number(minor));
    if fits { Ok(version.to_owned()) } else { Err(reader.error("version", "must have the form v24.0")) }
}

fn media_hosts(reader: &SettingsReader<'_>) -> Result<Vec<String>, SettingError> {
    let error = || reader.error("mediaHosts", "must be a list of host names, such as lookaside.fbsbx.com");
    let hosts = match reader.value("mediaHosts") {
        None => return Ok(vec![DEFAULT_MEDIA_HOST.to_owned()]),
        Some(Value::Array(hosts)) if hosts.len() <= MAX_HOSTS => hosts,
        Some(_) => return Err(error()),
    };
    let host = |value: &Value| {
        let host = value.as_str()?.to_ascii_lowercase();
        let fits = !host.is_empty() && !host.contains(['/', ':', '@', ' ']);
        fits.then_some(host)
    };
    hosts.iter().map(|value| host(value).ok_or_else(error)).collect()
}

fn check_every(reader: &SettingsReader<'_>) -> Result<Duration, SettingError> {
    let ms = reader.value("checkEveryMs").map_or(Some(DEFAULT_CHECK_MS), Value::as_u64);
    let ms = ms.filter(|ms| CHECK_MS.contains(ms)).map(Duration::from_millis);
    let message = "must be a whole number of milliseconds from 100 to 60000";
    ms.ok_or_else(|| reader.error("checkEveryMs", message))
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
    fn missing_wrong_or_unknown_field_is_named() {
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
