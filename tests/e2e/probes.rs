//! Probes, metrics, statistics and the API documentation.

use std::time::Duration;

use serde_json::json;
use wharf::app::AppExit;

use crate::support::{ANNA, TestApp};

// covers: GET /healthz
// covers: GET /readyz
#[tokio::test]
async fn probes_need_no_key() {
    let app = TestApp::start().await;
    for path in ["//healthz", "//readyz"] {
        let reply = app.request("GET", path).send().await.unwrap();
        assert_eq!(reply.status().as_u16(), 200, "{path}");
    }
}

// covers: GET /metrics
#[tokio::test]
async fn metrics_count_without_naming_devices_or_chats() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.incoming("shop", ANNA, "hello").await;
    let text = app.request("GET", "//metrics").send().await.unwrap().text().await.unwrap();
    assert!(text.contains("wharf_messages_in_total 1"), "{text}");
    assert!(text.contains("wharf_devices{state=\"ready\"} 1"), "{text}");
    for secret in [ANNA, "shop", &app.key] {
        assert!(!text.contains(secret), "{secret} is in the metrics");
    }
}

// covers: GET /docs
// covers: GET /docs-json
#[tokio::test]
async fn docs_page_loads_no_foreign_resource() {
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
async fn answers_have_request_id_and_compression() {
    let app = TestApp::start().await;
    let reply =
        app.with_key(&app.key).send(app.request("GET", "/devices").header("X-Request-Id", "my-1")).await;
    assert_eq!(reply.header("x-request-id"), "my-1");
    assert!(!app.get("/devices").await.header("x-request-id").is_empty());
    let plain = app.request("GET", "//docs-json").header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(plain.headers()["content-encoding"], "gzip");
}

#[tokio::test]
async fn cors_allows_configured_origins_only() {
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

// covers: GET /stats
// covers: GET /devices/{id}/queue-status
// covers: GET /devices/{id}/health
#[tokio::test]
async fn stats_count_devices() {
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
}

// covers: GET /health/devices
// covers: GET /health/attention
#[tokio::test]
async fn attention_list_has_unhealthy_devices_only() {
    let app = TestApp::start().await;
    app.device("well").await;
    app.device("ill").await;
    let ids = async |path: &str| -> Vec<String> {
        let list = app.get(path).await.ok();
        list["data"].as_array().unwrap().iter().map(|d| d["deviceId"].as_str().unwrap().to_owned()).collect()
    };
    assert!(ids("/health/attention").await.is_empty());
    app.fault("ill", json!({ "kind": "ban" })).await;
    app.wait_for_state("ill", "failed").await;
    assert_eq!(ids("/health/devices").await, ["well", "ill"]);
    assert_eq!(ids("/health/attention").await, ["ill"]);
}

// covers: DELETE /simulator/{id}/{call}
#[tokio::test]
async fn simulated_network_view_can_be_cleared() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let id = app.send("shop", ANNA, "hello").await;
    app.wait_for_status("shop", &id, "read").await;
    let sent =
        async || app.get("/simulator/shop/network").await.ok()["data"]["sent"].as_array().unwrap().len();
    assert_eq!(sent().await, 1);
    app.delete("/simulator/shop/network").await.ok();
    assert_eq!(sent().await, 0);
}

// covers: GET /readyz
#[tokio::test]
async fn deleted_database_is_not_ready_and_stops_the_daemon() {
    let mut app = TestApp::start().await;
    let ready = async |app: &TestApp| app.get("//readyz").await;
    assert_eq!(ready(&app).await.status, 200);
    std::fs::rename(app.data_dir().join("wharf.db"), app.data_dir().join("moved.db")).unwrap();
    let refused = ready(&app).await.refused(503, "data_file_replaced");
    assert!(refused["error"].as_str().unwrap().contains("wharf.db"), "{refused}");
    std::fs::rename(app.data_dir().join("moved.db"), app.data_dir().join("wharf.db")).unwrap();
    assert_eq!(ready(&app).await.status, 200);
    app.app.take().unwrap().stop().await;
}

#[tokio::test]
async fn daemon_stops_when_its_database_is_replaced() {
    let mut app = TestApp::start_with(&[("WHARF__STORE__FILE_CHECK_MS", "50")]).await;
    let file = app.data_dir().join("wharf.db");
    std::fs::copy(&file, app.data_dir().join("copy.db")).unwrap();
    std::fs::rename(app.data_dir().join("copy.db"), &file).unwrap();
    let running = app.app.take().unwrap();
    let exit =
        tokio::time::timeout(Duration::from_secs(10), running.run(wharf::lifecycle::signals().unwrap()))
            .await
            .unwrap();
    assert!(matches!(exit, AppExit::Failed(_)), "{exit:?}");
}

#[tokio::test]
async fn readiness_writes_a_row() {
    let app = TestApp::start().await;
    assert_eq!(app.get("//readyz").await.status, 200);
    let database = rusqlite::Connection::open(app.data_dir().join("wharf.db")).unwrap();
    let at: i64 = database.query_row("SELECT at FROM readiness", [], |row| row.get(0)).unwrap();
    assert!(at > 0);
}
