//! Queues over REST: status, clearing, cancelling and pacing.

use serde_json::{Value, json};
use wharf::domain::clock::Clock as _;

use crate::support::{Reply, TestApp};

mod access;
mod cancel;
mod pace;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

async fn put(app: &TestApp, path: &str, body: Value) -> Reply {
    app.with_key(&app.key).send(app.request("PUT", path).json(&body)).await
}

/// Sets the pacing, which also makes the outboxes read the clock.
async fn configure(app: &TestApp, body: Value) -> Value {
    put(app, "/queue/config", body).await.ok()["data"].clone()
}

async fn advance(app: &TestApp, ms: i64) {
    app.clock.advance(ms);
    configure(app, json!({ "typingDelay": 0 })).await;
}

async fn queue_of(app: &TestApp, id: &str) -> Value {
    let fleet = app.get("/queue/status").await.ok()["data"].clone();
    let devices = fleet["devices"].as_array().unwrap();
    devices.iter().find(|queue| queue["deviceId"] == id).unwrap().clone()
}

async fn wait_until_held(app: &TestApp, id: &str, reason: &str) -> Value {
    app.wait_until(&format!("{id} to be held by {reason}"), async || {
        let queue = queue_of(app, id).await;
        (queue["heldBy"]["reason"] == reason).then_some(queue)
    })
    .await
}

async fn status_of(app: &TestApp, id: &str, message: &str) -> String {
    let found = app.get(&format!("/devices/{id}/messages/{message}")).await.ok();
    found["data"]["status"].as_str().unwrap().to_owned()
}

async fn schedule(app: &TestApp, id: &str, to: &str, in_ms: i64) -> String {
    let body = json!({ "to": to, "text": "later", "sendAt": app.clock.now().plus(in_ms).0 });
    let reply = app.post(&format!("/devices/{id}/messages/send"), body).await.created();
    reply["data"]["id"].as_str().unwrap().to_owned()
}

async fn sent_to_network(app: &TestApp, id: &str) -> usize {
    let network = app.get(&format!("/simulator/{id}/network")).await.ok();
    network["data"]["sent"].as_array().unwrap().len()
}
