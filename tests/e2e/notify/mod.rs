//! Notifications: rules, coalescing, mutes, push, commands and sounds.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::TestApp;

mod browsers;
mod bursts;
mod commands;
mod emission;
mod hostile;
mod list;
mod load;
mod mutes;
mod rules;
mod sounds;

/// A daemon with notifications enabled.
pub async fn app() -> TestApp {
    app_with(&[]).await
}

pub async fn app_with(settings: &[(&str, &str)]) -> TestApp {
    let mut all = vec![("WHARF__NOTIFY__ENABLED", "true")];
    all.extend_from_slice(settings);
    TestApp::start_with(&all).await
}

/// The notifications in a device's log, once there are this many.
pub async fn notifications(app: &TestApp, device: &str, count: usize) -> Vec<Value> {
    app.wait_until(&format!("{count} notifications of {device}"), async || {
        let notifications = app.logged(device, "notification").await;
        (notifications.len() >= count).then_some(notifications)
    })
    .await
}

/// The notifications of messages only.
pub async fn message_notifications(app: &TestApp, device: &str, count: usize) -> Vec<Value> {
    app.wait_until(&format!("{count} notifications of messages of {device}"), async || {
        let notifications = app.logged(device, "notification").await;
        let notifications: Vec<Value> =
            notifications.into_iter().filter(|entry| entry["kind"] == "message").collect();
        (notifications.len() >= count).then_some(notifications)
    })
    .await
}

/// A daemon with the device `shop` and a command `note`, which records its runs in the returned directory.
pub async fn app_with_command(settings: &[(&str, &str)]) -> (TestApp, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let commands = note_command(dir.path());
    let mut all = vec![("WHARF__EFFECTS__COMMAND__ENABLED", "true"), ("WHARF__NOTIFY__COMMANDS", &*commands)];
    all.extend_from_slice(settings);
    let app = app_with(&all).await;
    app.device("shop").await;
    (app, dir)
}

/// Settings of a command `note` that writes its input to `in` and its variables to `env`.
pub fn note_command(dir: &Path) -> String {
    let script = format!(
        "cat >> '{0}/in'; printf '%s|%s|%s|%s\\n' \"$WHARF_KIND\" \"$WHARF_DEVICE\" \"$WHARF_TITLE\" \"$WHARF_BODY\" >> '{0}/env'",
        dir.display()
    );
    json!([{ "name": "note", "run": ["/bin/sh", "-c", script] }]).to_string()
}

pub fn read(dir: &Path, name: &str) -> Option<String> {
    std::fs::read_to_string(dir.join(name)).ok().filter(|text| text.ends_with(['\n', '}']))
}
