//! What was missed, when asking for it goes wrong, and when times do.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::Waha;
use crate::support::{ANNA, BEN};
use crate::upstream::waha::{SECRET, event_sender};

const HOUR_MS: i64 = 3_600_000;

fn now() -> i64 {
    i64::try_from(event_sender::now_ms()).unwrap()
}

/// A message of so long after now.
fn message(body: &str, after_ms: i64) -> Value {
    message_of(ANNA, body, after_ms)
}

fn message_of(person: &str, body: &str, after_ms: i64) -> Value {
    json!({
        "id": format!("false_{person}@c.us_{body}"), "timestamp": (now() + after_ms) / 1_000, "from": format!("{person}@c.us"),
        "fromMe": false, "to": null, "body": body, "hasMedia": false, "ack": 1,
    })
}

impl Waha {
    /// A webhook that tells of a message; its answer's status.
    async fn hook(&self, message: &Value) -> u16 {
        let envelope =
            json!({ "event": "message.any", "session": "shop", "timestamp": now(), "payload": message });
        let body = envelope.to_string();
        let signature = event_sender::signature(SECRET, body.as_bytes());
        let request = self.app.request("POST", "//hooks/shop").header("x-webhook-hmac", signature).body(body);
        request.send().await.unwrap().status().as_u16()
    }

    /// The server has a message, and told nobody.
    fn keeps(&self, message: Value) {
        self.server.session("shop").unwrap().keep(message);
    }
}

#[tokio::test]
async fn what_was_missed_is_asked_for_until_it_was_read_whatever_comes_meanwhile() {
    let waha = Waha::start("webhook").await;
    waha.app.device("shop").await;
    assert_eq!(waha.hook(&message("before", -4 * HOUR_MS)).await, 200);
    waha.app.post("/devices/shop/stop", json!({})).await.ok();
    waha.keeps(message("missed", -3 * HOUR_MS));
    waha.fails("/chats/", 500, 300, usize::MAX);
    waha.app.post("/devices/shop/start", json!({})).await.ok();
    let live = message("live", 0);
    waha.app
        .wait_until("the live message to be taken", async || (waha.hook(&live).await == 200).then_some(()))
        .await;
    waha.app.wait_for_state("shop", "reconnecting").await;
    waha.works();
    waha.app.wait_for_state("shop", "ready").await;
    waha.is_there("missed").await;
}

#[tokio::test]
async fn a_message_of_next_year_happened_now_and_hides_nothing_that_is_missed() {
    let waha = Waha::start("webhook").await;
    waha.app.device("shop").await;
    assert_eq!(waha.hook(&message("ahead", 365 * 24 * HOUR_MS)).await, 200);
    let told = waha.app.logged("shop", "message").await.remove(0);
    let at = told["message"]["timestamp"].as_i64().unwrap();
    assert!((now() - HOUR_MS..=now()).contains(&at), "{told}");
    waha.app.post("/devices/shop/stop", json!({})).await.ok();
    waha.keeps(message("missed", 0));
    waha.app.post("/devices/shop/start", json!({})).await.ok();
    waha.is_there("missed").await;
}

#[tokio::test]
async fn pages_may_be_shorter_than_was_asked_for() {
    let waha = Waha::start("webhook").await;
    waha.app.device("shop").await;
    assert_eq!(waha.hook(&message("before", -4 * HOUR_MS)).await, 200);
    waha.app.post("/devices/shop/stop", json!({})).await.ok();
    for n in 0..5 {
        waha.keeps(message(&format!("anna{n}"), -3 * HOUR_MS + n * 1_000));
        waha.keeps(message_of(&format!("1555010003{n}"), &format!("chat{n}"), -2 * HOUR_MS));
    }
    waha.server.page.store(2, Ordering::Relaxed);
    waha.app.post("/devices/shop/start", json!({})).await.ok();
    for n in 0..5 {
        waha.is_there(&format!("anna{n}")).await;
        waha.is_there(&format!("chat{n}")).await;
    }
}

#[tokio::test]
async fn a_chat_that_cannot_be_read_holds_up_no_other_and_is_read_later() {
    let waha = Waha::start("webhook").await;
    waha.app.device("shop").await;
    assert_eq!(waha.hook(&message("before", -4 * HOUR_MS)).await, 200);
    waha.app.post("/devices/shop/stop", json!({})).await.ok();
    waha.keeps(message_of(BEN, "berts", -3 * HOUR_MS));
    waha.keeps(message("annas", -3 * HOUR_MS));
    waha.fails("/chats/15550100002@c.us/", 500, 0, usize::MAX);
    waha.app.post("/devices/shop/start", json!({})).await.ok();
    waha.is_there("annas").await;
    assert_eq!(waha.hook(&message("live", 0)).await, 200);
    waha.app.post("/devices/shop/stop", json!({})).await.ok();
    let states = waha.app.logged("shop", "state").await;
    assert!(states.iter().all(|state| state["state"] != "reconnecting"), "{states:?}");
    waha.works();
    // What was taken in since is far beyond what was not.
    waha.app.post("/devices/shop/start", json!({})).await.ok();
    waha.is_there("berts").await;
}
