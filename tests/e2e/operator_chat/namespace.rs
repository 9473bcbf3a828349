//! The `namespace` dialect: numeric ids, and confirmations that are events.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::client::{ChatClient, MARKET_SECRET, SECRET, app, app_with, rest, seconds, signed, wrong_tokens};
use super::support::TestApp;

const AUTH_ERROR: &str = "Authentication error";

/// An hour's token of a user whose id is a number.
fn token(secret: &str, id: i64, user_type: &str) -> String {
    let claims = json!({ "id": id, "userType": user_type, "name": "John Doe", "exp": seconds() + 3_600 });
    signed(Algorithm::HS256, secret, &claims)
}

fn influencer() -> String {
    token(SECRET, 11, "influencer")
}

fn brand() -> String {
    token(SECRET, 12, "brand")
}

fn is_new(event: &Value) -> bool {
    event[0] == "message:new"
}

/// An influencer and a brand with a conversation, which no socket joined; its id.
async fn strangers(app: &TestApp) -> (ChatClient, ChatClient, i64) {
    let (influencer_socket, _) = ChatClient::connect_namespace(app, &influencer()).await;
    let (brand_socket, _) = ChatClient::connect_namespace(app, &brand()).await;
    let body = json!({ "recipientId": "12", "content": "first" });
    let sent = rest(app, &influencer(), "POST", "/api/messages", Some(body)).await.created();
    let id = sent["data"]["conversationId"].as_str().unwrap().parse().unwrap();
    (influencer_socket, brand_socket, id)
}

/// Both joined.
async fn pair(app: &TestApp) -> (ChatClient, ChatClient, i64) {
    let (mut anna, mut ben, id) = strangers(app).await;
    for client in [&mut anna, &mut ben] {
        client.ask("conversation:join", json!({ "conversationId": id })).await;
        client.payload("conversation:joined").await;
    }
    (anna, ben, id)
}

// covers: namespace connection:success
#[tokio::test]
async fn first_event_has_the_user_and_own_socket_id() {
    let app = app().await;
    let token = format!("Bearer {}", token(MARKET_SECRET, 7, "brand"));
    let (mut first, event) = ChatClient::connect_namespace(&app, &token).await;
    assert_eq!(event[0], "connection:success");
    let greeting = &event[1];
    assert_eq!((&greeting["userId"], &greeting["userType"]), (&json!(7), &json!("brand")));
    assert!(greeting["serverTime"].as_i64().unwrap() > 1_500_000_000_000);
    let (_second, other) = ChatClient::connect_namespace(&app, &token).await;
    assert!(greeting["socketId"].as_str().unwrap().starts_with("s_"));
    assert_ne!(greeting["socketId"], other[1]["socketId"]);
    assert!(first.ask("ping", json!("x")).await["timestamp"].is_i64(), "the first socket stays");
}

// covers: namespace user:check:online
// covers: namespace user:online:status
#[tokio::test]
async fn type_and_id_together_are_the_user() {
    let app = app().await;
    app.clock.advance(120_000);
    let (mut brand, _) = ChatClient::connect_namespace(&app, &token(MARKET_SECRET, 7, "brand")).await;
    let query = json!({ "userId": 7, "userType": "influencer" });
    let absent = json!({ "userId": 7, "userType": "influencer", "isOnline": false });
    assert_eq!(brand.ask("user:check:online", query.clone()).await, absent);
    assert_eq!(brand.payload("user:online:status").await, absent);
    let (_other, first) = ChatClient::connect_namespace(&app, &token(MARKET_SECRET, 7, "influencer")).await;
    assert_eq!(first[1]["userType"], "influencer");
    let text = json!({ "userId": "7", "userType": "influencer" });
    let online = json!({ "userId": 7, "userType": "influencer", "isOnline": true });
    assert_eq!(brand.ask("user:check:online", text).await, online);
    let unknown = brand.ask("user:check:online", json!({ "userId": "u_8", "userType": "brand" })).await;
    assert_eq!(unknown, json!({ "userId": "u_8", "userType": "brand", "isOnline": false }));
}

