//! The life cycle of devices: create, link, stop, start, log out, delete, and failures of one device.

use serde_json::json;

use crate::support::{ANNA, TestApp};

// covers: POST /devices
// covers: GET /devices/{id}
// covers: GET /devices/{id}/qr
// covers: POST /simulator/{id}/{call}
#[tokio::test]
async fn device_links_by_scanned_code() {
    let app = TestApp::start().await;
    let created = app.new_device("shop", json!({})).await;
    assert_eq!((&created["id"], &created["deviceId"]), (&json!("shop"), &json!("shop")));
    app.wait_for_state("shop", "qr").await;
    let qr = app.get("/devices/shop/qr").await.ok();
    let body = json!({ "qr": qr["data"]["qr"], "phoneNumber": "15550109999", "clientName": "Shop" });
    app.post("/simulator/shop/scan", body).await.ok();
    let ready = app.wait_for_state("shop", "ready").await;
    assert_eq!((&ready["phoneNumber"], &ready["clientName"]), (&json!("15550109999"), &json!("Shop")));
    assert_eq!(ready["status"], "ready");
    let log = app.log("shop").await;
    let kinds: Vec<&str> = log.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["state", "state", "qr", "state", "authenticated", "state", "ready"]);
}

// covers: POST /devices/{id}/stop
// covers: POST /devices/{id}/start
#[tokio::test]
async fn restarted_unlinked_device_shows_new_codes() {
    let app = TestApp::start().await;
    app.new_device("shop", json!({})).await;
    app.wait_for_state("shop", "qr").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    app.wait_for_state("shop", "stopped").await;
    app.get("/devices/shop/qr").await.refused(404, "no_qr");
    app.post("/devices/shop/start", json!({})).await.ok();
    app.wait_for_state("shop", "qr").await;
}

// covers: POST /devices/{id}/start
// covers: POST /devices/{id}/stop
// covers: POST /devices/{id}/restart
#[tokio::test]
async fn start_and_stop_are_idempotent() {
    let app = TestApp::start().await;
    app.device("shop").await;
    for verb in ["start", "start", "stop", "stop", "restart"] {
        app.post(&format!("/devices/shop/{verb}"), json!({})).await.ok();
    }
    app.wait_for_state("shop", "ready").await;
}

// covers: POST /devices/{id}/stop
// covers: POST /devices/{id}/start
// covers: state stopped
#[tokio::test]
async fn stopped_device_restarts_without_scan() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    let stopped = app.wait_for_state("shop", "stopped").await;
    assert_eq!(stopped["status"], "disconnected");
    app.post("/devices/shop/start", json!({})).await.ok();
    app.wait_for_state("shop", "ready").await;
    assert_eq!(app.logged("shop", "qr").await.len(), 1);
}

// covers: POST /devices/{id}/logout
// covers: rest 409 wrong device state
// covers: state logged_out
#[tokio::test]
async fn logged_out_device_needs_scan() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.post("/devices/shop/logout", json!({})).await.ok();
    let out = app.wait_for_state("shop", "logged_out").await;
    assert_eq!(out["phoneNumber"], json!(null));
    app.post("/devices/shop/logout", json!({})).await.refused(409, "wrong_state");
    app.post("/devices/shop/start", json!({})).await.ok();
    app.wait_for_state("shop", "qr").await;
}

// covers: state logged_out
#[tokio::test]
async fn phone_logout_emits_reason() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.fault("shop", json!({ "kind": "log_out" })).await;
    app.wait_for_state("shop", "logged_out").await;
    let states = app.logged("shop", "state").await;
    assert_eq!(states.last().unwrap()["reason"], "logged_out_on_phone");
    assert_eq!(app.logged("shop", "disconnected").await.len(), 1);
}

// covers: state reconnecting
#[tokio::test]
async fn lost_link_reconnects() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.fault("shop", json!({ "kind": "refuse_connect", "count": 2 })).await;
    app.fault("shop", json!({ "kind": "drop_link" })).await;
    app.wait_until("the link to be lost and back", async || {
        (app.logged("shop", "ready").await.len() == 2).then_some(())
    })
    .await;
    let states = app.logged("shop", "state").await;
    let attempts: Vec<_> = states
        .iter()
        .filter(|s| s["state"] == "reconnecting")
        .map(|s| (&s["attempt"], &s["reason"]))
        .collect();
    let reasons = [json!("link_dropped"), json!("network_unreachable"), json!("network_unreachable")];
    assert_eq!(attempts, [(&json!(1), &reasons[0]), (&json!(2), &reasons[1]), (&json!(3), &reasons[2])]);
}

