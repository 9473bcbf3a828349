//! What passes is told from what stays: answers of things in between, files that are late, sockets that are refused.

use std::time::Duration;

use serde_json::{Value, json};

use super::proxy::Proxy;
use super::{Chain, ME};
use crate::media::files::png;
use crate::support::{ANNA, said};

/// A device that is linked and ready, whose requests go through a gate.
async fn gated() -> (Chain, Proxy) {
    let chain = Chain::start().await;
    let gate = Proxy::to(chain.back.base()).await;
    chain.back.device("shop", &json!({ "ackServerMs": 0, "ackDeviceMs": 10, "ackReadMs": 30 })).await;
    chain.make("shop", gate.settings(chain.settings("shop"))).await;
    chain.front.wait_for_state("shop", "qr").await;
    chain.back.post("/simulator/shop/scan", json!({ "phoneNumber": ME })).await;
    chain.front.wait_for_state("shop", "ready").await;
    (chain, gate)
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
            let told = chain.front.logged("shop", "message").await;
            told.into_iter().map(|told| told["message"].clone()).find(|message| message["body"] == body)
        })
        .await
}

#[tokio::test]
async fn a_proxy_that_finds_nothing_for_a_while_unlinks_nothing() {
    let (chain, gate) = gated().await;
    for (status, body) in
        [(404, "<html>404 page not found</html>"), (405, ""), (400, "bad gateway"), (408, "")]
    {
        gate.answer("GET", "/devices/shop", status, body, usize::MAX);
        restart(&chain).await;
        chain
            .front
            .wait_until("the front to notice", async || {
                (chain.reason("shop").await == "upstream_unavailable").then_some(())
            })
            .await;
        assert_ne!(chain.front.get("/devices/shop").await.ok()["data"]["state"], "logged_out");
        gate.open();
        chain.front.wait_for_state("shop", "ready").await;
    }
    chain.writes("shop", ANNA, "still linked").await;
    assert_eq!(chain.heard("shop", 1).await, ["still linked"]);
    assert_eq!(gate.asked("POST", "/devices"), 0, "no second device is made there");
    assert_eq!(gate.asked("POST", "/logout"), 0);
}

#[tokio::test]
async fn a_device_that_is_gone_there_is_logged_out_here() {
    let (chain, gate) = gated().await;
    gate.refuse("GET", "/devices/shop", 404, "device_not_found", usize::MAX);
    restart(&chain).await;
    chain.front.wait_for_state("shop", "logged_out").await;
}

#[tokio::test]
async fn what_the_network_unlinked_is_not_logged_out_a_second_time() {
    let (chain, gate) = gated().await;
    chain.back.post("/simulator/shop/fault", json!({ "kind": "log_out" })).await;
    chain.front.wait_for_state("shop", "logged_out").await;
    assert_eq!(chain.reason("shop").await, "logged_out_on_phone");
    assert_eq!(chain.back.get("/devices/shop").await["data"]["reason"], "logged_out_on_phone");
    // What comes of the transition is done a moment after it.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(gate.asked("POST", "/logout"), 0);
}

#[tokio::test]
async fn a_message_waits_for_a_file_that_cannot_be_had_now_and_holds_up_nothing() {
    let (chain, gate) = gated().await;
    gate.answer("GET", "/media/download", 503, "", 2);
    picture_comes(&chain, "Look").await;
    chain.writes("shop", ANNA, "seen it?").await;
    assert_eq!(chain.heard("shop", 1).await, ["seen it?"]);
    let message = message_of(&chain, "Look").await;
    assert_eq!((&message["type"], &message["mimetype"]), (&json!("image"), &json!("image/png")));
}

#[tokio::test]
async fn a_message_that_waits_for_its_file_outlives_the_session() {
    let (chain, gate) = gated().await;
    gate.answer("GET", "/media/download", 503, "", usize::MAX);
    picture_comes(&chain, "Look").await;
    chain.writes("shop", ANNA, "seen it?").await;
    assert_eq!(chain.heard("shop", 1).await, ["seen it?"]);
    let chain = Chain { front: chain.front.restarted().await, ..chain };
    gate.open();
    assert_eq!(message_of(&chain, "Look").await["type"], "image");
    assert_eq!(chain.heard("shop", 2).await, ["seen it?", "Look"], "each is there once");
}

