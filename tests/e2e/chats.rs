//! Chat lists, searches and last messages.

use serde_json::{Value, json};

use crate::support::{ANNA, BEN, TestApp};

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap()).collect()
}

async fn two_chats(app: &TestApp) {
    app.device("shop").await;
    app.incoming("shop", ANNA, "first").await;
    app.incoming("shop", BEN, "second").await;
    app.incoming("shop", ANNA, "third").await;
}

// covers: GET /devices/{id}/chats
#[tokio::test]
async fn newest_chat_is_first_with_last_message() {
    let app = TestApp::start().await;
    two_chats(&app).await;
    let list = app.get("/devices/shop/chats").await.ok();
    assert_eq!(ids(&list), ["15550100001@c.us", "15550100002@c.us"]);
    let chat = &list["data"][0];
    assert_eq!(
        (&chat["chatId"], &chat["unreadCount"], &chat["isGroup"]),
        (&chat["id"], &json!(2), &json!(false))
    );
    assert_eq!(chat["lastMessage"]["body"], "third");
}

// covers: GET /devices/{id}/chats
#[tokio::test]
async fn chat_list_accepts_every_query_alias() {
    let app = TestApp::start().await;
    two_chats(&app).await;
    app.post(&format!("/devices/shop/chats/{BEN}@c.us/markRead"), json!({})).await.ok();
    for (query, expected) in [
        ("filter=unread", vec!["15550100001@c.us"]),
        ("filter=groups", vec![]),
        ("search=00002", vec!["15550100002@c.us"]),
        ("q=00002", vec!["15550100002@c.us"]),
        ("limit=1&offset=1", vec!["15550100002@c.us"]),
        ("take=1&skip=1", vec!["15550100002@c.us"]),
        ("pageSize=1&page=2", vec!["15550100002@c.us"]),
    ] {
        let list = app.get(&format!("/devices/shop/chats?{query}")).await.ok();
        assert_eq!(ids(&list), expected, "{query}");
    }
    app.get("/devices/shop/chats?filter=best").await.refused(400, "invalid_field");
    app.get("/devices/shop/chats?limit=1000").await.refused(400, "invalid_field");
}

// covers: POST /devices/{id}/chats/{chatId}/markRead
// covers: GET /devices/{id}/chats/{chatId}
#[tokio::test]
async fn mark_read_emits_event_and_reaches_network() {
    let app = TestApp::start().await;
    two_chats(&app).await;
    let path = format!("/devices/shop/chats/{ANNA}%40c.us/markRead");
    app.post(&path, json!({})).await.ok();
    let chat = app.get(&format!("/devices/shop/chats/{ANNA}@c.us")).await.ok();
    assert_eq!(chat["data"]["unreadCount"], 0);
    let read = app.logged("shop", "message:read").await;
    assert_eq!(read[0]["messageIds"].as_array().unwrap().len(), 2);
    app.post(&path, json!({})).await.ok();
    assert_eq!(app.logged("shop", "message:read").await.len(), 1, "a second read emits nothing");
    let network = app.get("/simulator/shop/network").await.ok();
    assert!(!network["data"]["read"].as_array().unwrap().is_empty());
    app.post("/devices/shop/chats/15550109998@c.us/markRead", json!({})).await.refused(404, "chat_not_found");
}

// covers: POST /devices/{id}/chats/{chatId}/read
#[tokio::test]
async fn mark_read_affects_named_messages_only() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let first = app.incoming("shop", ANNA, "first").await;
    app.incoming("shop", ANNA, "second").await;
    app.post(&format!("/devices/shop/chats/{ANNA}@c.us/read"), json!({ "messageIds": [first] })).await.ok();
    let chat = app.get(&format!("/devices/shop/chats/{ANNA}@c.us")).await.ok();
    assert_eq!(chat["data"]["unreadCount"], 1);
}

// covers: POST /devices/{id}/chats
#[tokio::test]
async fn legacy_send_path_works() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let sent = app.post("/devices/shop/chats", json!({ "to": ANNA, "text": "hello" })).await.created();
    let id = sent["data"]["id"].as_str().unwrap();
    app.wait_for_status("shop", id, "read").await;
    let network = app.get("/simulator/shop/network").await.ok();
    assert_eq!(network["data"]["sent"][0]["body"], "hello");
}

