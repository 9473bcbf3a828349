//! Messages, media, typing and presence through both daemons.

use serde_json::json;

use super::{Chain, ME};
use crate::media::files::{ogg, png};
use crate::support::{ANNA, BEN};
use crate::upstream::remote::UPSTREAM_KEY;

#[tokio::test]
async fn scan_of_the_shown_code_links_both() {
    let chain = Chain::start().await;
    // The device does not exist at the upstream yet.
    chain.make("shop", chain.settings("shop")).await;
    let code = chain.front.wait_for_state("shop", "qr").await["qr"].clone();
    assert_eq!(chain.back.get("/devices/shop").await["data"]["qr"], code);
    chain
        .back
        .post("/simulator/shop/scan", json!({ "qr": code, "phoneNumber": ME, "clientName": "Shop" }))
        .await;
    let ready = chain.front.wait_for_state("shop", "ready").await;
    assert_eq!((&ready["phoneNumber"], &ready["clientName"]), (&json!(ME), &json!("Shop")));
    chain.front.post("/devices/shop/logout", json!({})).await.ok();
    assert_eq!(chain.back.get("/devices/shop").await["data"]["state"], "logged_out");
}

#[tokio::test]
async fn text_goes_both_ways_with_acks_up_to_played() {
    let chain = Chain::start().await;
    chain.device("shop").await;
    chain.writes("shop", ANNA, "hello").await;
    assert_eq!(chain.received("shop", 1).await, ["hello"]);
    let there = chain.back.logged("shop", "message").await;
    let here = chain.front.logged("shop", "message").await;
    assert_eq!(there[0]["message"]["id"], here[0]["message"]["id"], "an inbound message has the same id");
    let id = chain.front.send("shop", ANNA, "hello Anna").await;
    chain.front.wait_for_status("shop", &id, "read").await;
    assert_eq!(chain.front.steps("shop", &id).await, ["queued", "sending", "sent", "delivered", "read"]);
    let created = chain.back.logged("shop", "message:created").await.remove(0);
    let theirs = created["message"]["id"].clone();
    assert!(created["tempId"].as_str().unwrap().ends_with(id.rsplit('_').next().unwrap()), "{created}");
    chain.back.post("/simulator/shop/receipt", json!({ "messageId": theirs, "ack": 4 })).await;
    chain.front.wait_for_status("shop", &id, "played").await;
    assert_eq!(chain.shown("shop").await, [("hello Anna".to_owned(), 1)]);
    assert_eq!(
        chain.front.logged("shop", "message").await.len(),
        1,
        "our own message emits no message event"
    );
}

#[tokio::test]
async fn media_goes_both_ways() {
    let chain = Chain::start().await;
    chain.device("shop").await;
    let request =
        chain.front.request("POST", "/devices/shop/media").query(&[("filename", "note.ogg")]).body(ogg());
    let uploaded = chain.front.with_key(&chain.front.key).send(request).await.created()["data"].clone();
    let media = json!({ "mediaId": uploaded["mediaId"], "asVoice": true });
    let accepted =
        chain.front.post("/devices/shop/messages/send", json!({ "to": ANNA, "media": media })).await;
    let id = accepted.created()["data"]["id"].as_str().unwrap().to_owned();
    chain.front.wait_for_status("shop", &id, "read").await;
    let there = chain.back.logged("shop", "message:created").await.remove(0)["message"].clone();
    assert_eq!((&there["type"], &there["filesize"]), (&json!("ptt"), &json!(ogg().len())));
    use base64::Engine as _;
    let picture = base64::engine::general_purpose::STANDARD.encode(png());
    let media = json!({ "data": picture, "filename": "x.png", "caption": "Look" });
    chain.back.post("/simulator/shop/incoming", json!({ "from": ANNA, "media": media })).await;
    chain.received("shop", 1).await;
    let here = chain.front.logged("shop", "message").await.remove(0)["message"].clone();
    assert_eq!(
        (&here["type"], &here["body"], &here["mimetype"]),
        (&json!("image"), &json!("Look"), &json!("image/png"))
    );
    let path = format!("/{}", here["mediaUrl"].as_str().unwrap());
    let file = chain.front.request("GET", &path).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(file, png());
}

