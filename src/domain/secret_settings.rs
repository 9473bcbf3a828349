//! Separates secrets from a device's settings, and restores them.
//!
//! Stored and displayed settings have [`MASK`] in the place of each secret. The secrets are stored sealed, by
//! their paths. Only an engine that connects the device gets settings with secrets.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The text that replaces a secret in stored and displayed settings.
pub const MASK: &str = "********";

/// Endings of key names (lower case, without `_` and `-`) whose values are secrets.
const ENDINGS: [&str; 7] = ["token", "secret", "password", "apikey", "privatekey", "authorization", "cookie"];

/// Secrets by their paths, which are JSON pointers (RFC 6901).
pub type Secrets = BTreeMap<String, String>;

/// Whether the value of this key is a secret.
#[must_use]
pub fn is_secret_name(key: &str) -> bool {
    let plain: String = key.chars().filter(|c| !matches!(c, '_' | '-')).collect();
    let plain = plain.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| plain.ends_with(ending))
}

/// Extracts the secrets from settings and replaces each with [`MASK`].
#[must_use]
pub fn split(mut settings: Map<String, Value>) -> (Map<String, Value>, Secrets) {
    let mut secrets = Secrets::new();
    visit(&mut settings, "", &mut |place, text| {
        secrets.insert(place.to_owned(), std::mem::replace(text, MASK.to_owned()));
    });
    (settings, secrets)
}

/// Replaces each mask with its secret.
#[must_use]
pub fn join(mut settings: Map<String, Value>, secrets: &Secrets) -> Map<String, Value> {
    visit(&mut settings, "", &mut |place, text| {
        if text == MASK
            && let Some(secret) = secrets.get(place)
        {
            secret.clone_into(text);
        }
    });
    settings
}

/// Prepares settings that replace `before`, which contains its secrets. A secret that is absent or masked
/// stays unchanged; `null` removes it.
#[must_use]
pub fn keep(mut settings: Map<String, Value>, before: &Map<String, Value>) -> Map<String, Value> {
    for (key, value) in &mut settings {
        if let Some(before) = before.get(key) {
            keep_in(key, value, before);
        }
    }
    settings
}

fn keep_in(key: &str, value: &mut Value, before: &Value) {
    match (value, before) {
        (Value::Object(fields), Value::Object(before)) => {
            for (key, before) in before {
                let is_secret = is_secret_name(key) && before.is_string();
                match fields.get_mut(key) {
                    None if is_secret => {
                        fields.insert(key.clone(), before.clone());
                    }
                    Some(Value::Null) if is_secret => {
                        fields.remove(key);
                    }
                    Some(value) => keep_in(key, value, before),
                    None => {}
                }
            }
        }
        (Value::Array(items), Value::Array(before)) => {
            items.iter_mut().zip(before).for_each(|(item, before)| keep_in(key, item, before));
        }
        (Value::String(text), Value::String(before)) if is_secret_name(key) && text == MASK => {
            before.clone_into(text);
        }
        _ => {}
    }
}

/// The path of a secret that would stay unchanged while the address beside it changes.
///
/// Callers refuse such a change: otherwise a client could redirect a stored secret to a server of its own.
#[must_use]
pub fn sent_elsewhere(settings: &Map<String, Value>, before: &Map<String, Value>) -> Option<String> {
    settings.iter().find_map(|(key, value)| elsewhere(key, value, before.get(key)?))
}

fn elsewhere(path: &str, value: &Value, before: &Value) -> Option<String> {
    let (Value::Object(fields), Value::Object(before)) = (value, before) else { return None };
    let keys = || fields.keys().chain(before.keys());
    let address_changes = keys().any(|key| is_address(key) && fields.get(key) != before.get(key));
    let is_kept = |key: &&String| {
        let given = fields.get(*key);
        is_secret_name(key) && before[*key].is_string() && given.is_none_or(|given| *given == MASK)
    };
    if let Some(kept) = before.keys().find(is_kept).filter(|_| address_changes) {
        return Some(format!("{path}.{kept}"));
    }
    fields.iter().find_map(|(key, value)| elsewhere(&format!("{path}.{key}"), value, before.get(key)?))
}

/// Whether the value of this key contains a host.
fn is_address(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["url", "urls", "host", "hosts"].iter().any(|ending| key.ends_with(ending))
}

