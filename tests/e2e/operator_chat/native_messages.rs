//! The native calls for messages, and changes of a device's messages in its conversations.

use serde_json::{Value, json};

use super::client::{ChatClient, app, rest, token, unassigned_app};
use super::inbox::{inbox, sent_texts};
use super::support::{ANNA, Reply, TestApp};

fn grants() -> Value {
    json!([{ "who": "desk:bela" }, { "who": "desk:cleo", "rights": "read" }])
}

async fn native(app: &TestApp, user: &str, method: &str, path: &str, body: Option<Value>) -> Reply {
    rest(app, &token(user), method, &format!("/api/v1/conversations{path}"), body).await
}

/// The id of the only conversation of a device.
async fn conversation(app: &TestApp) -> String {
    let list = app.get("/conversations").await.ok();
    list["data"]["conversations"][0]["id"].as_str().unwrap().to_owned()
}

async fn messages(app: &TestApp, user: &str, id: &str) -> Vec<Value> {
    let page = native(app, user, "GET", &format!("/{id}/messages"), None).await.ok();
    page["data"]["messages"].as_array().unwrap().clone()
}

// covers: GET /conversations/{id}/messages
// covers: POST /conversations/{id}/messages
#[tokio::test]
async fn key_sends_on_behalf_of_a_user() {
    let app = unassigned_app().await;
    inbox(&app, grants()).await;
    let (id, path) = (conversation(&app).await, |id: &str| format!("/conversations/{id}/messages"));
    rest(&app, &token("cleo"), "GET", "/api/messages/unread-count", None).await.with_status(200);
    let body = |sender: &str| json!({ "senderId": sender, "content": "Until six.", "tempId": "t-1" });
    let sent = app.post(&path(&id), body("desk:bela")).await.created()["data"].clone();
    assert_eq!((&sent["senderId"], &sent["status"]), (&json!("bela"), &json!("queued")));
    assert_eq!(app.post(&path(&id), body("desk:bela")).await.created()["data"]["id"], sent["id"]);
    let refused = app.post(&path(&id), json!({ "content": "Hello" })).await.refused(400, "invalid_field");
    assert_eq!(refused["details"][0]["field"], "senderId");
    app.post(&path(&id), body("desk:nobody")).await.refused(404, "not_found");
    app.post(&path(&id), body("desk:cleo")).await.refused(403, "read_only");
    native(&app, "bela", "POST", &format!("/{id}/messages"), Some(body("desk:bela")))
        .await
        .refused(400, "invalid_field");
    native(&app, "cleo", "POST", &format!("/{id}/messages"), Some(json!({ "content": "Hello" })))
        .await
        .refused(403, "read_only");
    app.wait_until("the message to be sent", async || {
        (sent_texts(&app).await == ["Until six."]).then_some(())
    })
    .await;
    let own =
        native(&app, "bela", "POST", &format!("/{id}/messages"), Some(json!({ "content": "Bye" }))).await;
    own.created();
    let first =
        native(&app, "bela", "GET", &format!("/{id}/messages?limit=2"), None).await.ok()["data"].clone();
    let texts = |page: &Value| -> Vec<Value> {
        page["messages"].as_array().unwrap().iter().map(|message| message["content"].clone()).collect()
    };
    assert_eq!(texts(&first), ["Bye", "Until six."]);
    let cursor = first["nextCursor"].as_str().unwrap();
    let last = app.get(&format!("/conversations/{id}/messages?cursor={cursor}")).await.ok()["data"].clone();
    assert_eq!((texts(&last), &last["nextCursor"]), (vec![json!("Is it open?")], &Value::Null));
    native(&app, "dora", "GET", &format!("/{id}/messages"), None).await.refused(404, "not_found");
}

