//! Webhooks: management, delivery, failures and replay.

use serde_json::{Value, json};

use crate::support::TestApp;

mod access;
mod addresses;
mod concurrency;
mod declared;
mod delivery;
mod failures;
mod formats;
mod management;
mod ordering;
mod replay;
mod retry_now;
mod signatures;

/// A daemon that may deliver to loopback and retries quickly.
pub async fn app() -> TestApp {
    app_with(&[]).await
}

pub async fn app_with(settings: &[(&str, &str)]) -> TestApp {
    let mut all = vec![
        ("WHARF__NET__ALLOW_PRIVATE", "127.0.0.0/8"),
        ("WHARF__WEBHOOKS__RETRY_DELAYS", "40ms,40ms,40ms"),
        ("WHARF__WEBHOOKS__TIMEOUT_MS", "1000"),
    ];
    all.retain(|(name, _)| !settings.iter().any(|(other, _)| other == name));
    all.extend_from_slice(settings);
    TestApp::start_with(&all).await
}

/// Creates a webhook and returns its id and secret.
pub async fn create_webhook(app: &TestApp, path: &str, body: Value) -> (String, String) {
    let created = app.post(path, body).await.created()["data"].clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&created["webhook"]["id"]), text(&created["signingSecret"]))
}

/// Creates a webhook for messages of all devices.
pub async fn for_messages(app: &TestApp, url: &str) -> (String, String) {
    create_webhook(app, "/webhooks", json!({ "url": url, "events": ["message"] })).await
}

pub async fn webhook(app: &TestApp, id: &str) -> Value {
    app.get(&format!("/webhooks/{id}")).await.ok()["data"].clone()
}

pub async fn attempts(app: &TestApp, id: &str) -> Vec<Value> {
    app.get(&format!("/webhooks/{id}/attempts?limit=100")).await.ok()["data"].as_array().unwrap().clone()
}

pub async fn dead_letters(app: &TestApp, id: &str) -> Vec<Value> {
    app.get(&format!("/webhooks/{id}/dead-letters")).await.ok()["data"].as_array().unwrap().clone()
}