// covers: state failed
// covers: GET /devices/{id}/health
#[tokio::test]
async fn banned_device_fails_with_advice() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.fault("shop", json!({ "kind": "ban" })).await;
    let failed = app.wait_for_state("shop", "failed").await;
    assert_eq!(failed["status"], "error");
    let health = app.get("/devices/shop/health").await.ok();
    assert_eq!(
        (&health["data"]["status"], &health["data"]["warnings"][0]["code"]),
        (&json!("blocked"), &json!("banned"))
    );
}

#[tokio::test]
async fn panic_does_not_affect_other_devices() {
    let app = TestApp::start().await;
    app.device("bad").await;
    app.device("good").await;
    let before = app.log("good").await.len();
    app.fault("bad", json!({ "kind": "panic" })).await;
    app.wait_until("the device to recover", async || {
        (app.logged("bad", "ready").await.len() == 2).then_some(())
    })
    .await;
    let states = app.logged("bad", "state").await;
    assert!(states.iter().any(|s| s["reason"] == "engine_panicked"), "{states:?}");
    assert_eq!(app.log("good").await.len(), before);
    let id = app.send("good", ANNA, "still here").await;
    app.wait_for_status("good", &id, "read").await;
}

#[tokio::test]
async fn endlessly_panicking_device_fails() {
    let app = TestApp::start_with(&[("WHARF__SUPERVISOR__PANICS_BEFORE_FAILED", "2")]).await;
    app.device("bad").await;
    app.fault("bad", json!({ "kind": "panic", "count": 100 })).await;
    let failed = app.wait_for_state("bad", "failed").await;
    assert_eq!(failed["status"], "error");
}

// covers: DELETE /devices/{id}
// covers: rest 404
#[tokio::test]
async fn deleted_device_loses_data_and_frees_id() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.incoming("shop", ANNA, "hello").await;
    let newest = app.log("shop").await.last().unwrap()["seq"].as_i64().unwrap();
    app.delete("/devices/shop").await.ok();
    app.get("/devices/shop").await.refused(404, "device_not_found");
    app.wait_until("the id to be free", async || {
        let reply = app.post("/devices", json!({ "id": "shop" })).await;
        (reply.status == 201).then_some(())
    })
    .await;
    assert!(app.get("/devices/shop/chats").await.ok()["data"].as_array().unwrap().is_empty());
    let first = app.log("shop").await[0]["seq"].as_i64().unwrap();
    assert!(first > newest, "a seq was used twice: {first} after {newest}");
}

// covers: DELETE /devices/{id}
#[tokio::test]
async fn deleted_device_can_keep_messages() {
    let app = TestApp::start().await;
    app.device("shop").await;
    app.incoming("shop", ANNA, "hello").await;
    app.delete("/devices/shop?keepMessages=true").await.ok();
    app.post("/devices", json!({ "id": "shop" })).await.created();
    assert_eq!(app.get("/devices/shop/chats").await.ok()["data"].as_array().unwrap().len(), 1);
}

// covers: POST /devices
// covers: rest 400 names the field
#[tokio::test]
async fn invalid_device_is_rejected_by_field() {
    let app = TestApp::start().await;
    app.post("/devices", json!({ "id": "shop" })).await.created();
    app.post("/devices", json!({ "id": "shop" })).await.refused(409, "device_exists");
    let cases = [
        (json!({ "id": "a b" }), "id"),
        (json!({ "id": 5 }), "id"),
        (json!({ "name": "x".repeat(129) }), "name"),
        (json!({ "name": "bell\u{7}" }), "name"),
        (json!({ "engine": "pigeon" }), "engine"),
        (json!({ "settings": "fast" }), "settings"),
        (json!({ "settings": { "simulator": { "ackServerMs": "soon" } } }), "settings.simulator.ackServerMs"),
        (json!({ "settings": { "outbox": { "minDelay": -1 } } }), "settings.outbox.minDelay"),
    ];
    for (body, field) in cases {
        let refused = app.post("/devices", body.clone()).await.refused(400, "invalid_field");
        assert_eq!(refused["details"][0]["field"], field, "{body} -> {refused}");
    }
    app.post("/devices", json!(null)).await.created();
}

// covers: PATCH /devices/{id}
#[tokio::test]
async fn device_patch_merges_and_null_removes() {
    let app = TestApp::start().await;
    app.device("shop").await;
    let body = json!({ "name": "Corner shop", "settings": { "color": "red", "outbox": { "minDelay": 5 } } });
    let changed = app.patch("/devices/shop", body).await.ok();
    assert_eq!(changed["data"]["name"], "Corner shop");
    assert_eq!(changed["data"]["settings"]["color"], "red");
    let changed = app.patch("/devices/shop", json!({ "settings": { "color": null } })).await.ok();
    assert_eq!(changed["data"]["settings"]["color"], json!(null));
    assert_eq!(changed["data"]["settings"]["outbox"]["minDelay"], 5);
}
