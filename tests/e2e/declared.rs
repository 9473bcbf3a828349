//! Devices that files declare.

use serde_json::json;

use crate::support::TestApp;

fn declare(app: &TestApp, file: &str, text: &str) {
    std::fs::create_dir_all(app.devices_dir()).unwrap();
    std::fs::write(app.devices_dir().join(file), text).unwrap();
}

const SHOP: &str = "id = 'shop'\nname = 'Shop'\n[settings.simulator]\nautoScanMs = 10\n";

// covers: PATCH /devices/{id}
#[tokio::test]
async fn a_file_makes_a_device_and_what_it_sets_patch_cannot_change() {
    let app = TestApp::start().await;
    declare(&app, "shop.toml", SHOP);
    app.app().reconcile().await.unwrap();
    app.wait_for_state("shop", "ready").await;
    app.patch("/devices/shop", json!({ "name": "Other" })).await.refused(409, "set_by_file");
    app.patch("/devices/shop", json!({ "settings": { "simulator": {} } })).await.refused(409, "set_by_file");
    app.patch("/devices/shop", json!({ "settings": { "color": "red" } })).await.ok();
}

#[tokio::test]
async fn a_removed_file_stops_its_device_and_keeps_it() {
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
async fn what_an_operator_stopped_stays_stopped() {
    let app = TestApp::start().await;
    declare(&app, "shop.toml", SHOP);
    app.app().reconcile().await.unwrap();
    app.wait_for_state("shop", "ready").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    app.app().reconcile().await.unwrap();
    assert_eq!(app.get("/devices/shop").await.ok()["data"]["state"], "stopped");
}

#[tokio::test]
async fn a_wrong_file_changes_nothing_and_names_itself() {
    let app = TestApp::start().await;
    declare(&app, "shop.toml", SHOP);
    declare(&app, "wrong.toml", "id = 'home'\ncolour = 'red'\n");
    let error = app.app().reconcile().await.unwrap_err().to_string();
    assert!(error.contains("wrong.toml") && error.contains("colour"), "{error}");
    app.get("/devices/shop").await.refused(404, "device_not_found");
}

// covers: state created
#[tokio::test]
async fn a_device_that_does_not_start_by_itself_is_created_and_waits() {
    let app = TestApp::start().await;
    declare(&app, "shop.toml", "id = 'shop'\nautostart = false\n");
    app.app().reconcile().await.unwrap();
    let waiting = app.wait_for_state("shop", "created").await;
    assert_eq!(waiting["status"], "disconnected");
    app.post("/devices/shop/start", json!({})).await.ok();
    app.wait_for_state("shop", "qr").await;
}
