//! The chat log for programs: pages, the stream of server-sent events, and webhooks.

use serde_json::{Value, json};

use super::client::{app, app_with, rest, token};
use super::inbox::inbox;
use super::support::receiver::{Received, Receiver};
use super::support::{ANNA, TestApp};
use crate::events::read;

async fn page(app: &TestApp, user: &str, query: &str) -> Value {
    rest(app, &token(user), "GET", &format!("/api/v1/conversations/events{query}"), None).await.ok()
}

fn types(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|entry| entry["type"].as_str().unwrap()).collect()
}

async fn write(app: &TestApp, user: &str, path: &str, body: Option<Value>) -> Value {
    rest(app, &token(user), "POST", &format!("/api/v1/conversations{path}"), body).await.json()
}

/// The id of the only conversation of the device.
async fn conversation(app: &TestApp) -> String {
    let list = app.get("/conversations").await.ok();
    list["data"]["conversations"][0]["id"].as_str().unwrap().to_owned()
}

fn bela() -> Value {
    json!([{ "who": "desk:bela" }])
}

// covers: GET /conversations/events
#[tokio::test]
async fn log_has_what_the_caller_may_see() {
    let app = app().await;
    inbox(&app, bela()).await;
    let id = conversation(&app).await;
    write(&app, "bela", &format!("/{id}/notes"), Some(json!({ "content": "Ask" }))).await;
    write(&app, "bela", &format!("/{id}/messages"), Some(json!({ "content": "Yes" }))).await;
    write(&app, "bela", &format!("/{id}/close"), None).await;
    let between = Some(json!({ "recipientId": "dora", "content": "Hello" }));
    rest(&app, &token("dora"), "GET", "/api/messages/unread-count", None).await.with_status(200);
    rest(&app, &token("anna"), "POST", "/api/messages", between).await.created();
    let own = page(&app, "bela", "").await;
    let expected = [
        "conversation:created",
        "chat:message",
        "conversation:note",
        "chat:message",
        "conversation:first_response",
        "conversation:assigned",
        "chat:message",
        "conversation:closed",
        "chat:message",
    ];
    // Receipts of the simulator come at any time.
    let named: Vec<_> =
        types(&own).into_iter().filter(|name| !["chat:delivered", "chat:read"].contains(name)).collect();
    assert_eq!(named, expected, "{own}");
    let note = &own["data"][2];
    assert_eq!(note["payload"]["message"]["content"], "Ask");
    assert_eq!((&note["payload"]["seq"], &note["payload"]["deviceId"]), (&note["seq"], &json!("shop")));
    assert_eq!(own["resync"], false);
    assert_eq!(types(&page(&app, "dora", "").await), ["chat:message"], "a direct conversation");
    assert!(types(&page(&app, "eva", "").await).is_empty());
    let all = app.get("/conversations/events").await.ok();
    assert_eq!(
        types(&all).iter().filter(|name| **name == "chat:message").count(),
        5,
        "all conversations: {all}"
    );
    let first = page(&app, "bela", "?limit=2").await;
    assert_eq!((types(&first), &first["hasMore"]), (expected[..2].to_vec(), &json!(true)));
    let rest_of_log = page(&app, "bela", &format!("?after={}", first["nextAfter"])).await;
    assert_eq!(types(&rest_of_log)[0], "conversation:note");
    assert_eq!(page(&app, "bela", "?after=100000").await["resync"], true);
    let key = json!({ "name": "shop", "scopes": ["chat:read"], "devices": ["other"] });
    app.device("other").await;
    let key = app.post("/api-keys", key).await.created()["data"]["key"].as_str().unwrap().to_owned();
    let none = app.with_key(&key).get("/conversations/events").await.ok();
    assert!(types(&none).is_empty(), "{none}");
}

async fn stream(app: &TestApp, credentials: (&str, &str), last: Option<&str>) -> reqwest::Response {
    let request = app.request("GET", "/conversations/events").header("accept", "text/event-stream");
    let request = request.header(credentials.0, credentials.1);
    let request = if let Some(last) = last { request.header("Last-Event-ID", last) } else { request };
    let response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    response
}

fn line<'f>(frame: &'f str, field: &str) -> &'f str {
    frame.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(": ")).unwrap_or_default()
}

