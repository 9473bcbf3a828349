//! Reads the settings of a relay device: one object of texts, whose secrets are never shown.

use serde_json::{Map, Value};
use url::Url;

use crate::engine::SettingError;

/// The object below `settings.<engine>`.
pub(crate) struct SettingsReader<'a> {
    engine: &'static str,
    fields: Option<&'a Map<String, Value>>,
}

impl<'a> SettingsReader<'a> {
    /// Finds the object; absent and `null` read as empty.
    ///
    /// # Errors
    /// When it is no object, or has a field that is not in `fields`.
    pub(crate) fn open(
        settings: &'a Map<String, Value>,
        engine: &'static str,
        fields: &[&str],
    ) -> Result<Self, SettingError> {
        let found = match settings.get(engine) {
            None | Some(Value::Null) => None,
            Some(Value::Object(found)) => Some(found),
            Some(_) => {
                let field = format!("settings.{engine}");
                return Err(SettingError { field, message: "must be an object".to_owned() });
            }
        };
        let reader = Self { engine, fields: found };
        let mut names = found.into_iter().flat_map(Map::keys);
        match names.find(|name| !fields.contains(&name.as_str())) {
            Some(unknown) => {
                Err(reader.error(unknown, &format!("is unknown; there are {}", fields.join(", "))))
            }
            None => Ok(reader),
        }
    }

    /// An error about one field.
    pub(crate) fn error(&self, name: &str, message: &str) -> SettingError {
        SettingError { field: format!("settings.{}.{name}", self.engine), message: message.to_owned() }
    }

    /// A field, unless it is absent or `null`.
    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.fields?.get(name).filter(|value| !value.is_null())
    }

    /// A text, without spaces at its ends.
    ///
    /// # Errors
    /// When it is of another type.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, SettingError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.trim())),
            Some(_) => Err(self.error(name, "must be a text")),
        }
    }

    /// A key or secret.
    ///
    /// # Errors
    /// When it has other characters or another length.
    pub(crate) fn secret(&self, name: &str, max_bytes: usize) -> Result<Option<String>, SettingError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let fits = (1..=max_bytes).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits {
            return Ok(Some(text.to_owned()));
        }
        Err(self.error(name, &format!("must have 1 to {max_bytes} visible ASCII characters")))
    }

    /// The address of an API.
    ///
    /// # Errors
    /// When it is no `http` or `https` address, or has a user, password, query or fragment.
    pub(crate) fn base_url(&self, name: &str) -> Result<Option<Url>, SettingError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let wrong = || {
            let message =
                "must be http:// or https:// with a host, and without user, password, query or fragment";
            self.error(name, message)
        };
        let url: Url = text.parse().map_err(|_| wrong())?;
        let is_bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
        if is_http && is_bare { Ok(Some(url)) } else { Err(wrong()) }
    }
}