// covers: POST /conversations/{id}/read
#[tokio::test]
async fn reader_is_the_user_or_named_by_a_key() {
    let app = app().await;
    inbox(&app, grants()).await;
    let id = conversation(&app).await;
    let path = format!("/conversations/{id}/read");
    app.post(&path, json!({})).await.refused(400, "invalid_field");
    let count = app.post(&path, json!({ "userId": "desk:bela" })).await.ok();
    assert_eq!(count["data"]["count"], 1);
    let newest = messages(&app, "bela", &id).await[0]["id"].clone();
    let body = json!({ "messageIds": [newest] });
    let again = native(&app, "bela", "POST", &format!("/{id}/read"), Some(body)).await.ok();
    assert_eq!(again["data"]["count"], 0);
    let named = Some(json!({ "userId": "desk:bela" }));
    native(&app, "bela", "POST", &format!("/{id}/read"), named).await.refused(400, "invalid_field");
}

// covers: DELETE /conversations/{id}/messages/{messageId}
#[tokio::test]
async fn deletion_revokes_at_the_network_and_removes_notes() {
    let app = unassigned_app().await;
    inbox(&app, grants()).await;
    let id = conversation(&app).await;
    let mut bela = ChatClient::connect(&app, "bela").await;
    bela.ask("join:conversation", json!(id)).await;
    bela.taken();
    let path = format!("/{id}/messages");
    let sent = native(&app, "bela", "POST", &path, Some(json!({ "content": "Wrong" }))).await.created();
    let message = sent["data"]["id"].as_str().unwrap().to_owned();
    app.wait_until("the message to be sent", async || (sent_texts(&app).await == ["Wrong"]).then_some(()))
        .await;
    native(&app, "cleo", "DELETE", &format!("{path}/{message}"), None).await.refused(404, "not_found");
    native(&app, "bela", "DELETE", &format!("{path}/{message}"), None).await.ok();
    let updated = loop {
        let updated = bela.payload("message:updated").await;
        if updated["isDeleted"] == true {
            break updated;
        }
    };
    assert_eq!((&updated["id"], &updated["content"]), (&json!(message), &json!("")));
    assert_eq!(bela.payload("message:deleted").await["messageId"], json!(message));
    let of_contact = messages(&app, "bela", &id).await[1]["id"].as_str().unwrap().to_owned();
    let refused = app.delete(&format!("/conversations/{id}/messages/{of_contact}")).await;
    refused.refused(422, "not_own_message");
    let note = native(&app, "bela", "POST", &format!("/{id}/notes"), Some(json!({ "content": "Ask" }))).await;
    let note = note.created()["data"]["id"].as_str().unwrap().to_owned();
    app.delete(&format!("/conversations/{id}/messages/{note}")).await.ok();
    assert_eq!(bela.payload("message:deleted").await["messageId"], json!(note));
    let left = messages(&app, "bela", &id).await;
    assert_eq!(left.len(), 2, "{left:?}");
}

#[tokio::test]
async fn edits_and_reactions_of_the_contact_are_updates() {
    let app = app().await;
    let contact = inbox(&app, grants()).await;
    let mut bela = ChatClient::connect(&app, "bela").await;
    bela.ask("conversation:join", json!({ "conversationWith": contact })).await;
    bela.payload("message:new").await;
    let device = app.get("/devices/shop/chats/15550100001@c.us/messages").await.ok();
    let message = device["data"][0]["id"].as_str().unwrap().to_owned();
    let react = json!({ "messageId": message, "from": ANNA, "emoji": "👍" });
    app.post("/simulator/shop/reaction", react).await.ok();
    let updated = bela.payload("message:updated").await;
    assert_eq!(updated["reactions"], json!([{ "emoji": "👍", "by": "contact" }]));
    assert_eq!(updated["content"], "Is it open?");
    app.post("/simulator/shop/edit", json!({ "messageId": message, "body": "Is it closed?" })).await.ok();
    let updated = bela.payload("message:updated").await;
    assert_eq!((&updated["content"], &updated["isEdited"]), (&json!("Is it closed?"), &json!(true)));
    app.post("/simulator/shop/revoke", json!({ "messageId": message })).await.ok();
    let updated = bela.payload("message:updated").await;
    assert_eq!((&updated["content"], &updated["isDeleted"]), (&json!(""), &json!(true)));
    assert_eq!(bela.payload("message:deleted").await["messageId"], updated["id"]);
}
