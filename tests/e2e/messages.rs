//! Sending, receiving, paging and searching text messages.

use serde_json::{Value, json};

use crate::support::{ANNA, BEN, Reply, TestApp};

const SEND: &str = "/devices/shop/messages/send";

async fn send_with_key(app: &TestApp, key: &str, body: Value) -> Reply {
    let request = app.request("POST", SEND).header("Idempotency-Key", key).json(&body);
    app.with_key(&app.key).send(request).await
}

// covers: POST /devices/{id}/messages/send
// covers: GET /simulator/{id}/{call}
#[tokio::test]
async fn send_is_answered_when_durable() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let reply =
        app.post(SEND, json!({ "to": "+1 555 010-0001", "text": "hello", "tempId": "t1" })).await.created();
    let data = &reply["data"];
    assert_eq!(data["chatId"], "15550100001@c.us");
    assert_eq!((&data["status"], &data["ack"], &data["tempId"]), (&json!("queued"), &json!(0), &json!("t1")));
    assert!(data["id"].as_str().unwrap().starts_with("true_15550100001@c.us_"), "{data}");
    assert_eq!(data["timestamp"].to_string().len(), 13);
    app.wait_for_status("shop", data["id"].as_str().unwrap(), "read").await;
    let network = app.get("/simulator/shop/network").await.ok();
    assert_eq!(network["data"]["sent"][0]["body"], "hello");
    assert_eq!(network["data"]["sent"][0]["shown"], 1);
}

// covers: POST /devices/{id}/messages/send
#[tokio::test]
async fn legacy_field_names_are_accepted() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.post(SEND, json!({ "to": ANNA, "body": "hello", "media": null, "location": {} , "text": ""}))
        .await
        .created();
}

// covers: rest Idempotency-Key
// covers: rest 422
#[tokio::test]
async fn idempotency_key_sends_once() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let body = json!({ "to": ANNA, "text": "one order" });
    let first = send_with_key(&app, "order-1", body.clone()).await.created();
    let second = send_with_key(&app, "order-1", body.clone()).await.created();
    assert_eq!(first["data"]["id"], second["data"]["id"]);
    send_with_key(&app, "order-1", json!({ "to": ANNA, "text": "another" }))
        .await
        .refused(422, "idempotency_mismatch");
    app.wait_for_status("shop", first["data"]["id"].as_str().unwrap(), "read").await;
    assert_eq!(app.logged("shop", "message:created").await.len(), 1);
    app.clock.advance(86_400_001);
    let later = send_with_key(&app, "order-1", body).await.created();
    assert_ne!(first["data"]["id"], later["data"]["id"]);
}

// covers: rest Idempotency-Key
#[tokio::test]
async fn idempotent_answer_survives_message_removal() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let body = json!({ "to": ANNA, "text": "one order" });
    let first = send_with_key(&app, "order-1", body.clone()).await.created();
    app.wait_for_status("shop", first["data"]["id"].as_str().unwrap(), "read").await;
    app.post("/devices/shop/messages/delete", json!({ "messageId": first["data"]["id"] })).await.ok();
    app.clock.advance(1_000);
    let second = send_with_key(&app, "order-1", body).await.created();
    assert_eq!(first["data"], second["data"]);
}

// covers: rest Idempotency-Key
#[tokio::test]
async fn concurrent_requests_with_one_key_send_once() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let body = json!({ "to": ANNA, "text": "one order" });
    let requests = (0..20).map(|_| send_with_key(&app, "order-1", body.clone()));
    let replies = futures_util::future::join_all(requests).await;
    let ids: std::collections::HashSet<String> =
        replies.iter().map(|reply| reply.created()["data"]["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(app.logged("shop", "message:created").await.len(), 1);
}

// covers: POST /devices/{id}/messages/send
// covers: rest 400 names the field
#[tokio::test]
async fn invalid_send_is_rejected_by_field() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let cases = [
        (json!({ "text": "hello" }), "to"),
        (json!({ "to": ANNA }), "text"),
        (json!({ "to": "hello", "text": "hello" }), "to"),
        (json!({ "to": ANNA, "text": 5 }), "text"),
        (json!({ "to": ANNA, "text": "x".repeat(4_097) }), "text"),
        (json!({ "to": ANNA, "text": "hello", "priority": "urgent" }), "priority"),
        (json!({ "to": ANNA, "text": "hello", "sendAt": "tomorrow" }), "sendAt"),
        (json!({ "to": ANNA, "text": "hello", "tempId": 7.5 }), "tempId"),
        (json!({ "to": ANNA, "text": "hello", "tempId": {} }), "tempId"),
        (json!({ "to": ANNA, "text": "hello", "sendAt": [] }), "sendAt"),
    ];
    for (body, field) in cases {
        let refused = app.post(SEND, body.clone()).await.refused(400, "invalid_field");
        assert_eq!(refused["details"][0]["field"], field, "{body} -> {refused}");
    }
    let large = json!({ "to": ANNA, "media": { "data": "A".repeat(5_700_000) } });
    app.post(SEND, large).await.refused(413, "too_large");
    assert!(app.logged("shop", "message:created").await.is_empty());
}

#[tokio::test]
async fn unlinked_device_refuses_send() {
    let app = TestApp::start().await;
    app.new_device("shop", json!({})).await;
    app.post(SEND, json!({ "to": ANNA, "text": "hello" })).await.refused(409, "device_not_linked");
}

