//! Temporary failures differ from permanent ones: answers of proxies, late media, refused streams.

use std::time::Duration;

use serde_json::{Value, json};

use super::proxy::Proxy;
use super::{Chain, ME};
use crate::media::files::png;
use crate::support::{ANNA, said};

/// A linked and ready device whose requests pass a proxy.
async fn proxied() -> (Chain, Proxy) {
    let chain = Chain::start().await;
    let proxy = Proxy::to(chain.back.base()).await;
    chain.back.device("shop", &json!({ "ackServerMs": 0, "ackDeviceMs": 10, "ackReadMs": 30 })).await;
    chain.make("shop", proxy.settings(chain.settings("shop"))).await;
    chain.front.wait_for_state("shop", "qr").await;
    chain.back.post("/simulator/shop/scan", json!({ "phoneNumber": ME })).await;
    chain.front.wait_for_state("shop", "ready").await;
    (chain, proxy)
}

async fn restart(chain: &Chain) {
    chain.front.post("/devices/shop/restart", json!({})).await.ok();
}

async fn picture_comes(chain: &Chain, caption: &str) {
    use base64::Engine as _;
    let picture = base64::engine::general_purpose::STANDARD.encode(png());
    let media = json!({ "data": picture, "filename": "x.png", "caption": caption });
    chain.back.post("/simulator/shop/incoming", json!({ "from": ANNA, "media": media })).await;
}

async fn message_of(chain: &Chain, body: &str) -> Value {
    chain
        .front
        .wait_until("the message", async || {
            let events = chain.front.logged("shop", "message").await;
            events.into_iter().map(|event| event["message"].clone()).find(|message| message["body"] == body)
        })
        .await
}

#[tokio::test]
async fn temporary_404_of_a_proxy_unlinks_nothing() {
    let (chain, proxy) = proxied().await;
    for (status, body) in
        [(404, "<html>404 page not found</html>"), (405, ""), (400, "bad gateway"), (408, "")]
    {
        proxy.answer("GET", "/devices/shop", status, body, usize::MAX);
        restart(&chain).await;
        chain
            .front
            .wait_until("the front to lose its link", async || {
                (chain.reason("shop").await == "upstream_unavailable").then_some(())
            })
            .await;
        assert_ne!(chain.front.get("/devices/shop").await.ok()["data"]["state"], "logged_out");
        proxy.open();
        chain.front.wait_for_state("shop", "ready").await;
    }
    chain.writes("shop", ANNA, "still linked").await;
    assert_eq!(chain.received("shop", 1).await, ["still linked"]);
    assert_eq!(proxy.asked("POST", "/devices"), 0, "no second device is created");
    assert_eq!(proxy.asked("POST", "/logout"), 0);
}

#[tokio::test]
async fn device_missing_at_the_upstream_is_logged_out() {
    let (chain, proxy) = proxied().await;
    proxy.refuse("GET", "/devices/shop", 404, "device_not_found", usize::MAX);
    restart(&chain).await;
    chain.front.wait_for_state("shop", "logged_out").await;
}

#[tokio::test]
async fn unlinked_device_is_not_logged_out_again() {
    let (chain, proxy) = proxied().await;
    chain.back.post("/simulator/shop/fault", json!({ "kind": "log_out" })).await;
    chain.front.wait_for_state("shop", "logged_out").await;
    assert_eq!(chain.reason("shop").await, "logged_out_on_phone");
    assert_eq!(chain.back.get("/devices/shop").await["data"]["reason"], "logged_out_on_phone");
    // A logout request would follow the transition within this time.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(proxy.asked("POST", "/logout"), 0);
}

#[tokio::test]
async fn late_media_delays_only_its_own_message() {
    let (chain, proxy) = proxied().await;
    proxy.answer("GET", "/media/download", 503, "", 2);
    picture_comes(&chain, "Look").await;
    chain.writes("shop", ANNA, "seen it?").await;
    assert_eq!(chain.received("shop", 1).await, ["seen it?"]);
    let message = message_of(&chain, "Look").await;
    assert_eq!((&message["type"], &message["mimetype"]), (&json!("image"), &json!("image/png")));
}

#[tokio::test]
async fn message_waiting_for_media_survives_a_restart() {
    let (chain, proxy) = proxied().await;
    proxy.answer("GET", "/media/download", 503, "", usize::MAX);
    picture_comes(&chain, "Look").await;
    chain.writes("shop", ANNA, "seen it?").await;
    assert_eq!(chain.received("shop", 1).await, ["seen it?"]);
    let chain = Chain { front: chain.front.restarted().await, ..chain };
    proxy.open();
    assert_eq!(message_of(&chain, "Look").await["type"], "image");
    assert_eq!(chain.received("shop", 2).await, ["seen it?", "Look"], "each message is stored once");
}