// covers: namespace conversation:join
// covers: namespace conversation:joined
// covers: namespace conversation:leave
// covers: namespace conversation:left
// covers: namespace message:send
// covers: namespace message:sent
// covers: namespace message:new
// covers: namespace message:notification
#[tokio::test]
async fn message_is_confirmed_and_reaches_joined_sockets() {
    let app = app().await;
    let (mut anna, mut ben, id) = strangers(&app).await;
    let first = ben.payload("message:notification").await;
    assert_eq!((&first["conversationId"], &first["message"]["content"]), (&json!(id), &json!("first")));
    let room = json!({ "conversationId": id, "room": format!("conversation_{id}") });
    assert_eq!(anna.ask("conversation:join", json!({ "conversationId": id.to_string() })).await, room);
    assert_eq!(anna.payload("conversation:joined").await, room);
    ben.ask("conversation:join", json!({ "conversationId": id })).await;

    let draft = json!({
        "conversationId": id, "content": "Hello!", "messageType": "image", "tempId": 1_763_805_600_000_i64,
        "attachmentUrl": "https://example.com/a.png", "attachmentName": "a.png",
    });
    let answer = anna.ask("message:send", draft.clone()).await;
    let sent = anna.payload("message:sent").await;
    assert_eq!((&sent, &sent["tempId"]), (&answer, &json!(1_763_805_600_000_i64)));
    let message = ben.payload("message:new").await;
    assert_eq!(message, sent["message"]);
    assert!(message["id"].is_i64() && message["createdAt"].as_str().unwrap().ends_with('Z'));
    let author = json!({
        "id": 11, "username": "John Doe", "firstName": "John", "lastName": "Doe", "profileImage": null,
    });
    for (field, value) in [
        ("conversationId", json!(id)),
        ("sender", author),
        ("senderType", json!("influencer")),
        ("messageType", json!("image")),
        ("content", json!("Hello!")),
        ("isRead", json!(false)),
        ("attachmentUrl", json!("https://example.com/a.png")),
        ("attachmentName", json!("a.png")),
        ("tempId", json!(1_763_805_600_000_i64)),
    ] {
        assert_eq!(message[field], value, "{field}");
    }
    assert_eq!(anna.ask("message:send", draft).await["message"]["id"], message["id"], "sent again");
    assert_eq!(anna.payload("message:sent").await["message"]["id"], message["id"]);

    let left = json!({ "conversationId": id });
    assert_eq!(ben.ask("conversation:leave", left.clone()).await, left);
    assert_eq!(ben.payload("conversation:left").await, left);
    anna.emit("message:send", json!({ "conversationId": id, "content": "two" })).await;
    assert_eq!(ben.payload("message:notification").await["message"]["content"], "two");
    assert!(!ben.arrived().await.iter().any(is_new));
}

#[tokio::test]
async fn sender_gets_its_message_only_without_temp_id() {
    let app = app().await;
    let (mut anna, mut ben, id) = pair(&app).await;
    anna.emit("message:send", json!({ "conversationId": id, "content": "one", "tempId": "t-1" })).await;
    ben.payload("message:new").await;
    anna.emit("message:send", json!({ "conversationId": id, "content": "two" })).await;
    let message = ben.payload("message:new").await;
    assert_eq!((&message["content"], &message["tempId"]), (&json!("two"), &Value::Null));
    let arrived = anna.arrived().await;
    let is_own = |event: &&Value| event[0] == "message:sent" || is_new(event);
    let own: Vec<_> = arrived.iter().filter(is_own).collect();
    let summary: Vec<_> = own.iter().map(|event| (event[0].clone(), content_of(&event[1]))).collect();
    let expected = [("message:sent", "one"), ("message:sent", "two"), ("message:new", "two")];
    assert_eq!(summary, expected.map(|(name, content)| (json!(name), json!(content))));
}

/// The text of a message, or of the message in a confirmation.
fn content_of(payload: &Value) -> Value {
    payload.pointer("/message/content").unwrap_or(&payload["content"]).clone()
}

