//! The limit of event streams and Socket.IO sessions of one key.

use serde_json::json;

use crate::support::wire::Wire;
use crate::support::{ADMIN_KEY, Reply, TestApp};

const LIMIT: (&str, &str) = ("WHARF__SERVER__MAX_STREAMS_PER_KEY", "3");

async fn stream(app: &TestApp, path: &str, key: &str) -> reqwest::Response {
    let request = app.request("GET", path).header("accept", "text/event-stream").header("X-API-KEY", key);
    request.send().await.unwrap()
}

async fn other_key(app: &TestApp) -> String {
    let body = json!({ "name": "other", "scopes": ["events:read"] });
    app.post("/api-keys", body).await.created()["data"]["key"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn streams_of_a_key_are_limited() {
    let app = TestApp::start_with(&[LIMIT]).await;
    app.device("shop").await;
    let other = other_key(&app).await;
    let mut open = Vec::new();
    for path in ["/devices/shop/events", "/events", "/events"] {
        let response = stream(&app, path, &app.key).await;
        assert_eq!(response.status(), 200);
        open.push(response);
    }
    for path in ["/devices/shop/events", "/events"] {
        let reply = Reply::of(stream(&app, path, &app.key).await).await;
        assert!(!reply.header("retry-after").is_empty());
        let refused = reply.refused(429, "too_many_streams");
        assert!(refused["error"].as_str().unwrap().contains("server.max_streams_per_key"), "{refused}");
    }
    assert_eq!(stream(&app, "/events", &other).await.status(), 200);
    assert!(app.get("/devices/shop/events").await.ok()["data"].is_array(), "pages are not streams");

    let mut wire = Wire::open(&app).await.0;
    wire.send(&format!("40/device/shop,{{\"apiKey\":\"{ADMIN_KEY}\"}}")).await;
    let refused = wire.packet_with("44/device/shop,").await;
    assert!(refused.contains("Too many connections for this API key"), "{refused}");

    open.pop();
    app.wait_until("the closed stream to be released", async || {
        (stream(&app, "/events", &app.key).await.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn sessions_of_a_key_are_limited() {
    let app = TestApp::start_with(&[LIMIT]).await;
    app.device("shop").await;
    app.device("home").await;
    let other = other_key(&app).await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let mut wire = Wire::open(&app).await.0;
        wire.join("shop", ADMIN_KEY).await;
        sessions.push(wire);
    }
    // Further namespaces of a session are not further sessions.
    sessions[0].join("home", ADMIN_KEY).await;
    sessions[0].send(&format!("40/devices,{{\"apiKey\":\"{ADMIN_KEY}\"}}")).await;
    sessions[0].packet_with("40/devices,").await;

    let mut refused = Wire::open(&app).await.0;
    for namespace in ["/device/shop", "/devices"] {
        refused.send(&format!("40{namespace},{{\"apiKey\":\"{ADMIN_KEY}\"}}")).await;
        let packet = refused.packet_with(&format!("44{namespace},")).await;
        assert!(packet.contains("Too many connections for this API key"), "{packet}");
    }
    refused.join("shop", &other).await;
    let reply = Reply::of(stream(&app, "/events", &app.key).await).await;
    reply.refused(429, "too_many_streams");

    sessions.pop().unwrap().drop_rudely();
    app.wait_until("the closed session to be released", async || {
        (stream(&app, "/events", &app.key).await.status() == 200).then_some(())
    })
    .await;
}
