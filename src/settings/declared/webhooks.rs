//! `[[webhooks]]` of a device's file: the fields of `POST /devices/{id}/webhooks`, with the secret as a
//! reference.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use toml::{Table, Value};

use super::{DeclaredError, Resolver, invalid, printable};
use crate::domain::webhook::{Format, Ordering};

const KEYS: [&str; 11] = [
    "name",
    "url",
    "events",
    "exclude",
    "format",
    "ordering",
    "headers",
    "secret",
    "timeoutMs",
    "customCa",
    "enabled",
];

/// Name of a webhook that is the only one of its file and has no name.
const ONLY: &str = "webhook-1";
/// Required because positions are no stable names: they change when a webhook is added or removed.
const UNNAMED: &str = "is missing: each of several webhooks needs a stable name; a previously only webhook without a name has the name webhook-1";

/// A webhook declared by a device's file. The service validates it.
#[derive(Clone, PartialEq)]
pub struct DeclaredWebhook {
    /// Its name within the file; `webhook-1` for an only webhook without a name.
    pub name: String,
    /// The receiver's URL.
    pub url: String,
    /// The events to deliver; all if absent.
    pub events: Option<Vec<String>>,
    /// Events that are not delivered.
    pub exclude: Vec<String>,
    /// The format of deliveries.
    pub format: Format,
    /// The order of deliveries.
    pub ordering: Ordering,
    /// Additional request headers.
    pub headers: BTreeMap<String, String>,
    /// The signing secret.
    pub secret: String,
    /// Time limit of an attempt, in milliseconds.
    pub timeout_ms: Option<u32>,
    /// Certificates as PEM.
    pub custom_ca: Option<String>,
    /// Whether it receives events.
    pub enabled: bool,
}

pub(super) fn take(
    file: &Path,
    table: &mut Table,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<DeclaredWebhook>, DeclaredError> {
    let list = match table.remove("webhooks") {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(invalid(file, "webhooks", "must be written as [[webhooks]]")),
    };
    let alone = list.len() == 1;
    let mut names = BTreeSet::new();
    let mut webhooks = Vec::new();
    for (index, value) in list.into_iter().enumerate() {
        let path = format!("webhooks[{index}]");
        let Value::Table(table) = value else {
            return Err(invalid(file, &path, "must be a table"));
        };
        let webhook = read(file, &path, alone, Resolver { file, env }.table(&path, table)?)?;
        if !names.insert(webhook.name.clone()) {
            return Err(invalid(
                file,
                &format!("{path}.name"),
                "is the name of another webhook of this file",
            ));
        }
        webhooks.push(webhook);
    }
    Ok(webhooks)
}

fn read(
    file: &Path,
    path: &str,
    alone: bool,
    mut fields: Map<String, Json>,
) -> Result<DeclaredWebhook, DeclaredError> {
    if let Some(key) = fields.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let nearest = crate::domain::suggestion::suggest(key, KEYS.into_iter());
        let key = format!("{path}.{}", printable(key));
        return Err(DeclaredError::UnknownKey { file: file.to_owned(), key, nearest });
    }
    let missing = |key: &str, reason| invalid(file, &format!("{path}.{key}"), reason);
    let at = At { file, path };
    let url: Option<String> = at.take(&mut fields, "url", "must be a text")?;
    let secret: Option<String> = at.take(&mut fields, "secret", "must be a text")?;
    let name: Option<String> = at.take(&mut fields, "name", "must be a text")?;
    Ok(DeclaredWebhook {
        name: name
            .filter(|name| !name.is_empty())
            .or_else(|| alone.then(|| ONLY.to_owned()))
            .ok_or_else(|| missing("name", UNNAMED))?,
        url: url.ok_or_else(|| missing("url", "is missing"))?,
        events: at.take(&mut fields, "events", "must be a list of texts")?,
        exclude: at.take(&mut fields, "exclude", "must be a list of texts")?.unwrap_or_default(),
        format: at.take(&mut fields, "format", "must be wharf, waha or wwebjs")?.unwrap_or_default(),
        ordering: at.take(&mut fields, "ordering", "must be device, chat or none")?.unwrap_or_default(),
        headers: at.take(&mut fields, "headers", "must be a table of texts")?.unwrap_or_default(),
        secret: secret.filter(|secret| !secret.is_empty()).ok_or_else(|| {
            missing("secret", "is missing: write it as a reference to an environment variable, ${NAME}")
        })?,
        timeout_ms: at.take(&mut fields, "timeoutMs", "must be a whole number of milliseconds")?,
        custom_ca: at.take(&mut fields, "customCa", "must be a text")?,
        enabled: at.take(&mut fields, "enabled", "must be true or false")?.unwrap_or(true),
    })
}

struct At<'a> {
    file: &'a Path,
    path: &'a str,
}

impl At<'_> {
    /// Takes and parses a field. The error does not contain the value, which may be a secret.
    fn take<T: DeserializeOwned>(
        &self,
        fields: &mut Map<String, Json>,
        key: &str,
        right: &'static str,
    ) -> Result<Option<T>, DeclaredError> {
        let Some(value) = fields.remove(key) else { return Ok(None) };
        let read = serde_json::from_value(value);
        read.map(Some).map_err(|_| invalid(self.file, &format!("{}.{key}", self.path), right))
    }
}
