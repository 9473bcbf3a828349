//! Peer-addressed events: two users of one identity provider chat.

use serde_json::{Value, json};

use super::client::{ChatClient, app, app_with, rest, token};
use super::support::TestApp;

/// Two users who joined their conversation, and its id.
async fn pair(app: &TestApp) -> (ChatClient, ChatClient) {
    let mut anna = ChatClient::connect(app, "anna").await;
    let mut ben = ChatClient::connect(app, "ben").await;
    assert_eq!(
        anna.ask("conversation:join", json!({ "conversationWith": "ben" })).await,
        json!({ "success": true })
    );
    assert_eq!(
        ben.ask("conversation:join", json!({ "conversationWith": "anna" })).await,
        json!({ "success": true })
    );
    (anna, ben)
}

fn to_ben(content: &str) -> Value {
    json!({ "recipientId": "ben", "content": content, "type": "TEXT", "tempId": content })
}

// covers: root auth:success
// covers: root conversation:join
// covers: root message:send
// covers: root message:new
// covers: root message:delivered
// covers: root message:mark_read
// covers: root message:read of one message
// covers: root messages:read
#[tokio::test]
async fn two_users_chat_with_receipts() {
    let app = app().await;
    let (mut anna, mut ben) = pair(&app).await;
    let answer = anna.ask("message:send", to_ben("Hello World!")).await;
    assert_eq!(answer["success"], true);
    assert_eq!(answer["message"]["status"], "sent");
    let id = answer["message"]["id"].clone();
    for client in [&mut anna, &mut ben] {
        let message = client.payload("message:new").await;
        assert_eq!(message["id"], id);
        assert_eq!((&message["senderId"], &message["recipientId"]), (&json!("anna"), &json!("ben")));
        assert_eq!((&message["content"], &message["type"]), (&json!("Hello World!"), &json!("TEXT")));
        assert_eq!((&message["tempId"], &message["isRead"]), (&json!("Hello World!"), &json!(false)));
        assert_eq!(message["sender"]["displayName"], "anna's name");
        assert!(message["id"].is_string() && message["readAt"].is_null());
    }
    let delivered = anna.payload("message:delivered").await;
    assert_eq!((&delivered["messageId"], &delivered["deliveredTo"]), (&id, &json!("ben")));
    assert_eq!(ben.ask("message:mark_read", json!({ "messageId": id })).await, json!({ "success": true }));
    let read = anna.payload("message:read").await;
    assert_eq!((&read["messageId"], &read["readBy"]), (&id, &json!("ben")));
    let batch = anna.payload("messages:read").await;
    assert_eq!(batch["messageIds"], json!([id]));
    assert_eq!(batch["conversationId"], delivered["conversationId"]);
    let own = anna.ask("message:mark_read", json!({ "messageId": id })).await;
    assert_eq!(own, json!({ "success": false, "error": "Message not found", "code": "not_found" }));
}

#[tokio::test]
async fn message_reaches_joined_sockets_only() {
    let app = app().await;
    let mut anna = ChatClient::connect(&app, "anna").await;
    let mut ben = ChatClient::connect(&app, "ben").await;
    anna.ask("conversation:join", json!({ "conversationWith": "ben" })).await;
    anna.ask("message:send", to_ben("one")).await;
    anna.payload("message:new").await;
    assert!(ben.arrived().await.iter().all(|event| event[0] != "message:new"));
}

// covers: root conversation:leave
#[tokio::test]
async fn left_conversation_emits_nothing() {
    let app = app().await;
    let (mut anna, mut ben) = pair(&app).await;
    ben.ask("conversation:leave", json!({ "conversationWith": "anna" })).await;
    anna.ask("message:send", to_ben("one")).await;
    anna.payload("message:new").await;
    assert!(ben.arrived().await.iter().all(|event| event[0] != "message:new"));
}

#[tokio::test]
async fn join_repeats_unread_and_own_messages_in_order() {
    let app = app().await;
    let mut anna = ChatClient::connect(&app, "anna").await;
    ChatClient::connect(&app, "ben").await;
    let mut sent = Vec::new();
    for content in ["one", "two", "three"] {
        sent.push(anna.ask("message:send", to_ben(content)).await["message"]["id"].clone());
    }
    let mut ben = ChatClient::connect(&app, "ben").await;
    ben.ask("message:mark_read", json!({ "messageId": sent[1] })).await;
    ben.ask("conversation:join", json!({ "conversationWith": "anna" })).await;
    let online = ben.event("user:online").await;
    assert_eq!(online[0]["userId"], "anna");
    let unread =
        [ben.payload("message:new").await["id"].clone(), ben.payload("message:new").await["id"].clone()];
    assert_eq!(unread, [sent[0].clone(), sent[2].clone()]);
    anna.ask("conversation:join", json!({ "conversationWith": "ben" })).await;
    for id in &sent {
        assert_eq!(&anna.payload("message:new").await["id"], id);
    }
    app.clock.advance(121_000);
    let mut late = ChatClient::connect(&app, "anna").await;
    late.ask("conversation:join", json!({ "conversationWith": "ben" })).await;
    assert!(late.arrived().await.iter().all(|event| event[0] != "message:new"));
}

#[tokio::test]
async fn reply_reads_what_was_before_it() {
    let app = app().await;
    let (mut anna, mut ben) = pair(&app).await;
    let id = anna.ask("message:send", to_ben("one")).await["message"]["id"].clone();
    ben.ask("message:send", json!({ "recipientId": "anna", "content": "two" })).await;
    assert_eq!(anna.payload("messages:read").await["messageIds"], json!([id]));
}

