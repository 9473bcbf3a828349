//! What watches the daemon: probes, metrics, documents.

use serde_json::json;

use crate::support::{ANNA, TestApp};

#[tokio::test]
async fn probes_answer_without_a_key() {
    let app = TestApp::start().await;
    for path in ["//healthz", "//readyz"] {
        let reply = app.request("GET", path).send().await.unwrap();
        assert_eq!(reply.status().as_u16(), 200, "{path}");
    }
}

#[tokio::test]
async fn metrics_count_what_happened_and_name_nobody() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.incoming("shop", ANNA, "hello").await;
    let text = app.request("GET", "//metrics").send().await.unwrap().text().await.unwrap();
    assert!(text.contains("wharf_messages_in_total 1"), "{text}");
    assert!(text.contains("wharf_devices{state=\"ready\"} 1"), "{text}");
    for secret in [ANNA, "shop", &app.key] {
        assert!(!text.contains(secret), "{secret} stands in the metrics");
    }
}

#[tokio::test]
async fn the_page_of_documents_loads_nothing_from_elsewhere() {
    let app = TestApp::start().await;
    let page = app.request("GET", "//docs/").send().await.unwrap();
    assert_eq!(page.status().as_u16(), 200);
    let text = page.text().await.unwrap();
    assert!(!text.contains("https://") && !text.contains("http://"), "{text}");
    let document = app.get("//docs-json").await;
    assert_eq!(document.status, 200);
    assert_eq!(document.json()["openapi"].as_str().map(|v| &v[..3]), Some("3.1"));
}

#[tokio::test]
async fn requests_have_ids_and_answers_are_compressed() {
    let app = TestApp::start().await;
    let reply =
        app.with_key(&app.key).send(app.request("GET", "/devices").header("X-Request-Id", "my-1")).await;
    assert_eq!(reply.header("x-request-id"), "my-1");
    assert!(!app.get("/devices").await.header("x-request-id").is_empty());
    let plain = app.request("GET", "//docs-json").header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(plain.headers()["content-encoding"], "gzip");
}

#[tokio::test]
async fn cors_answers_the_configured_origins_only() {
    let app = TestApp::start().await;
    for (origin, allowed) in [("http://localhost:5173", true), ("https://evil.example", false)] {
        let reply = app
            .request("OPTIONS", "/devices")
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .send()
            .await
            .unwrap();
        assert_eq!(reply.headers().contains_key("access-control-allow-origin"), allowed, "{origin}");
    }
}

#[tokio::test]
async fn the_fleet_is_shown_in_numbers() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.new_device("home", json!({})).await;
    app.wait_for_state("home", "qr").await;
    app.incoming("shop", ANNA, "hello").await;
    let stats = app.get("/stats").await.ok();
    assert_eq!(stats["data"]["devicesByState"], json!({ "ready": 1, "qr": 1 }));
    assert_eq!(stats["data"]["messagesToday"]["received"], 1);
    let queue = app.get("/devices/shop/queue-status").await.ok();
    assert_eq!(queue["data"]["queue"]["queuedMessages"], 0);
    assert_eq!(queue["data"]["safety"]["safe"], true);
    let health = app.get("/devices/shop/health").await.ok();
    assert_eq!((&health["data"]["status"], &health["data"]["deviceId"]), (&json!("healthy"), &json!("shop")));
    let attention = app.get("/health/attention").await;
    assert!(attention.status == 200 || attention.status == 501, "{}", attention.text());
}
