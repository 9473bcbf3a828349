//! A server whose engine gives no ids to send with, and takes none: the network drops no second copy there.

use serde_json::json;

use super::Waha;
use crate::support::ANNA;
use crate::upstream::waha::Webjs;

const TEXTS: &str = "POST /api/sendText";
/// Longer than a message may be on its way from the server to the network.
const ON_ITS_WAY_MS: i64 = 60_000;

impl Waha {
    /// From now on no ids are given; of messages of unknown outcome the server keeps and tells what is said here.
    fn gives_no_ids(&self, keeps: bool, tells: bool) {
        *self.server.webjs.lock().unwrap() = Some(Webjs { keeps, tells });
    }

    /// What stands in the chat with Anna, in alphabetical order.
    async fn bodies(&self) -> Vec<String> {
        let page = self.app.get(&format!("/devices/shop/chats/{ANNA}@c.us/messages")).await.ok();
        let all = page["data"].as_array().unwrap().iter();
        let mut bodies: Vec<String> =
            all.map(|message| message["body"].as_str().unwrap().to_owned()).collect();
        bodies.sort();
        bodies
    }

    /// How often the chat was looked through.
    fn looks(&self) -> usize {
        self.asked(&format!("GET /api/shop/chats/{ANNA}@c.us/messages"))
    }
}

#[tokio::test]
async fn a_message_that_is_told_of_before_it_is_answered_is_there_once() {
    for inbound in ["webhook", "websocket"] {
        let waha = Waha::start(inbound).await;
        waha.app.device("shop").await;
        waha.gives_no_ids(true, true);
        for text in ["hello", "hello"] {
            let id = waha.app.send("shop", ANNA, text).await;
            // Its acks are told of the network's id.
            waha.app.wait_for_status("shop", &id, "read").await;
        }
        waha.app.incoming("shop", ANNA, "and then").await;
        assert_eq!(waha.bodies().await, ["and then", "hello", "hello"], "{inbound}");
        assert_eq!((waha.asked(TEXTS), waha.asked("GET /api/shop/new-message-id")), (2, 1), "{inbound}");
    }
}

#[tokio::test]
async fn what_is_told_of_a_message_of_unknown_outcome_is_about_it() {
    for inbound in ["webhook", "websocket"] {
        let waha = Waha::start_with(inbound, &[("WHARF__OUTBOX__RETRY_DELAY_MS", "60000")]).await;
        waha.app.device_with("shop", json!({ "ackDeviceMs": null, "ackReadMs": null })).await;
        waha.gives_no_ids(true, true);
        waha.app.fault("shop", json!({ "kind": "send_unknown" })).await;
        let id = waha.app.send("shop", ANNA, "hello").await;
        waha.app.wait_for_status("shop", &id, "sent").await;
        assert_eq!((waha.bodies().await, waha.asked(TEXTS)), (vec!["hello".to_owned()], 1), "{inbound}");
    }
}

#[tokio::test]
async fn a_message_of_unknown_outcome_is_looked_for_and_found() {
    let waha = Waha::start("webhook").await;
    waha.app.device_with("shop", json!({ "ackDeviceMs": null, "ackReadMs": null })).await;
    waha.gives_no_ids(true, false);
    let first = waha.app.send("shop", ANNA, "hello").await;
    waha.app.wait_for_status("shop", &first, "sent").await;
    waha.app.fault("shop", json!({ "kind": "send_unknown" })).await;
    // That the server cannot say is no answer.
    waha.fails("/messages", 500, 0, 2);
    let second = waha.app.send("shop", ANNA, "hello").await;
    waha.app.wait_for_status("shop", &second, "sent").await;
    assert_eq!((waha.bodies().await.len(), waha.asked(TEXTS)), (2, 2));
    assert!(waha.looks() >= 3);
}

#[tokio::test]
async fn a_message_that_did_not_arrive_is_sent_again_once_it_cannot_be_on_its_way() {
    let waha = Waha::start("webhook").await;
    waha.app.device_with("shop", json!({ "ackDeviceMs": null, "ackReadMs": null })).await;
    waha.gives_no_ids(false, false);
    waha.app.fault("shop", json!({ "kind": "send_unknown", "value": "lost" })).await;
    let id = waha.app.send("shop", ANNA, "hello").await;
    waha.app.wait_until("it to be looked for", async || (waha.looks() >= 2).then_some(())).await;
    assert_eq!(waha.asked(TEXTS), 1, "it may be on its way");
    waha.app.clock.advance(ON_ITS_WAY_MS);
    waha.app.wait_for_status("shop", &id, "sent").await;
    assert_eq!((waha.bodies().await, waha.asked(TEXTS)), (vec!["hello".to_owned()], 2));
}

#[tokio::test]
async fn a_try_outlives_the_daemon() {
    let waha = Waha::start_with("webhook", &[("WHARF__OUTBOX__RETRY_DELAY_MS", "60000")]).await;
    waha.app.device_with("shop", json!({ "ackDeviceMs": null, "ackReadMs": null })).await;
    waha.gives_no_ids(true, false);
    waha.app.fault("shop", json!({ "kind": "send_unknown" })).await;
    let id = waha.app.send("shop", ANNA, "hello").await;
    waha.app.wait_until("it to be handed over", async || (waha.asked(TEXTS) == 1).then_some(())).await;
    let Waha { app, server } = waha;
    let waha = Waha { app: app.restarted().await, server };
    waha.app.wait_for_status("shop", &id, "sent").await;
    assert_eq!((waha.bodies().await, waha.asked(TEXTS)), (vec!["hello".to_owned()], 1));
}