// covers: root typing:start
// covers: root typing:stop
#[tokio::test]
async fn typing_is_coalesced_and_ends_by_itself() {
    let app = app().await;
    let (mut anna, mut ben) = pair(&app).await;
    for _ in 0..20 {
        anna.ask("typing:start", json!({ "conversationWith": "ben" })).await;
    }
    let start = ben.payload("typing:start").await;
    assert_eq!((&start["userId"], &start["displayName"]), (&json!("anna"), &json!("anna's name")));
    assert!(ben.arrived().await.iter().all(|event| event[0] != "typing:start"));
    app.clock.advance(10_000);
    assert_eq!(ben.payload("typing:stop").await["conversationId"], start["conversationId"]);
    anna.ask("typing:start", json!({ "conversationWith": "ben" })).await;
    ben.payload("typing:start").await;
    drop(anna);
    assert_eq!(ben.payload("typing:stop").await["userId"], "anna");
}

// covers: root presence:update
// covers: root user:online
// covers: root user:offline
// covers: root user:status-changed
#[tokio::test]
async fn presence_is_reported_to_its_audience() {
    let app = app().await;
    app.clock.advance(120_000);
    let mut anna = ChatClient::connect(&app, "anna").await;
    let mut ben = ChatClient::connect(&app, "ben").await;
    assert_eq!(anna.payload("user:online").await["userId"], "ben");
    let changed = anna.payload("user:status-changed").await;
    assert_eq!((&changed["userId"], &changed["status"]), (&json!("ben"), &json!("online")));
    assert_eq!(ben.ask("presence:update", Value::Null).await, json!({ "success": true }));
    drop(ben);
    app.wait_until("ben's socket to be closed", async || {
        app.clock.advance(5_000);
        let status = anna_status(&app).await;
        (status == "offline").then_some(())
    })
    .await;
    let offline = anna.payload("user:offline").await;
    assert_eq!(offline["userId"], "ben");
    assert!(offline["lastSeen"].as_str().unwrap().ends_with('Z'));
}

/// Ben's status, by a socket of its own.
async fn anna_status(app: &TestApp) -> String {
    let mut anna = ChatClient::connect(app, "anna").await;
    anna.ask("user:get-status", json!("ben")).await["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn repeated_temp_id_stores_nothing() {
    let app = app().await;
    let (mut anna, _ben) = pair(&app).await;
    let first = anna.ask("message:send", to_ben("one")).await;
    let again = anna.ask("message:send", to_ben("one")).await;
    assert_eq!(first["message"]["id"], again["message"]["id"]);
    let page = rest(&app, &token("ben"), "GET", "/api/messages?conversationWith=anna", None).await.ok();
    assert_eq!(page["data"]["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn fast_sender_is_refused_with_the_limit() {
    let app = app_with(&[("WHARF__CHAT__MAX_MESSAGES_PER_10_S", "2")]).await;
    let (mut anna, _ben) = pair(&app).await;
    anna.ask("message:send", to_ben("1")).await;
    anna.ask("message:send", to_ben("2")).await;
    let refused = anna.ask("message:send", to_ben("3")).await;
    assert_eq!(refused["code"], "rate_limited");
    assert!(refused["error"].as_str().unwrap().starts_with("more than 2 messages in 10 seconds"));
}

// covers: root error
#[tokio::test]
async fn wrong_payloads_are_answered_and_keep_the_socket() {
    let app = app().await;
    let (mut anna, _ben) = pair(&app).await;
    for payload in
        [json!(null), json!([]), json!("x"), json!(5), json!({ "recipientId": [] }), json!({ "content": {} })]
    {
        let answer = anna.ask("message:send", payload.clone()).await;
        assert_eq!(
            (&answer["success"], &answer["code"]),
            (&json!(false), &json!("invalid_field")),
            "{payload}"
        );
    }
    for event in ["users:get-status", "conversation:get-online-users"] {
        assert_eq!(anna.ask(event, json!({ "a": 1 })).await, json!([]), "{event}");
        assert_eq!(anna.event("error").await[1]["event"], event);
    }
    assert_eq!(anna.ask("no:event", json!(1)).await["code"], "unknown_event");
    anna.emit("message:send", json!({ "recipientId": "nobody", "content": "a", "tempId": "t-1" })).await;
    let error = anna.event("error").await;
    assert_eq!(error[0], "User not found");
    assert_eq!(error[1], json!({ "code": "not_found", "event": "message:send", "tempId": "t-1" }));
}

#[tokio::test]
async fn messages_and_receipts_survive_a_restart() {
    let app = app().await;
    let (mut anna, mut ben) = pair(&app).await;
    let id = anna.ask("message:send", to_ben("one")).await["message"]["id"].clone();
    ben.ask("message:mark_read", json!({ "messageId": id })).await;
    anna.ask("message:send", to_ben("two")).await;
    let app = app.restarted().await;
    let page = rest(&app, &token("anna"), "GET", "/api/messages?conversationWith=ben", None).await.ok();
    let messages = page["data"]["messages"].as_array().unwrap();
    assert_eq!([&messages[0]["status"], &messages[0]["isRead"]], [&json!("read"), &json!(true)]);
    assert_eq!(messages[1]["content"], "two");
    let unread = rest(&app, &token("ben"), "GET", "/api/messages/unread-count", None).await.with_status(200);
    assert_eq!(unread, json!({ "unreadCount": 1 }));
}
