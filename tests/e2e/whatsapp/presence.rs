//! The account's own presence: its phone gets push notifications only while it is unavailable.

use serde_json::{Value, json};

use super::{ME, Native};
use crate::support::wire::Wire;
use crate::support::{ADMIN_KEY, ANNA};

/// What the device declared so far, oldest first.
async fn declared(native: &Native) -> Vec<bool> {
    let network = native.app.get("/simulator/shop/network").await.ok();
    let declarations = network["data"]["presence"].as_array().unwrap();
    declarations.iter().map(|entry| entry["available"].as_bool().unwrap()).collect()
}

async fn wait_for_declared(native: &Native, available: bool) {
    let what = format!("the device to declare available={available}");
    native
        .app
        .wait_until(&what, async || (declared(native).await.last() == Some(&available)).then_some(()))
        .await;
}

/// A linked device with this presence setting, or with the default.
async fn linked(native: &Native, presence: Option<&str>) {
    let mut whatsapp = json!({ "testbed": {} });
    if let Some(presence) = presence {
        whatsapp["presence"] = json!(presence);
    }
    linked_with(native, whatsapp).await;
}

async fn linked_with(native: &Native, whatsapp: Value) {
    let body = json!({ "id": "shop", "engine": "whatsapp", "settings": { "whatsapp": whatsapp } });
    native.app.post("/devices", body).await.created();
    native.app.wait_for_state("shop", "qr").await;
    native.app.post("/simulator/shop/scan", json!({ "phoneNumber": ME })).await.ok();
    native.app.wait_for_state("shop", "ready").await;
}

/// How long the account was available before each withdrawal, in milliseconds.
async fn available_periods(native: &Native) -> Vec<i64> {
    let network = native.app.get("/simulator/shop/network").await.ok();
    let declarations = network["data"]["presence"].as_array().unwrap();
    let at = |entry: &Value| entry["at"].as_i64().unwrap();
    let pairs = declarations.iter().zip(declarations.iter().skip(1));
    pairs
        .filter(|(on, off)| on["available"] == true && off["available"] == false)
        .map(|(on, off)| at(off) - at(on))
        .collect()
}

#[tokio::test]
async fn idle_account_is_unavailable_after_each_connection() {
    let native = Native::start().await;
    linked(&native, None).await;
    wait_for_declared(&native, false).await;
    let before = declared(&native).await.len();
    native.app.fault("shop", json!({ "kind": "drop_link" })).await;
    native
        .app
        .wait_until("a withdrawal on the next connection", async || {
            let declared = declared(&native).await;
            (declared.len() > before && declared.last() == Some(&false)).then_some(())
        })
        .await;
    let periods = available_periods(&native).await;
    assert!(periods.len() >= 2 && periods.iter().all(|ms| *ms < 1_000), "{periods:?}");
    native.stop().await;
}

// covers: emit device:active
#[tokio::test]
async fn operator_use_makes_account_available() {
    let native = Native::start().await;
    linked(&native, None).await;
    wait_for_declared(&native, false).await;
    let (mut wire, _) = Wire::open(&native.app).await;
    wire.join("shop", ADMIN_KEY).await;
    wire.event("shop", "state").await;
    let sent = native.app.send("shop", ANNA, "sent over REST").await;
    native.app.wait_for_status("shop", &sent, "delivered").await;
    assert_eq!(declared(&native).await.last(), Some(&false), "a socket and REST are no use");
    let active = wire.ask("shop", 1, &json!(["device:active"])).await;
    assert_eq!(active["success"], true, "{active}");
    wait_for_declared(&native, true).await;
    native.stop().await;
}

#[tokio::test]
async fn typing_declares_account_available_first() {
    let native = Native::start().await;
    linked(&native, None).await;
    wait_for_declared(&native, false).await;
    let typing = format!("/devices/shop/chats/{ANNA}/typing");
    native.app.post(&typing, json!({ "state": "start" })).await.ok();
    assert_eq!(declared(&native).await.last(), Some(&true));
    native.stop().await;
}

#[tokio::test]
async fn unavailable_account_refuses_typing_and_watching() {
    let native = Native::start().await;
    linked(&native, Some("unavailable")).await;
    wait_for_declared(&native, false).await;
    let typing = format!("/devices/shop/chats/{ANNA}/typing");
    let watching = format!("/devices/shop/contacts/{ANNA}/presence/subscribe");
    for (path, body) in [(&typing, json!({ "state": "start" })), (&watching, json!({}))] {
        native.app.post(path, body).await.refused(409, "presence_unavailable");
    }
    assert_eq!(declared(&native).await.last(), Some(&false));
    native.stop().await;
}

#[tokio::test]
async fn available_setting_keeps_account_available() {
    let native = Native::start().await;
    linked(&native, Some("available")).await;
    wait_for_declared(&native, true).await;
    assert!(declared(&native).await.iter().all(|available| *available));
    native.stop().await;
}

/// The type of the receipt for a message that arrives while the account is unavailable.
async fn receipt_while_unavailable(settings: Value) -> Value {
    let native = Native::start().await;
    let mut whatsapp = json!({ "testbed": {}, "presence": "unavailable" });
    whatsapp.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    linked_with(&native, whatsapp).await;
    wait_for_declared(&native, false).await;
    native.app.incoming("shop", ANNA, "is the shop open?").await;
    let kind = native
        .app
        .wait_until("a receipt", async || {
            let network = native.app.get("/simulator/shop/network").await.ok();
            let receipts = network["data"]["receipts"].as_array().unwrap();
            let chat = format!("{ANNA}@c.us");
            receipts.iter().find(|receipt| receipt["chat"] == chat).map(|receipt| receipt["type"].clone())
        })
        .await;
    native.stop().await;
    kind
}

#[tokio::test]
async fn receipts_are_inactive_unless_set_otherwise() {
    assert_eq!(Box::pin(receipt_while_unavailable(json!({}))).await, "inactive");
    assert_eq!(
        Box::pin(receipt_while_unavailable(json!({ "deliveredWhileOffline": true }))).await,
        "delivered"
    );
}