#[tokio::test]
async fn a_file_that_is_not_there_any_more_leaves_its_message_without_it() {
    let (chain, gate) = gated().await;
    gate.refuse("GET", "/media/download", 404, "media_gone", usize::MAX);
    picture_comes(&chain, "Look").await;
    assert_eq!(message_of(&chain, "Look").await["hasMedia"], false);
    assert_eq!(gate.asked("GET", "/media/download"), 1);
}

#[tokio::test]
async fn a_file_that_the_upstream_let_go_of_is_handed_over_again() {
    let (chain, gate) = gated().await;
    let request = chain.front.request("POST", "/devices/shop/media").body(png());
    let uploaded = chain.front.with_key(&chain.front.key).send(request).await.created()["data"].clone();
    gate.refuse("POST", "/messages/send", 404, "media_not_found", 1);
    let send = json!({ "to": ANNA, "media": { "mediaId": uploaded["mediaId"] } });
    let accepted = chain.front.post("/devices/shop/messages/send", send).await.created();
    let id = accepted["data"]["id"].as_str().unwrap().to_owned();
    chain.front.wait_for_status("shop", &id, "read").await;
    assert_eq!(chain.front.steps("shop", &id).await, ["queued", "sending", "sent", "delivered", "read"]);
    assert_eq!((gate.asked("POST", "/devices/shop/media"), chain.shown("shop").await.len()), (2, 1));
}

#[tokio::test]
async fn an_upstream_that_takes_no_message_for_a_while_is_asked_again() {
    let (chain, gate) = gated().await;
    for (status, own) in [(408, true), (425, true), (429, true), (404, false)] {
        if own {
            gate.refuse("POST", "/messages/send", status, "", 1);
        } else {
            gate.answer("POST", "/messages/send", status, "<html>", 1);
        }
        let id = chain.front.send("shop", ANNA, &format!("after {status}")).await;
        chain.front.wait_for_status("shop", &id, "read").await;
    }
    assert!(chain.shown("shop").await.iter().all(|(_, shown)| *shown == 1));
}

#[tokio::test]
async fn refused_ephemeral_stream_is_logged_once_and_ends_nothing() {
    let (chain, gate) = gated().await;
    gate.refuse_ephemeral();
    restart(&chain).await;
    chain.front.wait_for_state("shop", "ready").await;
    let before = gate.asked("GET", "/events?ephemeral");
    chain
        .front
        .wait_until("two more attempts", async || {
            (gate.asked("GET", "/events?ephemeral") >= before + 2).then_some(())
        })
        .await;
    assert_eq!(said("WARN", "no stream of ephemeral events"), 1);
    chain.writes("shop", ANNA, "still connected").await;
    assert_eq!(chain.heard("shop", 1).await, ["still connected"]);
}

#[tokio::test]
async fn what_cannot_be_read_of_the_log_is_passed_over_and_said_seldom() {
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
        .wait_until("the one behind to be ready", async || {
            (chain.back.get("/devices/shop").await["data"]["state"] == "ready").then_some(())
        })
        .await;
    chain.writes("shop", ANNA, "three").await;
    chain.front.post("/devices/shop/start", json!({})).await.ok();
    assert_eq!(chain.heard("shop", 1).await, ["three"]);
    assert_eq!(said("WARN", "what the upstream told could not be read"), 1);
}

#[tokio::test]
async fn a_poll_with_several_answers_stays_one_through_both() {
    let chain = Chain::start().await;
    chain.device("shop").await;
    let poll = json!({ "name": "Lunch?", "options": ["soup", "salad"], "allowMultipleAnswers": true });
    chain.back.post("/simulator/shop/incoming", json!({ "from": ANNA, "poll": poll })).await;
    chain.heard("shop", 1).await;
    let here = chain.front.logged("shop", "message").await.remove(0)["message"].clone();
    assert_eq!(here["poll"]["allowMultipleAnswers"], true, "{here}");
    let path = format!("/devices/shop/messages/{}/vote", here["id"].as_str().unwrap());
    chain.front.post(&path, json!({ "options": ["soup", "salad"] })).await.ok();
}
