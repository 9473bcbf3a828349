//! Callbacks of the upstream.

use serde_json::{Value, json};

use super::Chain;
use super::proxy::Proxy;
use crate::support::{ANNA, Reply, said};
use crate::upstream::remote::{CALLBACK_SECRET, signed};

async fn call(chain: &Chain, secret: &str, body: &Value) -> Reply {
    let text = body.to_string();
    let mut request = chain.front.request("POST", "//hooks/shop").body(text.clone());
    for (name, value) in signed(secret, &text) {
        request = request.header(name, value);
    }
    Reply::of(request.send().await.unwrap()).await
}

async fn start(with_secret: bool) -> Chain {
    let chain = Chain::start().await;
    chain.back.device("shop", &json!({ "autoScanMs": 0 })).await;
    let mut settings = chain.settings("shop");
    if with_secret {
        settings["remote"]["inbound"] = json!("webhook");
        settings["remote"]["webhookSecret"] = json!(CALLBACK_SECRET);
    }
    chain.make("shop", settings).await;
    if !with_secret {
        chain.front.wait_for_state("shop", "ready").await;
    }
    chain
}

// covers: POST /hooks/{deviceId}
#[tokio::test]
async fn signed_callback_is_answered_when_durable() {
    let chain = start(true).await;
    chain
        .front
        .wait_until("the device to be ready", async || {
            // In this mode events of the link arrive with a callback.
            let newest = chain.back.get("/devices/shop/events?limit=1").await["newestSeq"].clone();
            call(&chain, CALLBACK_SECRET, &json!({ "data": { "deviceId": "shop", "seq": newest } })).await;
            (chain.front.get("/devices/shop").await.ok()["data"]["state"] == "ready").then_some(())
        })
        .await;
    chain.writes("shop", ANNA, "hello").await;
    let event = chain.back.logged("shop", "message").await.remove(0);
    let body = json!({ "id": "evt_1", "type": "message", "data": event });
    for _ in 0..2 {
        assert_eq!(call(&chain, CALLBACK_SECRET, &body).await.status, 200);
        assert_eq!(chain.bodies("shop").await, ["hello"]);
    }
    assert_eq!(
        call(&chain, CALLBACK_SECRET, &json!({ "data": {} })).await.status,
        200,
        "a test of the webhook"
    );
}

#[tokio::test]
async fn callback_with_wrong_signature_is_refused() {
    let chain = start(true).await;
    let body = json!({ "data": { "deviceId": "shop", "seq": 1 } });
    call(&chain, "another-secret-of-somebody-else", &body).await.refused(401, "bad_signature");
    let bare = chain.front.request("POST", "//hooks/shop").body("{}");
    Reply::of(bare.send().await.unwrap()).await.refused(401, "bad_signature");
    let other = json!({ "data": { "deviceId": "another", "seq": 1 } });
    call(&chain, CALLBACK_SECRET, &other).await.refused(400, "bad_callback");
    // The log throttle passes one of two.
    assert_eq!(said("WARN", "code=\"bad_signature\""), 1);
    assert_eq!(said("WARN", "code=\"bad_callback\""), 1);
    chain.front.clock.advance(60_000);
    call(&chain, "another-secret-of-somebody-else", &body).await.refused(401, "bad_signature");
    assert_eq!(said("WARN", "code=\"bad_signature\""), 2);
    let stranger = chain.front.request("POST", "//hooks/nobody").body("{}");
    Reply::of(stranger.send().await.unwrap()).await.refused(404, "not_found");
    assert_eq!(said("WARN", "callback rejected"), 3);
}

#[tokio::test]
async fn callback_wakes_the_reader_of_a_silent_stream() {
    let chain = Chain::start().await;
    let proxy = Proxy::to(chain.back.base()).await;
    chain.back.device("shop", &json!({ "autoScanMs": 0 })).await;
    let mut settings = proxy.settings(chain.settings("shop"));
    settings["remote"]["webhookSecret"] = json!(CALLBACK_SECRET);
    chain.make("shop", settings).await;
    chain.front.wait_for_state("shop", "ready").await;
    proxy.silence();
    chain.front.post("/devices/shop/restart", json!({})).await.ok();
    chain.front.wait_for_state("shop", "ready").await;
    chain.writes("shop", ANNA, "hello").await;
    let seq = chain.back.logged("shop", "message").await.remove(0)["seq"].clone();
    assert!(chain.bodies("shop").await.is_empty());
    let body = json!({ "data": { "deviceId": "shop", "seq": seq } });
    assert_eq!(call(&chain, CALLBACK_SECRET, &body).await.status, 200);
    assert_eq!(chain.bodies("shop").await, ["hello"]);
}

#[tokio::test]
async fn device_without_secret_accepts_no_callbacks() {
    let chain = start(false).await;
    call(&chain, CALLBACK_SECRET, &json!({ "data": {} })).await.refused(404, "not_found");
}
