//! The REST calls of both clients.

use serde_json::{Value, json};

use super::client::{ChatClient, app, rest, token};
use super::support::TestApp;

async fn send(app: &TestApp, from: &str, to: &str, content: &str) -> Value {
    let body = json!({ "recipientId": to, "content": content, "type": "text", "tempId": content });
    rest(app, &token(from), "POST", "/api/messages", Some(body)).await.created()
}

// covers: GET /api/messages
// covers: POST /api/messages
#[tokio::test]
async fn messages_are_sent_and_listed_by_pages() {
    let app = app().await;
    let mut ben = ChatClient::connect(&app, "ben").await;
    let anna = token("anna");
    let empty = rest(&app, &anna, "GET", "/api/messages?conversationWith=ben", None).await.ok();
    assert_eq!(empty["data"]["messages"], json!([]));
    assert_eq!(empty["data"]["conversation"]["id"], "anna_ben");
    ben.ask("conversation:join", json!({ "conversationWith": "anna" })).await;
    let sent = send(&app, "anna", "ben", "1").await;
    assert_eq!((&sent["success"], &sent["message"]), (&json!(true), &json!("Message sent successfully")));
    assert_eq!(ben.payload("message:new").await["id"], sent["data"]["id"]);
    for content in ["2", "3", "4", "5"] {
        send(&app, "anna", "ben", content).await;
    }
    let page =
        rest(&app, &anna, "GET", "/api/messages?conversationWith=ben&limit=2&offset=1", None).await.ok();
    let contents = |page: &Value| -> Vec<String> {
        let messages = page["data"]["messages"].as_array().unwrap();
        messages.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(contents(&page), ["3", "4"]);
    assert_eq!(page["pagination"], json!({ "limit": 2, "offset": 1, "hasMore": true }));
    let conversation = &page["data"]["conversation"];
    assert_eq!(conversation["participants"][0]["id"], "ben");
    assert_eq!(conversation["lastMessage"]["content"], "5");
    let id = conversation["id"].as_str().unwrap();
    let before = page["data"]["messages"][0]["id"].as_str().unwrap();
    let path = format!("/api/messages?conversationId={id}&before={before}");
    let older = rest(&app, &anna, "GET", &path, None).await.ok();
    assert_eq!(
        (contents(&older), &older["pagination"]["hasMore"]),
        (vec!["1".into(), "2".into()], &json!(false))
    );
    let unknown = rest(&app, &anna, "GET", "/api/messages?conversationWith=nobody", None).await;
    assert_eq!((unknown.status, unknown.json()["error"].clone()), (404, json!("User not found")));
}

// covers: PUT /api/messages/read
// covers: GET /api/messages/unread-count
// covers: GET /api/messages/conversations
// covers: DELETE /api/messages/{id}
#[tokio::test]
async fn unread_messages_are_counted_read_and_deleted() {
    let app = app().await;
    ChatClient::connect(&app, "ben").await;
    ChatClient::connect(&app, "cleo").await;
    let first = send(&app, "anna", "ben", "1").await["data"].clone();
    let second = send(&app, "anna", "ben", "2").await["data"].clone();
    send(&app, "cleo", "ben", "3").await;
    let ben = token("ben");
    let count = async || rest(&app, &ben, "GET", "/api/messages/unread-count", None).await.with_status(200);
    assert_eq!(count().await, json!({ "unreadCount": 3 }));
    let list = rest(&app, &ben, "GET", "/api/messages/conversations", None).await.ok();
    let listed = list["data"]["conversations"].as_array().unwrap();
    assert_eq!(listed[0]["participants"][0]["id"], "cleo");
    assert_eq!((&listed[1]["unreadCount"], &listed[1]["lastMessage"]["content"]), (&json!(2), &json!("2")));
    let conversation = &first["conversationId"];
    let body = json!({ "conversationId": conversation, "messageIds": [first["id"]] });
    let read = rest(&app, &ben, "PUT", "/api/messages/read", Some(body)).await.ok();
    assert_eq!(read, json!({ "success": true, "count": 1 }));
    assert_eq!(count().await, json!({ "unreadCount": 2 }));
    let path = format!("/api/messages/{}", second["id"].as_str().unwrap());
    assert_eq!(rest(&app, &ben, "DELETE", &path, None).await.status, 404);
    assert_eq!(rest(&app, &token("anna"), "DELETE", &path, None).await.ok(), json!({ "success": true }));
    assert_eq!(count().await, json!({ "unreadCount": 1 }));
    let body = json!({ "conversationId": conversation });
    let rest_of_it = rest(&app, &ben, "PUT", "/api/messages/read", Some(body)).await.ok();
    assert_eq!(rest_of_it, json!({ "success": true, "count": 0 }));
}

// covers: GET /api/users/{id}
#[tokio::test]
async fn user_shows_its_profile() {
    let app = app().await;
    ChatClient::connect(&app, "ben").await;
    let user = rest(&app, &token("anna"), "GET", "/api/users/ben", None).await.with_status(200);
    assert_eq!(user, json!({ "id": "ben", "displayName": "ben's name", "avatar": null, "role": "SUPPORT" }));
}

#[tokio::test]
async fn wrong_requests_are_answered_with_the_field() {
    let app = app().await;
    let anna = token("anna");
    for (method, path, body, field) in [
        ("GET", "/api/messages", None, "conversationWith"),
        ("GET", "/api/messages?conversationWith=ben&limit=101", None, "limit"),
        ("GET", "/api/messages?conversationWith=ben&before=x", None, "before"),
        ("POST", "/api/messages", Some(json!({ "content": "a" })), "recipientId"),
        ("POST", "/api/messages", Some(json!({ "recipientId": "ben", "content": 5 })), "content"),
        (
            "POST",
            "/api/messages",
            Some(json!({ "recipientId": "ben", "content": "a", "type": "poem" })),
            "type",
        ),
        (
            "POST",
            "/api/messages",
            Some(json!({ "recipientId": "ben", "attachmentUrl": "https://127.0.0.1/x" })),
            "attachmentUrl",
        ),
        ("PUT", "/api/messages/read", Some(json!({})), "conversationId"),
        ("PUT", "/api/messages/read", Some(json!([])), "request"),
    ] {
        let reply = rest(&app, &anna, method, path, body).await;
        let error = reply.json();
        assert_eq!(
            (reply.status, &error["code"]),
            (400, &json!("invalid_field")),
            "{method} {path}: {error}"
        );
        assert_eq!(error["details"][0]["field"], field, "{method} {path}: {error}");
    }
}
