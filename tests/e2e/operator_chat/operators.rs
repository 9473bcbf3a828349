//! The native calls for users, and events of an application.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::client::{ChatClient, SECRET, app, rest, seconds, signed, token};
use super::inbox::inbox;
use super::support::TestApp;

fn issued(user: &str, iat: Option<i64>) -> String {
    let mut claims = json!({ "sub": user, "role": "SUPPORT", "exp": seconds() + 3_600 });
    if let Some(iat) = iat {
        claims["iat"] = iat.into();
    }
    signed(Algorithm::HS256, SECRET, &claims)
}

async fn device_key(app: &TestApp) -> String {
    let key = json!({ "name": "shop", "scopes": ["chat:read", "chat:write"], "devices": ["shop"] });
    let made = app.post("/api-keys", key).await.created();
    made["data"]["key"].as_str().unwrap().to_owned()
}

fn ids(page: &Value) -> Vec<&str> {
    page["data"]["operators"].as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap()).collect()
}

// covers: GET /operators
// covers: GET /operators/{operatorId}
#[tokio::test]
async fn operators_are_listed_by_page_and_right() {
    let app = app().await;
    inbox(&app, json!([{ "who": "desk:bela" }])).await;
    for user in ["anna", "ben"] {
        ChatClient::connect(&app, user).await;
    }
    let first = app.get("/operators?limit=2").await.ok();
    assert_eq!(ids(&first), ["desk:bela", "desk:anna"]);
    let cursor = first["data"]["nextCursor"].as_str().unwrap();
    let last = app.get(&format!("/operators?limit=2&cursor={cursor}")).await.ok();
    assert_eq!((ids(&last), &last["data"]["nextCursor"]), (vec!["desk:ben"], &Value::Null));
    app.get("/operators?cursor=x").await.refused(400, "invalid_field");
    let key = device_key(&app).await;
    let own = app.with_key(&key).get("/operators").await.ok();
    assert_eq!(ids(&own), ["desk:bela"], "a key of a device lists the users of its inbox");
    app.with_key(&key).get("/operators/desk:anna").await.refused(404, "not_found");
    let anna = app.get("/operators/desk:anna").await.ok()["data"].clone();
    assert_eq!((&anna["identity"], &anna["displayName"]), (&json!("desk"), &json!("anna's name")));
    let page = rest(&app, &token("anna"), "GET", "/api/v1/operators", None).await.ok();
    assert_eq!(ids(&page), ["bela", "anna", "ben"], "a user writes ids of its own tenant");
    assert_eq!(page["data"]["operators"][0].get("email"), None);
    app.get("/operators/desk:nobody").await.refused(404, "not_found");
}

// covers: PUT /operators/{operatorId}
#[tokio::test]
async fn operator_exists_before_its_first_token() {
    let app = app().await;
    let profile = json!({ "name": "Cleo", "role": "SUPPORT", "email": "cleo@example.com" });
    let made = app.put("/operators/desk:cleo", profile.clone()).await.with_status(201)["data"].clone();
    assert_eq!((&made["displayName"], &made["email"]), (&json!("Cleo"), &json!("cleo@example.com")));
    app.put("/operators/desk:cleo", profile).await.ok();
    let body = json!({ "recipientId": "cleo", "content": "Welcome", "type": "text" });
    rest(&app, &token("anna"), "POST", "/api/messages", Some(body)).await.created();
    app.put("/operators/cleo", json!({})).await.refused(400, "invalid_field");
    app.put("/operators/desk:cleo", json!({ "name": "a\nb" })).await.refused(400, "invalid_field");
    let key = device_key_of(&app).await;
    let refused = app.with_key(&key).post("/operators/desk:cleo/revoke", json!({})).await;
    refused.refused(403, "device_not_allowed");
}

async fn device_key_of(app: &TestApp) -> String {
    app.device("shop").await;
    device_key(app).await
}

