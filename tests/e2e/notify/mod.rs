//! Notifications: what is told, to whom, and how; managed, muted, tried out.

use std::path::Path;

use serde_json::{Value, json};

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

/// A daemon that tells people of things.
pub async fn app() -> TestApp {
    app_with(&[]).await
}

pub async fn app_with(settings: &[(&str, &str)]) -> TestApp {
    let mut all = vec![("WHARF__NOTIFY__ENABLED", "true")];
    all.extend_from_slice(settings);
    TestApp::start_with(&all).await
}

/// The notifications in a device's log, once there are so many.
pub async fn told(app: &TestApp, device: &str, count: usize) -> Vec<Value> {
    app.wait_until(&format!("{count} notifications of {device}"), async || {
        let told = app.logged(device, "notification").await;
        (told.len() >= count).then_some(told)
    })
    .await
}

/// Those of messages alone.
pub async fn told_of_messages(app: &TestApp, device: &str, count: usize) -> Vec<Value> {
    app.wait_until(&format!("{count} notifications of messages of {device}"), async || {
        let told = app.logged(device, "notification").await;
        let told: Vec<Value> = told.into_iter().filter(|told| told["kind"] == "message").collect();
        (told.len() >= count).then_some(told)
    })
    .await
}

/// The settings of a command `note`, which writes what it reads to `in`, and of its variables the texts to `env`.
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
