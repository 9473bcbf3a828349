//! Messages other than text, and changes to messages after sending.

mod changes;
mod forwarding;
mod incoming;
mod sending;

use serde_json::Value;

use crate::support::TestApp;

/// Messages that the simulated network received.
async fn sent(app: &TestApp) -> Vec<Value> {
    let network = app.get("/simulator/shop/network").await.ok();
    network["data"]["sent"].as_array().unwrap().clone()
}

/// Changes that the simulated network received.
async fn changes(app: &TestApp) -> Vec<Value> {
    let network = app.get("/simulator/shop/network").await.ok();
    network["data"]["changes"].as_array().unwrap().clone()
}

async fn message(app: &TestApp, id: &str) -> Value {
    app.get(&format!("/devices/shop/messages/{id}")).await.ok()["data"].clone()
}

/// Sends a text and waits until the network has it.
async fn sent_text(app: &TestApp, to: &str, text: &str) -> String {
    let id = app.send("shop", to, text).await;
    app.wait_for_status("shop", &id, "read").await;
    id
}
