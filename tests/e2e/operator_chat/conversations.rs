//! Conversation-addressed events, statuses and notifications.

use serde_json::{Value, json};
use wharf::service::operator_chat::NewChatNotification;

use super::client::{ChatClient, app, rest, token};
use super::support::TestApp;

/// A conversation of Anna and Ben with one message of Anna; its id and the message's.
async fn conversation(app: &TestApp) -> (String, String) {
    ChatClient::connect(app, "ben").await;
    let body = json!({ "recipientId": "ben", "content": "one", "type": "text" });
    let sent = rest(app, &token("anna"), "POST", "/api/messages", Some(body)).await.created();
    let text = |name: &str| sent["data"][name].as_str().unwrap().to_owned();
    (text("conversationId"), text("id"))
}

async fn notify(app: &TestApp, title: &str) {
    let new = NewChatNotification {
        kind: "order".to_owned(),
        title: title.to_owned(),
        message: "Order 12 is on its way".to_owned(),
        link: Some("/orders/12".to_owned()),
        data: r#"{"orderId":"12"}"#.to_owned(),
    };
    let chat = app.app().services.chat.clone().unwrap();
    chat.notify_user("desk", &"anna".parse().unwrap(), new).await.unwrap();
}

// covers: root join:conversation
// covers: root leave:conversation
// covers: root message:read by the client
// covers: root message:delete
// covers: root message:deleted
#[tokio::test]
async fn conversation_is_addressed_by_id() {
    let app = app().await;
    let (id, first) = conversation(&app).await;
    let mut anna = ChatClient::connect(&app, "anna").await;
    let mut ben = ChatClient::connect(&app, "ben").await;
    for client in [&mut anna, &mut ben] {
        assert_eq!(client.ask("join:conversation", json!(id)).await, json!({ "success": true }));
        assert!(client.arrived().await.iter().all(|event| event[0] != "message:new"));
    }
    let sent = ben.ask("message:send", json!({ "conversationId": id, "content": "two" })).await;
    let second = sent["message"]["id"].clone();
    assert_eq!(anna.payload("message:new").await["id"], second);
    let answer = anna.ask("message:read", json!({ "conversationId": id })).await;
    assert_eq!(answer, json!({ "success": true, "count": 1 }));
    assert_eq!(ben.payload("messages:read").await["messageIds"], json!([first]));
    assert_eq!(ben.payload("messages:read").await["messageIds"], json!([second]));
    let deleted = json!({ "conversationId": id, "messageId": second });
    assert_eq!(anna.ask("message:delete", deleted.clone()).await["error"], "Message not found");
    assert_eq!(ben.ask("message:delete", deleted.clone()).await, json!({ "success": true }));
    assert_eq!(anna.payload("message:deleted").await, deleted);
    assert_eq!(ben.ask("leave:conversation", json!(id)).await, json!({ "success": true }));
    anna.ask("message:send", json!({ "conversationId": id, "content": "three" })).await;
    anna.payload("message:new").await;
    assert!(ben.arrived().await.iter().all(|event| event[0] != "message:new"));
}

// covers: root conversation:get-online-users
// covers: root user:get-status
// covers: root users:get-status
#[tokio::test]
async fn statuses_are_queried_with_callbacks() {
    let app = app().await;
    app.clock.advance(120_000);
    let (id, _) = conversation(&app).await;
    let mut anna = ChatClient::connect(&app, "anna").await;
    let _ben = ChatClient::connect(&app, "ben").await;
    assert_eq!(anna.ask("conversation:get-online-users", json!(id)).await, json!(["ben"]));
    let status = anna.ask("user:get-status", json!("ben")).await;
    assert_eq!((&status["userId"], &status["status"]), (&json!("ben"), &json!("online")));
    assert!(status["lastSeen"].is_string());
    let statuses = anna.ask("users:get-status", json!(["nobody", "anna"])).await;
    assert_eq!(statuses[0], json!({ "userId": "nobody", "status": "offline" }));
    assert_eq!((&statuses[1]["userId"], &statuses[1]["status"]), (&json!("anna"), &json!("online")));
}

#[tokio::test]
async fn typing_is_addressed_by_conversation() {
    let app = app().await;
    let (id, _) = conversation(&app).await;
    let mut anna = ChatClient::connect(&app, "anna").await;
    let mut ben = ChatClient::connect(&app, "ben").await;
    ben.ask("join:conversation", json!(id)).await;
    anna.ask("typing:start", json!({ "conversationId": id })).await;
    assert_eq!(ben.payload("typing:start").await["conversationId"], id);
    anna.ask("typing:stop", json!({ "conversationId": id })).await;
    assert_eq!(ben.payload("typing:stop").await["userId"], "anna");
}

// covers: root notification:new
// covers: root notification:read
// covers: root notifications:read-all
// covers: GET /api/notifications
// covers: PUT /api/notifications/{id}/read
// covers: PUT /api/notifications/read-all
#[tokio::test]
async fn notifications_are_read_on_all_sockets() {
    let app = app().await;
    let mut anna = ChatClient::connect(&app, "anna").await;
    let mut other = ChatClient::connect(&app, "anna").await;
    let mut ben = ChatClient::connect(&app, "ben").await;
    notify(&app, "Order shipped").await;
    let new = anna.payload("notification:new").await;
    assert_eq!(other.payload("notification:new").await, new);
    assert_eq!((&new["title"], &new["isRead"]), (&json!("Order shipped"), &json!(false)));
    assert_eq!(new["data"], json!({ "orderId": "12" }));
    let id = new["id"].clone();
    assert_eq!(ben.ask("notification:read", id.clone()).await["error"], "Notification not found");
    assert_eq!(anna.ask("notification:read", id.clone()).await, json!({ "success": true }));
    assert_eq!(other.event("notification:read").await, std::slice::from_ref(&id));
    assert!(anna.arrived().await.iter().all(|event| event[0] != "notification:read"));
    notify(&app, "Second").await;
    let path = "/api/notifications?unread=true&limit=5";
    let list = rest(&app, &token("anna"), "GET", path, None).await.with_status(200);
    assert_eq!((&list["unreadCount"], &list["notifications"][0]["title"]), (&json!(1), &json!("Second")));
    let second = list["notifications"][0]["id"].as_str().unwrap().to_owned();
    let before = rest(&app, &token("anna"), "GET", &format!("/api/notifications?before={second}"), None)
        .await
        .with_status(200);
    assert_eq!(before["notifications"].as_array().unwrap().len(), 1);
    let read = format!("/api/notifications/{second}/read");
    assert_eq!(rest(&app, &token("anna"), "PUT", &read, None).await.ok(), json!({ "success": true }));
    assert_eq!(anna.event("notification:read").await, [json!(second)]);
    assert_eq!(anna.ask("notifications:read-all", Value::Null).await, json!({ "success": true }));
    notify(&app, "Third").await;
    assert_eq!(anna.ask("notifications:read-all", Value::Null).await, json!({ "success": true }));
    assert_eq!(other.event("notifications:read-all").await, [] as [Value; 0]);
    notify(&app, "Fourth").await;
    let all = rest(&app, &token("anna"), "PUT", "/api/notifications/read-all", None).await.ok();
    assert_eq!(all, json!({ "success": true }));
    assert_eq!(anna.event("notifications:read-all").await, [] as [Value; 0]);
}
