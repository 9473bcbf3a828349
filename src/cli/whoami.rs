//! `wharf whoami`: shows the key in use, and the daemon's version.

use serde_json::Value;

use super::client::Client;
use super::exit::CliError;
use super::output::{Output, key_values, text_of};
use super::time_format::moment;

/// Prints the key's name, scopes and expiry, and the daemon's version.
///
/// # Errors
/// [`CliError`] when the daemon refuses the key or cannot be reached.
pub async fn run(client: &Client, out: &Output) -> Result<(), CliError> {
    let session = client.get(&["session"], &[]).await?;
    out.show(&session, || text(&session))
}

fn text(session: &Value) -> String {
    let key = &session["key"];
    let devices = text_of(key, "devices");
    let ends = key["expiresAt"].as_i64().map_or_else(|| "never".to_owned(), moment);
    key_values(&[
        ("key", text_of(key, "id")),
        ("name", text_of(key, "name")),
        ("scopes", text_of(key, "scopes")),
        ("devices", if devices.is_empty() { "all".to_owned() } else { devices }),
        ("ends", ends),
        ("daemon", text_of(&session["server"], "version")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_printed_with_its_rights() {
        let session = serde_json::json!({
            "key": { "id": "k3v9", "name": "shop", "scopes": ["devices:read", "events:read"], "devices": null,
                "expiresAt": 0 },
            "session": null,
            "server": { "version": "0.1.0" },
        });
        let text = text(&session);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["key", "k3v9"]);
        assert!(lines[2].join(" ").contains("devices:read") && lines[2].join(" ").contains("events:read"));
        assert_eq!(lines[3], ["devices", "all"]);
        assert_eq!(lines[4], ["ends", "1970-01-01", "00:00:00Z"]);
        assert_eq!(lines[5], ["daemon", "0.1.0"]);
    }
}
