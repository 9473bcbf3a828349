//! Groups in the inbox of a device, and conversations that an operator opens.

use serde_json::{Value, json};

use super::client::{ChatClient, rest, token, unassigned_app};
use super::support::{ANNA, BEN, Reply, TestApp};

const CREW: &str = "120363000000000077@g.us";

/// A bridged device with one group, whose inbox Bela may use and Cleo may read.
async fn app_bridging(bridge: &str) -> TestApp {
    let app = unassigned_app().await;
    let crew = json!({ "id": CREW, "subject": "Crew", "participants": [ANNA, BEN] });
    app.device_with("shop", json!({ "groups": [crew] })).await;
    app.wait_until("the group", async || {
        let page = app.get("/devices/shop/groups").await.ok();
        (page["pagination"]["total"] == 1).then_some(())
    })
    .await;
    app.patch("/devices/shop", json!({ "settings": { "chat": { "bridge": bridge } } })).await.ok();
    let operators = json!([{ "who": "desk:bela" }, { "who": "desk:cleo", "rights": "read" }]);
    app.put("/devices/shop/operators", json!({ "operators": operators })).await.ok();
    app
}

async fn in_group(app: &TestApp, from: &str, body: &str) {
    let message = json!({ "from": from, "groupId": CREW, "body": body });
    app.post("/simulator/shop/incoming", message).await.ok();
}

async fn conversations(app: &TestApp, user: &str) -> Vec<Value> {
    let list = rest(app, &token(user), "GET", "/api/v1/conversations", None).await.ok();
    list["data"]["conversations"].as_array().unwrap().clone()
}

async fn open(app: &TestApp, user: &str, chat: &str) -> Reply {
    let path = format!("/api/v1/devices/shop/chats/{chat}/conversation");
    rest(app, &token(user), "POST", &path, None).await
}

#[tokio::test]
async fn group_is_one_conversation_of_its_members() {
    let app = app_bridging("all").await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
    in_group(&app, ANNA, "Who closes today?").await;
    let found = app.wait_until("the conversation", async || conversations(&app, "bela").await.pop()).await;
    let id = found["id"].as_str().unwrap().to_owned();
    assert_eq!(found["contact"]["displayName"], "Crew");
    let mut bela = ChatClient::connect(&app, "bela").await;
    bela.ask("join:conversation", json!(id)).await;
    in_group(&app, BEN, "I do.").await;
    let new = bela.payload("message:new").await;
    assert_eq!(new["content"], "I do.");
    let ben = new["senderId"].as_str().unwrap().to_owned();
    assert_ne!(json!(ben), found["contact"]["id"]);
    let page = rest(&app, &token("bela"), "GET", &format!("/api/v1/conversations/{id}/messages"), None).await;
    let page = page.ok();
    let authors: Vec<&Value> =
        page["data"]["messages"].as_array().unwrap().iter().map(|one| &one["author"]["id"]).collect();
    assert!(authors[0] == &json!(ben) && authors[1] != &json!(ben), "{authors:?}");
    let marked =
        rest(&app, &token("bela"), "POST", &format!("/api/v1/conversations/{id}/read"), Some(json!({})))
            .await;
    assert_eq!(marked.ok()["data"]["count"], 2);
    let sent = bela.ask("message:send", json!({ "conversationId": id, "content": "Thanks" })).await;
    assert_eq!(sent["success"], true, "{sent}");
    app.wait_until("the message to be sent", async || {
        let network = app.get("/simulator/shop/network").await.ok();
        let sent = network["data"]["sent"].as_array().unwrap().clone();
        sent.iter().any(|one| one["body"] == "Thanks" && one.to_string().contains(CREW)).then_some(())
    })
    .await;
    let reply = sent["message"]["id"].clone();
    rest(&app, &token("cleo"), "POST", &format!("/api/v1/conversations/{id}/read"), Some(json!({})))
        .await
        .ok();
    let read = loop {
        let read = bela.payload("messages:read").await;
        if read["readBy"] == "cleo" {
            break read["messageIds"].as_array().unwrap().clone();
        }
    };
    assert!(
        !read.is_empty() && !read.contains(&reply),
        "a colleague's receipt is for messages of the group's members"
    );
    app.incoming("shop", BEN, "In private").await;
    let direct = app
        .wait_until("the conversation of the member", async || {
            conversations(&app, "bela").await.into_iter().find(|one| one["id"] != id)
        })
        .await;
    assert_eq!(direct["contact"]["id"], ben, "a person is one contact of the device");
}

#[tokio::test]
async fn groups_have_no_conversation_unless_bridged() {
    let app = app_bridging("people").await;
    skip_unless!(app.can(|engine| engine.groups), "groups");
    in_group(&app, ANNA, "Who closes today?").await;
    app.incoming("shop", ANNA, "Is it open?").await;
    let found = app.wait_until("the conversation", async || conversations(&app, "bela").await.pop()).await;
    assert_eq!(found["lastMessage"]["content"], "Is it open?");
    assert_eq!(conversations(&app, "bela").await.len(), 1);
    open(&app, "bela", CREW).await.refused(409, "not_bridged");
    let wrong = json!({ "settings": { "chat": { "bridge": "groups" } } });
    app.patch("/devices/shop", wrong).await.refused(400, "invalid_field");
    app.patch("/devices/shop", json!({ "settings": { "chat": { "bridge": "all" } } })).await.ok();
    let opened = open(&app, "bela", CREW).await.created()["data"].clone();
    assert_eq!(opened["contact"]["displayName"], "Crew");
    assert_eq!(opened["lastMessage"]["content"], "Who closes today?", "older messages are imported");
}

// covers: POST /devices/{id}/chats/{chatId}/conversation
#[tokio::test]
async fn operator_writes_first() {
    let app = app_bridging("people").await;
    open(&app, "cleo", ANNA).await.refused(403, "read_only");
    open(&app, "dora", ANNA).await.refused(404, "not_found");
    open(&app, "bela", "status@broadcast").await.refused(400, "invalid_field");
    let opened = open(&app, "bela", ANNA).await.created()["data"].clone();
    let id = opened["id"].as_str().unwrap();
    assert_eq!((&opened["kind"], &opened["lastMessage"]), (&json!("device"), &Value::Null));
    assert_eq!(open(&app, "bela", ANNA).await.ok()["data"]["id"], opened["id"]);
    assert_eq!(conversations(&app, "bela").await[0]["id"], opened["id"], "also without messages");
    let of_key = app.post(&format!("/devices/shop/chats/{ANNA}/conversation"), json!({})).await.ok();
    assert_eq!(of_key["data"]["id"], opened["id"]);
    let body = Some(json!({ "content": "Your order has left." }));
    let path = format!("/api/v1/conversations/{id}/messages");
    rest(&app, &token("bela"), "POST", &path, body).await.created();
    app.incoming("shop", ANNA, "Thank you").await;
    app.wait_until("the answer", async || {
        let page = rest(&app, &token("bela"), "GET", &path, None).await.ok();
        (page["data"]["messages"][0]["content"] == "Thank you").then_some(())
    })
    .await;
    assert_eq!(conversations(&app, "bela").await.len(), 1);
    app.post("/devices/none/chats/15550100001/conversation", json!({}))
        .await
        .refused(404, "device_not_found");
}