// covers: namespace message:read by the client
// covers: namespace message:read:success
// covers: namespace message:read by the server
// covers: namespace message:deleted
#[tokio::test]
async fn messages_are_read_up_to_one_or_all() {
    let app = app().await;
    let (mut anna, mut ben, id) = pair(&app).await;
    let mut sent = Vec::new();
    for content in ["one", "two", "three"] {
        let draft = json!({ "conversationId": id, "content": content, "tempId": content });
        sent.push(anna.ask("message:send", draft).await["message"]["id"].clone());
    }
    // The message of the helper is the fourth.
    let read = ben.ask("message:read", json!({ "conversationId": id, "messageId": sent[1] })).await;
    assert_eq!(read, json!({ "conversationId": id, "messageId": sent[1], "count": 3 }));
    assert_eq!(ben.payload("message:read:success").await, read);
    let by = json!({ "userId": 12, "userType": "brand" });
    let reported = json!({ "conversationId": id, "messageId": sent[1], "readBy": by });
    assert_eq!(anna.payload("message:read").await, reported);
    let read = ben.ask("message:read", json!({ "conversationId": id })).await;
    assert_eq!(read, json!({ "conversationId": id, "messageId": sent[2], "count": 1 }));
    assert_eq!(anna.payload("message:read").await["messageId"], sent[2]);
    let again = ben.ask("message:read", json!({ "conversationId": id, "messageId": sent[0] })).await;
    assert_eq!(again["count"], 0);
    let path = format!("/api/messages/{}", sent[2]);
    rest(&app, &influencer(), "DELETE", &path, None).await.with_status(200);
    let deleted = json!({ "conversationId": id, "messageId": sent[2] });
    assert_eq!(ben.payload("message:deleted").await, deleted);
}

// covers: namespace typing:start
// covers: namespace typing:stop
// covers: namespace user:online
// covers: namespace user:offline
#[tokio::test]
async fn typing_and_presence_name_type_and_id() {
    let app = app().await;
    app.clock.advance(120_000);
    let (mut anna, mut ben, id) = pair(&app).await;
    let anna_pair = json!({ "userId": 11, "userType": "influencer" });
    for event in ["typing:start", "typing:stop"] {
        anna.emit(event, json!({ "conversationId": id })).await;
        assert_eq!(ben.payload(event).await, json!({ "conversationId": id, "user": anna_pair }));
    }
    drop(anna);
    app.wait_until("the closed socket to be reported", async || {
        app.clock.advance(5_000);
        let (mut other, _) = ChatClient::connect_namespace(&app, &brand()).await;
        let query = json!({ "userId": 11, "userType": "influencer" });
        (other.ask("user:check:online", query).await["isOnline"] == false).then_some(())
    })
    .await;
    assert_eq!(ben.payload("user:offline").await, anna_pair);
    let _anna = ChatClient::connect_namespace(&app, &influencer()).await;
    assert_eq!(ben.payload("user:online").await, anna_pair);
}

// covers: namespace ping and pong
// covers: namespace heartbeat:response
// covers: namespace error
// covers: namespace message:error
#[tokio::test]
async fn failures_are_answered_and_keep_the_socket() {
    let app = app().await;
    let (mut anna, mut ben, id) = pair(&app).await;
    let (mut eve, _) = ChatClient::connect_namespace(&app, &token(SECRET, 13, "brand")).await;
    for conversation in [json!(id), json!(999_999), json!("x")] {
        let payload = json!({ "conversationId": conversation });
        let refused = eve.ask("conversation:join", payload).await;
        let absent =
            json!({ "message": "Conversation not found", "code": "not_found", "event": "conversation:join" });
        assert_eq!(refused, absent);
        assert_eq!(eve.payload("error").await, absent);
        let draft = json!({ "conversationId": conversation, "content": "x", "tempId": 5 });
        eve.emit("message:send", draft).await;
        let error = eve.payload("message:error").await;
        assert_eq!(error["error"], "Conversation not found");
        assert_eq!((&error["code"], &error["tempId"]), (&json!("not_found"), &json!(5)));
    }
    for payload in [json!(null), json!([]), json!("x"), json!(5), json!({ "conversationId": [] })] {
        anna.emit("message:send", payload.clone()).await;
        assert_eq!(anna.payload("message:error").await["code"], "invalid_field", "{payload}");
        for event in ["message:read", "typing:start", "user:check:online", "conversation:leave"] {
            anna.emit(event, payload.clone()).await;
            let error = anna.payload("error").await;
            assert_eq!((&error["code"], &error["event"]), (&json!("invalid_field"), &json!(event)));
        }
    }
    assert_eq!(anna.ask("no:event", json!(1)).await["code"], "unknown_event");
    anna.emit("heartbeat:response", Value::Null).await;
    anna.emit("ping", Value::Null).await;
    assert!(anna.payload("pong").await["timestamp"].is_i64());
    anna.emit("message:send", json!({ "conversationId": id, "content": "still here" })).await;
    assert_eq!(ben.payload("message:new").await["content"], "still here");
    assert!(!eve.arrived().await.iter().any(is_new));
}