// covers: GET /devices/{id}/chats/search
#[tokio::test]
async fn chats_are_found_by_name_or_number() {
    let app = TestApp::start().await;
    two_chats(&app).await;
    let found = app.get("/devices/shop/chats/search?q=00002&limit=5").await.ok();
    assert_eq!((&found["query"], found["results"].as_array().unwrap().len()), (&json!("00002"), 1));
    let chat = &found["results"][0];
    assert_eq!(
        (&chat["id"], &chat["type"], &chat["unread"]),
        (&json!("15550100002@c.us"), &json!("private"), &json!(1))
    );
    assert_eq!(chat["lastMessage"]["body"], "second");
    app.get("/devices/shop/chats/search").await.refused(400, "invalid_field");
}

// covers: POST /devices/chats/multi
#[tokio::test]
async fn chats_of_several_devices_are_listed_together() {
    let app = TestApp::start().await;
    two_chats(&app).await;
    app.device("home").await;
    let body = json!({ "deviceIds": ["shop", "home", "nowhere"], "limit": 1 });
    let found = app.post("/devices/chats/multi", body).await.ok();
    let found = found["data"].as_array().unwrap();
    assert_eq!((&found[0]["deviceId"], &found[1]["deviceId"]), (&json!("shop"), &json!("home")));
    assert_eq!((found.len(), found[0]["chats"][0]["id"].as_str()), (2, Some("15550100001@c.us")));
    assert_eq!(found[0]["chats"].as_array().unwrap().len(), 1);
    app.post("/devices/chats/multi", json!({ "deviceIds": [] })).await.refused(400, "invalid_field");
}

#[tokio::test]
async fn last_message_is_newest_after_other_chat_changes() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
    app.device("shop").await;
    let now = app.incoming("shop", BEN, "for the time").await;
    let now = app.get(&format!("/devices/shop/messages/{now}")).await.ok()["data"]["timestamp"].clone();
    let now = now.as_i64().unwrap();
    let made = json!({ "subject": "Party", "participants": [ANNA] });
    let group = app.post("/devices/shop/groups", made).await.created()["data"]["id"].clone();
    let written = async |body: &str, earlier: i64| {
        let message =
            json!({ "from": ANNA, "groupId": group, "body": body, "timestamp": now - 10_000 + earlier });
        let reply = app.post("/simulator/shop/incoming", message).await.ok();
        reply["data"]["messageId"].as_str().unwrap().to_owned()
    };
    let last = async || {
        let chat = app.get(&format!("/devices/shop/chats/{}", group.as_str().unwrap())).await.ok();
        chat["data"]["lastMessage"]["body"].clone()
    };
    written("first", 1_000).await;
    let second = written("second", 4_000).await;
    assert_eq!(last().await, "second", "making the group came later than both");
    written("late", 2_000).await;
    assert_eq!(last().await, "second");
    let removed = json!({ "messageId": second, "forEveryone": false });
    app.post("/devices/shop/messages/delete", removed).await.ok();
    assert_eq!(last().await, "late");
    written("between", 3_000).await;
    assert_eq!(last().await, "between", "what was removed is not compared with");
}

#[tokio::test]
async fn history_sets_newest_last_message_in_groups() {
    let app = TestApp::start().await;
    skip_unless!(app.has_phone(), "a phone account");
    let crew = json!({ "id": "120363000000000077@g.us", "subject": "Crew", "participants": [ANNA] });
    app.device_with("shop", json!({ "groups": [crew], "history": 30 })).await;
    app.wait_until("the end of the history", async || {
        let progress = app.logged("shop", "history:progress").await;
        progress.last().is_some_and(|last| last["phase"] == "complete").then_some(())
    })
    .await;
    let chat = app.get("/devices/shop/chats/120363000000000077@g.us").await.ok();
    assert_eq!(chat["data"]["lastMessage"]["body"], "Earlier message 30");
}
