//! Chats and contacts, as lists of conversations show them.

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

#[tokio::test]
async fn the_newest_chat_comes_first_with_its_last_message() {
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

#[tokio::test]
async fn lists_are_filtered_searched_and_paged_by_any_of_their_names() {
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

#[tokio::test]
async fn marking_read_is_told_here_and_to_the_network() {
    let app = TestApp::start().await;
    two_chats(&app).await;
    let path = format!("/devices/shop/chats/{ANNA}%40c.us/markRead");
    app.post(&path, json!({})).await.ok();
    let chat = app.get(&format!("/devices/shop/chats/{ANNA}@c.us")).await.ok();
    assert_eq!(chat["data"]["unreadCount"], 0);
    let read = app.logged("shop", "message:read").await;
    assert_eq!(read[0]["messageIds"].as_array().unwrap().len(), 2);
    app.post(&path, json!({})).await.ok();
    assert_eq!(app.logged("shop", "message:read").await.len(), 1, "reading twice tells nothing new");
    let network = app.get("/simulator/shop/network").await.ok();
    assert!(!network["data"]["read"].as_array().unwrap().is_empty());
    app.post("/devices/shop/chats/15550109998@c.us/markRead", json!({})).await.refused(404, "chat_not_found");
}

#[tokio::test]
async fn only_the_named_messages_are_marked_read() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let first = app.incoming("shop", ANNA, "first").await;
    app.incoming("shop", ANNA, "second").await;
    app.post(&format!("/devices/shop/chats/{ANNA}@c.us/read"), json!({ "messageIds": [first] })).await.ok();
    let chat = app.get(&format!("/devices/shop/chats/{ANNA}@c.us")).await.ok();
    assert_eq!(chat["data"]["unreadCount"], 1);
}

#[tokio::test]
async fn contacts_are_found_by_get_and_post() {
    let app = TestApp::start().await;
    let contacts = json!([{ "id": ANNA, "name": "Anna" }, { "id": BEN, "name": "Ben" }]);
    app.device_with("shop", json!({ "contacts": contacts })).await;
    app.wait_until("the contacts", async || {
        (app.get("/devices/shop/contacts").await.ok()["data"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    let found = app.get("/devices/shop/contacts?search=ann").await.ok();
    assert_eq!((ids(&found), &found["data"][0]["name"]), (vec!["15550100001@c.us"], &json!("Anna")));
    let found = app.post("/devices/shop/contacts", json!({ "contactIds": [BEN] })).await.ok();
    assert_eq!(ids(&found), ["15550100002@c.us"]);
    assert_eq!(app.get(&format!("/devices/shop/contacts/{ANNA}/exists")).await.ok()["data"]["exists"], true);
    assert_eq!(app.get("/devices/shop/contacts/15550190001/exists").await.ok()["data"]["exists"], false);
}
