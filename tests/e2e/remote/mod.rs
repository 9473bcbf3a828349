//! The engine `remote`: a Wharf in front of a second Wharf.

mod callbacks;
mod durability;
mod former_name;
mod keys;
mod link;
mod messages;
mod proxy;
mod transient_failures;

use serde_json::{Value, json};

use self::link::Link;
use crate::support::TestApp;
use crate::upstream::remote::{SecondWharf, UPSTREAM_KEY};

/// The number of the phone that links.
const ME: &str = "15550100009";

/// The daemon under test and its upstream.
struct Chain {
    front: TestApp,
    back: SecondWharf,
    link: Link,
}

impl Chain {
    async fn start() -> Self {
        let back = SecondWharf::start(&[]).await;
        let link = Link::to(back.base()).await;
        let front = TestApp::start_with(&[("WHARF__NET__ALLOW_PRIVATE", "127.0.0.0/8")]).await;
        Self { front, back, link }
    }

    fn settings(&self, device: &str) -> Value {
        json!({ "remote": { "baseUrl": self.link.base(), "device": device, "apiKey": UPSTREAM_KEY } })
    }

    async fn make(&self, id: &str, settings: Value) {
        self.front
            .post("/devices", json!({ "id": id, "engine": "remote", "settings": settings }))
            .await
            .created();
    }

    /// A device that is linked and ready, in a quick world.
    async fn device(&self, id: &str) {
        self.device_with(id, json!({})).await;
    }

    async fn device_with(&self, id: &str, world: Value) {
        let mut quick = json!({ "ackServerMs": 0, "ackDeviceMs": 10, "ackReadMs": 30 });
        for (key, value) in world.as_object().unwrap() {
            quick[key] = value.clone();
        }
        self.back.device(id, &quick).await;
        self.make(id, self.settings(id)).await;
        self.front.wait_for_state(id, "qr").await;
        self.back.post(&format!("/simulator/{id}/scan"), json!({ "phoneNumber": ME })).await;
        self.front.wait_for_state(id, "ready").await;
    }

    /// A contact writes to the upstream's device.
    async fn writes(&self, id: &str, from: &str, body: &str) {
        self.back.post(&format!("/simulator/{id}/incoming"), json!({ "from": from, "body": body })).await;
    }

    /// Waits for this many messages; returns their bodies in the order of the log.
    async fn received(&self, id: &str, many: usize) -> Vec<String> {
        self.front
            .wait_until("messages to arrive", async || {
                let bodies = self.bodies(id).await;
                (bodies.len() >= many).then_some(bodies)
            })
            .await
    }

    async fn bodies(&self, id: &str) -> Vec<String> {
        let events = self.front.logged(id, "message").await;
        events.iter().map(|event| event["message"]["body"].as_str().unwrap().to_owned()).collect()
    }

    /// How often the network showed each text to its recipient.
    async fn shown(&self, id: &str) -> Vec<(String, i64)> {
        let network = self.back.get(&format!("/simulator/{id}/network")).await;
        let sent = network["data"]["sent"].as_array().unwrap().clone();
        sent.iter().map(|m| (m["body"].as_str().unwrap().to_owned(), m["shown"].as_i64().unwrap())).collect()
    }

    async fn reason(&self, id: &str) -> Value {
        self.front.get(&format!("/devices/{id}")).await.ok()["data"]["reason"].clone()
    }
}
