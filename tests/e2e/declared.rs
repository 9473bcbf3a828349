//! Devices that are declared by files.

use serde_json::json;

use crate::support::TestApp;

fn declare(app: &TestApp, file: &str, text: &str) {
    std::fs::create_dir_all(app.devices_dir()).unwrap();
    std::fs::write(app.devices_dir().join(file), text).unwrap();
}

const SHOP: &str = "id = 'shop'\nname = 'Shop'\n[settings.simulator]\nautoScanMs = 10\n";

// covers: PATCH /devices/{id}
#[tokio::test]
async fn declared_device_fields_cannot_be_patched() {
    let app = TestApp::start().await;
    declare(&app, "shop.toml", SHOP);
    app.app().reconcile().await.unwrap();
    app.wait_for_state("shop", "ready").await;
    app.patch("/devices/shop", json!({ "name": "Other" })).await.refused(409, "set_by_file");
    app.patch("/devices/shop", json!({ "settings": { "simulator": {} } })).await.refused(409, "set_by_file");
    app.patch("/devices/shop", json!({ "settings": { "color": "red" } })).await.ok();
}

#[tokio::test]
async fn removed_declaration_stops_and_keeps_device() {
    let app = TestApp::start().await;
    declare(&app, "shop.toml", SHOP);
    app.app().reconcile().await.unwrap();
    app.wait_for_state("shop", "ready").await;
    std::fs::remove_file(app.devices_dir().join("shop.toml")).unwrap();
    app.app().reconcile().await.unwrap();
    app.wait_for_state("shop", "stopped").await;
    assert_eq!(app.logged("shop", "state").await.last().unwrap()["reason"], "stopped_by_declaration");
    app.patch("/devices/shop", json!({ "name": "Mine now" })).await.ok();
    declare(&app, "shop.toml", SHOP);
    app.app().reconcile().await.unwrap();
    app.wait_for_state("shop", "ready").await;
}

#[tokio::test]
async fn stopped_declared_device_stays_stopped() {
    let app = TestApp::start().await;
    declare(&app, "shop.toml", SHOP);
    app.app().reconcile().await.unwrap();
    app.wait_for_state("shop", "ready").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    app.app().reconcile().await.unwrap();
    assert_eq!(app.get("/devices/shop").await.ok()["data"]["state"], "stopped");
}

#[tokio::test]
async fn invalid_declaration_changes_nothing() {
    let app = TestApp::start().await;
    declare(&app, "shop.toml", SHOP);
    declare(&app, "wrong.toml", "id = 'home'\ncolour = 'red'\n");
    let error = app.app().reconcile().await.unwrap_err().to_string();
    assert!(error.contains("wrong.toml") && error.contains("colour"), "{error}");
    app.get("/devices/shop").await.refused(404, "device_not_found");
}

// covers: state created
#[tokio::test]
async fn declared_device_without_autostart_is_created() {
    let app = TestApp::start().await;
    declare(&app, "shop.toml", "id = 'shop'\nautostart = false\n");
    app.app().reconcile().await.unwrap();
    let waiting = app.wait_for_state("shop", "created").await;
    assert_eq!(waiting["status"], "disconnected");
    app.post("/devices/shop/start", json!({})).await.ok();
    app.wait_for_state("shop", "qr").await;
}