// covers: GET /conversations/events
#[tokio::test]
async fn stream_resumes_after_the_last_event() {
    let app = app_with(&[("WHARF__CHAT__ASSIGN", "none")]).await;
    inbox(&app, bela()).await;
    let bearer = format!("Bearer {}", token("bela"));
    let live = stream(&app, ("authorization", &bearer), None).await;
    app.incoming("shop", ANNA, "One").await;
    app.incoming("shop", ANNA, "Two").await;
    let frames = read(live, 2).await;
    assert_eq!(line(&frames[0], "event"), "chat:message");
    let text = |frame: &str| -> Value {
        let payload: Value = serde_json::from_str(line(frame, "data")).unwrap();
        payload["message"]["content"].clone()
    };
    assert_eq!((text(&frames[0]), text(&frames[1])), (json!("One"), json!("Two")));
    app.incoming("shop", ANNA, "Three").await;
    let resumed = stream(&app, ("X-API-KEY", &app.key), Some(line(&frames[0], "id"))).await;
    let frames = read(resumed, 2).await;
    assert_eq!((text(&frames[0]), text(&frames[1])), (json!("Two"), json!("Three")));
    let beyond = read(stream(&app, ("X-API-KEY", &app.key), Some("100000")).await, 1).await;
    assert_eq!(line(&beyond[0], "event"), "resync");
    // A revoked token gets nothing more.
    let ended = stream(&app, ("authorization", &bearer), None).await;
    app.post("/operators/desk:bela/revoke", json!({})).await.ok();
    app.incoming("shop", ANNA, "Four").await;
    assert!(read(ended, 1).await.is_empty(), "the stream must end without an event");
}

async fn chat_app() -> TestApp {
    app_with(&[
        ("WHARF__NET__ALLOW_PRIVATE", "127.0.0.0/8"),
        ("WHARF__WEBHOOKS__RETRY_DELAYS", "40ms,40ms,40ms"),
    ])
    .await
}

async fn webhook(app: &TestApp, receiver: &Receiver, events: &[&str]) {
    let body = json!({ "url": receiver.url, "events": events });
    app.post("/devices/shop/webhooks", body).await.created();
}

fn names(received: &[Received]) -> Vec<String> {
    received.iter().map(|one| one.json()["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn webhooks_get_conversation_events_by_full_name_only() {
    let app = chat_app().await;
    inbox(&app, bela()).await;
    let (by_name, by_pattern) = (Receiver::start().await, Receiver::start().await);
    let named = [
        "chat:message",
        "conversation:assigned",
        "conversation:closed",
        "conversation:created",
        "conversation:first_response",
        "conversation:note",
        "conversation:opened",
    ];
    webhook(&app, &by_name, &named).await;
    webhook(&app, &by_pattern, &["*", "conversation:*"]).await;
    let id = conversation(&app).await;
    write(&app, "bela", &format!("/{id}/notes"), Some(json!({ "content": "Ask" }))).await;
    write(&app, "bela", &format!("/{id}/messages"), Some(json!({ "content": "Yes" }))).await;
    write(&app, "bela", &format!("/{id}/close"), None).await;
    app.incoming("shop", ANNA, "Thanks").await;
    let expected = [
        "conversation:note",
        "chat:message",
        "conversation:first_response",
        "conversation:assigned",
        "chat:message",
        "conversation:closed",
        "chat:message",
        "conversation:opened",
        "chat:message",
        "chat:message",
    ];
    let received = app
        .wait_until("the events", async || {
            let all = by_name.accepted();
            (all.len() >= expected.len()).then_some(all)
        })
        .await;
    let mut sorted = names(&received);
    sorted.sort();
    let mut wanted: Vec<_> = expected.iter().map(|name| (*name).to_owned()).collect();
    wanted.sort();
    assert_eq!(sorted, wanted);
    let note = received.iter().map(Received::json).find(|body| body["type"] == "conversation:note").unwrap();
    assert_eq!(note["data"]["message"]["content"], "Ask", "{note}");
    assert_eq!((&note["data"]["conversationId"], &note["data"]["deviceId"]), (&json!(id), &json!("shop")));
    app.wait_until("the message of the contact", async || {
        by_pattern.accepted().iter().any(|one| one.json()["type"] == "message").then_some(())
    })
    .await;
    let by_pattern = names(&by_pattern.accepted());
    assert!(by_pattern.iter().all(|name| !named.contains(&name.as_str())), "{by_pattern:?}");
}

#[tokio::test]
async fn webhooks_get_each_conversation_event_once_over_a_restart() {
    let app = chat_app().await;
    inbox(&app, bela()).await;
    let receiver = Receiver::start().await;
    webhook(&app, &receiver, &["chat:message"]).await;
    for n in 0..5 {
        app.incoming("shop", ANNA, &format!("before {n}")).await;
    }
    let app = app.restarted().await;
    app.wait_for_state("shop", "ready").await;
    for n in 0..5 {
        app.incoming("shop", ANNA, &format!("after {n}")).await;
    }
    let all = app
        .wait_until("all messages", async || {
            let all = receiver.accepted();
            (all.len() >= 10).then_some(all)
        })
        .await;
    let mut texts: Vec<String> =
        all.iter().map(|one| one.json()["data"]["message"]["content"].as_str().unwrap().to_owned()).collect();
    texts.sort();
    let expected: Vec<String> =
        ["after", "before"].iter().flat_map(|word| (0..5).map(move |n| format!("{word} {n}"))).collect();
    assert_eq!(texts, expected);
}