#[tokio::test]
async fn repeated_incoming_message_is_stored_once() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let body = json!({ "from": ANNA, "body": "hello", "networkId": "BB886C09AEF9" });
    for _ in 0..3 {
        let reply = app.post("/simulator/shop/incoming", body.clone()).await.ok();
        assert_eq!(reply["data"]["messageId"], "false_15550100001@c.us_BB886C09AEF9");
    }
    assert_eq!(app.logged("shop", "message").await.len(), 1);
    let chat = app.get("/devices/shop/chats/15550100001@c.us").await.ok();
    assert_eq!(chat["data"]["unreadCount"], 1);
}

#[tokio::test]
async fn network_id_is_unique_per_chat_only() {
    let app = TestApp::start().await;
    app.device("shop").await;
    for from in [ANNA, BEN] {
        let body = json!({ "from": from, "body": "hello", "networkId": "BB886C09AEF9" });
        app.post("/simulator/shop/incoming", body).await.ok();
    }
    assert_eq!(app.logged("shop", "message").await.len(), 2);
}

// covers: GET /devices/{id}/chats/{chatId}/messages
#[tokio::test]
async fn message_pages_have_no_gap_or_overlap() {
    let app = TestApp::start().await;
    app.device("shop").await;
    for n in 0..25 {
        let body =
            json!({ "from": ANNA, "body": format!("m{n}"), "timestamp": 1_700_000_000_000_i64 + n / 2 });
        app.post("/simulator/shop/incoming", body).await.ok();
    }
    let path = format!("/devices/shop/chats/{ANNA}@c.us/messages");
    let bodies = |page: &Value| -> Vec<String> {
        page["data"].as_array().unwrap().iter().map(|m| m["body"].as_str().unwrap().to_owned()).collect()
    };
    let expected: Vec<String> = (0..25).map(|n| format!("m{n}")).collect();
    let mut page = app.get(&format!("{path}?limit=10")).await.ok();
    assert_eq!(page["pagination"]["total"], 25);
    let (mut back, mut oldest) = (bodies(&page), page.clone());
    while let Some(before) = page["pagination"]["cursors"]["older"]["before"].as_str() {
        page = app.get(&format!("{path}?limit=10&before={before}")).await.ok();
        assert_eq!(page["pagination"]["referenceFound"], true);
        oldest = page.clone();
        let mut earlier = bodies(&page);
        earlier.extend(back);
        back = earlier;
    }
    assert_eq!(back, expected);
    let (mut forth, mut page) = (bodies(&oldest), oldest);
    while let Some(after) = page["pagination"]["cursors"]["newer"]["after"].as_str() {
        page = app.get(&format!("{path}?limit=10&after={after}")).await.ok();
        forth.extend(bodies(&page));
    }
    assert_eq!(forth, expected);
}

// covers: GET /devices/{id}/messages/search
#[tokio::test]
async fn search_finds_words_newest_first() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.incoming("shop", ANNA, "The Käse costs 5 euros").await;
    app.incoming("shop", BEN, "more kase please").await;
    app.send("shop", BEN, "no cheese today").await;
    let found = app.get("/devices/shop/messages/search?query=KASE").await.ok();
    assert_eq!((&found["totalResults"], &found["searchScope"]), (&json!(2), &json!("all_chats")));
    assert_eq!(found["data"][0]["body"], "more kase please");
    let found = app.get(&format!("/devices/shop/messages/search?query=cost&chatId={ANNA}")).await.ok();
    assert_eq!((&found["totalResults"], &found["searchScope"]), (&json!(1), &json!("single_chat")));
    let found = app.get("/devices/shop/messages/search?query=%22AND%20OR*").await.ok();
    assert_eq!(found["totalResults"], 0);
    app.get("/devices/shop/messages/search").await.refused(400, "invalid_field");
}

#[tokio::test]
async fn history_is_stored_without_events_or_unread() {
    let app = TestApp::start().await;
    skip_unless!(app.has_phone(), "a phone account");
    app.device_with("shop", json!({ "history": 20, "contacts": 3 })).await;
    let chats = app
        .wait_until("the history", async || {
            let chats = app.get("/devices/shop/chats").await.ok();
            (!chats["data"].as_array().unwrap().is_empty()).then_some(chats)
        })
        .await;
    assert!(chats["data"].as_array().unwrap().iter().all(|chat| chat["unreadCount"] == 0), "{chats}");
    assert!(app.logged("shop", "message").await.is_empty());
}

// covers: GET /devices/{id}/messages/status
// covers: ack 0 pending
#[tokio::test]
async fn status_answer_has_queue_and_message() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    let id = app.send("shop", ANNA, "hello").await;
    let answer = app.get(&format!("/devices/shop/messages/status?messageId={id}")).await.ok();
    let message = &answer["data"]["message"];
    assert_eq!(
        (&message["messageId"], &message["status"], &message["ack"], &message["ackName"]),
        (&json!(id), &json!("queued"), &json!(0), &json!("pending"))
    );
    assert_eq!(answer["data"]["queue"]["queuedMessages"], 1);
    let answer = app.get("/devices/shop/messages/status").await.ok();
    assert_eq!(
        (&answer["data"]["message"], answer["data"]["health"]["score"].is_u64()),
        (&json!(null), true)
    );
    let unknown = format!("/devices/shop/messages/status?messageId=true_{ANNA}@c.us_3EB0");
    app.get(&unknown).await.refused(404, "message_not_found");
}
