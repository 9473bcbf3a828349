//! Invalid input answers with a specific error and never with a 5xx status.

use serde_json::json;

use crate::support::{ANNA, Reply, TestApp};

async fn raw(app: &TestApp, method: &str, path: &str, content_type: Option<&str>, body: Vec<u8>) -> Reply {
    let mut request = app.request(method, path).body(body);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    app.with_key(&app.key).send(request).await
}

const JSON: Option<&str> = Some("application/json");
const SEND: &str = "/devices/shop/messages/send";

// covers: rest 413
// covers: rest 415
#[tokio::test]
async fn malformed_bodies_have_specific_errors() {
    let app = TestApp::start().await;
    app.device("shop").await;
    raw(&app, "POST", SEND, JSON, b"{\"to\": ".to_vec()).await.refused(400, "invalid_json");
    raw(&app, "POST", SEND, JSON, b"{\"to\": \"\xff\"}".to_vec()).await.refused(400, "invalid_json");
    raw(&app, "POST", SEND, JSON, b"[1]".to_vec()).await.refused(400, "invalid_field");
    raw(&app, "POST", SEND, Some("text/plain"), b"hello".to_vec())
        .await
        .refused(415, "unsupported_media_type");
    let huge = format!("{{\"to\": \"{ANNA}\", \"text\": \"{}\"}}", "x".repeat(7 * 1024 * 1024));
    raw(&app, "POST", SEND, JSON, huge.into_bytes()).await.refused(413, "too_large");
    let deep = "[".repeat(100_000);
    raw(&app, "POST", SEND, JSON, deep.into_bytes()).await.refused(400, "invalid_json");
}

// covers: rest a POST without a body
#[tokio::test]
async fn post_without_body_is_accepted() {
    let app = TestApp::start().await;
    raw(&app, "POST", "/devices", None, Vec::new()).await.created();
    raw(&app, "POST", "/devices", JSON, Vec::new()).await.created();
}

// covers: rest 404
#[tokio::test]
async fn invalid_ids_are_rejected_by_name() {
    let app = TestApp::start().await;
    app.device("shop").await;
    for path in [
        "/devices/a%20b",
        "/devices/shop/chats/nonsense",
        "/devices/shop/messages/nonsense",
        "/devices/shop/chats/%ff%fe/messages",
        "/devices/shop/contacts/nobody/exists",
    ] {
        let reply = app.get(path).await;
        assert!(reply.status == 400 || reply.status == 404, "{path}: {} {}", reply.status, reply.text());
        assert_eq!(reply.json()["success"], false, "{path}");
    }
    app.get("/devices/nowhere").await.refused(404, "device_not_found");
    app.get(&format!("/devices/shop/messages/true_{ANNA}@c.us_3EB0")).await.refused(404, "message_not_found");
}

#[tokio::test]
async fn unknown_paths_and_methods_answer_in_envelope() {
    let app = TestApp::start().await;
    app.get("/nothing").await.refused(404, "not_found");
    app.get("//nothing").await.refused(404, "not_found");
    let reply = app.delete("/stats").await;
    reply.refused(405, "method_not_allowed");
}

// covers: POST /simulator/{id}/{call}
#[tokio::test]
async fn simulator_routes_need_simulated_device_and_admin() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.post("/simulator/nowhere/scan", json!({})).await.refused(404, "device_not_found");
    app.post("/simulator/shop/dance", json!({})).await.refused(404, "not_found");
    app.post("/simulator/shop/incoming", json!({ "body": "x" })).await.refused(400, "invalid_field");
    let off = TestApp::start_with(&[("WHARF__ENGINES__SIMULATOR__ENABLED", "false")]).await;
    off.post("/simulator/shop/scan", json!({})).await.with_status(404);
}
