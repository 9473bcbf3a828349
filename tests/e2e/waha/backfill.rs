//! Backfill: failures while reading, and wrong times.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::Waha;
use crate::support::{ANNA, BEN};
use crate::upstream::waha::{SECRET, event_sender};

const HOUR_MS: i64 = 3_600_000;

fn now() -> i64 {
    i64::try_from(event_sender::now_ms()).unwrap()
}

/// A message with this difference to the current time.
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
    /// Posts a webhook with a message; returns the status of its answer.
    async fn hook(&self, message: &Value) -> u16 {
        let envelope =
            json!({ "event": "message.any", "session": "shop", "timestamp": now(), "payload": message });
        let body = envelope.to_string();
        let signature = event_sender::signature(SECRET, body.as_bytes());
        let request = self.app.request("POST", "//hooks/shop").header("x-webhook-hmac", signature).body(body);
        request.send().await.unwrap().status().as_u16()
    }

    /// The server has a message without an event.
    fn keeps(&self, message: Value) {
        self.server.session("shop").unwrap().keep(message);
    }
}

#[tokio::test]
async fn failed_backfill_is_repeated_despite_live_messages() {
    let waha = Waha::start("webhook").await;
    waha.device().await;
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
async fn future_message_counts_as_now_and_hides_no_missed_one() {
    let waha = Waha::start("webhook").await;
    waha.device().await;
    assert_eq!(waha.hook(&message("ahead", 365 * 24 * HOUR_MS)).await, 200);
    let event = waha.app.logged("shop", "message").await.remove(0);
    let at = event["message"]["timestamp"].as_i64().unwrap();
    assert!((now() - HOUR_MS..=now()).contains(&at), "{event}");
    waha.app.post("/devices/shop/stop", json!({})).await.ok();
    waha.keeps(message("missed", 0));
    waha.app.post("/devices/shop/start", json!({})).await.ok();
    waha.is_there("missed").await;
}

#[tokio::test]
async fn backfill_reads_pages_shorter_than_requested() {
    let waha = Waha::start("webhook").await;
    waha.device().await;
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
async fn unreadable_chat_is_deferred_and_read_later() {
    let waha = Waha::start("webhook").await;
    waha.device().await;
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
    // The live message is much newer than the deferred chat's position.
    waha.app.post("/devices/shop/start", json!({})).await.ok();
    waha.is_there("berts").await;
}
