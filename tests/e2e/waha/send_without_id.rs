//! A server whose engine gives no ids to send with: the network does not deduplicate, and an unknown outcome
//! is final.

use serde_json::json;

use super::Waha;
use crate::support::ANNA;

const SEND_TEXT: &str = "POST /api/sendText";
/// Longer than a message of unknown outcome stays in the outbox (`outbox.unknown_after_ms`).
const UNKNOWN_AFTER_MS: i64 = 25 * 3_600_000;

impl Waha {
    /// From now on the server gives no ids.
    fn gives_no_ids(&self) {
        *self.server.gives_ids.lock().unwrap() = false;
    }

    /// The texts of the chat with Anna, in alphabetical order.
    async fn bodies(&self) -> Vec<String> {
        let page = self.app.get(&format!("/devices/shop/chats/{ANNA}@c.us/messages")).await.ok();
        let all = page["data"].as_array().unwrap().iter();
        let mut bodies: Vec<String> =
            all.map(|message| message["body"].as_str().unwrap().to_owned()).collect();
        bodies.sort();
        bodies
    }
}

#[tokio::test]
async fn event_before_the_answer_makes_no_second_message() {
    for inbound in ["webhook", "websocket"] {
        let waha = Waha::start(inbound).await;
        waha.app.device("shop").await;
        waha.gives_no_ids();
        for text in ["hello", "hello"] {
            let id = waha.app.send("shop", ANNA, text).await;
            // Receipts carry the network's id.
            waha.app.wait_for_status("shop", &id, "read").await;
        }
        waha.app.incoming("shop", ANNA, "and then").await;
        assert_eq!(waha.bodies().await, ["and then", "hello", "hello"], "{inbound}");
        assert_eq!((waha.asked(SEND_TEXT), waha.asked("GET /api/shop/new-message-id")), (2, 1), "{inbound}");
    }
}

#[tokio::test]
async fn lost_answer_stays_unknown_and_is_never_resent() {
    let waha = Waha::start("webhook").await;
    waha.app.device_with("shop", json!({ "ackDeviceMs": null, "ackReadMs": null })).await;
    waha.gives_no_ids();
    waha.app.fault("shop", json!({ "kind": "send_unknown" })).await;
    let lost = waha.app.send("shop", ANNA, "lost").await;
    waha.app.wait_until("the post", async || (waha.asked(SEND_TEXT) == 1).then_some(())).await;
    let next = waha.app.send("shop", ANNA, "next").await;
    waha.app.wait_for_status("shop", &next, "sent").await;
    let Waha { app, server } = waha;
    let waha = Waha { app: app.restarted().await, server };
    waha.app.wait_for_state("shop", "ready").await;
    let last = waha.app.send("shop", ANNA, "last").await;
    waha.app.wait_for_status("shop", &last, "sent").await;
    assert_eq!(waha.app.steps("shop", &lost).await, ["queued", "sending"]);
    assert_eq!(waha.asked(SEND_TEXT), 3);
    waha.app.clock.advance(UNKNOWN_AFTER_MS);
    waha.app.app().services.maintenance.sweep().await.unwrap();
    waha.app.wait_for_status("shop", &lost, "failed").await;
    assert_eq!(waha.app.logged("shop", "message:status").await.last().unwrap()["code"], "outcome_unknown");
    assert_eq!(waha.asked(SEND_TEXT), 3);
}

#[tokio::test]
async fn unsent_message_is_retried_without_an_id() {
    let waha = Waha::start("webhook").await;
    waha.app.device_with("shop", json!({ "ackDeviceMs": null, "ackReadMs": null })).await;
    waha.gives_no_ids();
    waha.fails("/sendText", 503, 0, 1);
    let id = waha.app.send("shop", ANNA, "hello").await;
    waha.app.wait_for_status("shop", &id, "sent").await;
    assert_eq!((waha.bodies().await, waha.asked(SEND_TEXT)), (vec!["hello".to_owned()], 2));
}
