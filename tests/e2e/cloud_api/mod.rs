//! Tests of the engine `cloud-api` only. The shared tests run on it with `WHARF_TEST_ENGINE=cloud-api`.

mod authorization;
mod callbacks;
mod failures;
mod files;
mod limits;
mod people;
mod setup;
mod templates;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::{ANNA, TestApp};
use crate::upstream::cloud_api::{GraphServer, Number};

/// A daemon with one ready number.
pub struct Cloud {
    pub app: TestApp,
    pub graph: Arc<GraphServer>,
}

impl Cloud {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(overrides: &[(&str, &str)]) -> Self {
        let graph = GraphServer::start().await;
        let app = TestApp::start_on(graph.clone(), overrides).await;
        app.device_with("shop", json!({ "ackDeviceMs": null, "ackReadMs": null })).await;
        Self { app, graph }
    }

    pub fn number(&self) -> Arc<Number> {
        self.graph.number("shop")
    }

    /// An envelope with one change of the field `messages`.
    pub fn envelope(&self, value: &Value) -> Value {
        self.envelopes(std::slice::from_ref(value))
    }

    /// An envelope with an entry for each change.
    pub fn envelopes(&self, values: &[Value]) -> Value {
        let id = &self.number().id;
        let entry = |value: &Value| {
            let mut value = value.clone();
            value["messaging_product"] = "whatsapp".into();
            if value["metadata"].is_null() {
                value["metadata"] = json!({ "display_phone_number": "15550100000", "phone_number_id": id });
            }
            json!({ "id": "1022", "changes": [{ "field": "messages", "value": value }] })
        };
        json!({ "object": "whatsapp_business_account", "entry": values.iter().map(entry).collect::<Vec<Value>>() })
    }

    /// Posts a signed callback; returns the status of its answer.
    pub async fn call_back(&self, body: &Value) -> u16 {
        self.graph.call_back("shop", body, None).await
    }

    pub async fn bodies(&self) -> Vec<String> {
        let events = self.app.logged("shop", "message").await;
        events.iter().map(|event| event["message"]["body"].as_str().unwrap().to_owned()).collect()
    }

    /// Meta's id of one of our messages.
    pub fn wamid(&self, id: &str) -> String {
        self.number().along.lock().unwrap()[&id.parse().unwrap()].wamid.clone()
    }
}

/// The value of a text message.
pub fn text(id: &str, body: &str) -> Value {
    json!({ "contacts": [{ "profile": { "name": "Anna" }, "wa_id": ANNA }],
        "messages": [{ "from": ANNA, "id": id, "timestamp": "1700000000", "type": "text", "text": { "body": body } }] })
}

/// The value of a status.
pub fn status(wamid: &str, word: &str, along: Option<&str>) -> Value {
    let mut status = json!({ "id": wamid, "status": word, "timestamp": "1700000000", "recipient_id": ANNA });
    if let Some(along) = along {
        status["biz_opaque_callback_data"] = along.into();
    }
    json!({ "statuses": [status] })
}
