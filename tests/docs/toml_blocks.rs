//! Validates settings: named keys against the defaults, whole blocks by loading them as the daemon does.

use std::fs;

use toml::{Table, Value};
use wharf::settings::{DEFAULT_TOML, Settings, load_declared};

/// The tables of `config/default.toml`.
pub struct Keys(Table);

impl Keys {
    pub fn read() -> Self {
        Self(DEFAULT_TOML.parse().unwrap())
    }

    /// An error for inline code such as `store.vault_key` or `WHARF__STORE__VAULT_KEY` that names no key.
    pub fn unknown(&self, code: &str) -> Option<String> {
        let name = code.split([' ', '=']).next()?;
        let path: Vec<String> = match name.strip_prefix("WHARF__") {
            Some(rest) if rest.contains('<') => return None,
            // A secret by file.
            Some(rest) => rest
                .strip_suffix("_FILE")
                .unwrap_or(rest)
                .to_lowercase()
                .split("__")
                .map(str::to_owned)
                .collect(),
            None => name.split('.').map(str::to_owned).collect(),
        };
        let is_key =
            |part: &String| part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let is_file = matches!(path.last().map(String::as_str), Some("rs" | "md" | "toml" | "json" | "ogg"));
        if path.len() < 2 || !path.iter().all(is_key) || is_file || !self.0.contains_key(&path[0]) {
            return None;
        }
        let mut value = self.0.get(&path[0]);
        for part in &path[1..] {
            value = value.and_then(Value::as_table).and_then(|table| table.get(part));
        }
        value.is_none().then(|| format!("config/default.toml has no {name}"))
    }
}

/// An error for a block that is neither a valid configuration nor a valid device file or part of one.
pub fn wrong(text: &str) -> Option<String> {
    let table: Table = match text.parse() {
        Ok(table) => table,
        Err(error) => return Some(format!("{error}")),
    };
    let folder = tempfile::tempdir().unwrap();
    let is_device = ["id", "webhooks", "settings"].iter().any(|key| table.contains_key(*key))
        || table.get("notify").is_some_and(Value::is_array);
    let file = folder.path().join("block.toml");
    if !is_device {
        fs::write(&file, text).unwrap();
        // The examples refer to secrets in the environment.
        let secret = "5b1f9e0c7d3a48265b1f9e0c7d3a4826".to_owned();
        let env = ["DESK_JWT_SECRET", "AUTH_SECRET"].map(|name| (name.to_owned(), secret.clone()));
        return Settings::load(Some(&file), env).err().map(|error| error.to_string());
    }
    let id = if table.contains_key("id") { "" } else { "id = \"shop\"\n" };
    fs::write(&file, format!("{id}{text}")).unwrap();
    load_declared(folder.path(), &|_| Some("secret".to_owned())).err().map(|error| error.to_string())
}