// covers: POST /operators/{operatorId}/revoke
#[tokio::test]
async fn revoked_tokens_are_refused_and_sockets_closed() {
    let app = app().await;
    let (old, undated) = (issued("anna", Some(seconds() - 10)), issued("anna", None));
    let mut anna = ChatClient::connect_with(&app, &old, "anna").await;
    let mut ben = ChatClient::connect(&app, "ben").await;
    app.post("/operators/desk:anna/revoke", json!({})).await.ok();
    assert_eq!(anna.event("auth:error").await, [json!("Token revoked")]);
    anna.closed().await;
    for refused in [&old, &undated] {
        rest(&app, refused, "GET", "/api/messages/unread-count", None).await.with_status(401);
        let auth = json!({ "token": refused }).to_string();
        assert_eq!(
            ChatClient::attempt(&app, "/socket.io/", &auth).await.err().as_deref(),
            Some("Authentication error")
        );
    }
    let new = issued("anna", Some(seconds() + 1));
    rest(&app, &new, "GET", "/api/messages/unread-count", None).await.with_status(200);
    ben.arrived().await;
    app.post("/operators/desk:nobody/revoke", json!({})).await.refused(404, "not_found");
}

// covers: GET /operators/{operatorId}/presence
// covers: GET /presence
#[tokio::test]
async fn presence_of_operators_is_counted() {
    let app = app().await;
    app.clock.advance(120_000);
    let anna = ChatClient::connect(&app, "anna").await;
    let _second = ChatClient::connect(&app, "anna").await;
    let _ben = ChatClient::connect(&app, "ben").await;
    let presence = app.get("/operators/desk:anna/presence").await.ok()["data"].clone();
    assert_eq!((&presence["online"], &presence["sockets"]), (&json!(true), &json!(2)));
    assert_eq!(app.get("/presence").await.ok()["data"], json!({ "online": 2 }));
    drop(anna);
    let seen = rest(&app, &token("ben"), "GET", "/api/v1/operators/anna/presence", None).await.ok();
    assert_eq!(seen["data"]["online"], true);
}

// covers: POST /operators/{operatorId}/notifications
#[tokio::test]
async fn application_notifies_an_operator() {
    let app = app().await;
    let mut anna = ChatClient::connect(&app, "anna").await;
    let body = json!({ "type": "order", "title": "Order shipped", "message": "Order 12 is on its way",
        "link": "/orders/12", "data": { "orderId": "12" } });
    let stored = app.post("/operators/desk:anna/notifications", body.clone()).await.created()["data"].clone();
    let emitted = anna.payload("notification:new").await;
    assert_eq!(emitted, stored);
    assert_eq!((&emitted["data"], &emitted["isRead"]), (&json!({ "orderId": "12" }), &json!(false)));
    app.post("/operators/desk:nobody/notifications", body).await.refused(404, "not_found");
    let wrong = json!({ "type": "order", "title": "x".repeat(201), "message": "m" });
    app.post("/operators/desk:anna/notifications", wrong).await.refused(400, "invalid_field");
}

// covers: POST /operators/{operatorId}/events
// covers: POST /conversations/{conversationId}/events
// covers: POST /broadcast
#[tokio::test]
async fn application_emits_its_own_events() {
    let app = app().await;
    ChatClient::connect(&app, "ben").await;
    let body = json!({ "recipientId": "ben", "content": "first", "type": "text" });
    let sent = rest(&app, &token("anna"), "POST", "/api/messages", Some(body)).await.created();
    let id = sent["data"]["conversationId"].as_str().unwrap().to_owned();
    let mut anna = ChatClient::connect(&app, "anna").await;
    let mut ben = ChatClient::connect(&app, "ben").await;
    ben.ask("join:conversation", json!(id)).await;
    let order = json!({ "orderId": "12", "status": "shipped" });
    let event = |name: &str| json!({ "event": name, "data": order });
    app.post("/operators/desk:anna/events", event("order:anna")).await.with_status(202);
    app.post(&format!("/conversations/{id}/events"), event("order:joined")).await.with_status(202);
    app.post("/broadcast", event("order:all")).await.with_status(202);
    assert_eq!(anna.payload("order:anna").await, order);
    assert_eq!(anna.payload("order:all").await, order);
    assert_eq!(ben.payload("order:joined").await, order);
    assert_eq!(ben.payload("order:all").await, order);
    assert!(anna.arrived().await.iter().all(|event| event[0] != "order:joined"));
    for name in ["message:new", "notification:new", "connect", "error"] {
        app.post("/broadcast", event(name)).await.refused(400, "reserved_event");
    }
    app.post("/broadcast", event("")).await.refused(400, "invalid_field");
    app.post("/conversations/999/events", event("order:joined")).await.refused(404, "not_found");
    let key = device_key_of(&app).await;
    app.with_key(&key).post("/broadcast", event("order:all")).await.refused(403, "device_not_allowed");
    app.with_key(&key)
        .post(&format!("/conversations/{id}/events"), event("a"))
        .await
        .refused(404, "not_found");
}
