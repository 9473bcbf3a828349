//! Accepts the former name `wwebjs` of the engine `remote` on input.
//!
//! Stored rows, responses and sessions use the current name only; every input is converted here first.

use serde_json::{Map, Value};

use super::secret_settings::Secrets;

/// The current name of the engine.
pub const REMOTE: &str = "remote";
/// Its former name.
const FORMER: &str = "wwebjs";

/// The current name of the engine in a request, file or setting.
#[must_use]
pub fn current_engine(name: &str) -> &str {
    if name == FORMER { REMOTE } else { name }
}

/// The current form of a configuration key: `engines.wwebjs` and its subkeys become `engines.remote`.
#[must_use]
pub fn current_key(key: &str) -> String {
    let rest = key.strip_prefix("engines.wwebjs").filter(|rest| rest.is_empty() || rest.starts_with('.'));
    rest.map_or_else(|| key.to_owned(), |rest| format!("engines.{REMOTE}{rest}"))
}

/// Moves `settings.wwebjs` of a device of this engine to `settings.remote`. Returns `false` and changes
/// nothing when both are present, because the result would be ambiguous.
#[must_use]
pub fn rename_settings(engine: &str, settings: &mut Map<String, Value>) -> bool {
    if engine != REMOTE || !settings.contains_key(FORMER) {
        return true;
    }
    if settings.contains_key(REMOTE) {
        return false;
    }
    let value = settings.remove(FORMER);
    settings.extend(value.map(|value| (REMOTE.to_owned(), value)));
    true
}

/// Moves the paths of a device's secrets from `settings.wwebjs` to `settings.remote`. Sealed rows of older
/// versions use the former name, and a migration cannot open sealed rows.
#[must_use]
pub fn rename_secrets(engine: &str, secrets: Secrets) -> Secrets {
    if engine != REMOTE {
        return secrets;
    }
    let current = |place: String| match place.strip_prefix("/wwebjs/") {
        Some(rest) => format!("/{REMOTE}/{rest}"),
        None => place,
    };
    secrets.into_iter().map(|(place, secret)| (current(place), secret)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn former_name_becomes_the_current_one() {
        assert_eq!((current_engine("wwebjs"), current_engine("waha")), ("remote", "waha"));
        assert_eq!(current_key("engines.wwebjs.enabled"), "engines.remote.enabled");
        assert_eq!(current_key("engines.wwebjs"), "engines.remote");
        assert_eq!(current_key("engines.wwebjs2.enabled"), "engines.wwebjs2.enabled");
    }

    #[test]
    fn former_settings_are_renamed_for_their_engine_only() {
        let former = settings(&json!({ "wwebjs": { "device": "shop" }, "outbox": {} }));
        let mut renamed = former.clone();
        assert!(rename_settings("remote", &mut renamed));
        assert_eq!(renamed, settings(&json!({ "remote": { "device": "shop" }, "outbox": {} })));
        let mut other = former.clone();
        assert!(rename_settings("simulator", &mut other));
        assert_eq!(other, former);
    }

    #[test]
    fn both_names_at_once_are_refused() {
        let mut both = settings(&json!({ "wwebjs": {}, "remote": {} }));
        assert!(!rename_settings("remote", &mut both));
    }

    #[test]
    fn secrets_of_older_rows_keep_their_place() {
        let secrets = Secrets::from([("/wwebjs/apiKey".to_owned(), "k".to_owned())]);
        assert_eq!(rename_secrets("remote", secrets.clone())["/remote/apiKey"], "k");
        assert_eq!(rename_secrets("waha", secrets.clone()), secrets);
    }
}