#[tokio::test]
async fn two_fronts_of_one_device_receive_the_same_messages() {
    let chain = Chain::start().await;
    chain.device("shop").await;
    chain.make("desk", chain.settings("shop")).await;
    chain.front.wait_for_state("desk", "ready").await;
    chain.writes("shop", ANNA, "hello").await;
    assert_eq!(
        (chain.received("shop", 1).await, chain.received("desk", 1).await),
        (vec!["hello".into()], vec!["hello".into()])
    );
    let id = chain.front.send("desk", BEN, "from the desk").await;
    chain.front.wait_for_status("desk", &id, "read").await;
    assert_eq!(chain.received("shop", 2).await, ["hello", "from the desk"]);
    assert_eq!(chain.received("desk", 1).await, ["hello"]);
    // Stopping one front changes neither the other nor the upstream's device.
    chain.front.post("/devices/desk/stop", json!({})).await.ok();
    chain.writes("shop", ANNA, "still there?").await;
    assert_eq!(chain.received("shop", 3).await[2], "still there?");
    chain.front.post("/devices/desk/start", json!({})).await.ok();
    assert_eq!(chain.received("desk", 2).await, ["hello", "still there?"]);
}

#[tokio::test]
async fn linked_account_is_read_with_its_history() {
    let chain = Chain::start().await;
    let past = json!({ "contacts": [{ "id": ANNA, "name": "Anna" }], "history": 120, "autoScanMs": 0 });
    chain.back.device("shop", &past).await;
    chain
        .front
        .wait_until("the history to be complete", async || {
            let events = chain.back.logged("shop", "history:progress").await;
            events.last().is_some_and(|last| last["phase"] == "complete").then_some(())
        })
        .await;
    chain.make("shop", chain.settings("shop")).await;
    chain.front.wait_for_state("shop", "ready").await;
    let complete = chain
        .front
        .wait_until("the end of the history", async || {
            let events = chain.front.logged("shop", "history:progress").await;
            events.last().filter(|last| last["phase"] == "complete").cloned()
        })
        .await;
    assert_eq!(complete["done"], 120);
    assert!(chain.bodies("shop").await.is_empty(), "history emits no message event");
    let page = chain.front.get(&format!("/devices/shop/chats/{ANNA}@c.us/messages?limit=1")).await.ok();
    assert_eq!(page["pagination"]["total"], 120);
}

#[tokio::test]
async fn typing_and_presence_pass_in_both_directions() {
    let chain = Chain::start().await;
    chain.device("shop").await;
    let (mut socket, _) = crate::support::wire::Wire::open(&chain.front).await;
    socket.join("shop", &chain.front.key).await;
    let typed = json!({ "from": ANNA, "kind": "text", "on": true });
    let typing = async {
        // The stream between the daemons may not be open yet.
        for _ in 0..50 {
            chain.back.post("/simulator/shop/typing", typed.clone()).await;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let event = tokio::select! {
        event = socket.event("shop", "typing:start") => event,
        () = typing => panic!("no typing event"),
    };
    assert_eq!(event["chatId"], format!("{ANNA}@c.us"));
    assert!(!event.to_string().contains(UPSTREAM_KEY));
    chain.back.post("/simulator/shop/presence", json!({ "from": ANNA, "online": true })).await;
    assert_eq!(socket.event("shop", "presence").await["contactId"], format!("{ANNA}@c.us"));
    let typing = format!("/devices/shop/chats/{ANNA}/typing");
    chain.front.post(&typing, json!({ "state": "start", "kind": "voice" })).await.ok();
    chain.front.post(&format!("/devices/shop/contacts/{ANNA}/presence/subscribe"), json!({})).await.ok();
    let network = chain.back.get("/simulator/shop/network").await;
    assert_eq!(network["data"]["typing"][0]["kind"], "audio");
}
