//! Linking with a pairing code that is typed on the phone.

use serde_json::json;
use wharf::domain::clock::Clock as _;

use crate::support::TestApp;

const PHONE: &str = "+1 555 010 0042";

// covers: POST /devices/{id}/pairing-code
#[tokio::test]
async fn typed_pairing_code_links_device() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.pairing_code), "pairing codes");
    app.new_device("shop", json!({})).await;
    // A request before the first code exists waits for it.
    let asked = app.post("/devices/shop/pairing-code", json!({ "phoneNumber": PHONE })).await.ok();
    let code = asked["data"]["code"].as_str().unwrap();
    let halves: Vec<&str> = code.split('-').collect();
    assert!(halves.len() == 2 && halves.iter().all(|half| half.len() == 4), "{code}");
    let left = asked["data"]["expiresAt"].as_i64().unwrap() - app.clock.now().0;
    assert!((150_000..=180_000).contains(&left), "{left} ms: at least as long as codes to scan are shown");
    app.post("/simulator/shop/pair", json!({ "code": code })).await.ok();
    let device = app.wait_for_state("shop", "ready").await;
    assert_eq!(device["phoneNumber"], "15550100042");
}

// covers: POST /devices/{id}/pairing-code
#[tokio::test]
async fn pairing_code_requires_unlinked_device() {
    let app = TestApp::start().await;
    skip_unless!(app.can(|engine| engine.pairing_code), "pairing codes");
    let ask = async || app.post("/devices/shop/pairing-code", json!({ "phoneNumber": PHONE })).await;
    ask().await.refused(404, "device_not_found");
    app.new_device("shop", json!({})).await;
    app.wait_for_state("shop", "qr").await;
    app.post("/devices/shop/stop", json!({})).await.ok();
    let refused = ask().await.refused(409, "wrong_state");
    assert!(refused["error"].as_str().unwrap().contains("start it"), "{refused}");
    app.post("/devices/shop/start", json!({})).await.ok();
    app.wait_for_state("shop", "qr").await;
    app.post("/simulator/shop/scan", json!({})).await.ok();
    app.wait_for_state("shop", "ready").await;
    let refused = ask().await.refused(409, "wrong_state");
    assert!(refused["error"].as_str().unwrap().contains("log it out"), "{refused}");
    for wrong in
        [json!({}), json!({ "phoneNumber": "no" }), json!({ "phoneNumber": "120363000000000001@g.us" })]
    {
        app.post("/devices/shop/pairing-code", wrong).await.refused(400, "invalid_field");
    }
}
