//! Tokens, tenants and outsiders: nothing leaks, and a refusal equals an absence.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::client::{ChatClient, SECRET, SHOP_SECRET, app, rest, seconds, signed, token, wrong_tokens};
use super::support::TestApp;
use super::support::wire::Wire;

const AUTH_ERROR: &str = "Authentication error";

async fn refusal(app: &TestApp, auth: &Value) -> Option<String> {
    ChatClient::attempt(app, "/socket.io/", &auth.to_string()).await.err()
}

// covers: root refusal of tokens
#[tokio::test]
async fn wrong_tokens_are_refused() {
    let app = app().await;
    let claims = json!({ "sub": "anna", "exp": seconds() + 3_600 });
    for wrong in wrong_tokens() {
        assert_eq!(refusal(&app, &json!({ "token": wrong })).await.as_deref(), Some(AUTH_ERROR), "{wrong}");
        let reply = rest(&app, &wrong, "GET", "/api/messages/unread-count", None).await;
        assert_eq!((reply.status, reply.json()["error"].clone()), (401, json!(AUTH_ERROR)), "{wrong}");
    }
    for auth in [json!({}), json!({ "userId": "anna" }), json!({ "token": 5 }), json!({ "token": null })] {
        assert_eq!(refusal(&app, &auth).await.as_deref(), Some(AUTH_ERROR), "{auth}");
    }
    let bearer = json!({ "token": format!("Bearer {}", signed(Algorithm::HS256, SECRET, &claims)) });
    assert_eq!(refusal(&app, &bearer).await, None);
}

// covers: root auth:error
#[tokio::test]
async fn socket_ends_with_its_token() {
    let app = app().await;
    // The leeway is five seconds: the token ends in at most four.
    let claims = json!({ "sub": "anna", "exp": seconds() - 1 });
    let token = signed(Algorithm::HS256, SECRET, &claims);
    let mut anna = ChatClient::connect_with(&app, &token, "anna").await;
    assert_eq!(anna.event("auth:error").await, [json!("Token expired")]);
    anna.closed().await;
}

#[tokio::test]
async fn outsider_gets_the_answers_of_an_absence() {
    let app = app().await;
    let mut ben = ChatClient::connect(&app, "ben").await;
    let body = json!({ "recipientId": "ben", "content": "secret" });
    let sent =
        rest(&app, &token("anna"), "POST", "/api/messages", Some(body)).await.created()["data"].clone();
    let (id, message) = (sent["conversationId"].clone(), sent["id"].clone());
    let mut eve = ChatClient::connect(&app, "eve").await;
    let (absent, no_message) = (json!("999999"), json!("999999"));
    for (event, real, missing) in [
        ("join:conversation", id.clone(), absent.clone()),
        ("leave:conversation", id.clone(), absent.clone()),
        ("conversation:get-online-users", id.clone(), absent.clone()),
        (
            "message:send",
            json!({ "conversationId": id, "content": "x" }),
            json!({ "conversationId": absent, "content": "x" }),
        ),
        ("message:read", json!({ "conversationId": id }), json!({ "conversationId": absent })),
        (
            "message:delete",
            json!({ "conversationId": id, "messageId": message }),
            json!({ "conversationId": absent, "messageId": no_message }),
        ),
        ("message:mark_read", json!({ "messageId": message }), json!({ "messageId": no_message })),
        ("typing:start", json!({ "conversationId": id }), json!({ "conversationId": absent })),
    ] {
        let (forbidden, absent) = (eve.ask(event, real).await, eve.ask(event, missing).await);
        assert_eq!(forbidden.to_string(), absent.to_string(), "{event}");
        assert_ne!(forbidden["success"], true, "{event}");
    }
    let (id, message) = (id.as_str().unwrap(), message.as_str().unwrap());
    for (method, real, missing, body) in [
        ("GET", format!("/api/messages?conversationId={id}"), "/api/messages?conversationId=999999", None),
        ("DELETE", format!("/api/messages/{message}"), "/api/messages/999999", None),
    ] {
        let eve = token("eve");
        let forbidden = rest(&app, &eve, method, &real, body.clone()).await;
        let absent = rest(&app, &eve, method, missing, body).await;
        assert_eq!((forbidden.status, &forbidden.bytes), (404, &absent.bytes), "{method} {real}");
    }
    ben.ask("join:conversation", json!(id)).await;
    rest(
        &app,
        &token("anna"),
        "POST",
        "/api/messages",
        Some(json!({ "conversationId": id, "content": "2" })),
    )
    .await
    .created();
    ben.payload("message:new").await;
    assert!(eve.arrived().await.iter().all(|event| event[0] != "message:new"));
}

#[tokio::test]
async fn tenants_never_see_each_other() {
    let app = app().await;
    ChatClient::connect(&app, "ben").await;
    let claims = json!({ "sub": "anna", "exp": seconds() + 3_600 });
    let stranger = signed(Algorithm::HS256, SHOP_SECRET, &claims);
    let mut anna = ChatClient::connect_with(&app, &stranger, "anna").await;
    let refused = anna.ask("conversation:join", json!({ "conversationWith": "ben" })).await;
    let absent = anna.ask("conversation:join", json!({ "conversationWith": "nobody" })).await;
    assert_eq!(refused.to_string(), absent.to_string());
    assert_eq!(
        anna.ask("user:get-status", json!("ben")).await,
        json!({ "userId": "ben", "status": "offline" })
    );
    assert_eq!(rest(&app, &stranger, "GET", "/api/users/ben", None).await.status, 404);
}

#[tokio::test]
async fn disabled_chat_has_no_route_and_no_namespace() {
    let app = TestApp::start().await;
    assert!(app.app().services.chat.is_none());
    assert_eq!(rest(&app, &token("anna"), "GET", "/api/messages/unread-count", None).await.status, 404);
    assert_eq!(
        app.request("GET", "//socket.io/?EIO=4&transport=polling").send().await.unwrap().status(),
        404
    );
}

#[tokio::test]
async fn namespaces_exist_on_their_own_path_only() {
    let app = app().await;
    app.device("shop").await;
    let auth = json!({ "token": token("anna") }).to_string();
    let other_path = ChatClient::attempt(&app, "/ws/", &auth).await.err();
    assert_eq!(other_path.as_deref(), Some("Invalid namespace"));
    let mut wire = Wire::connect_at(&app, "/socket.io/", "EIO=4&transport=websocket").await;
    wire.packet_with("0").await;
    wire.send(&format!("40/device/shop,{{\"apiKey\":\"{}\"}}", app.key)).await;
    let answer = wire.packet_with("44/device/shop,").await;
    assert!(answer.contains("Invalid namespace"), "{answer}");
}