/// The path of a mask without a stored secret, if there is one.
#[must_use]
pub fn bare_mask(settings: &Map<String, Value>) -> Option<String> {
    let mut found = None;
    visit(&mut settings.clone(), "", &mut |place, text| {
        if text == MASK && found.is_none() {
            found = Some(place.trim_start_matches('/').replace('/', "."));
        }
    });
    found
}

/// Calls `visitor` with the path and value of every secret that is a non-empty string.
fn visit(fields: &mut Map<String, Value>, path: &str, visitor: &mut dyn FnMut(&str, &mut String)) {
    for (key, value) in fields {
        let place = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
        visit_value(is_secret_name(key), value, &place, visitor);
    }
}

fn visit_value(secret: bool, value: &mut Value, place: &str, visitor: &mut dyn FnMut(&str, &mut String)) {
    match value {
        Value::Object(fields) => visit(fields, place, visitor),
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                visit_value(secret, item, &format!("{place}/{index}"), visitor);
            }
        }
        Value::String(text) if secret && !text.is_empty() => visitor(place, text),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("the value is not an object") };
        map
    }

    #[test]
    fn secrets_are_extracted_and_restored() {
        let full = map(json!({
            "waha": { "baseUrl": "https://waha.example.com", "apiKey": "a key", "session": "one" },
            "list": [{ "access_token": "b" }, { "client-secret": ["c", "d"] }], "token": 5, "passwords": "no",
        }));
        let (masked, secrets) = split(full.clone());
        assert_eq!(
            Value::Object(masked.clone()),
            json!({
                "waha": { "baseUrl": "https://waha.example.com", "apiKey": MASK, "session": "one" },
                "list": [{ "access_token": MASK }, { "client-secret": [MASK, MASK] }], "token": 5, "passwords": "no",
            })
        );
        assert_eq!(secrets.len(), 4);
        assert_eq!(secrets["/list/1/client-secret/0"], "c");
        assert_eq!(join(masked, &secrets), full);
    }

    #[test]
    fn secret_stays_until_changed_or_removed() {
        let before = map(json!({ "waha": { "apiKey": "old", "webhookSecret": "s", "session": "one" } }));
        let after = |new: Value| Value::Object(keep(map(new), &before));
        assert_eq!(after(json!({ "waha": { "session": "two" } }))["waha"]["apiKey"], "old");
        assert_eq!(after(json!({ "waha": { "apiKey": MASK } }))["waha"]["apiKey"], "old");
        assert_eq!(after(json!({ "waha": { "apiKey": "new" } }))["waha"]["apiKey"], "new");
        assert!(after(json!({ "waha": { "apiKey": null } }))["waha"].get("apiKey").is_none());
        assert!(after(json!({ "waha": { "apiKey": "new" } }))["waha"].get("session").is_none());
        assert_eq!(after(json!({ "other": { "apiKey": MASK } }))["other"]["apiKey"], MASK);
    }

    #[test]
    fn secret_must_be_repeated_for_new_host() {
        let before = map(json!({ "waha": { "baseUrl": "https://a", "apiKey": "old", "session": "one" } }));
        let place = |new: Value| sent_elsewhere(&map(json!({ "waha": new })), &before);
        let kept = Some("waha.apiKey".to_owned());
        assert_eq!(place(json!({ "baseUrl": "https://b" })), kept);
        assert_eq!(place(json!({ "baseUrl": "https://b", "apiKey": MASK })), kept);
        assert_eq!(place(json!({ "apiKey": MASK })), kept);
        assert_eq!(place(json!({ "baseUrl": "https://a", "mediaHosts": ["b"] })), kept);
        assert_eq!(place(json!({ "baseUrl": "https://b", "apiKey": "new" })), None);
        assert_eq!(place(json!({ "baseUrl": "https://b", "apiKey": null })), None);
        assert_eq!(place(json!({ "baseUrl": "https://a", "session": "two" })), None);
    }

    #[test]
    fn mask_without_secret_is_found() {
        assert_eq!(bare_mask(&map(json!({ "waha": { "apiKey": "key", "note": MASK } }))), None);
        assert_eq!(bare_mask(&map(json!({ "waha": { "apiKey": MASK } }))).as_deref(), Some("waha.apiKey"));
    }
}