#[tokio::test]
async fn message_of_deleted_media_is_delivered_without_it() {
    let (chain, proxy) = proxied().await;
    proxy.refuse("GET", "/media/download", 404, "media_gone", usize::MAX);
    picture_comes(&chain, "Look").await;
    assert_eq!(message_of(&chain, "Look").await["hasMedia"], false);
    assert_eq!(proxy.asked("GET", "/media/download"), 1);
}

#[tokio::test]
async fn upload_that_the_upstream_deleted_is_repeated() {
    let (chain, proxy) = proxied().await;
    let request = chain.front.request("POST", "/devices/shop/media").body(png());
    let uploaded = chain.front.with_key(&chain.front.key).send(request).await.created()["data"].clone();
    proxy.refuse("POST", "/messages/send", 404, "media_not_found", 1);
    let send = json!({ "to": ANNA, "media": { "mediaId": uploaded["mediaId"] } });
    let accepted = chain.front.post("/devices/shop/messages/send", send).await.created();
    let id = accepted["data"]["id"].as_str().unwrap().to_owned();
    chain.front.wait_for_status("shop", &id, "read").await;
    assert_eq!(chain.front.steps("shop", &id).await, ["queued", "sending", "sent", "delivered", "read"]);
    assert_eq!((proxy.asked("POST", "/devices/shop/media"), chain.shown("shop").await.len()), (2, 1));
}

#[tokio::test]
async fn temporarily_rejected_send_is_retried() {
    let (chain, proxy) = proxied().await;
    for (status, own) in [(408, true), (425, true), (429, true), (404, false)] {
        if own {
            proxy.refuse("POST", "/messages/send", status, "", 1);
        } else {
            proxy.answer("POST", "/messages/send", status, "<html>", 1);
        }
        let id = chain.front.send("shop", ANNA, &format!("after {status}")).await;
        chain.front.wait_for_status("shop", &id, "read").await;
    }
    assert!(chain.shown("shop").await.iter().all(|(_, shown)| *shown == 1));
}

#[tokio::test]
async fn refused_ephemeral_stream_is_logged_once_and_ends_nothing() {
    let (chain, proxy) = proxied().await;
    proxy.refuse_ephemeral();
    restart(&chain).await;
    chain.front.wait_for_state("shop", "ready").await;
    let before = proxy.asked("GET", "/events?ephemeral");
    chain
        .front
        .wait_until("two more attempts", async || {
            (proxy.asked("GET", "/events?ephemeral") >= before + 2).then_some(())
        })
        .await;
    assert_eq!(said("WARN", "no stream of ephemeral events"), 1);
    chain.writes("shop", ANNA, "still connected").await;
    assert_eq!(chain.received("shop", 1).await, ["still connected"]);
}

#[tokio::test]
async fn unreadable_log_entries_are_skipped_and_logged_once() {
    let chain = Chain::start().await;
    chain.device("shop").await;
    chain.front.post("/devices/shop/stop", json!({})).await.ok();
    chain.writes("shop", ANNA, "one").await;
    chain.writes("shop", ANNA, "two").await;
    chain.back.stop().await;
    chain.back.database(
        "UPDATE events SET payload = json_set(payload, '$.message.id', '?') WHERE type = 'message'",
    );
    chain.back.start_again().await;
    chain
        .front
        .wait_until("the upstream's device to be ready", async || {
            (chain.back.get("/devices/shop").await["data"]["state"] == "ready").then_some(())
        })
        .await;
    chain.writes("shop", ANNA, "three").await;
    chain.front.post("/devices/shop/start", json!({})).await.ok();
    assert_eq!(chain.received("shop", 1).await, ["three"]);
    assert_eq!(said("WARN", "unreadable input of the upstream skipped"), 1);
}

#[tokio::test]
async fn poll_with_several_answers_keeps_its_type() {
    let chain = Chain::start().await;
    chain.device("shop").await;
    let poll = json!({ "name": "Lunch?", "options": ["soup", "salad"], "allowMultipleAnswers": true });
    chain.back.post("/simulator/shop/incoming", json!({ "from": ANNA, "poll": poll })).await;
    chain.received("shop", 1).await;
    let here = chain.front.logged("shop", "message").await.remove(0)["message"].clone();
    assert_eq!(here["poll"]["allowMultipleAnswers"], true, "{here}");
    let path = format!("/devices/shop/messages/{}/vote", here["id"].as_str().unwrap());
    chain.front.post(&path, json!({ "options": ["soup", "salad"] })).await.ok();
}