#[tokio::test]
async fn both_dialects_share_a_conversation() {
    let app = app().await;
    let (_, mut ben, id) = pair(&app).await;
    let mut anna = ChatClient::connect_with(&app, &influencer(), "11").await;
    anna.ask("join:conversation", json!(id)).await;
    anna.arrived().await;
    ben.emit("message:send", json!({ "conversationId": id, "content": "from brand", "tempId": 1 })).await;
    let message = anna.payload("message:new").await;
    assert_eq!((&message["senderId"], &message["conversationId"]), (&json!("12"), &json!(id.to_string())));
    anna.ask("message:send", json!({ "conversationId": id, "content": "from influencer" })).await;
    let answer = ben.payload("message:new").await;
    assert_eq!(
        (&answer["content"], &answer["senderType"]),
        (&json!("from influencer"), &json!("influencer"))
    );
}

// covers: namespace refusal of tokens
#[tokio::test]
async fn wrong_tokens_are_refused_in_the_namespace() {
    let app = app().await;
    let refusal = async |path: &str, namespace: &'static str, token: &str| {
        let auth = json!({ "token": token }).to_string();
        ChatClient::attempt_at(&app, path, namespace, &auth).await.err()
    };
    for wrong in wrong_tokens().iter().chain(&["7:brand".to_owned()]) {
        assert_eq!(refusal("/socket.io/", "/chat,", wrong).await.as_deref(), Some(AUTH_ERROR), "{wrong}");
    }
    let typed = token(MARKET_SECRET, 7, "brand");
    assert_eq!(refusal("/socket.io/", "/chat,", &typed).await, None);
    assert_eq!(refusal("/socket.io/", "", &typed).await.as_deref(), Some(AUTH_ERROR), "another dialect");
    assert_eq!(refusal("/ws/", "/chat,", &typed).await.as_deref(), Some("Invalid namespace"));
    assert_eq!(rest(&app, &typed, "GET", "/api/messages/unread-count", None).await.status, 401);
    let untyped = signed(Algorithm::HS256, MARKET_SECRET, &json!({ "id": 7, "exp": seconds() + 60 }));
    assert_eq!(refusal("/socket.io/", "/chat,", &untyped).await.as_deref(), Some(AUTH_ERROR), "no type");
    brand_cannot_become_an_influencer(&app).await;
}

/// A user of an untyped identity provider has one type.
async fn brand_cannot_become_an_influencer(app: &TestApp) {
    ChatClient::connect_namespace(app, &brand()).await;
    let auth = json!({ "token": token(SECRET, 12, "influencer") }).to_string();
    let refusal = ChatClient::attempt_at(app, "/socket.io/", "/chat,", &auth).await.err();
    assert_eq!(refusal.as_deref(), Some(AUTH_ERROR));
}

#[tokio::test]
async fn namespace_socket_ends_with_its_token() {
    let app = app().await;
    // The leeway is five seconds: the token ends in at most four.
    let claims = json!({ "id": 7, "userType": "brand", "exp": seconds() - 1 });
    let token = signed(Algorithm::HS256, MARKET_SECRET, &claims);
    let (mut brand, _) = ChatClient::connect_namespace(&app, &token).await;
    assert_eq!(brand.payload("error").await["code"], "token_expired");
    brand.closed().await;
}

#[tokio::test]
async fn echo_can_be_requested_for_messages_with_temp_id() {
    let app = app_with(&[("WHARF__CHAT__NAMESPACE__ECHO", "always")]).await;
    let (mut ann, _, id) = pair(&app).await;
    let draft = json!({ "conversationId": id, "content": "Hello", "tempId": "t-1" });
    let sent = ann.ask("message:send", draft).await;
    assert_eq!(ann.payload("message:new").await["id"], sent["message"]["id"]);
}
